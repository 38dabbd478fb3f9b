"""An MP4 of what people get: 40 ms of sound and its picture at a time, marked as synthetic for machines too.

GB 45438-2025 asks for a metadata field ``AIGC`` in every file of synthetic sound or picture, article 50 of the EU AI
Act for a machine-readable mark; the field is written among the file's tags as the standard's annex spells it.
"""

from __future__ import annotations

import errno
import json
from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import FRAME_SAMPLES, LIVE_RATE
from lipsync.engine import FPS
from lipsync.errors import NoSpaceError

PRODUCER = "LiveTalking Studio"
COMMENT = "Synthetic media made by AI / 人工智能生成合成内容"


def aigc_field(produce_id: str) -> str:
    """The value of the ``AIGC`` tag: synthetic for certain (label 1), who made it, and which piece it is."""
    return json.dumps(
        {
            "Label": "1",
            "ContentProducer": PRODUCER,
            "ProduceID": produce_id,
            "ReservedCode1": "",
            "ContentPropagator": "",
            "PropagateID": "",
            "ReservedCode2": "",
        },
        separators=(",", ":"),
    )


class KeptWhole(ABC):
    """A file written aside and renamed when closed, so a file by its name is whole. A context manager.

    Args:
        path: Where the file goes.
        aside: Where it is until it is whole, in the same folder.
    """

    def __init__(self, path: Path, aside: Path) -> None:
        self.path = path
        self._aside = aside
        self._done = False

    @abstractmethod
    def _finish(self) -> None:
        """Write what is still owed and close the file."""

    @abstractmethod
    def _drop(self) -> None:
        """Close the file, which is thrown away."""

    def close(self) -> None:
        """Finish the file. Safe to call twice."""
        if self._done:
            return
        try:
            self._finish()
        except OSError as error:
            self.abort()
            raise translated(error) from error
        self._done = True
        self._aside.replace(self.path)

    def abort(self) -> None:
        """Give up: nothing is left on disk. Safe to call twice."""
        if self._done:
            return
        self._done = True
        try:
            self._drop()
        except OSError:
            # The file is thrown away; that it cannot be finished is why.
            pass
        finally:
            self._aside.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class FilmWriter(KeptWhole):
    """Writes ``path`` aside and renames it when closed, so a file by that name is always whole. A context manager.

    Args:
        path: The MP4.
        width, height: Of the pictures.
        produce_id: The piece's id, for the AIGC tag.
        crf: x264's constant rate factor.

    Raises:
        NoSpaceError: From any method, where the disk is full; the part written so far is removed.
    """

    def __init__(self, path: Path, width: int, height: int, produce_id: str, crf: int = 18) -> None:
        super().__init__(path, path.with_name(path.name + ".part"))
        self.frames = 0
        try:
            self._container = av.open(
                str(self._aside), "w", format="mp4", options={"movflags": "+faststart+use_metadata_tags"}
            )
        except OSError as error:
            raise translated(error) from error
        self._container.metadata["AIGC"] = aigc_field(produce_id)
        self._container.metadata["comment"] = COMMENT
        video: Any = self._container.add_stream(
            "libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast", "threads": "0"}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, FPS)
        video.codec_context.colorspace, video.codec_context.color_range = 6, 1
        sound: Any = self._container.add_stream("aac", rate=LIVE_RATE, layout="mono")
        sound.bit_rate = 160_000
        self._video, self._sound = video, sound

    def write(self, picture: NDArray[np.uint8], sound: NDArray[np.int16]) -> None:
        """Add 40 ms: I420 uint8 (h * 3 // 2, w) and int16 (1920,)."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = self.frames, Fraction(1, FPS)
        pcm = np.ascontiguousarray(sound.reshape(1, -1).astype(np.float32) / 32768.0)
        heard = av.AudioFrame.from_ndarray(pcm, format="fltp", layout="mono")
        heard.sample_rate = LIVE_RATE
        heard.pts, heard.time_base = self.frames * FRAME_SAMPLES, Fraction(1, LIVE_RATE)
        try:
            self._container.mux(self._video.encode(frame))
            self._container.mux(self._sound.encode(heard))
        except OSError as error:
            self.abort()
            raise translated(error) from error
        self.frames += 1

    def _finish(self) -> None:
        if self.frames:
            self._container.mux(self._video.encode(None))
            self._container.mux(self._sound.encode(None))
        self._container.close()

    def _drop(self) -> None:
        self._container.close()


def translated(error: OSError) -> Exception:
    """The error to raise for one of the disk: ours where it is full, else itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError("The disk is full; the film was not kept.", "Free some space and record again.")
    return error

"""A film to lay over others: the person alone with a matte, VP9 with alpha in WebM, marked as synthetic too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.film import COMMENT, KeptWhole, aigc_field, translated
from apps.control_api.live_runtime.frames import LIVE_RATE
from lipsync.media.transparent import TransparentWriter


class TransparentFilm(KeptWhole):
    """Writes ``path`` (.webm) aside and renames it when closed, so a file by that name is whole. A context manager.

    Args:
        path: The WebM.
        width: Of the pictures.
        height: Of the pictures.
        produce_id: The piece's id, for the AIGC tag.

    Raises:
        NoSpaceError: from any method, where the disk is full; the part written so far is removed.
    """

    def __init__(self, path: Path, width: int, height: int, produce_id: str) -> None:
        super().__init__(path, path.with_name(f"{path.stem}.part{path.suffix}"))
        tags = {"AIGC": aigc_field(produce_id), "comment": COMMENT}
        try:
            self._writer = TransparentWriter(
                self._aside, width, height, audio_rate=LIVE_RATE, pix="yuv420p", metadata=tags
            )
        except OSError as error:
            raise translated(error) from error

    def write(self, picture: NDArray[np.uint8], matte: NDArray[np.uint8], sound: NDArray[np.int16]) -> None:
        """Add 40 ms: I420 uint8 (h * 3 // 2, w), its matte uint8 (h, w), and int16 (1920,)."""
        try:
            self._writer.write(picture, matte)
            self._writer.write_audio(sound.astype(np.float32) / 32768.0)
        except OSError as error:
            self.abort()
            raise translated(error) from error

    def _finish(self) -> None:
        self._writer.close()

    def _drop(self) -> None:
        self._writer.close()

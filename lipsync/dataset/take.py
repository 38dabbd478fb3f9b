"""A prepared take: one person's recording, measured, keyed and in the house form, as a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.looks import LOOK, look_size, smaller
from lipsync.engine import FPS, HOP, SAMPLE_RATE
from lipsync.errors import InvalidInputError
from lipsync.media.audio import load_audio
from lipsync.media.matting import Picture, Screen, despill
from lipsync.media.video import read_frames

SCHEMA = 1
HELD_OUT = 0.2
"""Share of a take's frames, at its end, that nothing is ever learned from."""
VIDEO, ALPHA, AUDIO, VOICE = "video.mp4", "alpha.mp4", "audio.wav", "voice.wav"
LANDMARKS, SCREEN, META, REPORT = "landmarks.npz", "screen.npz", "take.json", "report.json"
VOICE_RATE = 24_000


class TakeError(InvalidInputError):
    """A folder that is not a prepared take, or is damaged."""

    code = "bad_take"


@dataclass(frozen=True)
class PreparedTake:
    """A folder with ``video.mp4, alpha.mp4, audio.wav, voice.wav, landmarks.npz, take.json, report.json``.

    Attributes:
        folder: Where it is.
        n: Pictures.
        width, height: Pixels, even.
        landmarks: float32 (n, 478, 2), pixels; where no face was found, filled in from the neighbours.
        found: bool (n,): where a face was found.
        meta: The content of ``take.json``: face_id, mic_profile, chroma_info and others.
    """

    folder: Path
    n: int
    width: int
    height: int
    landmarks: NDArray[np.float32]
    found: NDArray[np.bool_]
    meta: dict[str, Any] = field(default_factory=dict)
    fps: int = FPS

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """The sound: float32 mono, 16 kHz, ``n * 640`` samples, -1..1."""
        pcm = load_audio(self.folder / AUDIO, SAMPLE_RATE)
        return np.pad(pcm[: self.n * HOP], (0, max(0, self.n * HOP - pcm.size)))

    @property
    def video_path(self) -> Path:
        """The pictures, 25 a second."""
        return self.folder / VIDEO

    @property
    def voice_path(self) -> Path:
        """The reference voice, 24 kHz mono."""
        return self.folder / VOICE

    @property
    def held_out(self) -> range:
        """The last fifth, for judging only."""
        return range(self.n - int(self.n * HELD_OUT), self.n)

    @property
    def train(self) -> range:
        """What may be learned from."""
        return range(0, self.held_out.start)

    @property
    def has_alpha(self) -> bool:
        """Whether the person was keyed."""
        return (self.folder / ALPHA).is_file()

    @cached_property
    def screen(self) -> Screen:
        """What stood behind the person; kind "none" for a plain background."""
        known = self.meta.get("screen") or {}
        path = self.folder / SCREEN
        if known.get("kind", "none") == "none" or not path.is_file():
            return Screen("none")
        with np.load(path, allow_pickle=False) as data:
            plane = np.asarray(data["field"], np.float32)
        return Screen(known["kind"], tuple(known["colour"]), plane, known["low"], known["high"])

    @property
    def report(self) -> dict[str, Any]:
        """The check's findings, as written by ``TakeReport.as_dict``."""
        return _read_json(self.folder / REPORT)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Pictures ``start`` to ``stop``: BGR uint8 (h, w, 3). Exactly as many as asked for."""
        return self._exactly(VIDEO, start, stop, "bgr24")

    def i420(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """The same pictures as stored: I420 uint8 (h * 3 // 2, w)."""
        return self._exactly(VIDEO, start, stop, "yuv420p")

    def alpha(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Their mattes: uint8 (h, w), 255 the person. All 255 for a take that was not keyed."""
        if self.has_alpha:
            yield from self._exactly(ALPHA, start, stop, "gray")
        else:
            for _ in range(start, min(stop if stop is not None else self.n, self.n)):
                yield np.full((self.height, self.width), 255, np.uint8)

    def foreground(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Picture, Picture]]:
        """Pictures with the screen's colour taken off the person, and their mattes: (BGR, alpha), straight alpha."""
        for picture, matte in zip(self.frames(start, stop), self.alpha(start, stop), strict=True):
            yield despill(picture, matte, self.screen), matte

    def look(self, index: int) -> tuple[Picture, Picture]:
        """One picture as filmed and its matte, at most 720 pixels wide, found at once: (BGR, alpha)."""
        size = look_size(self.width, self.height)
        name = LOOK if (self.folder / LOOK).is_file() else VIDEO
        picture = smaller(next(self._exactly(name, index, index + 1, "bgr24", 1)), size)
        if not self.has_alpha:
            return picture, np.full(size[::-1], 255, np.uint8)
        return picture, smaller(next(self._exactly(ALPHA, index, index + 1, "gray", 1)), size)

    def _exactly(
        self, name: str, start: int, stop: int | None, fmt: Any, threads: int = 0
    ) -> Iterator[NDArray[np.uint8]]:
        stop = self.n if stop is None else min(stop, self.n)
        count = start
        last: NDArray[np.uint8] | None = None
        for last in read_frames(self.folder / name, start, stop, fmt, threads=threads):
            yield last
            count += 1
        if last is None and count < stop:
            raise TakeError(f"{name} of the take holds fewer pictures than its landmarks.", "Prepare the take again.")
        while count < stop and last is not None:
            yield last
            count += 1


def load_take(folder: Path | str) -> PreparedTake:
    """Open a prepared take.

    Raises:
        TakeError: the folder is missing, half-made or damaged.
    """
    folder = Path(folder)
    remedy = "Prepare the take again from its recording."
    meta = _read_json(folder / META)
    if meta.get("schema") != SCHEMA:
        raise TakeError("The take was prepared by another version of the studio.", remedy)
    for name in (VIDEO, AUDIO, LANDMARKS):
        if not (folder / name).is_file():
            raise TakeError(f"The take is incomplete: {name} is missing.", remedy)
    try:
        with np.load(folder / LANDMARKS, allow_pickle=False) as data:
            landmarks = np.asarray(data["landmarks"], np.float32)
            found = np.asarray(data["found"], bool)
        n, width, height = int(meta["frames"]), int(meta["width"]), int(meta["height"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TakeError("The take's landmarks are damaged.", remedy) from exc
    if landmarks.shape != (n, 478, 2) or found.shape != (n,):
        raise TakeError("The take's landmarks do not fit its pictures.", remedy)
    return PreparedTake(folder, n, width, height, landmarks, found, meta)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise TakeError(f"The take is incomplete: {path.name} is missing or damaged.", "Prepare it again.") from exc
    if not isinstance(value, dict):
        raise TakeError(f"The take's {path.name} is damaged.", "Prepare it again.")
    return value

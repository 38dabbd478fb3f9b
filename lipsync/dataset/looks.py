"""A small copy of a take's pictures, in which any moment is found at once: for looking through the take."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from lipsync.media.matting import Picture
from lipsync.media.video import VideoWriter

LOOK = "look.mp4"
WIDTH = 720
"""Pixels across, at most: what a page shows. The whole picture is in the take's video."""
KEYS = 6


def look_size(width: int, height: int) -> tuple[int, int]:
    """Size of the small copy of pictures of this size: even, never larger."""
    if width <= WIDTH:
        return width, height
    return WIDTH, max(2, round(height * WIDTH / width / 2) * 2)


def smaller(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture or matte scaled down to (width, height); the same where it has that size."""
    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


class LookWriter:
    """Writes the small copy. A context manager.

    Args:
        path: Where to.
        width, height: Of the pictures handed over.
    """

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._size = look_size(width, height)
        self._writer = VideoWriter(path, *self._size, crf=21, preset="superfast", threads=1, keys=KEYS)

    def write(self, bgr: Picture) -> None:
        """Add the next picture, (h, w, 3)."""
        self._writer.write(smaller(bgr, self._size))

    def __enter__(self) -> LookWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

"""The visible label that says a picture is synthetic, drawn from strokes so that it needs no font.

Many places ask for it in plain sight, so its letters are never lower than a twentieth of the picture's short side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.errors import InvalidInputError

MIN_HEIGHT = 0.05
"""Height of the letters against the picture's short side, at least."""

# Strokes on a unit square, y down: lists of points joined by lines. Latin capitals and small letters as far as the two
# labels need them, and the two characters of "generated" in Chinese.
_GLYPHS: dict[str, tuple[float, list[list[tuple[float, float]]]]] = {
    "A": (0.72, [[(0.02, 1.0), (0.36, 0.05), (0.70, 1.0)], [(0.15, 0.66), (0.57, 0.66)]]),
    "I": (0.30, [[(0.15, 0.05), (0.15, 1.0)]]),
    "g": (
        0.58,
        [
            [(0.5, 0.4), (0.4, 0.35), (0.2, 0.35), (0.08, 0.5), (0.08, 0.8), (0.2, 0.95), (0.4, 0.95), (0.5, 0.85)],
            [(0.5, 0.35), (0.5, 1.12), (0.38, 1.22), (0.14, 1.2)],
        ],
    ),
    "e": (
        0.56,
        [
            [(0.08, 0.63), (0.5, 0.63), (0.5, 0.5), (0.4, 0.35), (0.2, 0.35), (0.08, 0.5), (0.08, 0.82)],
            [(0.08, 0.82), (0.2, 0.98), (0.4, 0.98), (0.5, 0.88)],
        ],
    ),
    "n": (0.56, [[(0.1, 0.35), (0.1, 1.0)], [(0.1, 0.5), (0.22, 0.36), (0.38, 0.36), (0.48, 0.48), (0.48, 1.0)]]),
    "r": (0.42, [[(0.1, 0.35), (0.1, 1.0)], [(0.1, 0.55), (0.22, 0.38), (0.38, 0.36)]]),
    "a": (
        0.56,
        [
            [(0.1, 0.42), (0.2, 0.35), (0.4, 0.35), (0.48, 0.45), (0.48, 1.0)],
            [(0.48, 0.6), (0.2, 0.62), (0.08, 0.74), (0.1, 0.92), (0.22, 0.99), (0.38, 0.96), (0.48, 0.82)],
        ],
    ),
    "t": (0.42, [[(0.18, 0.12), (0.18, 0.86), (0.27, 0.98), (0.38, 0.97)], [(0.04, 0.36), (0.36, 0.36)]]),
    "d": (
        0.58,
        [
            [(0.5, 0.0), (0.5, 1.0)],
            [(0.5, 0.45), (0.4, 0.35), (0.2, 0.35), (0.08, 0.5), (0.08, 0.84), (0.2, 0.99), (0.4, 0.99), (0.5, 0.88)],
        ],
    ),
    "生": (
        1.0,
        [
            [(0.25, 0.0), (0.18, 0.22), (0.05, 0.42)],
            [(0.2, 0.25), (0.85, 0.25)],
            [(0.14, 0.6), (0.82, 0.6)],
            [(0.5, 0.0), (0.5, 1.0)],
            [(0.03, 1.0), (0.97, 1.0)],
        ],
    ),
    "成": (
        1.0,
        [
            [(0.12, 0.22), (0.95, 0.22)],
            [(0.16, 0.22), (0.15, 0.65), (0.02, 1.02)],
            [(0.16, 0.5), (0.44, 0.5), (0.42, 0.84), (0.3, 0.84)],
            [(0.56, 0.0), (0.6, 0.45), (0.74, 0.82), (0.92, 1.0), (0.97, 0.8)],
            [(0.88, 0.42), (0.72, 0.72), (0.5, 0.98)],
            [(0.72, 0.02), (0.86, 0.13)],
        ],
    ),
    " ": (0.35, []),
}
TEXTS = {"zh": "AI 生成", "en": "AI generated"}


@dataclass(frozen=True)
class MarkSpec:
    """Which label, and where.

    Attributes:
        language: "zh" or "en".
        corner: One of "top-left", "top-right", "bottom-left", "bottom-right".
        height: Height of the letters against the short side; at least ``MIN_HEIGHT``.
    """

    language: Literal["zh", "en"] = "en"
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "top-left"
    height: float = 0.055

    def __post_init__(self) -> None:
        if self.language not in TEXTS:
            raise InvalidInputError(f"There is no label in {self.language!r}.", "Choose zh or en.")
        if self.corner not in ("top-left", "top-right", "bottom-left", "bottom-right"):
            raise InvalidInputError(f"There is no corner {self.corner!r}.", "Choose a corner such as top-left.")
        if not MIN_HEIGHT <= self.height <= 0.3:
            raise InvalidInputError("The label is too low or too high.", f"Choose {MIN_HEIGHT} to 0.3.")


class Mark:
    """A label ready to be laid over I420 frames of one size: white letters on a darkened ground."""

    def __init__(self, spec: MarkSpec, width: int, height: int) -> None:
        short = min(width, height)
        size = int(np.ceil(short * spec.height))
        text, box_h = _draw(TEXTS[spec.language], size)
        room = width - 4
        if text.shape[1] > room:
            text = np.asarray(cv2.resize(text, (room // 2 * 2, text.shape[0]), interpolation=cv2.INTER_AREA), np.uint8)
        h, w = text.shape
        gap = max(2, short // 50) // 2 * 2
        self.x = (gap if spec.corner.endswith("left") else width - w - gap) // 2 * 2
        self.y = (gap if spec.corner.startswith("top") else height - h - gap) // 2 * 2
        self.x, self.y = max(self.x, 0), max(self.y, 0)
        self.w, self.h, self.letters = w, h, box_h
        self._frame_h = height
        self._text = text
        self._half = cv2.resize(text, (w // 2, h // 2), interpolation=cv2.INTER_AREA)

    def draw(self, frame: NDArray[np.uint8]) -> None:
        """Lay the label over a frame, uint8 (h * 3 // 2, w), in place."""
        luma = frame[self.y : self.y + self.h, self.x : self.x + self.w]
        dark = cv2.addWeighted(luma, 0.45, luma, 0, 8)
        luma[:] = cv2.max(dark, self._text)
        u, v = planes(frame, self._frame_h)
        for plane in (u, v):
            part = plane[self.y // 2 : (self.y + self.h) // 2, self.x // 2 : (self.x + self.w) // 2]
            part[:] = cv2.addWeighted(part, 0.3, part, 0, 128 * 0.7)


def planes(frame: NDArray[np.uint8], height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two chroma planes (h // 2, w // 2) of an I420 frame as views."""
    width = frame.shape[1]
    flat = frame.reshape(-1)
    size = width * height
    u = flat[size : size + size // 4].reshape(height // 2, width // 2)
    v = flat[size + size // 4 : size + size // 2].reshape(height // 2, width // 2)
    return u, v


def _draw(text: str, size: int) -> tuple[NDArray[np.uint8], int]:
    """White strokes on black, and the height of a capital in pixels; drawn four times as large and reduced."""
    up = 4
    pad = size * 0.35
    wide = sum(_GLYPHS[c][0] for c in text) * size + size * 0.12 * (len(text) - 1)
    w = int(np.ceil((wide + 2 * pad) / 2)) * 2
    h = int(np.ceil((size * 1.25 + 2 * pad * 0.7) / 2)) * 2
    picture = np.zeros((h * up, w * up), np.uint8)
    x = pad
    for char in text:
        advance, strokes = _GLYPHS[char]
        for stroke in strokes:
            line = [(round((x + px * size) * up), round((pad * 0.7 + py * size) * up)) for px, py in stroke]
            cv2.polylines(picture, [np.array(line, np.int32)], False, 235, max(up, round(size * 0.1 * up)), cv2.LINE_AA)
        x += advance * size + size * 0.12
    return cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA).astype(np.uint8), size

"""The square round the lower face that pictures are compared and drawn in.

It is laid by the eyes and the nose alone, smoothed in time, so that it does not move with the jaw, and measured in
*units*: 160 to its side. A unit is 1.6 pixels for a face that fills half of a 512 pixel frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

SIDE = 160
"""Units to the side of the square."""
REGION = (16, 44, 144, 156)
"""The lower face, in units: left, top, right, bottom. What an engine may draw on."""
MOUTH = (48, 72, 112, 118)
"""The box round the mouth that figures are measured in."""
FACE = (7, 12, 140, 100)
"""From the nose to under the lips and from cheek to cheek: what jitter is measured in, because flicker is seen against
what stands still."""


@dataclass(frozen=True)
class Squares:
    """The square of each frame: ``pixel = origin + unit * scale``.

    Attributes:
        origin: float32 (n, 2), x and y of its corner.
        scale: float32 (n,), pixels to a unit.
    """

    origin: NDArray[np.float32]
    scale: NDArray[np.float32]

    def units(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Pixels (n, m, 2) to units."""
        return ((points - self.origin[:, None]) / self.scale[:, None, None]).astype(np.float32)

    def matrix(self, index: int) -> NDArray[np.float64]:
        """The affine matrix (2, 3) from units to pixels of a frame."""
        (x, y), scale = self.origin[index], float(self.scale[index])
        return np.array([[scale, 0, float(x)], [0, scale, float(y)]])

    def box(self, index: int, area: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
        """An area given in units as whole pixels of a frame, cut to it: left, top, right, bottom."""
        (x, y), scale = self.origin[index], float(self.scale[index])
        left, top = max(0, round(x + area[0] * scale)), max(0, round(y + area[1] * scale))
        right, bottom = min(width, round(x + area[2] * scale)), min(height, round(y + area[3] * scale))
        return left, top, max(right, left + 1), max(bottom, top + 1)


def squares(landmarks: NDArray[np.floating]) -> Squares:
    """Lay the squares of consecutive frames, landmarks (n, 478, 2) in pixels."""
    points = np.asarray(landmarks, np.float64)
    smooth = gaussian_filter1d(points, 2.0, axis=0, mode="nearest") if len(points) > 2 else points
    eyes = (smooth[:, [33, 133, 159, 145]].mean(1) + smooth[:, [362, 263, 386, 374]].mean(1)) / 2
    span = np.linalg.norm(smooth[:, 33] - smooth[:, 263], axis=1)
    span = gaussian_filter1d(span, 10.0, mode="nearest") if len(span) > 2 else span
    side = np.maximum(span * 1.75, 8.0)
    centre = eyes + (smooth[:, 2] - eyes) * 1.35
    return Squares((centre - side[:, None] / 2).astype(np.float32), (side / SIDE).astype(np.float32))

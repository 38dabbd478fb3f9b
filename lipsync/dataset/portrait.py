"""A still portrait made to move: the mouth opens, the eyes blink, the head sways. The picture part of the demo take.

The portrait is the one of astronaut Eileen Collins (NASA, public domain) that scikit-image carries inside its package.
Every movement is a smooth backward map in closed form, so a frame costs a few milliseconds and no weights are needed:
the lips are two half-planes moved apart along the inner lip contours, the teeth between them are the portrait's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.errors import UnavailableError

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

CROP = (100, 0, 250)
"""Left, top and side of the square of the 512x512 portrait that is used: head and shoulders before a plain wall."""

# Person and wall where they look alike (the helmet ring is as grey as the wall), in pixels of the crop made 1024 wide.
_BODY = (
    "0,1024 0,893 42,855 62,868 50,800 62,770 90,765 108,715 130,680 175,645 250,615 342,610 "
    "500,700 636,716 716,773 786,856 821,934 832,970 920,1024"
)
_HEAD = ((516, 330, 275, 240), (498, 560, 146, 160))
_NEAR_HEAD = ((516, 380, 330, 345),)
_WALL = ((0, 0, 1024, 48), (0, 0, 180, 560), (870, 0, 1024, 820))

_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 105),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263), 334),
)
_CHIN, _NOSE_TIP, _NOSE_BASE, _FOREHEAD = 152, 1, 2, 10


@dataclass(frozen=True)
class Pose:
    """Where everything stands in one frame.

    Attributes:
        opening: Gap between the lips at the middle, in half mouth widths; 0 closed, about 0.8 wide open.
        spread: Mouth width, -1 rounded .. 1 spread.
        blink: 0 eyes open .. 1 closed.
        roll, scale: Rotation (radians) and relative size (0 is natural) of the head about the neck.
        shift: Head position, (x, y), in thousandths of the frame side.
        turn: Yaw and pitch as parallax of the face, (x, y), in thousandths of the frame side.
    """

    opening: float = 0.0
    spread: float = 0.0
    blink: float = 0.0
    roll: float = 0.0
    scale: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    turn: tuple[float, float] = (0.0, 0.0)


class Portrait:
    """The portrait at a given size, cut out, with its movable parts. Not thread-safe.

    Args:
        size: Side of the square frame in pixels, even, at least 192.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._picture = _portrait(size)
        self._alpha = _cut_out(self._picture)
        self._colour = _spread_inside_out(self._picture, self._alpha)
        points = _landmarks(self._picture)
        self._mouth = _Mouth(points)
        self._eyes = [_Eye(points[list(upper)], points[list(lower)], points[brow]) for upper, lower, brow in _EYES]
        self._head = _Head(points, size)

    def draw(self, pose: Pose) -> tuple[Picture, Picture]:
        """One frame: BGR uint8 (size, size, 3) with the person's colour everywhere, and alpha uint8 (size, size)."""
        colour = self._colour.copy()
        for eye in self._eyes:
            eye.draw(self._colour, colour, pose.blink)
        self._mouth.draw(self._colour, colour, pose.opening, pose.spread)
        map_x, map_y = self._head.map(pose)
        whole = cv2.merge([colour, self._alpha])
        moved = cv2.remap(whole, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(moved[..., :3]), np.ascontiguousarray(moved[..., 3])


def _portrait(size: int) -> Picture:
    from skimage import data

    left, top, side = CROP
    square = data.astronaut()[top : top + side, left : left + side, ::-1]
    large = cv2.resize(square, (size, size), interpolation=cv2.INTER_CUBIC if size > side else cv2.INTER_AREA)
    soft = cv2.GaussianBlur(large, (0, 0), size / 400)
    return np.asarray(cv2.addWeighted(large, 1.6, soft, -0.6, 0), np.uint8)


def _landmarks(picture: Picture) -> NDArray[np.float64]:
    from lipsync.face.landmarks import FaceTracker

    found = FaceTracker().track(picture)
    if found is None:
        raise UnavailableError(
            "The face of the demo portrait is not found.", "Run scripts/setup.sh again: a package is damaged."
        )
    return np.asarray(found, np.float64)


def _cut_out(picture: Picture) -> Picture:
    """Alpha of the person, uint8 (size, size), by GrabCut (Rother et al., 2004) from seeds for this one portrait."""
    side = picture.shape[0]
    scale = side / 1024

    def at(*values: float) -> tuple[int, ...]:
        return tuple(round(value * scale) for value in values)

    mask = np.full((side, side), cv2.GC_PR_BGD, np.uint8)
    for seeds, kind in ((_NEAR_HEAD, cv2.GC_PR_FGD), (_HEAD, cv2.GC_FGD)):
        for x, y, width, height in seeds:
            cv2.ellipse(mask, at(x, y), at(width, height), 0, 0, 360, int(kind), -1)
    for x0, y0, x1, y1 in _WALL:
        left, top, right, bottom = at(x0, y0, x1, y1)
        mask[top:bottom, left:right] = cv2.GC_BGD
    body = np.array([at(*map(float, point.split(","))) for point in _BODY.split()], np.int32)
    cv2.fillPoly(mask, [body], int(cv2.GC_FGD))
    cv2.setRNGSeed(0)
    whole = (0, 0, side, side)  # not read: the mask says it all
    cv2.grabCut(picture, mask, whole, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(person)
    if count > 1:
        person = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    # A little inside and then soft: the outermost pixels of the photo hold the wall's colour.
    soft = cv2.GaussianBlur(person.astype(np.float32), (0, 0), side / 320)
    return np.asarray(np.clip((soft - 0.5) / 0.45, 0, 1) * 255, np.uint8)


def _spread_inside_out(picture: Picture, alpha: Picture) -> Picture:
    """The person's colours carried outward over the edge, so that no wall shines through soft alpha."""
    side = picture.shape[0]
    inside = cv2.erode((alpha > 250).astype(np.float32), np.ones((3, 3), np.uint8))
    colour = picture.astype(np.float32)
    blurred = cv2.GaussianBlur(colour * inside[..., None], (0, 0), side / 100)
    weight = cv2.GaussianBlur(inside, (0, 0), side / 100)[..., None]
    outward = blurred / np.maximum(weight, 1e-3)
    return np.clip(colour * inside[..., None] + outward * (1 - inside[..., None]), 0, 255).astype(np.uint8)


def _smooth(value: Plane, low: float, high: float) -> Plane:
    """Smoothstep from 0 at ``low`` to 1 at ``high`` (either order)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class _Local:
    """A part's own coordinates: origin between its corners, x along them, unit half their distance."""

    def __init__(
        self, left: NDArray[np.float64], right: NDArray[np.float64], reach: tuple[float, float, float]
    ) -> None:
        self.origin = (left + right) / 2
        along = (right - left) / 2
        self.unit = float(np.hypot(*along))
        self.ex = along / self.unit
        self.ey = np.array([-self.ex[1], self.ex[0]])
        sideways, up, down = (extent * self.unit for extent in reach)
        self.x0, self.x1 = int(self.origin[0] - sideways), int(self.origin[0] + sideways)
        self.y0, self.y1 = int(self.origin[1] - up), int(self.origin[1] + down)
        gx, gy = np.meshgrid(np.arange(self.x0, self.x1), np.arange(self.y0, self.y1))
        place = self.into(np.stack([gx, gy], -1))
        self.X, self.Y = place[..., 0].astype(np.float32), place[..., 1].astype(np.float32)
        self.box = np.s_[self.y0 : self.y1, self.x0 : self.x1]

    def into(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels (..., 2) to this part's coordinates."""
        away = (points - self.origin) / self.unit
        return np.stack([away @ self.ex, away @ self.ey], -1)

    def sample(self, picture: Picture, x: Plane, y: Plane) -> Picture:
        """``picture`` at these places of the part's coordinates."""
        px = (self.origin[0] + (x * self.ex[0] + y * self.ey[0]) * self.unit).astype(np.float32)
        py = (self.origin[1] + (x * self.ex[1] + y * self.ey[1]) * self.unit).astype(np.float32)
        return np.asarray(cv2.remap(picture, px, py, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)


class _Mouth:
    """Lips, teeth, jaw. y grows downward; contours are functions of x over the mouth's width."""

    def __init__(self, points: NDArray[np.float64]) -> None:
        self.frame = _Local(points[78], points[308], (2.6, 1.35, 3.6))
        upper, lower = self.frame.into(points[list(_UPPER_LIP)]), self.frame.into(points[list(_LOWER_LIP)])
        self.upper, self.lower = upper, lower
        self.chin = float(self.frame.into(points[_CHIN])[1])
        self.nose = float(self.frame.into(points[_NOSE_BASE])[1])

    def draw(self, source: Picture, target: Picture, opening: float, spread: float) -> None:
        """Redraw the lower face of ``target`` from ``source``."""
        frame = self.frame
        # Sideways first: rounding pulls the corners in, most at the lips.
        x = (frame.X * (1 - 0.24 * spread * np.exp(-(frame.X**2 + (frame.Y - 0.15) ** 2) / 1.6))).astype(np.float32)
        y = frame.Y
        upper = np.interp(x, self.upper[:, 0], self.upper[:, 1]).astype(np.float32)
        lower = np.interp(x, self.lower[:, 0], self.lower[:, 1]).astype(np.float32)
        arch = np.maximum(0, 1 - np.minimum(np.abs(x), 1) ** 2) ** 0.6
        # A speaking mouth smiles less than the portrait: the corners come down and the middle up.
        rest = upper + 0.55 * (lower - upper)
        upper_to = rest - 0.30 * opening * arch
        lower_to = rest + 0.70 * opening * arch
        above, below = upper_to - y, y - lower_to
        lip_up = (upper_to - upper) * (1 - _smooth(above, 0.22, max(0.5, -self.nose)))
        to_chin = self.chin - float(self.lower[len(self.lower) // 2, 1])
        fall = 1 - _smooth(below, 0.30, to_chin)
        jaw = 0.42 * opening * np.exp(-((x / 1.5) ** 2)) * _smooth(below, 0.05, 0.55 * to_chin)
        jaw *= 1 - _smooth(below, 1.15 * to_chin, 2.3 * to_chin)
        lip_down = (lower_to - lower) * fall + jaw
        upward = y < (upper_to + lower_to) / 2
        skin = frame.sample(source, x, np.where(upward, y - lip_up, y - lip_down))
        # Between the lips: the portrait's upper teeth, which stay with the skull, and the dark behind them.
        tooth_y = np.clip(y, upper + 0.05, upper + 0.05 + np.maximum(0.0, lower - upper - 0.10))
        teeth = frame.sample(source, x, tooth_y).astype(np.float32)
        edge = upper + 0.72 * (lower - upper)
        shown = np.clip((edge - y) / 0.07, 0, 1) * np.clip((0.95 - np.abs(x)) / 0.12, 0, 1)
        tongue = np.clip((y - (lower_to - 0.22)) / 0.2, 0, 1) * np.clip((opening - 0.25) / 0.3, 0, 1)
        hollow = np.array([30, 24, 52], np.float32) + tongue[..., None] * np.array([52, 46, 92], np.float32)
        depth = 0.55 + 0.45 * np.clip((y - upper_to) / 0.12, 0, 1)
        inside = (teeth * shown[..., None] + hollow * (1 - shown[..., None])) * depth[..., None]
        cover = np.clip((y - upper_to) * frame.unit + 0.5, 0, 1) * np.clip((lower_to - y) * frame.unit + 0.5, 0, 1)
        cover *= np.abs(x) < 1
        seam = 0.45 * np.exp(-(((y - (upper_to + lower_to) / 2) / 0.035) ** 2)) * (np.abs(x) < 1)
        seam *= max(0.0, 1 - opening / 0.12)
        lips = skin * (1 - seam[..., None])
        drawn = lips * (1 - cover[..., None]) + inside * cover[..., None]
        # The patch fades into the face at its border, so that no edge of it can show.
        width, height = frame.X.shape[1], frame.X.shape[0]
        ramp_x = np.minimum(np.arange(width), np.arange(width)[::-1]) / (0.06 * width)
        ramp_y = np.minimum(np.arange(height), np.arange(height)[::-1]) / (0.06 * height)
        fade = np.clip(np.minimum(ramp_x[None], ramp_y[:, None]), 0, 1)[..., None]
        target[frame.box] = np.clip(drawn * fade + target[frame.box] * (1 - fade) + 0.5, 0, 255).astype(np.uint8)


class _Eye:
    """An upper lid that comes down, drawing the skin below the brow after it."""

    def __init__(self, upper: NDArray[np.float64], lower: NDArray[np.float64], brow: NDArray[np.float64]) -> None:
        self.frame = _Local(upper[0], upper[-1], (1.5, 1.7, 0.9))
        self.upper, self.lower = self.frame.into(upper), self.frame.into(lower)
        self.brow = float(self.frame.into(brow)[1]) * 0.8

    def draw(self, source: Picture, target: Picture, blink: float) -> None:
        """Close the eye of ``target`` by ``blink``, 0..1."""
        if blink < 0.02:
            return
        frame = self.frame
        upper = np.interp(frame.X, self.upper[:, 0], self.upper[:, 1])
        lower = np.interp(frame.X, self.lower[:, 0], self.lower[:, 1])
        # Lashes lie above the contour the tracker gives, so the lid's edge is taken a little higher.
        edge = upper - 0.06
        moved = edge + min(blink, 1.0) * 0.96 * np.maximum(lower - upper, 0)
        along = (frame.Y - self.brow) / np.maximum(moved - self.brow, 1e-3)
        y = np.where((along >= 0) & (along < 1), self.brow + along * (edge - self.brow), frame.Y).astype(np.float32)
        drawn = frame.sample(source, frame.X, y)
        inside = np.abs(frame.X) < 1.05
        target[frame.box] = np.where(inside[..., None], drawn, target[frame.box])


class _Head:
    """The head's sway: a similarity about the neck that fades out at the shoulders, and the parallax of a turn."""

    def __init__(self, points: NDArray[np.float64], size: int) -> None:
        self.size = size
        self.gx, self.gy = (g.astype(np.float32) for g in np.meshgrid(np.arange(size), np.arange(size)))
        chin, nose, forehead = points[_CHIN], points[_NOSE_TIP], points[_FOREHEAD]
        length = float(chin[1] - forehead[1])
        self.pivot = (float(chin[0]), float(chin[1] + 0.25 * length))
        self.stiff = _smooth(self.gy, float(chin[1] + 0.75 * length), float(chin[1] - 0.05 * length))
        across = (self.gx - nose[0]) / (0.75 * length)
        along = (self.gy - nose[1]) / (0.95 * length)
        self.depth = np.exp(-(across**2 + along**2) * 1.6).astype(np.float32)

    def map(self, pose: Pose) -> tuple[Plane, Plane]:
        """Backward map, two float32 planes (size, size)."""
        thousandth = self.size / 1000
        dx, dy = self.gx - self.pivot[0], self.gy - self.pivot[1]
        move_x = pose.shift[0] * thousandth - pose.roll * dy + pose.scale * dx
        move_y = pose.shift[1] * thousandth + pose.roll * dx + pose.scale * dy
        map_x = self.gx - self.stiff * move_x - self.depth * np.float32(pose.turn[0] * thousandth)
        map_y = self.gy - self.stiff * move_y - self.depth * np.float32(pose.turn[1] * thousandth)
        return map_x.astype(np.float32), map_y.astype(np.float32)

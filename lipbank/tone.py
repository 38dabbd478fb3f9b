"""Colour and shade: what a mouth's picture must change by to sit in another frame's light.

Two things are found on small pictures (two units to a pixel, a few thousand pixels) and laid over the full one:

- the *tint*: the difference of the skin in a ring round the mouth, diffused inwards;
- the *shading*: the low band of the mean of several of the person's mouths of nearly this shape, in place of the low
  band of the one mouth that is shown. One mouth brings its own frame's shadows and jumps to the next mouth's; a mean of
  six is both nearer to the truth and calmer, and what it lacks, the fine grain, comes from the mouth that is shown.

Band splitting after Burt and Adelson, A Multiresolution Spline (1983).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbank.config import RenderConfig
from lipbank.face import BANK, INNER_RING, OVAL, SOLID
from lipbank.warp import Grid
from lipsync.face.square import REGION, SIDE

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
PIXEL = 2.0
"""Units to a pixel of a small picture."""
_SHAPE = int((REGION[3] - REGION[1]) / PIXEL), int((REGION[2] - REGION[0]) / PIXEL)
_KERNEL = np.ones((3, 3), np.uint8)
_SURE = 200
_RING_WIDTH = 12
_DIFFUSION = 3.5
_LEAK = np.float32(2e-2)


def small_picture(
    planes: tuple[U8, U8],
    offset: NDArray[np.floating],
    scale: float,
    units: F32,
    area: tuple[int, int, int, int] = BANK,
) -> U8:
    """The small picture of a part of a face's square: uint8 (rows, columns, 4), Y, U, V and the face's mask.

    Args:
        planes: Luma (h, w) and chroma (h // 2, w // 2, 2) of a frame or a cut.
        offset: Where the square's corner lies in them, pixels.
        scale: Pixels to a unit.
        units: (478, 2) landmarks in units.
        area: The part, in units.
    """
    luma, chroma = planes
    left, top, right, bottom = area
    columns, rows = round((right - left) / PIXEL), round((bottom - top) / PIXEL)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    x, y = float(offset[0]) + left * scale, float(offset[1]) + top * scale
    out = np.empty((rows, columns, 4), np.uint8)
    fine = cv2.warpAffine(
        luma,
        np.array([[scale, 0, x], [0, scale, y]]),
        (columns * 2, rows * 2),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    out[..., 0] = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
    # Chroma sample (i, j) stands for the four pixels round (2 i + 0.5, 2 j + 0.5).
    matrix = np.array([[scale, 0, (x + 0.5 * scale - 0.5) / 2], [0, scale, (y + 0.5 * scale - 0.5) / 2]])
    out[..., 1:3] = cv2.warpAffine(chroma, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    out[..., 3] = polygon(units[OVAL], area)
    return out


def polygon(units: F32, area: tuple[int, int, int, int] = REGION) -> U8:
    """A filled ring given in units, on the small picture of an area."""
    left, top, right, bottom = area
    mask = np.zeros((round((bottom - top) / PIXEL), round((right - left) / PIXEL)), np.uint8)
    place = (units - np.array([left + 0.5, top + 0.5], np.float32)) / np.float32(PIXEL)
    cv2.fillPoly(mask, [np.round(place * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return mask


class Tone:
    """Finds tint and shading for one drawing after another. Stateless."""

    def __init__(self, grid: Grid, config: RenderConfig) -> None:
        rows, columns = _SHAPE
        self._config = config
        self._rows = grid.enlarge(REGION[1] + 0.5, PIXEL, rows, 1)
        self._columns = np.ascontiguousarray(grid.enlarge(REGION[0] + 0.5, PIXEL, columns, 0).T)
        self._corner = np.array([BANK[0] + 0.5, BANK[1] + 0.5], np.float32)
        left, top, right, bottom = SOLID
        solid = np.zeros((SIDE, SIDE), np.uint8)
        solid[top:bottom, left:right] = 1
        wide = cv2.dilate(solid, np.ones((2 * _RING_WIDTH + 1,) * 2, np.uint8))
        ring = (wide - solid)[REGION[1] : REGION[3], REGION[0] : REGION[2]].astype(np.float32)
        self._ring = cv2.resize(ring, (columns, rows), interpolation=cv2.INTER_AREA)

    def mean(self, smalls: Sequence[U8], places: Sequence[F32], weights: Sequence[float]) -> F32:
        """The weighted mean of small pictures warped to the target: float32 (rows, columns, 4).

        Args:
            smalls: Small pictures of the bank's area.
            places: (ny, nx, 2) for each, where the grid's nodes lie in its own square, units.
            weights: Summing to 1.
        """
        total = np.zeros((*_SHAPE, 4), np.float32)
        for small, place, weight in zip(smalls, places, weights, strict=True):
            at = (place - self._corner) * np.float32(1 / PIXEL)
            x, y = (self._rows @ (at[..., c] @ self._columns) for c in (0, 1))
            warped = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            cv2.scaleAdd(warped.astype(np.float32), weight, total, total)
        return total

    def change(self, own: U8, shown: F32, near: F32 | None, units: F32) -> F32:
        """What to add to the shown picture, Y, U, V: float32 (rows, columns, 3).

        Args:
            own: The frame's own small picture of the region.
            shown: Mean of what is shown.
            near: Mean of the mouths whose low band it shall have, or None for tint alone.
            units: (478, 2) the target's landmarks in units.
        """
        face = polygon(units[OVAL])
        soft = cv2.GaussianBlur(face, (0, 0), 1.2)[..., None].astype(np.float32) * np.float32(1 / 255)
        tint = self._tint(own, shown, face)
        if near is None:
            return tint * soft
        low = near[..., :3] + self._tint(own, near, face) - shown[..., :3] - tint
        low = np.asarray(cv2.GaussianBlur(low, (0, 0), self._config.band / PIXEL), np.float32)
        inner = cv2.GaussianBlur(polygon(units[INNER_RING]), (0, 0), 0.7)[..., None].astype(np.float32)
        return (tint + low * (1 - inner * np.float32(self._config.inner_own / 255))) * soft

    def _tint(self, own: U8, other: F32, face: U8) -> F32:
        sure = (cv2.erode(face, _KERNEL) > _SURE) & (cv2.erode(other[..., 3], _KERNEL) > _SURE)
        ring = self._ring * sure
        total = float(ring.sum())
        if total < 8:
            return np.zeros((*_SHAPE, 3), np.float32)
        limit = self._config.colour_limit
        stack = np.empty((*_SHAPE, 4), np.float32)
        np.clip(own[..., :3] - other[..., :3], -limit, limit, out=stack[..., :3])
        stack[..., 3] = 1
        stack *= ring[..., None]
        mean = stack[..., :3].sum((0, 1)) / total
        rows, columns = _SHAPE
        coarse = cv2.resize(stack, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), _DIFFUSION, borderType=cv2.BORDER_CONSTANT)
        spread = (coarse[..., :3] + mean * _LEAK) / (coarse[..., 3:] + _LEAK)
        return np.asarray(cv2.resize(spread, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)

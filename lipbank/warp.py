"""Thin-plate splines on a coarse grid, brought to pixels by two matrix products.

The system of the target's points is solved once for all sources (one LU, many right-hand sides). The displacement is
evaluated on a grid of 8 units and enlarged by interpolation matrices: ``cv2.warpAffine`` would quantise the coordinates
to 1/32 of a cell, which shows as false sharpness.

Method: Bookstein, Principal Warps (1989), with a diagonal regularisation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync.face.square import REGION

STEP = 8
_MARGIN = 8
_LENGTH = 20.0
_CENTRE = 80.0

F32 = NDArray[np.float32]


class Grid:
    """The coarse grid over the region, shared by all frames."""

    def __init__(self) -> None:
        left, top, right, bottom = REGION
        self.x0, self.y0 = float(left - _MARGIN), float(top - _MARGIN)
        self.nx = (right - left + 2 * _MARGIN) // STEP + 1
        self.ny = (bottom - top + 2 * _MARGIN) // STEP + 1
        gy, gx = np.mgrid[0 : self.ny, 0 : self.nx].astype(np.float32) * STEP
        self.points = np.stack([gx.ravel() + np.float32(self.x0), gy.ravel() + np.float32(self.y0)], 1)
        self.square = np.einsum("ij,ij->i", self.points, self.points)
        self.affine = np.column_stack([np.ones(len(self.points), np.float32), (self.points - _CENTRE) / _LENGTH])

    def displacement(self, target: F32, shifts: F32, stiffness: float) -> F32:
        """Displacements that take target points to source points, on the grid.

        Args:
            target: (m, 2), control points in units.
            shifts: (m, 2 s), source minus target for s sources side by side.
            stiffness: Regularisation.

        Returns:
            float32 (ny, nx, 2 s), units.
        """
        m = len(target)
        square = np.einsum("ij,ij->i", target, target)
        among = np.maximum(square[:, None] + square[None] - 2 * target @ target.T, 0)
        system = np.zeros((m + 3, m + 3), np.float32)
        system[:m, :m] = _kernel(among)
        system[np.arange(m), np.arange(m)] += np.float32(0.05 * stiffness)
        system[:m, m] = 1
        system[:m, m + 1 :] = (target - _CENTRE) / _LENGTH
        system[m:, :m] = system[:m, m:].T
        right = np.zeros((m + 3, shifts.shape[1]), np.float32)
        right[:m] = shifts
        weights = np.linalg.solve(system, right)
        away = np.maximum(self.square[:, None] + square[None] - 2 * self.points @ target.T, 0)
        values = _kernel(away) @ weights[:m] + self.affine @ weights[m:]
        return values.reshape(self.ny, self.nx, -1)

    def enlarge(self, start: float, step: float, count: int, axis: int) -> F32:
        """Linear interpolation weights (count, nodes) from grid nodes to positions ``start + step * k`` in units."""
        nodes, origin = (self.nx, self.x0) if axis == 0 else (self.ny, self.y0)
        place = np.clip((start + step * np.arange(count) - origin) / STEP, 0, nodes - 1.0001)
        low = place.astype(int)
        share = (place - low).astype(np.float32)
        weights = np.zeros((count, nodes), np.float32)
        rows = np.arange(count)
        weights[rows, low] = 1 - share
        weights[rows, low + 1] += share
        return weights


def _kernel(square: F32) -> F32:
    """U(r) = r^2 log r with r in ``_LENGTH`` units."""
    scaled = square * np.float32(1 / _LENGTH**2)
    return np.float32(0.5) * scaled * np.log(scaled + np.float32(1e-6))

"""A tracker of the faces that ``drawn_take`` draws: it looks for painted lips, as a real one looks for real ones."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.evaluation import LIPS

_LIP = 152
_OPEN, _SHUT = 30.0, 110.0


class DrawnTracker:
    """Takes the place of ``FaceTracker`` where the faces are painted."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> DrawnTracker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def track(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        height, width = bgr.shape[:2]
        planes = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
        luma = planes[:height].astype(float)
        red = cv2.resize(planes[height * 5 // 4 :].reshape(height // 2, width // 2), (width, height))
        _, parts, facts, _ = cv2.connectedComponentsWithStats((cv2.medianBlur(red, 5) > _LIP).astype(np.uint8))
        if len(facts) < 2 or facts[1:, cv2.CC_STAT_AREA].max() < 12:
            return None
        ys, xs = np.nonzero(parts == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax()))
        left, right = np.percentile(xs, (2, 98))
        top, bottom = np.percentile(ys, (2, 98))
        cx = (left + right) / 2
        column = slice(int(cx - (right - left) / 8), int(cx + (right - left) / 8) + 1)
        open_ = np.clip((_SHUT - luma[int(top) : int(bottom) + 2, column]) / (_SHUT - _OPEN), 0, 1)
        gap = float(np.median(open_.sum(0)))
        cy = float((open_.sum(1) * np.arange(len(open_))).sum() / max(open_.sum(), 1e-6)) + int(top)
        points = np.full((478, 2), (cx, cy), np.float32)
        angle = np.pi + 2 * np.pi * np.arange(20) / 20
        half = (right - left) / 2
        points[list(LIPS[:20])] = np.column_stack([cx + 0.85 * half * np.cos(angle), cy + gap / 2 * np.sin(angle)])
        points[list(LIPS[20:])] = np.column_stack(
            [cx + half * np.cos(angle), (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle)]
        )
        for high, low in ((13, 14), (82, 87), (312, 317)):
            points[high, 1], points[low, 1] = cy - gap / 2, cy + gap / 2
        return points

    def track_3d(self, bgr: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return []  # a painted face has no depth, and nobody is known by it

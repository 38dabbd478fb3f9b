"""Face landmarks: 478 points a picture, in pixels."""

from __future__ import annotations

from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

POINTS = 478
"""Points of a face: 468 of the mesh, 5 of each iris."""
UPPER_LIP, LOWER_LIP = 13, 14
"""Middle of the inner lips, upper and lower."""
MOUTH_LEFT, MOUTH_RIGHT = 78, 308
"""Inner corners of the mouth, as seen in the picture."""
LIPS_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
LIPS_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""Rings round the inner and the outer lip."""
EYE_LEFT, EYE_RIGHT = 33, 263
"""Outer corners of the eyes, as seen in the picture."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline of the face, in order."""


class FaceTracker:
    """Follows faces from picture to picture of one video. Not thread-safe; a context manager.

    Points are what the network says, without smoothing over time: a filter strong enough to hide its noise (about
    0.3 pixels on a face 200 pixels wide) would hide short lip closures too.

    Args:
        max_faces: Faces looked for at once.
        tracking: False looks for faces anew in every picture, for pictures that do not follow one another.
        confidence: 0..1, below which a face counts as not found.
    """

    def __init__(self, max_faces: int = 1, *, tracking: bool = True, confidence: float = 0.5) -> None:
        from lipsync.face.mediapipe_graphs import FaceMesh

        self._mesh = FaceMesh(max_faces, tracking, confidence)

    def track(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The largest face in the next picture (h, w, 3): float32 (478, 2), x then y in pixels; None without one."""
        faces = self.track_all(bgr)
        return faces[0] if faces else None

    def track_all(self, bgr: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Every face in the next picture, largest first."""
        return [np.ascontiguousarray(face[:, :2]) for face in self.track_3d(bgr)]

    def track_3d(self, bgr: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Every face as float32 (478, 3): x, y and depth in pixels (smaller depth is nearer), largest first."""
        height, width = bgr.shape[:2]
        faces = self._mesh.process(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
        scale = np.array([width, height, width], np.float32)
        return sorted((face * scale for face in faces), key=lambda face: -_area(face))

    def close(self) -> None:
        """End the network's threads."""
        self._mesh.close()

    def __enter__(self) -> FaceTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _area(face: NDArray[np.float32]) -> float:
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    return float(np.prod(high - low))


def inner_gap(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Opening of the inner lips over the distance of the eyes' outer corners: (..., 478, 2) to (...)."""
    gap = np.linalg.norm(landmarks[..., LOWER_LIP, :2] - landmarks[..., UPPER_LIP, :2], axis=-1)
    eyes = np.linalg.norm(landmarks[..., EYE_RIGHT, :2] - landmarks[..., EYE_LEFT, :2], axis=-1)
    return np.asarray(gap / np.maximum(eyes, 1e-3), np.float32)


def lip_height(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Height of the mouth with its lips over the distance of the eyes' outer corners: (..., 478, 2) to (...)."""
    height = np.linalg.norm(landmarks[..., 17, :2] - landmarks[..., 0, :2], axis=-1)
    eyes = np.linalg.norm(landmarks[..., EYE_RIGHT, :2] - landmarks[..., EYE_LEFT, :2], axis=-1)
    return np.asarray(height / np.maximum(eyes, 1e-3), np.float32)

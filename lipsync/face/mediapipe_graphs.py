"""The one place that knows MediaPipe, so that a move to its later API touches one file.

0.10.21 is the last wheel that carries its models; both graphs here run from the package, without a download.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _solutions() -> Any:
    # Its C++ part writes to stderr at import and at graph start; nothing there is of use to a user.
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import mediapipe

    return mediapipe.solutions


class FaceMesh:
    """478 points of each face. Not thread-safe; close it."""

    def __init__(self, max_faces: int, tracking: bool, confidence: float) -> None:
        self._graph = _solutions().face_mesh.FaceMesh(
            static_image_mode=not tracking,
            max_num_faces=max_faces,
            refine_landmarks=True,
            min_detection_confidence=confidence,
            min_tracking_confidence=confidence,
        )

    def process(self, rgb: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Faces in a picture: float32 (478, 3) each, x and y in shares of width and height, z in shares of width."""
        found = self._graph.process(rgb).multi_face_landmarks or []
        return [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) for face in found]

    def close(self) -> None:
        """End the graph and its threads."""
        self._graph.close()


class SelfieSegmentation:
    """Where a person is, roughly. Not thread-safe; close it."""

    def __init__(self, landscape: bool = False) -> None:
        self._graph = _solutions().selfie_segmentation.SelfieSegmentation(model_selection=int(landscape))

    def process(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability 0..1 of a person, float32 (h, w)."""
        mask = self._graph.process(rgb).segmentation_mask
        return np.asarray(mask, np.float32)

    def close(self) -> None:
        """End the graph and its threads."""
        self._graph.close()

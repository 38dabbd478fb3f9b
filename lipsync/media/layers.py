"""A matte taken apart: face, hair, and shoulders with the body. The three add up to the matte."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

# The outline of the face in the mesh, from the forehead's middle round.
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_CHIN, _BROW, _CHEEKS = 152, 168, (50, 280, 205, 425, 187, 411)


def split_layers(bgr: Picture, alpha: Picture, landmarks: NDArray[np.float32]) -> dict[str, Picture]:
    """Face, hair and shoulders of one picture.

    The face is the mesh's outline, widened by ears and forehead where the skin has the colour of the cheeks; what is
    above the chin besides is hair (with hats and headphones); what is below it, and the neck, goes to the shoulders.

    Args:
        bgr: (h, w, 3).
        alpha: The matte, uint8 (h, w).
        landmarks: float32 (478, 2), pixels.

    Returns:
        "face", "hair", "shoulders": uint8 (h, w), their sum being ``alpha``.
    """
    height, width = alpha.shape
    points = np.asarray(landmarks, np.float32)
    down = points[_CHIN] - points[_BROW]
    size = max(float(np.hypot(*down)), 4.0)
    down /= size
    outline = np.zeros((height, width), np.uint8)
    cv2.fillPoly(outline, [np.round(points[list(_OVAL)]).astype(np.int32)], (255,))
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    # Along the face's own axis, 0 at the brow's root, 1 at the chin.
    along = ((xx - points[_BROW, 0]) * down[0] + (yy - points[_BROW, 1]) * down[1]) / size
    across = np.abs((xx - points[_BROW, 0]) * -down[1] + (yy - points[_BROW, 1]) * down[0]) / size
    skin = _skin(bgr, points) & (along < 0.75) & (along > -0.75) & (across < 0.95)
    near = cv2.dilate(outline, np.ones((max(3, round(size * 0.35)) | 1,) * 2, np.uint8)) > 0
    head = np.clip((0.82 - along) / 0.1, 0, 1)
    # A head is not much wider than its face; shoulders raised to the chin's height are not hair.
    head *= np.clip((1.7 - across - 1.6 * np.maximum(along - 0.3, 0)) / 0.2, 0, 1)
    blur = max(1.0, size / 60)
    face = np.maximum(outline, np.where(skin & near, 255, 0).astype(np.uint8)).astype(np.float32) / 255
    face = np.asarray(cv2.GaussianBlur(_cleaned(face, size), (0, 0), blur), np.float32)
    hair = (1 - face) * head
    whole = alpha.astype(np.float32)
    first = np.round(whole * face).astype(np.uint8)
    second = np.minimum(np.round(whole * hair).astype(np.uint8), alpha - first)
    return {"face": first, "hair": second, "shoulders": np.asarray(alpha - first - second, np.uint8)}


def _skin(bgr: Picture, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the colour is that of this person's cheeks: within three deviations in chroma, four in lightness."""
    lab = cv2.cvtColor(cv2.GaussianBlur(bgr, (0, 0), 1.5), cv2.COLOR_BGR2LAB).astype(np.float32)
    height, width = lab.shape[:2]
    x = np.clip(np.round(points[list(_CHEEKS), 0]).astype(int), 0, width - 1)
    y = np.clip(np.round(points[list(_CHEEKS), 1]).astype(int), 0, height - 1)
    samples = lab[y, x]
    centre = np.median(samples, axis=0)
    spread = np.maximum(samples.std(0), (14.0, 4.0, 4.0)) * (4.0, 3.0, 3.0)
    return np.asarray((np.abs(lab - centre) < spread).all(-1))


def _cleaned(mask: Any, size: float) -> Any:
    """Without specks, in the measure of the face."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (max(3, round(size / 25)) | 1,) * 2)
    return cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), cv2.MORPH_CLOSE, kernel)

"""A face embedding that groups takes of one person.

Built from what every machine has: the proportions of the face mesh (depth included) and the texture of the aligned
upper face (local binary patterns, Ojala et al. 2002). It tells takes of one person apart from those of another under
similar light and framing. It is **no** proof of identity: look-alikes, beards shaved or heavy make-up defeat it, and
nothing but grouping and a warning may hang on it. The scales below were set on a handful of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SAME = 0.5
"""Similarity from which two takes are grouped as one person."""
_SHAPE_SCALE = 0.042
"""Root mean square of log proportions that divides one person's recordings (0.01 to 0.03) from two people (0.05)."""
_LOOKS_SCALE = 2.6
"""The same for texture: 0.7 to 1.9 within, from 3.5 on between people."""
_SIDE = 96
_LENGTH = 256
# Points that speech and mimicry hardly move: eye corners, nose, cheekbones, forehead, temples, brow ends.
_RIGID: tuple[int, ...] = (
    33,
    133,
    362,
    263,
    168,
    6,
    197,
    195,
    5,
    4,
    98,
    327,
    10,
    151,
    9,
    8,
    127,
    356,
    234,
    454,
    116,
    345,
    50,
    280,
)
_RIGID += (70, 300, 107, 336, 55, 285, 46, 276, 21, 251, 54, 284)
_EYES = ((33, 133), (362, 263))


def embed(pictures: Sequence[NDArray[np.uint8]], faces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The embedding of a take from some of its pictures.

    Args:
        pictures: BGR (h, w, 3), five or more, best spread over the take.
        faces: The points of each, float32 (478, 3), pixels with depth, from ``FaceTracker.track_3d``.

    Returns:
        float32 (256,), the median over the pictures.
    """
    if not pictures or len(pictures) != len(faces):
        raise ValueError("as many pictures as faces are needed, and at least one")
    shape: Any = np.median(np.stack([_proportions(face) for face in faces]), axis=0)
    looks: Any = np.median(
        np.stack([_looks(picture, face) for picture, face in zip(pictures, faces, strict=True)]), axis=0
    )
    whole = np.concatenate([shape / np.sqrt(shape.size) / _SHAPE_SCALE, looks / _LOOKS_SCALE]) * np.sqrt(0.5)
    # A fixed random projection keeps distances (Johnson and Lindenstrauss, 1984) at a size that is cheap to store.
    project = np.random.default_rng(478).standard_normal((_LENGTH, whole.size)) / np.sqrt(_LENGTH)
    return np.asarray(project @ whole, np.float32)


def similarity(a: NDArray[np.floating] | Sequence[float], b: NDArray[np.floating] | Sequence[float]) -> float:
    """Likeness of two embeddings, 0..1: 1 / (1 + squared distance); 0 for embeddings of different making."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or not x.size:
        return 0.0
    return 1.0 / (1.0 + float(((x - y) ** 2).sum()))


def find_same(
    embedding: NDArray[np.floating] | Sequence[float], known: Mapping[str, Sequence[float]], threshold: float = SAME
) -> str | None:
    """The key of the known embedding most similar to this one, None where none reaches the threshold."""
    scores = {key: similarity(embedding, other) for key, other in known.items()}
    best = max(scores, key=lambda key: scores[key], default=None)
    return best if best is not None and scores[best] >= threshold else None


def _proportions(face: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances between rigid points in three dimensions over the distance of the eyes, as logarithms."""
    points = np.asarray(face, np.float64)[list(_RIGID)]
    eyes = [np.asarray(face, np.float64)[list(pair)].mean(0) for pair in _EYES]
    scale = max(float(np.linalg.norm(eyes[0] - eyes[1])), 1e-6)
    first, second = np.triu_indices(len(_RIGID), 1)
    distance = np.linalg.norm(points[first] - points[second], axis=1) / scale
    value = np.log(np.maximum(distance, 0.02))
    return np.asarray(value - value.mean())


def _looks(picture: NDArray[np.uint8], face: NDArray[np.float32]) -> NDArray[np.float64]:
    """Texture of the upper face (the mouth moves), of an eye-aligned crop."""
    left, right = (face[list(pair), :2].mean(0) for pair in _EYES)
    centre = (left + right) / 2
    across = right - left
    scale = _SIDE * 0.42 / max(float(np.hypot(*across)), 1e-3)
    angle = np.degrees(np.arctan2(across[1], across[0]))
    matrix = np.asarray(
        cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), float(angle), float(scale)), np.float64
    )
    matrix[:, 2] += np.array([_SIDE / 2, _SIDE * 0.4]) - centre
    crop = cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (0, 0), 1.0).astype(np.int16)
    middle = grey[1:-1, 1:-1]
    code = np.zeros_like(middle)
    around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for bit, (dy, dx) in enumerate(around):
        code |= (grey[dy : dy + _SIDE - 2, dx : dx + _SIDE - 2] > middle + 1).astype(np.int16) << bit
    cells = []
    for rows in np.array_split(code[: int(_SIDE * 0.72)], 5, axis=0):
        for cell in np.array_split(rows, 6, axis=1):
            cells.append(np.sqrt(np.bincount(cell.ravel() >> 2, minlength=64) / cell.size))
    texture = np.concatenate(cells)
    return texture

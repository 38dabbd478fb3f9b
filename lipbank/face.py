"""Which points steer a mouth's warp, and how a frame wears another mouth; lengths in units of ``face.square``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import Alignment, MouthSpace
from lipsync.face.landmarks import OVAL as FACE_OVAL
from lipsync.face.square import SIDE

SOLID = (25, 62, 135, 152)
"""Inside the region, where the drawn mouth counts in full but for the soft edge."""
BANK = (8, 36, 152, 164)
"""What the bank keeps of a frame: the region and a margin for warping."""

OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
NOSE = (2, 98, 327, 97, 326, 164)
CHEEKS = (205, 425, 187, 411, 207, 427, 216, 436, 212, 432, 200, 199, 18, 208, 428)
CONTROL = np.array(OUTER + INNER + JAW + NOSE + CHEEKS)
OVAL = np.array(FACE_OVAL)
INNER_RING = np.array(INNER)
OUTER_RING = np.array(OUTER)
_MOVED = tuple(p for p in CHEEKS if p not in MouthSpace.POINTS)


def unit_of(space: MouthSpace) -> float:
    """Pixels of the aligned face to a unit: the scale of a frame whose face has the take's median size."""
    reference = space.tensors()["reference"]
    return float(np.linalg.norm(reference[0] - reference[3])) * 1.75 / SIDE


class CheekModel:
    """Cheek and chin points that the mouth space does not hold, from the mouth and the pose (ridge regression)."""

    def __init__(self, weights: NDArray[np.floating]) -> None:
        self.weights = np.asarray(weights, np.float64)

    @classmethod
    def fit(
        cls, space: MouthSpace, landmarks: NDArray[np.floating], coef: NDArray[np.floating], alignment: Alignment
    ) -> CheekModel:
        """Learn from frames: landmarks (n, 478, 2), coef (n, 12)."""
        points = np.asarray(landmarks, np.float64)[:, list(_MOVED)]
        target = np.einsum("npi,nij->npj", points, alignment.similarity[:, :2]) + alignment.similarity[:, None, 2]
        x = _inputs(coef, alignment)
        scale = np.maximum(x.std(0), 1e-3)
        penalty = np.diag(np.append(1e-2 * scale[:-1] ** 2 * len(x), 1e-6))
        weights = np.linalg.solve(x.T @ x + penalty, x.T @ target.reshape(len(target), -1))
        return cls(weights)

    def predict(self, coef: NDArray[np.floating], alignment: Alignment) -> NDArray[np.float64]:
        """Points (n, m, 2) in pixels of the frames the alignment belongs to."""
        aligned = (_inputs(coef, alignment) @ self.weights).reshape(len(coef), -1, 2)
        back = np.linalg.inv(alignment.similarity[:, :2])
        return np.einsum("npi,nij->npj", aligned - alignment.similarity[:, None, 2], back)


def wear(
    space: MouthSpace,
    cheeks: CheekModel,
    coef: NDArray[np.floating],
    landmarks: NDArray[np.floating],
    alignment: Alignment,
) -> NDArray[np.float32]:
    """Landmarks of frames with other mouths: lips, jaw, chin and cheeks moved, the rest the frame's own.

    Args:
        space: The person's mouths.
        cheeks: The person's cheeks.
        coef: (n, 12), the mouths.
        landmarks: (n, 478, 2), the frames' own, pixels.
        alignment: Of those frames.

    Returns:
        float32 (n, 478, 2), pixels.
    """
    out = np.array(landmarks, np.float32)
    out[:, list(space.POINTS)] = space.decode(coef, alignment)
    out[:, list(_MOVED)] = cheeks.predict(coef, alignment)
    return out


def _inputs(coef: NDArray[np.floating], alignment: Alignment) -> NDArray[np.float64]:
    return np.column_stack([np.asarray(coef, np.float64), alignment.pose, np.ones(len(coef))])

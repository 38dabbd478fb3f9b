"""Where mouths live: 60 lip and jaw points, freed from the head's motion, as a dozen numbers.

A mouth in a picture moves with the head. Each frame is therefore laid on the take's mean upper face by a similarity
(the points it is found from do not move with the jaw); what the similarity leaves of the head's turning is taken out by
a linear regression on four pose components; ten principal components of the rest hold 99 % of its variance on real
takes. The inner gap and the mouth's width are kept beside them, measured rather than reconstructed, because they are
what an eye judges.

Method: landmark alignment as in Cootes et al., Active Shape Models (1995); the correction in ``decode`` is the
conditional mean of a Gaussian shape given its gap and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync.errors import BundleError, InvalidInputError

Array = NDArray[np.float64]
Coef = NDArray[np.float32]

COMPONENTS = 10
"""Principal components of a mouth's shape (K)."""
DIMENSIONS = COMPONENTS + 2
"""Numbers to a mouth: K components, inner gap, mouth width."""
GAP = COMPONENTS
"""Column of the inner gap (pixels of the aligned face, never negative in a drawn mouth)."""
WIDTH = COMPONENTS + 1
"""Column of the mouth's width, corner to corner (pixels of the aligned face)."""
POSES = 4

INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""MediaPipe ids round the inner lip: left corner, over the upper lip to the right corner, back under the lower."""
OUTER_LIP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""The same round the outer lip."""
JAW = (152, 148, 377, 176, 400, 150, 379, 149, 378, 136, 365, 172, 397, 58, 288, 200, 199, 18, 83, 313)
"""Chin, jaw line and the fold under the lower lip."""
UPPER_FACE = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 127, 356, 234, 454, 10, 151, 9, 70, 300, 107, 336, 55, 285)
"""Eyes, nose, temples, forehead and brows' inner ends: what stays when the jaw moves."""

_COUNT = 60
_UPPER_INNER = slice(1, 10)
_LOWER_INNER = slice(11, 20)
_GAP_UPPER = (4, 5, 6)
_GAP_LOWER = (16, 15, 14)
_LEFT_CORNER, _RIGHT_CORNER = 20, 30
_JAW_WEIGHT = 0.4  # the jaw line is found less surely than the lips and is not what is looked at
_POSE_RIDGE = 20.0
_SMOOTH_FRAMES = 1.0
_MIN_FRAMES = 25


@dataclass(frozen=True)
class Alignment:
    """How each frame's face lies in the aligned space.

    Attributes:
        similarity: float64 (n, 3, 2); ``pixels @ similarity[i, :2] + similarity[i, 2]`` are aligned points.
        pose: float64 (n, 4), the head's turning left over, in standard deviations of the training frames.
    """

    similarity: Array
    pose: Array

    def __len__(self) -> int:
        return len(self.similarity)

    def take(self, frames: NDArray[np.intp] | slice) -> Alignment:
        """The alignment of some frames, in the order given."""
        return Alignment(self.similarity[frames], self.pose[frames])


def measure(points: NDArray[np.floating]) -> tuple[Array, Array]:
    """The inner gap and the width of mouths.

    Args:
        points: (n, 60, 2), in the order of ``MouthSpace.POINTS``.

    Returns:
        The gap (n,), a mean of three vertical distances between the inner lips, and the width (n,) between the outer
        corners, both in the points' own units. A gap may come out slightly negative where landmarks cross.
    """
    points = np.asarray(points, np.float64)
    gap = (points[:, _GAP_LOWER, 1] - points[:, _GAP_UPPER, 1]).mean(1)
    width = np.linalg.norm(points[:, _LEFT_CORNER] - points[:, _RIGHT_CORNER], axis=1)
    return gap, width


def _fill(landmarks: NDArray[np.floating], found: NDArray[np.bool_] | None = None) -> Array:
    """Landmarks as float64 with frames that hold no face bridged in time by their neighbours."""
    points = np.array(landmarks, np.float64)
    if points.ndim != 3 or points.shape[1] <= max(UPPER_FACE + JAW + OUTER_LIP + INNER_LIP) or points.shape[2] != 2:
        raise InvalidInputError(f"Landmarks of shape {points.shape} where (n, 478, 2) is needed.")
    good = np.isfinite(points).all((1, 2)) & np.any(points != 0, axis=(1, 2))
    if found is not None:
        good &= np.asarray(found, bool)
    if not good.any():
        raise InvalidInputError("No frame shows a face.", "Use a take in which the face is in view.")
    if good.all():
        return points
    here = np.flatnonzero(good)
    at = np.interp(np.arange(len(points)), here, np.arange(len(here)))
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(here) - 1)
    share = (at - low)[:, None, None]
    return points[here[low]] * (1 - share) + points[here[high]] * share


def _similarities(upper: Array, reference: Array) -> Array:
    """Least-squares similarities (n, 3, 2) that lay ``upper`` (n, m, 2) on ``reference`` (m, 2, centred)."""
    centre = upper.mean(1)
    centred = upper - centre[:, None]
    along = (centred * reference).sum((1, 2))
    across = (centred[..., 0] * reference[:, 1] - centred[..., 1] * reference[:, 0]).sum(1)
    size = np.maximum((centred**2).sum((1, 2)), 1e-9)
    out = np.empty((len(upper), 3, 2))
    out[:, 0, 0] = out[:, 1, 1] = along / size
    out[:, 0, 1], out[:, 1, 0] = across / size, -across / size
    out[:, 2] = -np.einsum("ni,nij->nj", centre, out[:, :2])
    return out


def _transform(points: Array, similarity: Array) -> Array:
    return np.einsum("npi,nij->npj", points, similarity[:, :2]) + similarity[:, None, 2]


def _smooth(series: Array, sigma: float) -> Array:
    return gaussian_filter1d(series, sigma, axis=0, mode="nearest") if len(series) > 2 else series


class MouthSpace:
    """A person's mouths as vectors of 12 numbers, and back to points of a picture.

    Make one with ``fit`` or ``from_tensors``. Immutable; safe to share between threads.
    """

    POINTS: tuple[int, ...] = INNER_LIP + OUTER_LIP + JAW
    INNER = slice(0, 20)
    OUTER = slice(20, 40)
    JAW_LINE = slice(40, 60)

    _NAMES = (
        "reference",
        "upper_mean",
        "upper_basis",
        "upper_scale",
        "pose_effect",
        "mean",
        "basis",
        "spread",
        "bounds",
    )

    def __init__(self, tensors: Mapping[str, NDArray[np.floating]]) -> None:
        missing = [name for name in self._NAMES if name not in tensors]
        if missing:
            raise BundleError(f"The mouth space lacks {', '.join(missing)}.", "Train the avatar again.")
        values = {name: np.array(tensors[name], np.float64) for name in self._NAMES}
        if values["basis"].shape != (COMPONENTS, 2 * _COUNT) or not all(np.isfinite(v).all() for v in values.values()):
            raise BundleError("The mouth space is damaged.", "Train the avatar again.")
        self._values = values
        self._reference = values["reference"]
        self._mean = values["mean"]
        self._basis = values["basis"]
        self._weight = np.ones(2 * _COUNT)
        self._weight[2 * self.JAW_LINE.start :] = _JAW_WEIGHT
        self._to_points = self._basis / self._weight
        self._direction, self._offset = self._gap_and_width()
        pull = (values["spread"] ** 2)[:, None] * self._direction
        self._correction = np.linalg.solve(self._direction.T @ pull + 1e-6 * np.eye(2), pull.T)

    @classmethod
    def fit(cls, landmarks: NDArray[np.floating], found: NDArray[np.bool_], train: range) -> MouthSpace:
        """Learn the space of a take's mouths.

        Args:
            landmarks: (n, 478, 2) pixels of the full frame, consecutive frames.
            found: (n,) whether a face was found in the frame.
            train: The frames to learn from; the others are not looked at.

        Raises:
            InvalidInputError: Fewer than a second of training frames show a face.
        """
        used = np.asarray(found, bool)[train.start : train.stop : train.step]
        if used.sum() < _MIN_FRAMES:
            raise InvalidInputError(
                f"Only {int(used.sum())} training frames show a face.",
                "Record at least a minute with the face in view.",
            )
        points = _fill(np.asarray(landmarks)[train.start : train.stop : train.step], used)
        upper = _smooth(points[:, UPPER_FACE], _SMOOTH_FRAMES)[used]
        reference = upper[0] - upper[0].mean(0)
        size = np.median(np.sqrt(((upper - upper.mean(1, keepdims=True)) ** 2).sum((1, 2))))
        for _ in range(3):
            similarity = _similarities(upper, reference)
            reference = _transform(upper, similarity).mean(0)
            reference -= reference.mean(0)
            reference *= size / np.sqrt((reference**2).sum())
        similarity = _similarities(_smooth(points[:, UPPER_FACE], _SMOOTH_FRAMES), reference)
        aligned_upper = _smooth(_transform(points[:, UPPER_FACE], similarity), 2.0)[used].reshape(used.sum(), -1)
        upper_mean = aligned_upper.mean(0)
        _, strength, basis = np.linalg.svd(aligned_upper - upper_mean, full_matrices=False)
        upper_basis = basis[:POSES]
        upper_scale = np.maximum(strength[:POSES] / np.sqrt(used.sum()), 1e-6 * max(size, 1e-6))
        pose = (aligned_upper - upper_mean) @ upper_basis.T / upper_scale
        mouths = _transform(points[:, cls.POINTS], similarity)[used].reshape(used.sum(), -1)
        effect = np.linalg.solve(pose.T @ pose + _POSE_RIDGE * np.eye(POSES), pose.T @ (mouths - mouths.mean(0)))
        clean = mouths - pose @ effect
        mean = clean.mean(0)
        weight = np.ones(2 * _COUNT)
        weight[2 * cls.JAW_LINE.start :] = _JAW_WEIGHT
        _, strength, basis = np.linalg.svd((clean - mean) * weight, full_matrices=False)
        gap, width = measure(clean.reshape(-1, _COUNT, 2))
        return cls(
            {
                "reference": reference,
                "upper_mean": upper_mean,
                "upper_basis": upper_basis,
                "upper_scale": upper_scale,
                "pose_effect": effect,
                "mean": mean,
                "basis": basis[:COMPONENTS],
                "spread": np.maximum(strength[:COMPONENTS] / np.sqrt(used.sum()), 1e-4 * size),
                "bounds": np.array([np.percentile(gap, (0.5, 99.5)), np.percentile(width, (0.5, 99.5))]),
            }
        )

    @property
    def spread(self) -> Array:
        """Standard deviation (K,) of each component over the training frames."""
        return self._values["spread"]

    @property
    def bounds(self) -> Array:
        """(2, 2): low and high (0.5 and 99.5 percentile) of gap and width over the training frames."""
        return self._values["bounds"]

    def _gap_and_width(self) -> tuple[Array, Array]:
        """Gap and width as linear functions of the components: directions (K, 2) and offsets (2,)."""
        mean = self._mean.reshape(_COUNT, 2)
        pick = np.zeros((2, _COUNT, 2))
        pick[0, _GAP_LOWER, 1], pick[0, _GAP_UPPER, 1] = 1 / 3, -1 / 3
        axis = mean[_RIGHT_CORNER] - mean[_LEFT_CORNER]
        axis /= max(float(np.linalg.norm(axis)), 1e-9)
        pick[1, _RIGHT_CORNER], pick[1, _LEFT_CORNER] = axis, -axis
        flat = pick.reshape(2, -1)
        return self._to_points @ flat.T, flat @ self._mean

    def align(self, landmarks: NDArray[np.floating], found: NDArray[np.bool_] | None = None) -> Alignment:
        """Lay frames on the take's mean upper face.

        Args:
            landmarks: (n, 478, 2) pixels; consecutive frames, because tracking noise is smoothed over neighbours.
            found: (n,), or None where every frame with finite landmarks shows the face. Others are bridged in time.
        """
        upper = _fill(landmarks, found)[:, UPPER_FACE]
        similarity = _similarities(_smooth(upper, _SMOOTH_FRAMES), self._reference)
        aligned = _smooth(_transform(upper, similarity), 2.0).reshape(len(upper), -1)
        pose = (aligned - self._values["upper_mean"]) @ self._values["upper_basis"].T / self._values["upper_scale"]
        return Alignment(similarity, pose)

    def encode(self, landmarks: NDArray[np.floating], found: NDArray[np.bool_] | None = None) -> Coef:
        """The mouths of frames.

        Args:
            landmarks: (n, 478, 2) pixels, consecutive frames.
            found: As in ``align``.

        Returns:
            float32 (n, 12): ten components, inner gap, width; pixels of the aligned face (the take's median size).
        """
        points = _fill(landmarks, found)
        alignment = self.align(points)
        mouths = _transform(points[:, self.POINTS], alignment.similarity).reshape(len(points), -1)
        clean = mouths - alignment.pose @ self._values["pose_effect"]
        gap, width = measure(clean.reshape(-1, _COUNT, 2))
        components = ((clean - self._mean) * self._weight) @ self._basis.T
        return np.column_stack([components, gap, width]).astype(np.float32)

    def canonical(self, coef: NDArray[np.floating]) -> Array:
        """Mouths as points of the aligned face without pose.

        The components are first moved, along the take's own covariance, to where their gap and width are those stated,
        so that a gap predicted well is drawn even where the components are not predicted as well.

        Args:
            coef: (n, 12). A negative gap counts as closed.

        Returns:
            float64 (n, 60, 2); the inner lips touch but never cross.
        """
        coef = np.atleast_2d(np.asarray(coef, np.float64))
        wanted = np.column_stack([np.maximum(coef[:, GAP], 0.0), coef[:, WIDTH]])
        components = coef[:, :COMPONENTS]
        components = components + (wanted - components @ self._direction - self._offset) @ self._correction
        points = (components @ self._to_points + self._mean).reshape(-1, _COUNT, 2)
        upper, lower = points[:, _UPPER_INNER, 1], points[:, _LOWER_INNER, 1][:, ::-1]
        middle = (upper + lower) / 2
        crossed = lower < upper
        points[:, _UPPER_INNER, 1] = np.where(crossed, middle, upper)
        points[:, _LOWER_INNER, 1] = np.where(crossed, middle, lower)[:, ::-1]
        return points

    def decode(self, coef: NDArray[np.floating], alignment: Alignment) -> NDArray[np.float32]:
        """Mouths as points of pictures.

        Args:
            coef: (n, 12) as from ``encode`` or a ``ShapeModel``.
            alignment: Of the n frames to draw on (not necessarily those the mouths came from).

        Returns:
            float32 (n, 60, 2), pixels of the full frame, in the order of ``POINTS``.
        """
        points = self.canonical(coef)
        points = points + (alignment.pose @ self._values["pose_effect"]).reshape(-1, _COUNT, 2)
        back = np.linalg.inv(alignment.similarity[:, :2])
        return np.einsum("npi,nij->npj", points - alignment.similarity[:, None, 2], back).astype(np.float32)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What ``from_tensors`` needs, as float32 arrays."""
        return {name: value.astype(np.float32) for name, value in self._values.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.floating]]) -> MouthSpace:
        """The space saved by ``tensors``; further names are ignored.

        Raises:
            BundleError: Something is missing or not finite.
        """
        return cls(tensors)

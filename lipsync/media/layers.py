"""A matte taken apart: face, hair, and shoulders with the body. The three add up to the matte.

Where skin ends and hair begins is decided by colour: one Gaussian each for this person's skin, hair and clothes,
learned from places that are surely one of them, weighed against how far a place is from the outline of the face mesh.
A guided filter (He et al. 2010) lays the boundary along the picture's own edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.face.landmarks import OVAL
from lipsync.media.matting import guided_filter

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

_CHIN, _BROW = 152, 168
_SIZE = 96.0
"""Pixels from the brow's root to the chin in the small picture that is worked on."""
_SURE = 6.0
"""What colour alone may say, in log odds."""
_LEAST = 40
"""Places a colour is learned from, at least."""
_FLOOR = np.diag((90.0, 9.0, 9.0))
"""Variance that no colour falls below (Lab): light on a face varies more than its hue."""


@dataclass(frozen=True)
class _Head:
    """The head's part of a picture, small, with the face's own axes.

    ``along`` is 0 at the brow's root and 1 at the chin, ``across`` 0 on that line, ``out`` the distance from the
    face's outline (below 0 inside); all in the measure from brow to chin.
    """

    lab: Plane
    grey: Plane
    alpha: Plane
    along: Plane
    across: Plane
    out: Plane


def split_layers(bgr: Picture, alpha: Picture, landmarks: NDArray[np.float32]) -> dict[str, Picture]:
    """Face, hair and shoulders of one picture.

    The face is what lies in the mesh's outline, with forehead, ears and a bald head where they have the skin's colour,
    and without a fringe; hair (with hats) is what is on the head besides, and what hangs down from there in its
    colour; the neck and all else goes to the shoulders.

    Args:
        bgr: (h, w, 3).
        alpha: The matte, uint8 (h, w).
        landmarks: float32 (478, 2), pixels.

    Returns:
        "face", "hair", "shoulders": uint8 (h, w), their sum being ``alpha``.
    """
    height, width = alpha.shape
    points = np.asarray(landmarks, np.float32)
    size = max(float(np.hypot(*(points[_CHIN] - points[_BROW]))), 4.0)
    middle = points[_BROW]
    left, right = (int(np.clip(middle[0] + k * size, 0, width)) for k in (-2.0, 2.0))
    top, bottom = (int(np.clip(middle[1] + k * size, 0, height)) for k in (-1.7, 2.4))
    face, hair = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    if right - left > 4 and bottom - top > 4:
        part = np.s_[top:bottom, left:right]
        scale = min(1.0, _SIZE / size)
        small = (max(4, round((right - left) * scale)), max(4, round((bottom - top) * scale)))
        ratio = np.array(small, np.float32) / (right - left, bottom - top)
        head = _head(bgr[part], alpha[part], ((points - (left, top)) * ratio).astype(np.float32), small)
        for whole, share in zip((face, hair), _shares(head), strict=True):
            whole[part] = cv2.resize(share, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    first = np.round(alpha * face).astype(np.uint8)
    second = np.minimum(np.round(alpha * hair).astype(np.uint8), alpha - first)
    return {"face": first, "hair": second, "shoulders": np.asarray(alpha - first - second, np.uint8)}


def _head(bgr: Picture, alpha: Picture, points: NDArray[np.float32], small: tuple[int, int]) -> _Head:
    picture = cv2.resize(bgr, small, interpolation=cv2.INTER_AREA)
    down = points[_CHIN] - points[_BROW]
    size = max(float(np.hypot(*down)), 2.0)
    down = down / size
    yy, xx = np.mgrid[0 : small[1], 0 : small[0]].astype(np.float32)
    x, y = xx - points[_BROW, 0], yy - points[_BROW, 1]
    outline = np.zeros(small[::-1], np.uint8)
    cv2.fillPoly(outline, [np.round(points[list(OVAL)]).astype(np.int32)], (255,))
    outside = cv2.distanceTransform(cv2.bitwise_not(outline), cv2.DIST_L2, 3)
    inside = cv2.distanceTransform(outline, cv2.DIST_L2, 3)
    return _Head(
        lab=cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 0.8), cv2.COLOR_BGR2LAB).astype(np.float32),
        grey=cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / np.float32(255),
        alpha=cv2.resize(alpha, small, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255),
        along=(x * down[0] + y * down[1]) / np.float32(size),
        across=np.abs(y * down[0] - x * down[1]) / np.float32(size),
        out=np.asarray((outside - inside) / np.float32(size), np.float32),
    )


def _shares(head: _Head) -> tuple[Plane, Plane]:
    """What part of each place is face, and what part hair."""
    along, across, out = head.along, head.across, head.out
    solid = head.alpha > 0.9
    skin = _colour(head.lab, (out < -0.08) & (along > 0.15) & (along < 0.75) & solid)
    # The crown's rim is hair on any head that has some.
    rim = cv2.erode(solid.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rim &= cv2.erode(solid.astype(np.uint8), np.ones((23, 23), np.uint8)) == 0
    crown = _colour(head.lab, rim & (along < -0.25) & (out > 0.08) & (across < 1.1))
    clothes = _colour(head.lab, solid & (along > 1.2))
    if skin is None:
        told = np.zeros_like(along)
    elif crown is None:
        told = np.clip(_SURE - skin.away(head.lab), -_SURE, _SURE)
    else:
        told = np.clip(crown.away(head.lab) - skin.away(head.lab), -_SURE, _SURE)
        if crown.is_like(skin):  # bald, or hair of the skin's colour: then only the outline can tell
            told = np.maximum(told, 3.0).astype(np.float32)
    # Below the brows the mesh knows the face; above them, and at the ears, colour decides.
    known = _ramp(along, -0.18, -0.06)
    odds = told * (1 - known * (out < 0)) + np.where(out < 0, 1.5 + 12 * known, 1.5 - 9 * out)
    # The neck has the face's colour; the jaw parts them.
    odds = np.where(out > 0, odds - 14 * _ramp(along, 0.3, 0.6), odds)
    face = _whole(_one_piece(_soft(head, odds / 1.5), out < -0.1), out < -0.1)
    # What hangs down is hair where it is more like the crown than like skin (the neck) and like clothes.
    falls = np.zeros_like(along)
    others = [colour.away(head.lab) for colour in (skin, clothes) if colour is not None]
    if crown is not None and others:
        falls = np.clip(np.minimum.reduce(others) - crown.away(head.lab), -_SURE, _SURE)
    belongs = 4 - 12 * _ramp(along, 0.25, 0.6) * (1 - _ramp(falls, 0.5, 3.0)) - 20 * _ramp(along, 1.2, 1.8)
    belongs -= 12 * _ramp(across, 1.3, 1.6)
    hair = _soft(head, belongs) * (1 - face)
    hair = np.where(along < 0.5, hair, _one_piece(hair, (along < -0.2) & (face < 0.5), head.alpha > 0.05))
    # Nothing beside the face is shoulder: what both left over there is shared out between them.
    beside = (1 - _ramp(along, 0.3, 0.5)) * (1 - _ramp(across, 1.2, 1.5))
    both = face + hair
    lift = np.where(both > 0.3, 1 + beside * (1 / np.maximum(both, 0.3) - 1), 1).astype(np.float32)
    return face * lift, (hair * lift).astype(np.float32)


@dataclass(frozen=True)
class _Colour:
    """A Gaussian of colour in Lab."""

    mean: NDArray[np.float64]
    inverse: NDArray[np.float64]
    spread: float

    def away(self, lab: Plane) -> Plane:
        """How unlikely each place's colour is: the negative log likelihood."""
        # By the root of the inverse: one small product, where three operands at once would take ten times as long.
        d = (lab - self.mean.astype(np.float32)) @ np.linalg.cholesky(self.inverse).astype(np.float32)
        return np.asarray(0.5 * (d * d).sum(-1) + np.float32(self.spread), np.float32)

    def is_like(self, other: _Colour) -> bool:
        """Whether the two can hardly be told apart."""
        d = self.mean - other.mean
        return float(d @ other.inverse @ d) < 4.0


def _colour(lab: Plane, where: NDArray[np.bool_]) -> _Colour | None:
    """The colour of the places named, without the strays among them; None where they are too few."""
    samples = lab[where].astype(np.float64)
    if len(samples) < _LEAST:
        return None
    middle = np.median(samples, axis=0)
    off = np.abs(samples - middle) / np.maximum(np.median(np.abs(samples - middle), axis=0), (6.0, 1.5, 1.5))
    samples = samples[(off < 4).all(1)]
    if len(samples) < _LEAST:
        return None
    cover = np.cov(samples.T) + _FLOOR
    return _Colour(samples.mean(0), np.linalg.inv(cover), 0.5 * float(np.log(np.linalg.det(cover))))


def _soft(head: _Head, odds: Any) -> Plane:
    """Log odds to a share whose boundary follows the picture's."""
    share = np.asarray(1 / (1 + np.exp(-np.clip(odds, -12, 12))), np.float32)
    smooth = guided_filter(head.grey, share, 4, 2e-3)
    return _ramp(smooth, 0.25, 0.75)


def _one_piece(share: Plane, seed: NDArray[np.bool_], within: NDArray[np.bool_] | bool = True) -> Plane:
    """Without what does not hang together with the seed."""
    _, labels = cv2.connectedComponents(((share > 0.3) & within).astype(np.uint8), connectivity=8)
    kept = np.unique(labels[seed & (labels > 0)])
    return np.where((labels > 0) & ~np.isin(labels, kept), 0, share).astype(np.float32)


def _whole(share: Plane, inside: NDArray[np.bool_]) -> Plane:
    """Without holes that nothing of the rest reaches: brows, a wrinkle, a strand's shadow."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((share < 0.5).astype(np.uint8), connectivity=4)
    if count > 2:
        largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        share = np.where((labels > 0) & (labels != largest) & inside, 1, share).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(share, (0, 0), 0.7), np.float32)


def _ramp(value: Any, low: float, high: float) -> Plane:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), np.float32)

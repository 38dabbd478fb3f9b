"""Whole pictures from drawn mouths; runs in a worker thread."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.compositor import Compositor
from lipsync.engine import Patch

Picture = NDArray[np.uint8]
FADE_IN = (0.4, 0.75)
"""How much of the driven mouth shows in the first frames of speech, the rest being the resting one."""


@dataclass(frozen=True, eq=False)
class Mouth:
    """What to compose: a base frame, its driven mouth, and where that does not show wholly, its resting one.

    Attributes:
        index: Of the base frame.
        patch: The driven mouth; None for the frame as it was filmed.
        rest: The resting mouth; None where ``weight`` is 1.
        weight: Share of the driven mouth, 0 to 1.
    """

    index: int
    patch: Patch | None
    rest: Patch | None = None
    weight: float = 1.0


def compose(compositor: Compositor, mouths: list[Mouth]) -> list[Picture]:
    """Draw each whole picture, I420 uint8 (h * 3 // 2, w)."""
    made = []
    for mouth in mouths:
        patch, rest, weight = mouth.patch, mouth.rest, mouth.weight
        if rest is None or patch is None:
            made.append(compositor.compose(mouth.index, patch))
        elif _alike(patch, rest):
            made.append(compositor.compose(mouth.index, _between(patch, rest, weight)))
        else:
            driven, resting = compositor.compose(mouth.index, patch), compositor.compose(mouth.index, rest)
            made.append(_mix(driven, resting, weight))
    return made


def _alike(a: Patch, b: Patch) -> bool:
    return (a.x, a.y, a.i420.shape) == (b.x, b.y, b.i420.shape) and (a.mask is None) == (b.mask is None)


def _between(patch: Patch, rest: Patch, weight: float) -> Patch:
    mask = None
    if patch.mask is not None and rest.mask is not None:
        mask = _mix(patch.mask, rest.mask, weight)
    return Patch(patch.x, patch.y, _mix(patch.i420, rest.i420, weight), mask)


def _mix(a: NDArray[np.uint8], b: NDArray[np.uint8], weight: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.addWeighted(a, weight, b, 1.0 - weight, 0.0), np.uint8)

"""Choosing the person's own mouths for wanted shapes, online.

Each wanted shape calls up its nearest mouths; a beam of them is carried on, in which going on with the recording (the
mouth after the one chosen before) costs what the pictures differ, and the best path is read off with a short delay.

Method: unit selection as in Hunt and Black (1996), with mouths as units and Viterbi cut to a fixed delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipbank.config import SearchConfig

F32 = NDArray[np.float32]
_BARRED = 1e8


@dataclass(frozen=True)
class Units:
    """What the search knows of each mouth in the bank.

    Attributes:
        features: float32 (n, f), weighted shape features.
        looks: float32 (n, a), embedding of its picture: squared distance is the cost of going from one to another.
        following: int (n,), the mouth after it in the recording, itself where there is none.
    """

    features: F32
    looks: F32
    following: NDArray[np.int64]


class Choice(NamedTuple):
    """What was chosen for a frame.

    Attributes:
        mouth: The mouth.
        after: The one that will most likely follow, None at the end.
        near: The mouths nearest in shape to this frame and its neighbours.
        near_weights: Their shares by nearness, summing to 1.
    """

    mouth: int
    after: int | None
    near: tuple[int, ...] = ()
    near_weights: tuple[float, ...] = ()


class Beam:
    """Viterbi over the bank with a fixed delay. One owner, not thread-safe."""

    def __init__(self, units: Units, config: SearchConfig) -> None:
        self._units, self._config = units, config
        self._square = np.einsum("ij,ij->i", units.features, units.features)
        self._look_square = np.einsum("ij,ij->i", units.looks, units.looks)
        self.reset()

    def reset(self) -> None:
        """Forget the path so far."""
        self._steps: list[tuple[NDArray[np.int64], NDArray[np.int64] | None]] = []
        self._cost: F32 | None = None
        self._last = np.zeros(0, np.int64)
        self._nearest: list[dict[int, float]] = []
        self._past: dict[int, float] = {}

    def push(self, wanted: F32, barred: tuple[int, int] | None = None) -> list[Choice]:
        """Take the next wanted features (f,) and return the choices that became certain (none or one).

        Args:
            wanted: Weighted features of the shape.
            barred: A range of the bank not to be used, for tests on its own frames.
        """
        units, config = self._units, self._config
        distance = self._square - 2 * (units.features @ wanted) + float(wanted @ wanted)
        if barred is not None:
            distance[max(barred[0], 0) : barred[1]] = _BARRED
        count = min(config.candidates, len(distance))
        near = np.argpartition(distance, count - 1)[:count].astype(np.int64)
        unit = distance[near]
        self._nearest.append(self._shares(near, unit))
        if self._cost is None:
            self._cost = unit
            self._steps.append((near, None))
        else:
            after = units.following[self._last]
            change = self._look_square[after][:, None] + self._look_square[near][None]
            change = change - 2 * units.looks[after] @ units.looks[near].T
            total = self._cost[:, None] + np.float32(config.continuity) * np.maximum(change, 0)
            best = total.argmin(0)
            self._cost = total[best, np.arange(count)] + unit
            self._steps.append((near, best))
        self._last = near
        return [self._settle()] if len(self._steps) > config.delay else []

    def flush(self) -> list[Choice]:
        """The rest of the path; then begin anew."""
        out = []
        while self._steps:
            out.append(self._settle())
        self.reset()
        return out

    def _settle(self) -> Choice:
        if self._cost is None:
            raise RuntimeError("nothing was pushed")
        place = np.arange(len(self._cost))
        later = place
        for _, back in self._steps[:0:-1]:
            later, place = place, (place if back is None else back[place])
        winner = int(self._cost.argmin())
        choice = int(place[winner])
        after = int(self._steps[1][0][later[winner]]) if len(self._steps) > 1 else None
        self._cost = np.where(place == choice, self._cost, self._cost + _BARRED)
        self._cost = (self._cost - self._cost.min()).astype(np.float32)
        nearest, _ = self._steps.pop(0)
        now = self._nearest.pop(0)
        shares = _blend((0.25, self._past), (0.5, now), (0.25, self._nearest[0] if self._nearest else {}))
        self._past = now
        return Choice(int(nearest[choice]), after, tuple(shares), tuple(shares.values()))

    def _shares(self, near: NDArray[np.int64], distance: F32) -> dict[int, float]:
        """The mouths nearest to a shape, each with a share by its nearness."""
        first = np.argsort(distance)[: self._config.neighbours]
        weights = 1 / (np.maximum(distance[first], 0) + 1)
        return dict(zip(near[first].tolist(), (weights / max(weights.sum(), 1e-9)).tolist(), strict=True))


def _blend(*parts: tuple[float, dict[int, float]]) -> dict[int, float]:
    """Shares of several frames together, summing to 1: shading then changes over time, not from frame to frame."""
    out: dict[int, float] = {}
    for weight, shares in parts:
        for mouth, share in shares.items():
            out[mouth] = out.get(mouth, 0.0) + weight * share
    total = sum(out.values())
    return {mouth: share / total for mouth, share in out.items()}

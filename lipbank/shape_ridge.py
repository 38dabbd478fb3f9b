"""The simplest listener: a mouth as a linear function of the sound around it.

It needs no training time to speak of, it cannot overfit much, and averaged with the network it still adds. The window's
frames are pooled more coarsely the farther they are, because what lies 300 ms back says little about when exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbank.shape_features import LOW
from lipbank.shape_phones import PHONES
from lipbank.shape_states import COMPONENTS
from lipsync.audio.mel import BANDS

Array = NDArray[np.float64]

PER_PICTURE = 4
"""Mel frames to a picture."""
PAST = 32
"""Mel frames of the window before a picture's own time."""
PHONE_TAPS = 6
"""Taps, the latest, at which phones are read; what was said before is in the spectrum and the states well enough."""
_EMPHASIS = {"spectrum": 1.0, "phones": 1.8, "states": 0.65}
STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)


def tap_matrix(reach: int) -> NDArray[np.float32]:
    """Pooling (taps, PAST + reach + 1) of a window of mel frames: triangles 40 ms apart.

    Args:
        reach: Mel frames of the window after the picture's own time.
    """
    at = np.arange(-PAST, reach + 1)
    centres = np.arange(-PAST + 2, reach - 1, 4)
    weight = np.clip(1 - np.abs(at[None] - centres[:, None]) / 4, 0, None)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def _kinds(bands: int) -> NDArray[np.str_]:
    """What each of a frame's features is: spectrum, phones or states."""
    phones = PHONES if bands in (BANDS + PHONES, BANDS + PHONES + COMPONENTS) else 0
    return np.repeat(["spectrum", "phones", "states"], [BANDS, phones, bands - BANDS - phones])


def read_columns(taps: int, bands: int) -> NDArray[np.intp]:
    """Columns of a window, (taps, bands) laid out tap after tap, that the listener reads."""
    kept = np.ones((taps, bands), bool)
    kept[:-PHONE_TAPS, _kinds(bands) == "phones"] = False
    return np.flatnonzero(kept)


def emphasis(taps: int, bands: int) -> Array:
    """How willingly each column is used: kinds of very different number of columns are given a like say."""
    weight = np.array([_EMPHASIS[kind] for kind in _kinds(bands)])
    return np.tile(weight, taps)[read_columns(taps, bands)]


def windows(
    features: NDArray[np.float32], count: int, reach: int, pad: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Pooled windows of pictures 0 to count - 1.

    Args:
        features: (m, bands), frame 0 at the first picture's time.
        count: Pictures wanted.
        reach: As in ``tap_matrix``; frames beyond the end, as those before the start, are silence.
        pad: A frame of silence; None for the spectrum alone.

    Returns:
        float32 (count, columns), of ``read_columns``.
    """
    bands = features.shape[1]
    need = PER_PICTURE * (count - 1) + reach + 1
    padded = np.tile(np.full(bands, LOW, np.float32) if pad is None else pad, (PAST + max(need, len(features)), 1))
    padded[PAST : PAST + len(features)] = features
    view = np.lib.stride_tricks.sliding_window_view(padded, PAST + reach + 1, axis=0)
    view = view[: PER_PICTURE * (count - 1) + 1 : PER_PICTURE]
    taps = tap_matrix(reach)
    pooled = np.einsum("nbt,kt->nkb", view, taps, optimize=True)
    return pooled.reshape(count, -1)[:, read_columns(len(taps), bands)]


class RidgeFit:
    """Ridge regression of many outputs whose strength can be chosen after one decomposition.

    Args:
        inputs: (n, d).
        outputs: (n, k), already scaled as errors are to be weighed.
        emphasis: (d,), how willingly each input is used, or None for all alike.
        weight: (n,), how much each row counts, or None for one.
    """

    def __init__(
        self,
        inputs: NDArray[np.floating],
        outputs: NDArray[np.floating],
        emphasis: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        x, y = np.asarray(inputs, np.float64), np.asarray(outputs, np.float64)
        self.mean, self.scale = np.average(x, axis=0, weights=weight), x.std(0) + 1e-3
        if emphasis is not None:
            self.scale = self.scale / emphasis
        self.centre = np.average(y, axis=0, weights=weight)
        x = (x - self.mean) / self.scale
        counted = x if weight is None else x * weight[:, None]
        values, self._turn = np.linalg.eigh(counted.T @ x)
        self._values = np.maximum(values, 0)
        self._answer = self._turn.T @ (counted.T @ (y - self.centre))

    def weights(self, strength: float | Array) -> tuple[Array, Array]:
        """Matrix (d, k) and offset (k,) on unscaled inputs for a ridge of ``strength``, one for all outputs or (k,)."""
        matrix = self._turn @ (self._answer / (self._values[:, None] + strength)) / self.scale[:, None]
        return matrix, self.centre - self.mean @ matrix


def folds(index: NDArray[np.intp], count: int, gap: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Blocked folds: (train, test) frames, ``gap`` frames round each test block used for neither."""
    out = []
    for block in np.array_split(index, count):
        train = index[(index < block[0] - gap) | (index > block[-1] + gap)]
        out.append((train, block))
    return out


def choose_strength(
    hearings: Sequence[NDArray[np.floating]],
    weights: Sequence[float],
    outputs: NDArray[np.floating],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    emphasis: Array | None = None,
) -> tuple[float, Array]:
    """The ridge strength of the best out-of-fold answers, and these answers.

    Best is what correlates best, on the mean of all outputs: the amplitude a strong ridge takes away is given back
    afterwards, and a minute of speech is too small a sample to choose a strength for each output by.

    Args:
        hearings: The same pictures heard in several ways, each (n, d); all are learned from, the first is tested on.
        weights: How much a row of each hearing counts.
        outputs: (n, k).
        splits: From ``folds``.
        emphasis: As in ``RidgeFit``.

    Returns:
        The strength, and float64 (n, k), NaN where no fold tested.
    """
    guesses = np.full((len(STRENGTHS), *outputs.shape), np.nan)
    for train, test in splits:
        fit = fit_hearings([h[train] for h in hearings], weights, outputs[train], emphasis)
        for i, strength in enumerate(STRENGTHS):
            matrix, offset = fit.weights(strength)
            guesses[i, test] = hearings[0][test] @ matrix + offset
    known = np.isfinite(guesses[0]).all(1)
    wanted = outputs[known] - outputs[known].mean(0)
    given = guesses[:, known] - guesses[:, known].mean(1, keepdims=True)
    scores = (given * wanted).sum(1) / np.sqrt((given**2).sum(1) * (wanted**2).sum(0) + 1e-9)
    best = int(scores.mean(1).argmax())
    return STRENGTHS[best], guesses[best]


def fit_hearings(
    hearings: Sequence[NDArray[np.floating]],
    weights: Sequence[float],
    outputs: NDArray[np.floating],
    emphasis: Array | None = None,
) -> RidgeFit:
    """A ridge over all hearings of the same pictures; arguments as ``choose_strength``."""
    rows = np.repeat(np.asarray(weights, np.float64), len(outputs))
    return RidgeFit(np.concatenate(hearings), np.tile(outputs, (len(hearings), 1)), emphasis, rows)

"""What a recogniser that learned from many real speakers takes the sound for: the phones of pocketsphinx's model.

The encoder of this package grew up on synthetic speech; the acoustic model that pocketsphinx (an ordinary dependency,
BSD licence) carries grew up on people. Of it only the phones without context are used: for each a mixture of 128
Gaussians over mel cepstra, their differences and second differences (Huang et al., Semi-continuous hidden Markov
models; here the phonetically tied kind), three states a phone. What comes out is how likely each of 40 phones is in
every frame, softened, because neighbouring phones of a wrong guess have similar lips. No search, no words, no language.
The tables travel in the avatar's bundle, so that talking does not need that package.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lipsync.audio.mel import other_throat
from lipsync.audio.phones import (
    CEPSTRA,
    GAUSSIANS,
    PARTS,
    PHONES,
    STATES,
    SphinxMel,
    cosines,
    load_phones,
    sphinx_filters,
    sphinx_log_mel,
    state_scores,
    with_differences,
)
from lipsync.engine import SAMPLE_RATE

Array = NDArray[np.float32]

DELAY = 3
"""Mel frames a phone comes later than the spectrum it is of: second differences look three frames ahead."""
THROATS = np.arange(-6.0, 7.0)
"""Semitones that another throat may lie from the take's."""
_BANDS = SphinxMel.bands
_SOFTEN = 0.4
_FLOOR_DEPTH, _LOWEST_FLOOR = 3.0, 4.0  # under the take's quietest; that of three steps of 16 bits
_BLOCK = 64


def cepstra(pcm: Array, floor: Array | None = None) -> Array:
    """Cepstra (n, 13) of a whole sound, not yet freed of the voice's mean; ``floor`` as in ``steady_from``."""
    stream = SphinxMel()
    mel = np.concatenate([stream.push(pcm), stream.flush()])
    return (mel if floor is None else np.maximum(mel, floor)) @ cosines()


def steady_from(pcm: Array, active: NDArray[np.bool_]) -> dict[str, Array]:
    """What a take's own sound says about its voice and room.

    Args:
        pcm: The take's sound.
        active: (n,), frames of it with speech.

    Returns:
        ``floor`` (25,), under which no band is heard to fall; ``mean`` (13,), mean cepstra; ``spoken`` (13,), over
        speech.
    """
    stream = SphinxMel()
    mel = np.concatenate([stream.push(pcm), stream.flush()])
    floor = np.maximum(np.percentile(mel, 1, axis=0) - _FLOOR_DEPTH, _LOWEST_FLOOR)
    found = np.maximum(mel, floor) @ cosines()
    spoken = found[: len(active)][active[: len(found)]]
    return {
        "floor": floor.astype(np.float32),
        "mean": found.mean(0).astype(np.float32),
        "spoken": (spoken if len(spoken) else found).mean(0).astype(np.float32),
    }


class PhoneStream:
    """Likely phones of one sound that arrives in pieces, frame for frame beside ``FeatureStream``. Not thread-safe.

    Row k tells of frame k - 3, which is all that is known when frame k is.

    Args:
        tensors: Of ``load_phones`` and ``steady_from``, and ``throat`` (1,) of ``own_throat``.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.floating]]) -> None:
        self._matrix, self._constant, self._weight, self._floor, self._mean, self._spoken = (
            np.ascontiguousarray(tensors[name], np.float32)
            for name in ("matrix", "constant", "weight", "floor", "mean", "spoken")
        )
        self._throat = float(np.asarray(tensors["throat"]).reshape(-1)[0])
        self._mel = SphinxMel()
        self.pad = np.zeros(PHONES, np.float32)
        self.pad[int(np.asarray(tensors["silence"]).reshape(-1)[0])] = 1
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far, and the voice that made it."""
        self._mel.reset()
        self._mel.listen_as(1.0)
        self._voice = self._spoken.copy()
        self._memory = np.empty((0, CEPSTRA + 1), np.float32)  # cepstra, and whether nothing was heard at all

    def get_used_to(self, pcm: Array, active: NDArray[np.bool_]) -> None:
        """Begin with the voice of this sound, whose frames ``active`` are speech, instead of the take's."""
        found = cepstra(pcm, self._floor)
        self._voice = found[: len(active)][active[: len(found)]].mean(0).astype(np.float32)

    def push(self, pcm: Array, rate: Array) -> Array:
        """Take sound; return the square roots of the phones' shares (m, 40) for the frames that became certain.

        Args:
            pcm: float32 mono, 16 kHz.
            rate: (m,), how far each frame moves the running mean of the voice; 0 where nobody speaks.
        """
        mel = self._mel.push(pcm)
        if not len(mel):
            return np.empty((0, PHONES), np.float32)
        still = (mel < self._floor).mean(1) > 0.5  # digital silence, which no model of sounds has ever met
        found = np.maximum(mel, self._floor) @ cosines()
        own = self._mean - self._spoken
        for i, step in enumerate(rate.tolist()):
            if step:
                self._voice += np.float32(step) * (found[i] - self._voice)
            found[i] -= self._voice + own
        found = np.column_stack([found, still])
        if not len(self._memory):
            self._memory = np.tile(found[:1], (2 * DELAY, 1))
        known = np.concatenate([self._memory, found])
        self._memory = known[-2 * DELAY :]
        silent, known = known[DELAY:-DELAY, -1] > 0, known[:, :-1]
        shares = self._shares(with_differences(known))
        shares[silent] = self.pad
        return np.sqrt(shares)

    def _shares(self, parts: Array) -> Array:
        out = np.empty((len(parts), PHONES), np.float32)
        for start in range(0, len(parts), _BLOCK):
            block = parts[start : start + _BLOCK]
            total = state_scores(block, self._matrix, self._constant, self._weight)
            total -= total.max(axis=(0, 2), keepdims=True)
            share = np.exp(_SOFTEN * total).sum(2).T
            out[start : start + _BLOCK] = share / share.sum(1, keepdims=True)
        return out

    @property
    def power(self) -> Array:
        """Spectra (n, 257) of the frames the last ``push`` gave."""
        return self._mel.power

    def listen_as(self, semitones: float, power: Array) -> None:
        """Hear what comes as from a throat so much higher than the take's, whose speech so far had these spectra."""
        ratio = 2 ** (semitones / 12)
        self._mel.listen_as(ratio)
        self._voice = (self._cepstra(power, ratio)).mean(0).astype(np.float32)

    def _cepstra(self, power: Array, ratio: float) -> Array:
        return np.maximum(sphinx_log_mel(power, other_throat(sphinx_filters(), ratio)), self._floor) @ cosines()

    def throat_of(self, power: Array) -> Array:
        """How well speech of spectra (n, 257) fits the model with each throat of ``THROATS``: mean log densities.

        The take's own throat stands in the middle.
        """
        fits = []
        for semitones in THROATS + self._throat:
            found = self._cepstra(power, 2 ** (semitones / 12))
            found = found - found.mean(0) - (self._mean - self._spoken)
            density = np.concatenate([found * found, found], axis=1) @ self._matrix[0] + self._constant[0]
            most = density.max(axis=1, keepdims=True)
            by_phone = np.exp(density - most).reshape(len(found), PHONES, GAUSSIANS).transpose(1, 0, 2)
            likely = (by_phone @ self._weight[0]).mean(axis=(0, 2))
            fits.append(float((np.log(likely + 1e-30) + most[:, 0]).mean()))
        return np.array(fits, np.float32)


def own_throat(tensors: Mapping[str, NDArray[np.floating]], pcm: Array, active: NDArray[np.bool_]) -> float:
    """Semitones by which the take's own throat is higher than the model's average: of ``THROATS`` the best fit."""
    stream = SphinxMel()
    power = []
    for start in range(0, len(pcm), SAMPLE_RATE):
        if len(stream.push(pcm[start : start + SAMPLE_RATE])):
            power.append(stream.power)
    spoken = np.concatenate(power)
    spoken = spoken[active[: len(spoken)]][:: max(1, int(active.sum()) // 300)]
    if not len(spoken):
        return 0.0
    return float(THROATS[PhoneStream({**tensors, "throat": np.zeros(1)}).throat_of(spoken).argmax()])


def damaged(tensors: Mapping[str, NDArray[np.floating]]) -> bool:
    """Whether tensors read from a bundle cannot be those of a ``PhoneStream``."""
    shapes = {
        "matrix": (PARTS, 2 * CEPSTRA, PHONES * GAUSSIANS),
        "constant": (PARTS, PHONES * GAUSSIANS),
        "weight": (PARTS, PHONES, GAUSSIANS, STATES),
        "floor": (_BANDS,),
        "mean": (CEPSTRA,),
        "spoken": (CEPSTRA,),
        "silence": (1,),
        "throat": (1,),
    }
    return any(name not in tensors or tensors[name].shape != shape for name, shape in shapes.items())


__all__ = [
    "DELAY",
    "PHONES",
    "THROATS",
    "PhoneStream",
    "cepstra",
    "damaged",
    "load_phones",
    "own_throat",
    "steady_from",
]

"""What a recogniser that learned from many real speakers takes the sound for: the phones of pocketsphinx's model.

The encoder of this package grew up on synthetic speech; the acoustic model that pocketsphinx (an ordinary dependency,
BSD licence) carries grew up on people. Of it only the phones without context are used: for each a mixture of 128
Gaussians over mel cepstra, their differences and second differences (Huang et al., Semi-continuous hidden Markov
models; here the phonetically tied kind), three states a phone. What comes out is how likely each of 40 phones is in
every frame, softened, because neighbouring phones of a wrong guess have similar lips. No search, no words, no language.
The tables travel in the avatar's bundle, so that talking does not need that package.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync.audio.mel import WINDOW, MelStream, other_throat
from lipsync.engine import SAMPLE_RATE

Array = NDArray[np.float32]

PHONES = 40
"""Phones told apart, silence among them; the model's two kinds of noise are left out."""
DELAY = 3
"""Mel frames a phone comes later than the spectrum it is of: second differences look three frames ahead."""
THROATS = np.arange(-6.0, 7.0)
"""Semitones that another throat may lie from the take's."""
_CEPSTRA, _PARTS, _GAUSSIANS, _STATES = 13, 3, 128, 3
_BANDS, _LOWEST, _HIGHEST, _FFT = 25, 130.0, 6800.0, 512
_LIFTER = 22
_FULL_SCALE = 32768.0  # the model was trained on 16-bit samples
_SOFTEN = 0.4
_FLOOR_DEPTH, _LOWEST_FLOOR = 3.0, 4.0  # under the take's quietest; that of three steps of 16 bits
_LOG_UNIT = 1024 * np.log(1.0001)  # a weight's byte: shifted by ten bits, to the base 1.0001
_NOISES = ("+NSN+", "+SPN+")
_BLOCK = 64
_BYTE_ORDER = 0x11223344


@lru_cache(maxsize=1)
def _filters() -> Array:
    """Triangles (257, 25) of equal area whose corners lie on the transform's lines, as Sphinx lays them."""
    low, high = 2595 * np.log10(1 + np.array([_LOWEST, _HIGHEST]) / 700)
    line = SAMPLE_RATE / _FFT
    edges = np.round(700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1) / line) * line
    at = np.arange(_FFT // 2 + 1)[:, None] * line
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return (np.clip(np.minimum(rise, fall), 0, None) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


@lru_cache(maxsize=1)
def _cosines() -> Array:
    """Log-mel (25) to liftered cepstra (13): (25, 13)."""
    order = np.arange(_CEPSTRA)
    turn = np.cos(np.pi * order[:, None] * (np.arange(_BANDS) + 0.5) / _BANDS) * np.sqrt(2 / _BANDS)
    turn[0] *= np.sqrt(0.5)
    return (turn * (1 + _LIFTER / 2 * np.sin(order * np.pi / _LIFTER))[:, None]).T.astype(np.float32)


def _log_mel(power: Array, filters: Array) -> Array:
    return np.log(power @ filters * np.float32(_FULL_SCALE**2) + np.float32(1e-4))


class _SphinxMel(MelStream):
    """Log-mel as Sphinx's front end makes it, frame for frame beside ``MelStream`` (25 bands)."""

    bands = _BANDS

    def __init__(self) -> None:
        super().__init__()
        self.power = np.empty((0, _FFT // 2 + 1), np.float32)
        """Spectra of the frames last given (the last 2048 of them)."""

    def _usual_filters(self) -> Array:
        return _filters()

    def _bands(self, windows: NDArray[np.float32]) -> Array:
        spectrum = np.fft.rfft(windows * np.hamming(WINDOW).astype(np.float32), _FFT, axis=1)
        self.power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return _log_mel(self.power, self._filters)


def _after_header(data: bytes) -> int:
    """Where the numbers begin behind a Sphinx file's text header."""
    at = data.index(b"endhdr\n") + 7
    if struct.unpack_from("<I", data, at)[0] != _BYTE_ORDER:
        raise ValueError("not in this machine's byte order")
    return at + 4


def _gaussians(path: Path) -> NDArray[np.float32]:
    """Means or variances (phones, 3, 128, 13)."""
    data = path.read_bytes()
    at = _after_header(data)
    books, parts, gaussians = struct.unpack_from("<3i", data, at)
    at += 12 + 4 * parts
    count = struct.unpack_from("<i", data, at)[0]
    if (parts, gaussians, count) != (_PARTS, _GAUSSIANS, books * _PARTS * _GAUSSIANS * _CEPSTRA):
        raise ValueError("an acoustic model of another kind")
    return np.frombuffer(data, "<f4", count, at + 4).reshape(books, _PARTS, _GAUSSIANS, _CEPSTRA)


def _phone_names(path: Path) -> tuple[list[str], int]:
    """Phones without context, in order, and how many tied states the model has in all."""
    data = path.read_bytes()
    if data[:4] != b"BMDF":
        raise ValueError("not a binary model definition")
    at = 12 + struct.unpack_from("<i", data, 8)[0]
    phones, _, _, _, states = struct.unpack_from("<5i", data, at)
    names = data[at + 40 :].split(b"\0", phones)[:phones]
    return [name.decode() for name in names], states


def _weights(path: Path, states: int) -> NDArray[np.float64]:
    """Weights (3, 128, states) of the mixtures' parts."""
    data = path.read_bytes()
    size = _PARTS * _GAUSSIANS * states
    if len(data) < size or b"cluster_count 0" not in data[: len(data) - size]:
        raise ValueError("mixture weights of another kind")
    weights = np.exp(-_LOG_UNIT * np.frombuffer(data, np.uint8, size, len(data) - size).astype(np.float64))
    weights = weights.reshape(_PARTS, _GAUSSIANS, states)
    return weights / weights.sum(1, keepdims=True)


def load_phones() -> dict[str, Array] | None:
    """The phones' mixtures from the installed package, or None where it or its model is not installed.

    Returns:
        ``matrix`` (3, 26, 5120) and ``constant`` (3, 5120): squares and values of a part to log densities;
        ``weight`` (3, 40, 128, 3): of each density in each state of its phone; ``silence`` (1,): silence's place.
    """
    from importlib.util import find_spec

    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model" / "en-us" / "en-us"
    if not (folder / "means").is_file():
        return None
    names, states = _phone_names(folder / "mdef")
    keep = [i for i, name in enumerate(names) if name not in _NOISES]
    mean = _gaussians(folder / "means")[keep].astype(np.float64)
    variance = np.maximum(_gaussians(folder / "variances")[keep].astype(np.float64), 1e-4)
    # The first tied states are those of the phones without context, three each, in order.
    weight = _weights(folder / "sendump", states)[:, :, : _STATES * len(names)]
    weight = weight.reshape(_PARTS, _GAUSSIANS, len(names), _STATES)[:, :, keep].transpose(0, 2, 1, 3)
    both = np.concatenate([-0.5 / variance, mean / variance], axis=3)
    constant = -0.5 * (mean**2 / variance + np.log(2 * np.pi * variance)).sum(3)
    return {
        "matrix": np.ascontiguousarray(both.transpose(1, 3, 0, 2).reshape(_PARTS, 2 * _CEPSTRA, -1), np.float32),
        "constant": np.ascontiguousarray(constant.transpose(1, 0, 2).reshape(_PARTS, -1), np.float32),
        "weight": np.ascontiguousarray(weight, np.float32),
        "silence": np.array([[names[i] for i in keep].index("SIL")], np.float32),
    }


def cepstra(pcm: Array, floor: Array | None = None) -> Array:
    """Cepstra (n, 13) of a whole sound, not yet freed of the voice's mean; ``floor`` as in ``steady_from``."""
    stream = _SphinxMel()
    mel = np.concatenate([stream.push(pcm), stream.flush()])
    return (mel if floor is None else np.maximum(mel, floor)) @ _cosines()


def steady_from(pcm: Array, active: NDArray[np.bool_]) -> dict[str, Array]:
    """What a take's own sound says about its voice and room.

    Args:
        pcm: The take's sound.
        active: (n,), frames of it with speech.

    Returns:
        ``floor`` (25,), under which no band is heard to fall; ``mean`` (13,), mean cepstra; ``spoken`` (13,), over
        speech.
    """
    stream = _SphinxMel()
    mel = np.concatenate([stream.push(pcm), stream.flush()])
    floor = np.maximum(np.percentile(mel, 1, axis=0) - _FLOOR_DEPTH, _LOWEST_FLOOR)
    found = np.maximum(mel, floor) @ _cosines()
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
        self._mel = _SphinxMel()
        self.pad = np.zeros(PHONES, np.float32)
        self.pad[int(np.asarray(tensors["silence"]).reshape(-1)[0])] = 1
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far, and the voice that made it."""
        self._mel.reset()
        self._mel.listen_as(1.0)
        self._voice = self._spoken.copy()
        self._memory = np.empty((0, _CEPSTRA + 1), np.float32)  # cepstra, and whether nothing was heard at all

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
        found = np.maximum(mel, self._floor) @ _cosines()
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
        ahead, past = known[DELAY + 2 : len(known) - 1], known[DELAY - 2 : len(known) - 5]
        bend = (known[6:] - known[2:-4]) - (known[4:-2] - known[:-6])
        shares = self._shares(np.concatenate([known[DELAY:-DELAY], ahead - past, bend], axis=1))
        shares[silent] = self.pad
        return np.sqrt(shares)

    def _shares(self, parts: Array) -> Array:
        out = np.empty((len(parts), PHONES), np.float32)
        for start in range(0, len(parts), _BLOCK):
            block = parts[start : start + _BLOCK]
            total = np.zeros((PHONES, len(block), _STATES), np.float32)
            for part in range(_PARTS):
                values = block[:, part * _CEPSTRA : (part + 1) * _CEPSTRA]
                density = np.concatenate([values * values, values], axis=1) @ self._matrix[part]
                density += self._constant[part]
                density -= density.max(axis=1, keepdims=True)
                np.exp(np.maximum(density, -80, out=density), out=density)
                by_phone = density.reshape(len(block), PHONES, _GAUSSIANS).transpose(1, 0, 2)
                total += np.log(by_phone @ self._weight[part] + 1e-30)
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
        return np.maximum(_log_mel(power, other_throat(_filters(), ratio)), self._floor) @ _cosines()

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
            by_phone = np.exp(density - most).reshape(len(found), PHONES, _GAUSSIANS).transpose(1, 0, 2)
            likely = (by_phone @ self._weight[0]).mean(axis=(0, 2))
            fits.append(float((np.log(likely + 1e-30) + most[:, 0]).mean()))
        return np.array(fits, np.float32)


def own_throat(tensors: Mapping[str, NDArray[np.floating]], pcm: Array, active: NDArray[np.bool_]) -> float:
    """Semitones by which the take's own throat is higher than the model's average: of ``THROATS`` the best fit."""
    stream = _SphinxMel()
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
        "matrix": (_PARTS, 2 * _CEPSTRA, PHONES * _GAUSSIANS),
        "constant": (_PARTS, PHONES * _GAUSSIANS),
        "weight": (_PARTS, PHONES, _GAUSSIANS, _STATES),
        "floor": (_BANDS,),
        "mean": (_CEPSTRA,),
        "spoken": (_CEPSTRA,),
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

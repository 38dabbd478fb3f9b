"""The acoustic model that pocketsphinx (an ordinary dependency, BSD licence) carries, read without its program.

It grew up on people. Of it only the phones without context are used: for each a mixture of 128 Gaussians over mel
cepstra, their differences and second differences (Huang et al., Semi-continuous hidden Markov models; here the
phonetically tied kind), three states a phone.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync.audio.mel import WINDOW, MelStream
from lipsync.engine import SAMPLE_RATE

Array = NDArray[np.float32]

PHONES = 40
"""Phones told apart, silence among them; the model's two kinds of noise are left out."""
CEPSTRA, PARTS, GAUSSIANS, STATES = 13, 3, 128, 3
_BANDS, _LOWEST, _HIGHEST, _FFT = 25, 130.0, 6800.0, 512
_LIFTER = 22
_FULL_SCALE = 32768.0  # the model was trained on 16-bit samples
_LOG_UNIT = 1024 * np.log(1.0001)  # a weight's byte: shifted by ten bits, to the base 1.0001
_NOISES = ("+NSN+", "+SPN+")
_BYTE_ORDER = 0x11223344


@lru_cache(maxsize=1)
def sphinx_filters() -> Array:
    """Triangles (257, 25) of equal area whose corners lie on the transform's lines, as Sphinx lays them."""
    low, high = 2595 * np.log10(1 + np.array([_LOWEST, _HIGHEST]) / 700)
    line = SAMPLE_RATE / _FFT
    edges = np.round(700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1) / line) * line
    at = np.arange(_FFT // 2 + 1)[:, None] * line
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return (np.clip(np.minimum(rise, fall), 0, None) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


@lru_cache(maxsize=1)
def cosines() -> Array:
    """Log-mel (25) to liftered cepstra (13): (25, 13)."""
    order = np.arange(CEPSTRA)
    turn = np.cos(np.pi * order[:, None] * (np.arange(_BANDS) + 0.5) / _BANDS) * np.sqrt(2 / _BANDS)
    turn[0] *= np.sqrt(0.5)
    return (turn * (1 + _LIFTER / 2 * np.sin(order * np.pi / _LIFTER))[:, None]).T.astype(np.float32)


def sphinx_log_mel(power: Array, filters: Array) -> Array:
    """Log energies (n, bands) of spectra (n, 257)."""
    return np.log(power @ filters * np.float32(_FULL_SCALE**2) + np.float32(1e-4))


class SphinxMel(MelStream):
    """Log-mel as Sphinx's front end makes it, frame for frame beside ``MelStream`` (25 bands)."""

    bands = _BANDS

    def __init__(self) -> None:
        super().__init__()
        self.power = np.empty((0, _FFT // 2 + 1), np.float32)
        """Spectra of the frames last given (the last 2048 of them)."""

    def _usual_filters(self) -> Array:
        return sphinx_filters()

    def _bands(self, windows: NDArray[np.float32]) -> Array:
        spectrum = np.fft.rfft(windows * np.hamming(WINDOW).astype(np.float32), _FFT, axis=1)
        self.power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return sphinx_log_mel(self.power, self._filters)


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
    if (parts, gaussians, count) != (PARTS, GAUSSIANS, books * PARTS * GAUSSIANS * CEPSTRA):
        raise ValueError("an acoustic model of another kind")
    return np.frombuffer(data, "<f4", count, at + 4).reshape(books, PARTS, GAUSSIANS, CEPSTRA)


def phone_names(path: Path) -> tuple[list[str], int]:
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
    size = PARTS * GAUSSIANS * states
    if len(data) < size or b"cluster_count 0" not in data[: len(data) - size]:
        raise ValueError("mixture weights of another kind")
    weights = np.exp(-_LOG_UNIT * np.frombuffer(data, np.uint8, size, len(data) - size).astype(np.float64))
    weights = weights.reshape(PARTS, GAUSSIANS, states)
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
    names, states = phone_names(folder / "mdef")
    keep = [i for i, name in enumerate(names) if name not in _NOISES]
    mean = _gaussians(folder / "means")[keep].astype(np.float64)
    variance = np.maximum(_gaussians(folder / "variances")[keep].astype(np.float64), 1e-4)
    # The first tied states are those of the phones without context, three each, in order.
    weight = _weights(folder / "sendump", states)[:, :, : STATES * len(names)]
    weight = weight.reshape(PARTS, GAUSSIANS, len(names), STATES)[:, :, keep].transpose(0, 2, 1, 3)
    both = np.concatenate([-0.5 / variance, mean / variance], axis=3)
    constant = -0.5 * (mean**2 / variance + np.log(2 * np.pi * variance)).sum(3)
    return {
        "matrix": np.ascontiguousarray(both.transpose(1, 3, 0, 2).reshape(PARTS, 2 * CEPSTRA, -1), np.float32),
        "constant": np.ascontiguousarray(constant.transpose(1, 0, 2).reshape(PARTS, -1), np.float32),
        "weight": np.ascontiguousarray(weight, np.float32),
        "silence": np.array([[names[i] for i in keep].index("SIL")], np.float32),
    }


def state_scores(parts: Array, matrix: Array, constant: Array, weight: Array) -> Array:
    """How likely each state of each phone is: log densities (40, n, 3), each frame's up to a constant of its own.

    Args:
        parts: (n, 39), cepstra freed of the voice's mean, differences and second differences.
        matrix: Of ``load_phones``, as the next two.
        constant: See there.
        weight: See there.
    """
    total = np.zeros((PHONES, len(parts), STATES), np.float32)
    for part in range(PARTS):
        values = parts[:, part * CEPSTRA : (part + 1) * CEPSTRA]
        density = np.concatenate([values * values, values], axis=1) @ matrix[part]
        density += constant[part]
        density -= density.max(axis=1, keepdims=True)
        np.exp(np.maximum(density, -80, out=density), out=density)
        by_phone = density.reshape(len(parts), PHONES, GAUSSIANS).transpose(1, 0, 2)
        total += np.log(by_phone @ weight[part] + 1e-30)
    return total


def with_differences(known: Array) -> Array:
    """Cepstra (n + 6, 13) with their differences and second differences: (n, 39), of the frames from the third on."""
    bend = (known[6:] - known[2:-4]) - (known[4:-2] - known[:-6])
    return np.concatenate([known[3:-3], known[5:-1] - known[1:-5], bend], axis=1)

"""What the clone measures and how it filters: mel-cepstra of 5 ms frames at 16 kHz, and a time-varying filter.

Analysis is WORLD's (Morise et al. 2016: dio, stonemask, cheaptrick). Sound is never resynthesised from it: the base
waveform is multiplied in short-time Fourier frames by the gain that a difference of mel-cepstra stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
HOP = 80
"""Samples to a frame (5 ms)."""
ORDER = 30
WARP = 0.42
"""All-pass constant that bends the frequency axis like the ear at 16 kHz."""
FFT = 1024
WINDOW = 512
GAIN_LOW, GAIN_HIGH = -4.0, 3.0
"""Log amplitude gain is held within these (nepers)."""

Array = NDArray[np.float64]


@cache
def cosines(bins: int = FFT // 2 + 1) -> Array:
    """Rows k = 0..ORDER of cos(k w'), w' the warped frequency of each bin: (ORDER + 1, bins)."""
    w = np.linspace(0.0, np.pi, bins)
    bent = w + 2 * np.arctan(WARP * np.sin(w) / (1 - WARP * np.cos(w)))
    return np.cos(np.arange(ORDER + 1)[:, None] * bent[None])


@cache
def _projection() -> Array:
    """Least squares from log amplitude (bins) to mel-cepstra, each bin weighted by its width on the warped axis."""
    basis = cosines()
    w = np.linspace(0.0, np.pi, basis.shape[1])
    width = (1 - WARP**2) / (1 + WARP**2 - 2 * WARP * np.cos(w))
    return np.asarray((np.linalg.pinv(basis.T * np.sqrt(width)[:, None]) * np.sqrt(width)[None]).T)


@dataclass(frozen=True)
class Analysis:
    """F0 (n,) in hertz, 0 where unvoiced, and mel-cepstra (n, ORDER + 1) in nepers, a frame each 5 ms."""

    f0: Array
    cepstra: Array

    @property
    def speech(self) -> NDArray[np.bool_]:
        """Frames loud enough to be speech."""
        level = self.cepstra[:, 0]
        return level > np.percentile(level, 95) - 3.0


def analyse(sound: NDArray[np.float32]) -> Analysis:
    """Measure ``sound`` (float32 (n,) at RATE)."""
    import pyworld

    # A whisper of noise: digital silence has no spectrum.
    quiet = np.random.default_rng(0).standard_normal(len(sound)) * 1e-5
    x = np.ascontiguousarray(sound, np.float64) + quiet
    f0, times = pyworld.dio(x, RATE, f0_floor=71.0, f0_ceil=500.0, frame_period=1000 * HOP / RATE)
    f0 = pyworld.stonemask(x, f0, times, RATE)
    power = pyworld.cheaptrick(x, f0, times, RATE, fft_size=FFT)
    return Analysis(f0, 0.5 * np.log(np.maximum(power, 1e-16)) @ _projection())


def log_gain(difference: Array) -> Array:
    """The log amplitude gain (n, FFT // 2 + 1) of a difference of mel-cepstra (n, ORDER + 1)."""
    return np.clip(difference @ cosines(), GAIN_LOW, GAIN_HIGH)


def filtered(
    sound: NDArray[np.float32], difference: Array, block_frames: int = 60, first_frames: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """Apply ``difference`` (frames, ORDER + 1) to ``sound`` and yield it in blocks of 5 ms frames, in order.

    Zero-phase: each Hann frame of 512 samples is multiplied in its 1024-point spectrum and added back. Blocks joined
    give exactly as many samples as ``sound`` has.
    """
    window: Array = np.hanning(WINDOW + 1)[:-1].astype(np.float64)
    lead, spill = WINDOW // 2, (FFT - WINDOW) // 2
    frames = len(sound) // HOP + 1
    last = len(difference) - 1
    padded: Array = np.concatenate((np.zeros(lead), sound.astype(np.float64), np.zeros(WINDOW + HOP)))
    # out[k] is sample k - (lead + spill) of the result
    out = np.zeros(len(padded) + 2 * FFT)
    weight = float(np.sum(window[::HOP]))
    begun, offset = 0, lead + spill
    first = min(first_frames or block_frames, frames)
    edges = [0, *range(first, frames, block_frames), frames]
    for start, stop in pairwise(edges):
        index = np.arange(start, stop)
        pieces = padded[HOP * index[:, None] + np.arange(WINDOW)[None]] * window
        spectra = np.fft.rfft(pieces, FFT, axis=1) * np.exp(log_gain(difference[np.minimum(index, last)]))
        waves = np.roll(np.fft.irfft(spectra, FFT, axis=1), spill, axis=1) / weight
        for k, wave in zip(index, waves, strict=True):
            out[k * HOP : k * HOP + FFT] += wave
        # Samples before the next frame's first are final.
        ready = len(sound) if stop == frames else max(min(stop * HOP - offset, len(sound)), begun)
        if ready > begun:
            yield out[begun + offset : ready + offset].astype(np.float32)
            begun = ready


def convert(sound: NDArray[np.float32], difference: Array) -> NDArray[np.float32]:
    """``filtered`` in one piece."""
    parts = list(filtered(sound, difference, 400))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def levelled(sound: NDArray[np.float32], peak: float = 0.7) -> NDArray[np.float32]:
    """``sound`` scaled to a peak; silence as it is."""
    top = float(np.abs(sound).max(initial=0.0))
    return (sound * (peak / top)).astype(np.float32) if top > 0 else sound.astype(np.float32)

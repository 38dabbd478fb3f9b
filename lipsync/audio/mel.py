"""Log-mel spectra of speech, as a stream.

One implementation serves training, files and live sound: offline is "push everything, then flush". Frame ``k`` is
centred on sample ``160 k``, so four frames belong to one picture of 40 ms and every frame is certain 12.5 ms after its
centre.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lipsync.engine import SAMPLE_RATE

MEL_HOP = 160
"""Samples between frames: 100 frames a second."""
WINDOW = 400
"""Samples under the Hann window (25 ms)."""
BANDS = 40
"""Mel bands between 60 Hz and 7.6 kHz."""

Frames = NDArray[np.float32]

_FFT = 512
_PRE_EMPHASIS = 0.97
_FLOOR = 1e-6
_KNEE = 6600.0
_BLOCK = 2048  # frames transformed at once, so that an hour of sound needs no more memory than a minute


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float32]:
    """Triangular filters (257, 40), evenly spaced on O'Shaughnessy's mel scale."""
    low, high = 2595 * np.log10(1 + np.array([60.0, 7600.0]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    line = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)[:, None]
    rise = (line - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - line) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    return np.hanning(WINDOW).astype(np.float32)


@lru_cache(maxsize=1)
def _slaney_filters() -> NDArray[np.float32]:
    """Filters (201, 40) of equal area on Slaney's mel scale, 0 to 8 kHz: what librosa makes unless told otherwise."""

    def to_mel(hertz: float) -> float:
        return hertz * 3 / 200 if hertz < 1000 else 15 + np.log(hertz / 1000) * 27 / np.log(6.4)

    mels = np.linspace(0, to_mel(SAMPLE_RATE / 2), BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    line = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)[:, None]
    rise = (line - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - line) / (edges[2:] - edges[1:-1])
    return (np.clip(np.minimum(rise, fall), 0, None) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def other_throat(filters: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """Filters that hear a voice whose resonances lie ``ratio`` times as high as if they lay where they usually do.

    Vocal tract length normalisation (Lee and Rose, 1998): the frequency axis is stretched, and bent near its end so
    that 8 kHz stays where it is.

    Args:
        filters: (lines, bands).
        ratio: About 0.7 to 1.4.
    """
    line = np.linspace(0, SAMPLE_RATE / 2, len(filters))
    top, knee = line[-1], _KNEE * min(1.0, 1.0 / ratio)
    moved = np.where(line <= knee, line * ratio, knee * ratio + (line - knee) * (top - knee * ratio) / (top - knee))
    back = np.interp(line, moved, line)
    out = np.stack([np.interp(back, line, band) for band in filters.T], axis=1)
    return (out * (filters.sum(0) / np.maximum(out.sum(0), 1e-9))).astype(np.float32)


class MelStream:
    """Log-mel frames of one sound that arrives in pieces. Not thread-safe."""

    bands = BANDS

    def __init__(self) -> None:
        self._filters = self._usual_filters()
        self.reset()

    def _usual_filters(self) -> NDArray[np.float32]:
        return _filters()

    def listen_as(self, ratio: float) -> None:
        """Hear what comes as from a throat whose resonances lie ``ratio`` times as high; see ``other_throat``."""
        usual = self._usual_filters()
        self._filters = usual if ratio == 1 else other_throat(usual, ratio)

    def reset(self) -> None:
        """Forget the sound so far."""
        # Half a window of silence stands before the first sample, so that frame 0 is centred on it.
        self._waiting: NDArray[np.float32] = np.zeros(WINDOW // 2, np.float32)
        self._last = np.float32(0)
        self._samples = 0
        self._given = 0

    def push(self, pcm: NDArray[np.float32]) -> Frames:
        """Take sound and return the frames that became certain.

        Args:
            pcm: float32 mono, 16 kHz, about -1 to 1, any length.

        Returns:
            float32 (m, 40): natural logarithm of the energy in each band.
        """
        pcm = np.asarray(pcm, np.float32).reshape(-1)
        self._samples += len(pcm)
        return self._frames(pcm)

    def of_power(self, power: NDArray[np.float32]) -> Frames:
        """Frames (n, 40) of power spectra (n, 257) measured elsewhere, as this stream hears now."""
        return np.log(power @ self._filters + np.float32(_FLOOR))

    def flush(self) -> Frames:
        """End the sound: return the frames still owed, ``ceil(samples / 160)`` over the stream's life; begin anew."""
        owed = -(-self._samples // MEL_HOP) - self._given
        frames = self._frames(np.zeros(max(owed, 0) * MEL_HOP + WINDOW, np.float32))[: max(owed, 0)]
        self.reset()
        return frames

    def _frames(self, pcm: NDArray[np.float32]) -> Frames:
        if len(pcm):
            self._waiting = np.concatenate([self._waiting, self._shape(pcm)])
        count = max(0, (len(self._waiting) - WINDOW) // MEL_HOP + 1)
        out = np.empty((count, self.bands), np.float32)
        for start in range(0, count, _BLOCK):
            stop = min(count, start + _BLOCK)
            piece = self._waiting[start * MEL_HOP : (stop - 1) * MEL_HOP + WINDOW]
            windows = np.lib.stride_tricks.sliding_window_view(piece, WINDOW)[::MEL_HOP]
            out[start:stop] = self._bands(windows)
        self._waiting = self._waiting[count * MEL_HOP :]
        self._given += count
        return out

    def _shape(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pre-emphasis."""
        shaped = pcm - np.float32(_PRE_EMPHASIS) * np.concatenate([[self._last], pcm[:-1]]).astype(np.float32)
        self._last = pcm[-1]
        return shaped

    def _bands(self, windows: NDArray[np.float32]) -> Frames:
        spectrum = np.fft.rfft(windows * _hann(), _FFT, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return self.of_power(power)


class PowerMelStream(MelStream):
    """Mel energies as librosa's ``melspectrogram`` gives them (not logarithms), frame for frame beside ``MelStream``.

    For networks that were trained on those, such as Resemblyzer's.
    """

    def _usual_filters(self) -> NDArray[np.float32]:
        return _slaney_filters()

    def _shape(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        return pcm

    def _bands(self, windows: NDArray[np.float32]) -> Frames:
        periodic = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
        spectrum = np.fft.rfft(windows * periodic.astype(np.float32), WINDOW, axis=1)
        return (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ self._filters


def log_mel(pcm: NDArray[np.float32]) -> Frames:
    """Log-mel frames of a whole sound.

    Args:
        pcm: float32 mono, 16 kHz.

    Returns:
        float32 (ceil(len / 160), 40).
    """
    stream = MelStream()
    return np.concatenate([stream.push(pcm), stream.flush()])

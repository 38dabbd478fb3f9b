"""Whether a microphone hears the avatar itself: sound that was played, come back late, quieter and coloured by a room.

Browsers cancel echo, but not all, not always, and not that of another machine's loudspeakers. What was played is known
here, so the guard asks how much of the microphone's last 0.64 s a short filter of it explains: the delay by generalised
cross-correlation with phase transform (Knapp and Carter 1976), the filter by least squares (its normal equations are
Toeplitz). Each decision begins anew, so nothing has to converge and a delay that wanders does no harm.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import FRAME_SAMPLES, LIVE_RATE
from lipsync.media.audio import Resampler

RATE = 8_000
"""Half the band is enough to tell, and a filter of half the length."""
Sound = NDArray[np.float32]
_MIC = round(0.64 * RATE)
_LATEST_S = 1.2
"""Longest way from here through a client's loudspeaker and back."""
_PLAYED = _MIC + round(_LATEST_S * RATE)
_TAPS = 640
"""The filter covers 80 ms: the way to the microphone and the first reflections of a room."""
_EARLY = 40
"""Taps before the delay that was found (5 ms)."""
_JUDGED = round(0.2 * RATE)
_QUIET = 1e-4
"""Root mean square below which nothing was played (-80 dBFS)."""


class Played:
    """What a session's listeners hear; the clock fills it, a thread reads it."""

    def __init__(self) -> None:
        self._waiting: deque[NDArray[np.int16]] = deque(maxlen=round(2 * _PLAYED / RATE * LIVE_RATE / FRAME_SAMPLES))
        self._rates = Resampler(LIVE_RATE, RATE)
        self._sound = np.zeros(_PLAYED, np.float32)

    def put(self, sound: NDArray[np.int16]) -> None:
        """Note 40 ms that are heard from now on, int16 (1920,)."""
        self._waiting.append(sound)

    def read(self) -> Sound:
        """The last 1.84 s, float32 at 8 kHz. For one thread."""
        while self._waiting:
            piece = self._rates.push(self._waiting.popleft().astype(np.float32) / 32768)
            self._sound = np.concatenate([self._sound, piece])[-_PLAYED:]
        return self._sound


class EchoGuard:
    """Judges one microphone against what was played. For one thread; about 5 ms a judgement.

    Args:
        played: See there.
    """

    def __init__(self, played: Played) -> None:
        self._played = played
        self._rates = Resampler(16_000, RATE)
        self._mic = np.zeros(_MIC, np.float32)

    def push(self, pcm: Sound) -> None:
        """Take what the microphone heard, float32 at 16 kHz."""
        self._mic = np.concatenate([self._mic, self._rates.push(pcm)])[-_MIC:]

    def explained(self) -> float:
        """How much of the power of the microphone's last 0.2 s is what was played, 0 to 1."""
        played = self._played.read()
        if float(np.sqrt(np.mean(played**2))) < _QUIET:
            return 0.0
        lag = _delay(self._mic, played)
        # Sample k of the microphone stands at place start + k of what was played, lag samples later.
        start = len(played) - len(self._mic) - lag + _EARLY
        reference = _part(played, start - _TAPS + 1, len(self._mic) + _TAPS - 1)
        rest = self._mic - _explain(self._mic, reference)
        before, after = np.sum(self._mic[-_JUDGED:] ** 2), np.sum(rest[-_JUDGED:] ** 2)
        return float(np.clip(1.0 - after / max(float(before), 1e-12), 0.0, 1.0))


def _delay(mic: Sound, played: Sound) -> int:
    """Samples by which ``mic`` lags behind ``played`` (both end now)."""
    size = 1 << (len(mic) + len(played)).bit_length()
    cross = np.fft.rfft(mic, size) * np.conj(np.fft.rfft(played, size))
    low, high = round(size * 150 / RATE), round(size * 3600 / RATE)
    weight = np.zeros(len(cross))
    weight[low:high] = 1.0 / (np.abs(cross[low:high]) + 1e-9)
    fit = np.fft.irfft(cross * weight, size)
    # Both end now: with no lag mic stands at place len(played) - len(mic), which is negative shift.
    most = len(played) - len(mic)
    shifts = (np.arange(-40, most) - most) % size
    return int(np.argmax(np.abs(fit[shifts]))) - 40


def _part(sound: Sound, start: int, length: int) -> Sound:
    """``length`` samples from ``start``; silence where there are none."""
    out = np.zeros(length, np.float32)
    first, last = max(start, 0), min(start + length, len(sound))
    if last > first:
        out[first - start : last - start] = sound[first:last]
    return out


def _explain(mic: Sound, reference: Sound) -> Sound:
    """What a filter of ``_TAPS`` makes of ``reference`` (``_TAPS`` - 1 longer) that is nearest to ``mic``."""
    from scipy.linalg import solve_toeplitz

    size = 1 << (len(mic) + len(reference)).bit_length()
    spectrum = np.fft.rfft(reference, size)
    own = np.fft.irfft(np.abs(spectrum) ** 2, size)[:_TAPS]
    # The newest sample of the filter's window stands at the end: place _TAPS - 1 of the reference for sample 0.
    shifted = np.fft.irfft(np.fft.rfft(mic, size) * np.conj(spectrum), size)
    with_mic = shifted[(np.arange(_TAPS) - (_TAPS - 1)) % size]
    own[0] *= 1.001
    own[0] += 1e-6
    taps = solve_toeplitz(own, with_mic)
    made = np.fft.irfft(spectrum * np.fft.rfft(taps, size), size)
    return np.asarray(made[_TAPS - 1 : _TAPS - 1 + len(mic)], np.float32)

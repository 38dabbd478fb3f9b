"""Pitch moved on the waveform, by overlap-add at the pitch marks (TD-PSOLA: Moulines and Charpentier 1990).

For synthesisers that do not let their pitch be set: the person's mean and range, and the contour's own shape kept, so
that tones and stress stay where they were.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from speech.clone.features import HOP, RATE, Array

Sound = NDArray[np.float32]
_FINE = 3 * RATE
_QUIET_PERIOD = _FINE // 200
"""Distance of marks where nothing is voiced (5 ms): there, the sound is put back as it was."""


def contour(sound: Sound) -> Array:
    """F0 in hertz of each 5 ms frame, 0 where unvoiced (WORLD's dio, refined)."""
    import pyworld

    x = np.ascontiguousarray(sound, np.float64)
    f0, times = pyworld.dio(x, RATE, f0_floor=60.0, f0_ceil=500.0, frame_period=1000 * HOP / RATE)
    return np.asarray(pyworld.stonemask(x, f0, times, RATE), np.float64)


def repitched(sound: Sound, ratio: float, spread: float = 1.0, centre: float = 0.0) -> Sound:
    """Move the pitch of ``sound`` (float32 (n,) at RATE); as many samples as before.

    Args:
        sound: Speech.
        ratio: Factor of the mean pitch, 0.5 to 2.
        spread: Factor of the range around ``centre``, on a logarithmic scale.
        centre: The pitch, in hertz, that ``spread`` turns around.
    """
    if len(sound) < RATE // 20 or (ratio == 1.0 and spread == 1.0):
        return sound
    import soxr

    f0 = contour(sound)
    # Marks between the samples: rounded to 1/16000 s they would roughen the voice.
    fine = np.asarray(soxr.resample(sound, RATE, _FINE), np.float64)
    marks, periods, voiced = _marks(fine, f0)
    heard = _FINE / periods
    wanted = np.where(voiced, heard * ratio * ((heard / centre) ** (spread - 1.0) if centre else 1.0), heard)
    wanted = np.clip(wanted, heard * 0.5, heard * 2.0)
    margin = _FINE // 20
    padded = np.pad(fine, margin)
    out, weight = np.zeros(len(padded)), np.zeros(len(padded))
    at, index = float(marks[0]), 0
    while at < len(fine):
        while index + 1 < len(marks) and abs(marks[index + 1] - at) <= abs(marks[index] - at):
            index += 1
        if not voiced[index]:
            at = float(marks[index])  # what has no pitch keeps its place
        period = int(periods[index])
        window = _window(period)
        source, target = marks[index] + margin - period, round(at) + margin - period
        out[target : target + len(window)] += padded[source : source + len(window)] * window
        weight[target : target + len(window)] += window
        at += _FINE / wanted[index]
    whole = (out / np.maximum(weight, 0.3))[margin : margin + len(fine)]
    made = np.asarray(soxr.resample(whole, _FINE, RATE), np.float32)
    return np.pad(made, (0, max(len(sound) - len(made), 0)))[: len(sound)]


@lru_cache(maxsize=1024)
def _window(period: int) -> Array:
    return np.hanning(2 * period + 1)


def _marks(fine: Array, f0: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pitch marks in fine samples, the period at each, and whether it is voiced: peaks one period apart."""
    smooth = np.convolve(fine, np.hanning(51) / 25.0, "same")
    # One sign for all: the side on which the pulses of this voice stand.
    upright = np.percentile(smooth, 99.9) >= -np.percentile(smooth, 0.1)
    pulse = smooth if upright else -smooth
    marks: list[int] = []
    periods: list[int] = []
    voiced: list[bool] = []
    at, was_voiced, hop = 0, False, HOP * _FINE // RATE
    while at < len(fine):
        pitch = f0[min(round(at / hop), len(f0) - 1)]
        if pitch <= 0:
            marks.append(at)
            periods.append(_QUIET_PERIOD)
            voiced.append(False)
            at, was_voiced = at + _QUIET_PERIOD, False
            continue
        period = round(_FINE / pitch)
        reach = period // 5 if was_voiced else period // 2
        low, high = max(at - reach, marks[-1] + 1 if marks else 0), min(at + reach + 1, len(fine))
        if high > low:
            at = low + int(np.argmax(pulse[low:high]))
        marks.append(at)
        periods.append(period)
        voiced.append(True)
        at, was_voiced = at + period, True
    return np.array(marks), np.array(periods), np.array(voiced)

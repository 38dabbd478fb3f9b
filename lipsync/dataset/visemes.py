"""How the mouth stands while a phone is spoken: from timed phones to an opening and a width for each frame.

Written for the demo take, whose mouth is drawn from the phones of the local voice; trained avatars learn it
from sound. The targets follow the usual viseme groups (those of MPEG-4 facial animation, for instance) with simple
co-articulation: targets are smoothed over time, and lip closures cut through the smoothing because a missed closure
is seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

STEP = 0.005
"""Seconds between the points of the fine timeline on which the curves are built."""
PAUSE = 0.16
"""Seconds without a phone after which the mouth goes to rest instead of holding."""
CLOSURE = 0.065
"""Seconds a lip closure is held at least: longer than a frame of 25 a second, so that one always shows it."""

CLOSED = frozenset("pbm")
# IPA character: (opening in half mouth widths, width from -1 rounded to 1 spread)
_TARGETS: dict[str, tuple[float, float]] = {
    **dict.fromkeys("aɑɒ", (0.78, 0.05)),
    **dict.fromkeys("æ", (0.72, 0.4)),
    **dict.fromkeys("ɐʌ", (0.60, 0.1)),
    **dict.fromkeys("ɛe", (0.50, 0.45)),
    **dict.fromkeys("əɜɤɚɝ", (0.36, 0.0)),
    **dict.fromkeys("ɔ", (0.62, -0.6)),
    **dict.fromkeys("o", (0.46, -0.85)),
    **dict.fromkeys("ʊ", (0.28, -0.8)),
    **dict.fromkeys("uyɥ", (0.20, -1.0)),
    **dict.fromkeys("ɪᵻɨ", (0.28, 0.5)),
    **dict.fromkeys("i", (0.25, 0.8)),
    **dict.fromkeys("w", (0.13, -1.0)),
    **dict.fromkeys("j", (0.20, 0.6)),
    **dict.fromkeys("fv", (0.06, 0.2)),
    **dict.fromkeys("szɕʑ", (0.13, 0.5)),
    **dict.fromkeys("ʃʒʂʐ", (0.17, -0.55)),
    **dict.fromkeys("θðtdnɾ", (0.18, 0.2)),
    **dict.fromkeys("lɫ", (0.26, 0.1)),
    **dict.fromkeys("ɹrɻ", (0.20, -0.4)),
    **dict.fromkeys("kɡgŋ", (0.26, 0.0)),
    **dict.fromkeys("xχhɣ", (0.36, 0.0)),
    **dict.fromkeys("pbm", (0.0, 0.0)),
}


@dataclass(frozen=True)
class Phone:
    """A phone in IPA (stress and length marks are ignored) and when it sounds, in seconds."""

    text: str
    start: float
    end: float


def mouth_curves(
    phones: Sequence[Phone], pcm: NDArray[np.float32], rate: int, n: int, fps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Opening and width of the mouth for each frame of a sound.

    Args:
        phones: In order of time.
        pcm: The sound, float32 (samples,), used for how loud each moment is.
        rate: Samples a second.
        n: Frames wanted; frame k shows the middle of [k / fps, (k + 1) / fps).
        fps: Frames a second.

    Returns:
        opening float32 (n,), 0 closed to about 0.8 half mouth widths, and spread float32 (n,), -1 to 1.
    """
    steps = int(np.ceil(n / fps / STEP)) + 1
    time = (np.arange(steps) * STEP).astype(np.float64)
    opening, spread, closed = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    before = 0.0
    for phone in phones:
        symbols = [character for character in phone.text if character in _TARGETS]
        if not symbols:
            continue
        start = phone.start
        if 0 < start - before < PAUSE and before > 0:
            span = slice(int(before / STEP), int(start / STEP))
            opening[span], spread[span] = opening[span.start - 1], spread[span.start - 1]
        edges = np.linspace(start, phone.end, len(symbols) + 1)
        for symbol, low, high in zip(symbols, edges[:-1], edges[1:], strict=True):
            span = slice(int(low / STEP), max(int(high / STEP), int(low / STEP) + 1))
            opening[span], spread[span] = _TARGETS[symbol]
            if symbol in CLOSED:
                middle, half = (low + high) / 2, max(high - low, CLOSURE) / 2
                closed[(time > middle - half) & (time < middle + half)] = 1.0
        before = phone.end
    opening = gaussian_filter1d(opening, 0.030 / STEP) * (0.75 + 0.4 * _loudness(pcm, rate, time))
    opening *= 1 - np.clip(gaussian_filter1d(closed, 0.010 / STEP) * 1.15, 0, 1)
    spread = gaussian_filter1d(spread, 0.045 / STEP)
    middles = (np.arange(n) + 0.5) / fps
    return (
        np.interp(middles, time, opening).astype(np.float32),
        np.interp(middles, time, spread).astype(np.float32),
    )


def _loudness(pcm: NDArray[np.float32], rate: int, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loudness at each time over 40 ms, 0 to 1 of the loud parts of the same sound."""
    window = int(0.04 * rate)
    power = np.convolve(pcm.astype(np.float64) ** 2, np.ones(window) / window, "same")
    level = np.sqrt(np.maximum(power, 0))
    loud = float(np.percentile(level[level > 1e-3], 90)) if np.any(level > 1e-3) else 1.0
    return np.clip(np.interp(time, np.arange(pcm.size) / rate, level) / loud, 0, 1)

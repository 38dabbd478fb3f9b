"""How well a mouth and a sound belong together, with nothing downloaded.

A listener learns from a person's own recording how far the mouth is open when it sounds like this: a ridge regression
from 0.5 s of log-mel spectrum to the lips' opening. Given another sound and the openings a tracker found in the
pictures, its answer is slid along them. Where it fits best is the offset, how well it fits there is the confidence; the
score is that confidence, less the further off it lies. So it falls with every further shift of the sound, though speech
repeats itself from syllable to syllable and a plain correlation rises again a syllable later.

The idea of an offset and a confidence is SyncNet's (Chung and Zisserman, 2016); the measure is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync.audio.mel import log_mel
from lipsync.engine import FPS, HOP
from lipsync.errors import InvalidInputError

F64 = NDArray[np.float64]

_PER_PICTURE = 4
_AROUND = 6
"""Pictures of sound heard before and after the one told of (0.24 s)."""
_SEARCH = 15
"""Pictures to each side in which the best fit is looked for (0.6 s)."""
_DECAY_MS = 250.0
"""The offset at which a score has fallen to 37 % of its confidence."""
_RIDGE = 30.0
_LEAST = 50
_FRAME_MS = 1000.0 / FPS


@dataclass(frozen=True)
class Sync:
    """How a sound fits openings.

    Attributes:
        score: 0 (nothing fits, or far off) to 1; a real recording reaches 0.5 to 0.9.
        offset_ms: Where it fits best; positive where the pictures come later than their sound.
        confidence: Correlation there, 0 to 1.
    """

    score: float
    offset_ms: float
    confidence: float


class Listener:
    """What a person's mouth does when it sounds like this, as one number: how far the lips are open."""

    def __init__(self, matrix: F64, mean: F64, scale: F64) -> None:
        self._matrix, self._mean, self._scale = matrix, mean, scale

    @classmethod
    def fit(cls, sound: NDArray[np.float32], opening: NDArray[np.floating]) -> Listener:
        """Learn from a recording.

        Args:
            sound: float32 mono, 16 kHz, 640 samples to a picture.
            opening: (n,) opening of the lips, any unit.

        Raises:
            InvalidInputError: Fewer than two seconds, or a mouth that never moves.
        """
        opening = np.asarray(opening, np.float64)
        if len(opening) < _LEAST or opening.std() < 1e-9:
            raise InvalidInputError("There is too little speech to learn how this mouth moves.", "Record more speech.")
        heard = _windows(sound, len(opening))
        mean, scale = heard.mean(0), heard.std(0) + 1e-6
        x = (heard - mean) / scale
        wanted = (opening - opening.mean()) / opening.std()
        gram = x.T @ x + _RIDGE * len(x) / 100 * np.eye(x.shape[1])
        return cls(np.linalg.solve(gram, x.T @ wanted), mean, scale)

    def hear(self, sound: NDArray[np.float32], count: int) -> F64:
        """The openings (count,) that belong to a sound, in standard deviations."""
        return np.asarray((_windows(sound, count) - self._mean) / self._scale @ self._matrix)

    def score(self, sound: NDArray[np.float32], opening: NDArray[np.floating]) -> Sync:
        """Say how well openings seen (n,) fit a sound of as many pictures (n * 640 samples)."""
        seen = np.asarray(opening, np.float64)
        if len(seen) < _LEAST:
            raise InvalidInputError("There are too few pictures to judge.", "Show at least two seconds.")
        heard = self.hear(sound, len(seen))
        # Slow drifts (a head that turns, a voice that warms up) are no articulation.
        heard, seen = (v - gaussian_filter1d(v, FPS, mode="nearest") for v in (heard, seen))
        reach = min(_SEARCH, len(seen) // 3)
        values = np.array([_at(heard, seen, lag) for lag in range(-reach, reach + 1)])
        best = int(np.argmax(values))
        confidence, lag = float(values[best]), float(best - reach)
        if 0 < best < len(values) - 1:
            left, middle, right = values[best - 1 : best + 2]
            bend = left - 2 * middle + right
            if bend < 0:
                lag += float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
        offset = lag * _FRAME_MS
        confidence = max(0.0, confidence)
        return Sync(confidence * float(np.exp(-abs(offset) / _DECAY_MS)), offset, confidence)


def _windows(sound: NDArray[np.float32], count: int) -> F64:
    """Log-mel (count, (2 * around + 1) * 40) round each picture, the mean of its four frames of 10 ms."""
    pcm = np.asarray(sound, np.float32)[: count * HOP]
    mel = log_mel(np.pad(pcm, (0, count * HOP - len(pcm)))).astype(np.float64)
    pictures = mel[: count * _PER_PICTURE].reshape(count, _PER_PICTURE, -1).mean(1)
    padded = np.pad(pictures, ((_AROUND, _AROUND), (0, 0)), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1, axis=0)
    return np.ascontiguousarray(view.transpose(0, 2, 1)).reshape(count, -1)


def _at(heard: F64, seen: F64, lag: int) -> float:
    """Correlation with the pictures taken ``lag`` later than the sound."""
    a = heard[max(-lag, 0) : len(heard) - max(lag, 0)]
    b = seen[max(lag, 0) : len(seen) + min(lag, 0)]
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else 0.0

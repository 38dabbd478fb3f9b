"""How loud speech must be to be meant for the avatar: above the room's noise, and not far below who speaks into it.

A detector of speech hears a television in the next room too. Levels are root mean squares of 32 ms in dB of full scale.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

LOWEST = -62.0
"""Below this nothing counts: a whisper half a metre from an ordinary microphone is louder."""
OVER_NOISE = 6.0
"""Speech must stand this far above the noise of its room."""
UNDER_NEAR = 24.0
"""It may be this much quieter than who spoke before: sixteen times the distance in a free field."""
_FORGET_DB_S = 0.5
"""How fast who spoke before is forgotten: a quieter person, or one who sat back, is heard after a while."""
_WINDOW_S = 0.032
_NOISE = round(3.0 / _WINDOW_S)
_LATEST = 4
"""Windows of which the loudest is judged: a quiet consonant belongs to the vowel beside it."""
_LEAST = 10
"""Windows of speech from which its level is believed."""


class SpeechLevel:
    """Judges one microphone's windows. For one thread."""

    def __init__(self) -> None:
        self._noise: deque[float] = deque(maxlen=_NOISE)
        self._latest: deque[float] = deque(maxlen=_LATEST)
        self._spoken: list[float] = []
        self._near: float | None = None

    @property
    def floor(self) -> float:
        """Level below which speech is not meant."""
        noise = float(np.percentile(self._noise, 20)) + OVER_NOISE if len(self._noise) >= _LEAST else LOWEST
        return max(LOWEST, noise, LOWEST if self._near is None else self._near - UNDER_NEAR)

    def push(self, pcm: NDArray[np.float32], voiced: bool, speaking: bool) -> bool:
        """Take the next window.

        Args:
            pcm: float32 (512,) in -1..1.
            voiced: The detector takes it for speech.
            speaking: Somebody's speech was believed and has not ended.

        Returns:
            Whether it is loud enough to begin with.
        """
        level = 10 * float(np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))
        self._latest.append(level)
        if self._near is not None and not speaking:
            self._near -= _FORGET_DB_S * _WINDOW_S
        if speaking:
            self._spoken.append(level)
        elif not voiced:
            self._noise.append(level)
        return max(self._latest) >= self.floor

    def ended(self) -> None:
        """Speech is over: it was near, for it was believed."""
        if len(self._spoken) >= _LEAST:
            self._near = float(np.percentile(self._spoken, 80))
        self._spoken.clear()

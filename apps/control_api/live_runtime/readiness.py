"""Whether a recogniser is worth asking: after failures it is left alone for a while, and told of once."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_S = 60.0
_FIRST_S = 2.0


class Readiness:
    """What a recogniser's last answers were. Waits 2, 4, 8 ... 60 s between attempts; a slip alone costs no wait.

    Args:
        clock: Seconds, steady.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._again = 0.0

    @property
    def waits(self) -> bool:
        """Whether it is not to be asked yet."""
        return self._clock() < self._again

    def failed(self, may_retry: bool) -> bool:
        """It failed; ``may_retry``: the next utterance may well succeed. True where that is news to tell."""
        self._failures += 1
        waits = self._failures - (1 if may_retry else 0)
        if waits:
            self._again = self._clock() + min(LONGEST_S, _FIRST_S * 2.0 ** min(waits - 1, 10))
        return self._failures == 1

    def answered(self) -> None:
        """It works."""
        self._failures, self._again = 0, 0.0

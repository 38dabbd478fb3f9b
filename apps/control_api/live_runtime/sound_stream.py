"""Ready sound that drives the mouth while it still comes: one turn, fed piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import Frame, PcmFrame, TextEndFrame


class SoundStream:
    """One turn's sound. ``put`` waits while two seconds are ahead of what is heard, so a sender cannot fill the memory.

    Args:
        turn: Its turn, already begun.
        rate: Samples a second of everything put in.
        put: Takes frames; waits while the stages are busy.
        cancel: Set when the turn was interrupted.
    """

    def __init__(self, turn: int, rate: int, put: Callable[[Frame], Awaitable[None]], cancel: asyncio.Event) -> None:
        self.turn, self._rate, self._put, self._cancel = turn, rate, put, cancel
        self._ended = False

    async def put(self, pcm: NDArray[np.float32]) -> bool:
        """Add float32 mono in -1..1; False where the turn was interrupted meanwhile."""
        if self._cancel.is_set() or self._ended:
            return False
        if pcm.size:
            await self._put(PcmFrame(self.turn, np.ascontiguousarray(pcm, np.float32), self._rate))
        return not self._cancel.is_set()

    async def end(self) -> None:
        """There is no more. Safe to call twice."""
        if not self._ended:
            self._ended = True
            if not self._cancel.is_set():
                await self._put(TextEndFrame(self.turn))

"""Ready sound that drives the mouth while it still comes: one turn, fed piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import Frame, PcmFrame, TextEndFrame

AHEAD = 8
"""Pieces kept while the turn waits or the stages are busy; a sender waits beyond that."""


class SoundStream:
    """One turn's sound. ``put`` waits while much is ahead of what is heard, so a sender cannot fill the memory.

    Args:
        turn: Its turn, already begun.
        rate: Samples a second of everything put in.
        put: Takes frames; waits while the stages are busy.
        cancel: Set when the turn was interrupted.
    """

    def __init__(self, turn: int, rate: int, put: Callable[[Frame], Awaitable[None]], cancel: asyncio.Event) -> None:
        self.turn, self._rate, self._put, self._cancel = turn, rate, put, cancel
        self._pieces: asyncio.Queue[Frame] = asyncio.Queue(AHEAD)
        self._ended = False

    async def feed(self) -> None:
        """Hand everything on, to the end; run when the turn's time has come."""
        while True:
            frame = await self._pieces.get()
            await self._put(frame)
            if isinstance(frame, TextEndFrame):
                return

    async def put(self, pcm: NDArray[np.float32]) -> bool:
        """Add float32 mono in -1..1; False where the turn was interrupted meanwhile."""
        if self._cancel.is_set() or self._ended:
            return False
        if pcm.size:
            await self._keep(PcmFrame(self.turn, np.ascontiguousarray(pcm, np.float32), self._rate))
        return not self._cancel.is_set()

    async def end(self) -> None:
        """There is no more. Safe to call twice."""
        if not self._ended:
            self._ended = True
            if not self._cancel.is_set():
                await self._keep(TextEndFrame(self.turn))

    async def _keep(self, frame: Frame) -> None:
        try:
            self._pieces.put_nowait(frame)
        except asyncio.QueueFull:
            # Nobody takes the pieces of a turn that was interrupted.
            keeping = asyncio.ensure_future(self._pieces.put(frame))
            cut = asyncio.ensure_future(self._cancel.wait())
            try:
                await asyncio.wait({keeping, cut}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                keeping.cancel()
                cut.cancel()

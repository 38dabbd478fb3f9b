"""Which turn is made next: the most urgent of those that wait, and of equally urgent ones the oldest.

Turns are made one after the other: the next is taken up when the last sound of the one before has been driven, two
seconds before that is heard at most, so there is no pause between them. What comes meanwhile and is more urgent goes
before whatever still waits; words that are being made already are never torn apart.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

Feed = Callable[[], Awaitable[None]]
URGENT, NORMAL = 0, 1
"""The smaller, the sooner."""


class Agenda:
    """The turns of one session that wait to be made."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Feed]] = []
        self._asked = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._turn = 0
        self._made = asyncio.Event()

    def add(self, turn: int, feed: Feed, urgency: int = NORMAL) -> None:
        """Have a turn made when its time comes.

        Args:
            turn: Its number.
            feed: Puts all its frames into the first stage.
            urgency: The smaller, the sooner.
        """
        heapq.heappush(self._waiting, (urgency, turn, feed))
        self._asked.set()

    def made(self, turn: int) -> None:
        """Note that the last of a turn has been driven."""
        if turn == self._turn:
            self._made.set()

    def cut(self) -> None:
        """Drop every turn, the one that is being made too."""
        self._waiting.clear()
        if self._work is not None:
            self._work.cancel()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                while self._waiting:
                    _, self._turn, feed = heapq.heappop(self._waiting)
                    self._made.clear()
                    self._work = asyncio.create_task(self._make(feed), name="live-agenda-turn")
                    await asyncio.wait({self._work})
                    if not self._work.cancelled():
                        self._work.result()
                    self._work = None
        finally:
            if self._work is not None:
                self._work.cancel()
                await asyncio.wait({self._work})

    async def _make(self, feed: Feed) -> None:
        await feed()
        await self._made.wait()

"""A stage is a function of frames; a runner gives it a bounded inbox, one task, and an end to wait for."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import ClassVar

from apps.control_api.live_runtime.frames import Frame
from apps.control_api.live_runtime.turns import Turns

Put = Callable[[Frame], Awaitable[None]]
OnError = Callable[[str, int, Exception], None]


class Stage(ABC):
    """Turns one frame into any number of frames."""

    name: ClassVar[str]

    @abstractmethod
    def handle(self, frame: Frame) -> AsyncGenerator[Frame, None]:
        """Yield what ``frame`` becomes. Frames the stage does not know pass through."""

    def ending(self, turn: int) -> Frame | None:
        """What the next stage must still get when this one fails in a turn, so that the turn can end."""
        return None

    async def close(self) -> None:  # noqa: B027  (optional)
        """Free what the stage holds. Safe to call twice."""


class StageRunner:
    """Runs one stage.

    A frame's work is a task of its own, so that an interrupt ends it at once wherever it waits. An error ends the
    stage's part in that turn only: it is reported, the stage's ``ending`` goes on, and later turns are served.

    Args:
        stage: What to run.
        turns: The session's turns.
        put: Takes what the stage yields; waits while the next inbox is full.
        on_error: Told (stage name, turn, error).
        size: Frames the inbox holds.
    """

    def __init__(self, stage: Stage, turns: Turns, put: Put, on_error: OnError, size: int = 8) -> None:
        self.stage = stage
        self._turns, self._put, self._on_error = turns, put, on_error
        self._inbox: asyncio.Queue[Frame] = asyncio.Queue(size)
        self._work: asyncio.Task[None] | None = None
        self._work_turn = 0
        self._failed_turn = 0

    async def put(self, frame: Frame) -> None:
        """Hand a frame in; waits while the inbox is full."""
        await self._inbox.put(frame)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                frame = await self._inbox.get()
                if self._turns.stale(frame.turn) or frame.turn == self._failed_turn:
                    continue
                self._work_turn = frame.turn
                self._work = asyncio.create_task(self._one(frame), name=f"live-{self.stage.name}-work")
                await asyncio.wait({self._work})
                if not self._work.cancelled():
                    self._work.result()
                self._work = None
        finally:
            if self._work is not None:
                # Cancelled twice, what is being tidied up after the first time would be left half done.
                if not self._work.cancelling():
                    self._work.cancel()
                await asyncio.wait({self._work})
            await self.stage.close()

    def cut(self) -> None:
        """End the work at hand where its turn no longer counts."""
        if self._work is not None and self._turns.stale(self._work_turn):
            self._work.cancel()

    async def _one(self, frame: Frame) -> None:
        try:
            async with aclosing(self.stage.handle(frame)) as made:
                async for out in made:
                    if self._turns.stale(out.turn):
                        return
                    self._turns.passed(out.turn, self.stage.name)
                    await self._put(out)
        except Exception as error:
            self._failed_turn = frame.turn
            self._on_error(self.stage.name, frame.turn, error)
            last = self.stage.ending(frame.turn)
            if last is not None:
                await self._put(last)

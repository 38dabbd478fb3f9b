"""Time that is only counted: an event loop that never waits, a clock that oversleeps, an engine that takes its time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np

from apps.control_api.live_runtime.walk import Step


class CountedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of passing."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()
        inner = self._selector.select

        def select(timeout: float | None = None) -> Any:
            if timeout is None:
                raise AssertionError("the simulation waits for something that never comes")
            self._now += max(0.0, timeout)
            return inner(0)

        self._selector.select = select

    def time(self) -> float:
        return self._now


def simulate(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in counted time."""
    loop = CountedLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Oversleeper:
    """A timer of a busy machine: every wait takes up to 4 ms longer, one in 20,000 by up to a second."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.standstills: list[float] = []
        self._chance = random.Random(seed)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        extra = self._chance.random()
        standstill = extra < 1 / 20_000
        late = extra * 20_000 % 1.0 if standstill else extra * 0.004
        if standstill:
            self.standstills.append(late)
        self.now += seconds + late


class SlowLook:
    """As much of a look as the painter needs: pictures of their pose, each batch after ``cost(count)`` seconds."""

    def __init__(self, cost: Callable[[int], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._cost, self._sleep = cost, sleep
        self.engine = self
        self.capabilities = self
        self.default_batch = 4
        self.drawn = 0

    async def draw(self, wanted: list[Any]) -> list[Any]:
        await self._sleep(self._cost(len(wanted)))
        self.drawn += len(wanted)
        return [np.full((3, 2), (w.drive if w.drive is not None else -1) % 251, np.uint8) for w in wanted]


class StraightWalk:
    """A walk that stays with one look."""

    def __init__(self, look: SlowLook) -> None:
        self.look = look

    def at(self, pose: int) -> Step:
        return Step(self.look, ((self.look, pose),))

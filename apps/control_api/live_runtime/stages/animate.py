"""Sound to drives: pairs every 40 ms of what people hear with what the mouth does meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import (
    FRAME_SAMPLES,
    DrivenFrame,
    Frame,
    SoundEndFrame,
    SoundFrame,
    TurnEndFrame,
)
from apps.control_api.live_runtime.stage import Stage
from lipsync.engine import HOP, Engine

TAIL = 3
"""Frames of silence after a turn, in which the engine closes the mouth and the picture goes over to rest."""
_TAIL_WEIGHTS = (0.75, 0.5, 0.25)
Work = Callable[..., Awaitable[Any]]


class AnimateStage(Stage):
    """SoundFrame..., SoundEndFrame -> DrivenFrame..., TurnEndFrame.

    Args:
        engine: Drives the mouth.
        work: Runs a blocking call in that engine's driving thread, one at a time.
    """

    name: ClassVar[str] = "animate"

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine, self._stream, self._work = engine, engine.open_stream(), work
        self._next: tuple[Engine, Work, int] | None = None
        self._turn = 0
        self._used = False
        self._heard = _Blocks()
        self._drives: deque[tuple[Any, Engine]] = deque()
        self._skip = 0
        self._pushed = 0

    @property
    def engine(self) -> Engine:
        """Who drives the sound that comes next."""
        return self._engine if self._next is None else self._next[0]

    def change(self, engine: Engine, work: Work, voice: int = 0) -> None:
        """Let another engine drive from the next piece of sound on; no sound is lost or driven twice.

        Args:
            engine: The other one.
            work: As for ``AnimateStage``, of the other engine.
            voice: The first voice it drives; sound of those before is still the old engine's.
        """
        self._next = (engine, work, voice)

    async def handle(self, frame: Frame) -> AsyncGenerator[Frame, None]:
        """Drive."""
        if frame.turn != self._turn:
            await self._begin(frame.turn)
        if isinstance(frame, SoundFrame):
            if self._next is not None and frame.voice >= self._next[2]:
                await self._switch(*self._next[:2])
            self._heard.push(frame.heard)
            await self._push(frame.driving)
            for out in self._pairs():
                yield out
        elif isinstance(frame, SoundEndFrame):
            if self._used:
                async for closing in self._end():
                    yield closing
            yield TurnEndFrame(frame.turn)
        else:
            yield frame

    def ending(self, turn: int) -> Frame:
        """End a turn whose mouth cannot be driven."""
        return TurnEndFrame(turn)

    async def _begin(self, turn: int) -> None:
        self._turn = turn
        if self._used:
            await self._work(self._stream.reset)
        self._used = False
        self._heard = _Blocks()
        self._drives.clear()
        self._pushed = self._skip = 0

    async def _switch(self, engine: Engine, work: Work) -> None:
        """The old engine drives the frames it has begun; the new one begins with the first it can have whole."""
        self._next = None
        if self._used:
            self._keep(await self._work(self._stream.flush))
            self._skip = -self._pushed % HOP
        self._engine, self._stream, self._work = engine, engine.open_stream(), work

    async def _push(self, pcm: NDArray[np.float32]) -> None:
        if pcm.size:
            self._used = True
            self._pushed += len(pcm)
            skipped, self._skip = min(self._skip, len(pcm)), max(0, self._skip - len(pcm))
            if skipped < len(pcm):
                self._keep(await self._work(self._stream.push, pcm[skipped:]))

    def _keep(self, drives: list[Any]) -> None:
        self._drives.extend((drive, self._engine) for drive in drives)

    async def _end(self) -> AsyncGenerator[Frame, None]:
        # The two resamplers may end a sample apart: both are filled up to the same whole frame, then comes the tail.
        frames = max(-(-self._heard.total // FRAME_SAMPLES), -(-self._pushed // HOP))
        self._heard.push(np.zeros((frames + TAIL) * FRAME_SAMPLES - self._heard.total, np.float32))
        await self._push(np.zeros((frames + TAIL) * HOP - self._pushed, np.float32))
        self._keep(await self._work(self._stream.flush))
        self._used = False
        left = self._pairs()
        for k, made in enumerate(left):
            place = k - (len(left) - TAIL)
            yield made if place < 0 else replace(made, weight=_TAIL_WEIGHTS[place])

    def _pairs(self) -> list[DrivenFrame]:
        made = []
        while self._drives and self._heard.ready:
            drive, engine = self._drives.popleft()
            made.append(DrivenFrame(self._turn, self._heard.take(), drive, engine=engine))
        return made


class _Blocks:
    """Sound cut into frames of int16."""

    def __init__(self) -> None:
        self.total = 0
        self._parts: list[NDArray[np.int16]] = []
        self._held = 0

    def push(self, pcm: NDArray[np.float32]) -> None:
        if pcm.size:
            self._parts.append((np.clip(pcm, -1.0, 1.0) * 32767.0).astype(np.int16))
            self._held += len(pcm)
            self.total += len(pcm)

    @property
    def ready(self) -> bool:
        return self._held >= FRAME_SAMPLES

    def take(self) -> NDArray[np.int16]:
        joined = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        self._parts = [joined[FRAME_SAMPLES:]]
        self._held -= FRAME_SAMPLES
        return joined[:FRAME_SAMPLES]

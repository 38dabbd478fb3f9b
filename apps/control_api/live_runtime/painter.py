"""Draws a session's pictures just ahead of the clock: speech as it comes, else the idle cycle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from apps.control_api.live_runtime.host import EngineHost
from apps.control_api.live_runtime.pictures import Mouth, compose
from apps.control_api.live_runtime.playout import Entry, Playout
from lipsync.compositor import Compositor

FIRST_BATCH = 2
LARGEST_BATCH = 6
PATIENCE = 25
"""Drawings that may fail in a row before the session is given up."""
FORGET_S = 5.0


class Painter:
    """The stage between the playout buffer and the engine.

    Args:
        host: Draws mouths and runs the composing.
        compositor: Draws whole pictures of this session.
        playout: Says what is wanted and takes what is drawn.
        on_painted: Told the turn of each drawn speech frame.
        on_error: Told when a drawing fails; the last picture is held and sound goes on.
        on_broken: Told when drawings keep failing.
    """

    def __init__(
        self,
        host: EngineHost,
        compositor: Compositor,
        playout: Playout,
        *,
        on_painted: Callable[[int], Any],
        on_error: Callable[[str, int, Exception], None],
        on_broken: Callable[[Exception], None],
    ) -> None:
        self.host, self.compositor = host, compositor
        self._playout = playout
        self._on_painted, self._on_error, self._on_broken = on_painted, on_error, on_broken
        self.paint_ms = 8.0
        self._batch = FIRST_BATCH
        # Where the engine gains nothing from batches they stay small, so that an interrupt never waits for one.
        self._largest = max(FIRST_BATCH, min(host.engine.capabilities.default_batch, LARGEST_BATCH))
        self._failures = 0
        self._failed_at = 0.0

    async def run(self) -> None:
        """Serve until cancelled."""
        playout = self._playout
        while True:
            await playout.work.wait()
            playout.work.clear()
            while playout.watched:
                entries = playout.take_speech(self._batch, self._batch * self.paint_ms / 1000)
                pose = None if entries else playout.take_idle()
                if not entries and pose is None:
                    if not playout.speaking and not playout.buffered:
                        self._batch = FIRST_BATCH
                    break
                await self._draw(entries, pose)

    async def _draw(self, entries: list[Entry], pose: int | None) -> None:
        started = time.monotonic()
        try:
            if entries:
                await self._speech(entries)
                self._failures = 0
                self._batch = min(self._batch + 1, self._largest)
            elif pose is not None:
                await self._idle(pose)
        except Exception as error:
            # A resting mouth may come from the cache, so it proves nothing; speech drawn, or quiet for a while, does.
            self._failures = self._failures + 1 if started - self._failed_at < FORGET_S else 1
            self._failed_at = started
            if self._failures == 1:
                self._on_error("paint", entries[0].turn if entries else 0, error)
            if self._failures >= PATIENCE:
                self._on_broken(error)
                raise
            for entry in entries:
                self._playout.draw_done(entry, None)
            await asyncio.sleep(0.02)
            return
        if entries:
            self.paint_ms += 0.2 * ((time.monotonic() - started) * 1000 / len(entries) - self.paint_ms)

    async def _speech(self, entries: list[Entry]) -> None:
        cycle = self.host.engine.base.cycle
        jobs = [(entry, cycle(entry.pose)) for entry in entries]
        patches = await self.host.draw([(index, _drive(entry)) for entry, index in jobs])
        rests = [await self.host.rest(index) if entry.weight < 1 else None for entry, index in jobs]
        pictures = await self.host.compose(
            compose,
            self.compositor,
            [
                Mouth(index, patch, rest, entry.weight)
                for (entry, index), patch, rest in zip(jobs, patches, rests, strict=True)
            ],
        )
        for entry, picture in zip(entries, pictures, strict=True):
            self._playout.draw_done(entry, picture)
            self._on_painted(entry.turn)

    async def _idle(self, pose: int) -> None:
        index = self.host.engine.base.cycle(pose)
        rest = await self.host.rest(index)
        picture = (await self.host.compose(compose, self.compositor, [Mouth(index, rest)]))[0]
        self._playout.idle_done(pose, picture)


def _drive(entry: Entry) -> Any:
    return entry.frame.drive if entry.frame is not None else None

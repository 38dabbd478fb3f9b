"""Draws a session's pictures just ahead of the clock: speech as it comes, else the idle cycle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from apps.control_api.live_runtime.look import Look, Wanted
from apps.control_api.live_runtime.pictures import Picture
from apps.control_api.live_runtime.playout import Entry, Playout
from apps.control_api.live_runtime.walk import Step, Walk
from apps.control_api.live_runtime.watchdog import EngineHungError, EngineSlowError

FIRST_BATCH = 2
LARGEST_BATCH = 6
PATIENCE = 25
"""Drawings that may fail in a row before the session is given up."""
FORGET_S = 5.0
IMPATIENT_S = 2.0
"""A look that is ready waits this long for speech that is still being thought up; then it comes in a pause."""


class Cue(Protocol):
    """An action that waits for its moment."""

    def due(self, turn: int, speaking: bool) -> bool:
        """Whether it may begin with the next picture, one of ``turn`` (0: idle)."""

    def begin(self, walk: Walk, pose: int) -> None:
        """Cut it into the walk from a pose on that is not yet drawn."""


class Painter:
    """The stage between the playout buffer and the engine.

    Args:
        walk: Says which frames are shown.
        playout: Says what is wanted and takes what is drawn.
        quiet: Whether nothing is being said or waits to be.
        on_painted: Told the turn of each drawn speech frame.
        on_error: Told when a drawing fails; the last picture is held and sound goes on.
        on_broken: Told when drawings keep failing, or one does not come back.
        slow_after_s: A drawing that takes longer is told as an error, once until the next that does not.
    """

    def __init__(
        self,
        walk: Walk,
        playout: Playout,
        *,
        quiet: Callable[[], bool],
        on_painted: Callable[[int], Any],
        on_error: Callable[[str, int, Exception], None],
        on_broken: Callable[[Exception], None],
        slow_after_s: float = 3.0,
    ) -> None:
        self.walk, self._slow_after_s, self._slow = walk, slow_after_s, False
        self.cues: list[Cue] = []
        self._playout, self._quiet = playout, quiet
        self._on_painted, self._on_error, self._on_broken = on_painted, on_error, on_broken
        self.paint_ms = 8.0
        self._batch = FIRST_BATCH
        self._next: Look | None = None
        self._impatient_at = 0.0
        self._changed = asyncio.Event()
        self._failures = 0
        self._failed_at = 0.0

    async def change(self, look: Look) -> None:
        """Show another look as soon as what is said with the present one has been shown; returns when it is planned.

        Speech drawn with the new look's engine begins it; in quiet it begins with the next picture.
        """
        self._next = look
        self._impatient_at = asyncio.get_running_loop().time() + IMPATIENT_S
        self._changed.clear()
        self._playout.work.set()
        while self._next is look:
            if not self._playout.watched and not self._playout.buffered:
                self._begin(look, self._playout.pose + 1)
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.1)

    def abandon(self) -> Look | None:
        """Give up a change that has not happened; the look it was for."""
        look, self._next = self._next, None
        self._changed.set()
        return look

    async def run(self) -> None:
        """Serve until cancelled."""
        playout = self._playout
        while True:
            await playout.work.wait()
            playout.work.clear()
            while playout.watched:
                entries = playout.take_speech(self._batch, self.paint_ms / 1000)
                pose = None if entries else playout.take_idle()
                if not entries and pose is None:
                    if not playout.speaking and not playout.buffered:
                        self._batch = FIRST_BATCH
                    break
                await self._draw(entries, pose)

    async def _draw(self, entries: list[Entry], pose: int | None) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        timer = loop.call_later(self._slow_after_s, self._tell_slow)
        try:
            if entries:
                await self._speech(entries)
                self._failures = 0
                self._batch = min(self._batch + 1, self._largest())
            elif pose is not None:
                await self._idle(pose)
            self._slow = self._slow and loop.time() - started > self._slow_after_s
        except EngineHungError as error:
            self._on_broken(error)
            raise
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
        finally:
            timer.cancel()
        if entries:
            took = (loop.time() - started) * 1000 / len(entries)
            # Slower is believed sooner than faster: what is promised too early is not seen at all.
            self.paint_ms += (0.5 if took > self.paint_ms else 0.2) * (took - self.paint_ms)

    def _tell_slow(self) -> None:
        if not self._slow:
            self._slow = True
            message = f"The engine has been at a few pictures for {self._slow_after_s:g} s; the picture stands still."
            self._on_error("paint", 0, EngineSlowError(message, "Close other programs, or choose a lighter engine."))

    def _largest(self) -> int:
        """Where the engine gains nothing from batches they stay small, so that an interrupt never waits for one."""
        return max(FIRST_BATCH, min(self.walk.look.engine.capabilities.default_batch, LARGEST_BATCH))

    async def _speech(self, entries: list[Entry]) -> None:
        steps = [self._step(entry.pose, entry) for entry in entries]
        pictures = await self._pictures(
            [
                Wanted(s.shots, s.share, _drive(e), e.frame.engine if e.frame else None, e.weight, s.filmed)
                for s, e in zip(steps, entries, strict=True)
            ],
            steps,
        )
        for entry, step, picture in zip(entries, steps, pictures, strict=True):
            self._playout.draw_done(entry, picture, id(step.look))
            self._on_painted(entry.turn)

    async def _idle(self, pose: int) -> None:
        step = self._step(pose, None)
        picture = (await self._pictures([Wanted(step.shots, step.share, filmed=step.filmed)], [step]))[0]
        self._playout.idle_done(pose, picture, id(step.look))

    def _step(self, pose: int, entry: Entry | None) -> Step:
        """What a pose shows, once what was to begin there has begun."""
        look = self._next
        if look is not None:
            engine = entry.frame.engine if entry is not None and entry.frame is not None else None
            idle = entry is None and not self._playout.speaking
            if engine is look.engine or (
                idle and (self._quiet() or asyncio.get_running_loop().time() > self._impatient_at)
            ):
                self._begin(look, pose)
        for cue in list(self.cues):
            if cue.due(entry.turn if entry is not None else 0, self._playout.speaking):
                self.cues.remove(cue)
                cue.begin(self.walk, pose)
        return self.walk.at(pose)

    def _begin(self, look: Look, pose: int) -> None:
        self.walk.change(look, pose)
        self._next = None
        self._changed.set()

    async def _pictures(self, wanted: list[Wanted], steps: list[Step]) -> list[Picture]:
        made: list[Picture] = []
        while len(made) < len(wanted):
            first = len(made)
            last = next((k for k in range(first, len(steps)) if steps[k].look is not steps[first].look), len(steps))
            made += await steps[first].look.draw(wanted[first:last])
        return made


def _drive(entry: Entry) -> Any:
    return entry.frame.drive if entry.frame is not None else None

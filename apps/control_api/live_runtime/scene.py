"""What a session shows, and how that changes while it runs: looks are swapped, actions are played."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from apps.control_api.live_runtime.actions import MAX_CUES, ActionBook, ActionCue, ActionSpec
from apps.control_api.live_runtime.look import Look
from apps.control_api.live_runtime.painter import Painter
from apps.control_api.live_runtime.playout import Playout
from apps.control_api.live_runtime.walk import SHORTEST, Walk
from lipsync.errors import BundleError, TooManyError

_LOG = logging.getLogger(__name__)


class Scene:
    """The walk through one session's looks and clips, and the painter that follows it.

    Args:
        look: What it begins with; the scene closes it.
        actions: What its avatar can do.
        playout: The session's buffer.
        quiet: Whether nothing is being said or waits to be.
        on_painted, on_error, on_broken, slow_after_s: As the ``Painter``'s.
        on_action: Told the name of an action that begins.
        on_action_failed: Told why one that a keyword asked for cannot be shown.
    """

    def __init__(
        self,
        look: Look,
        actions: Sequence[ActionSpec],
        playout: Playout,
        *,
        quiet: Callable[[], bool],
        on_painted: Callable[[int], Any],
        on_error: Callable[[str, int, Exception], None],
        on_broken: Callable[[Exception], None],
        on_action: Callable[[str], None],
        on_action_failed: Callable[[Exception], None],
        slow_after_s: float = 3.0,
    ) -> None:
        self.walk = Walk(look)
        self.painter = Painter(
            self.walk, playout, quiet=quiet, on_painted=on_painted, on_error=on_error, on_broken=on_broken,
            slow_after_s=slow_after_s,
        )  # fmt: skip
        self.book = ActionBook(actions)
        self._playout, self._on_action, self._on_action_failed = playout, on_action, on_action_failed
        self._acting: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def look(self) -> Look:
        """The look shown now, or planned to be."""
        return self.walk.look

    async def change(self, look: Look, actions: Sequence[ActionSpec]) -> None:
        """Show another look; returns when it is in the walk. The old one is given back once it has passed."""
        self.painter.cues.clear()
        self.book = ActionBook(actions)
        await self.painter.change(look)

    async def act(self, spec: ActionSpec, turn: int | None = None) -> None:
        """Play an action: with a turn's first pictures, or as soon as may be.

        Raises:
            BundleError: Its clip is damaged.
            TooManyError: Several wait already.
        """
        if len(self.painter.cues) >= MAX_CUES:
            raise TooManyError(f"{MAX_CUES} actions wait already.", "Wait until they are over.")
        look = self.look
        clip = await look.host.clip(spec.folder)
        if clip.base.n < SHORTEST or (clip.base.width, clip.base.height) != look.own_size:
            raise BundleError(f"The clip of {spec.name!r} does not fit the avatar.", "Make the action again.")
        await look.prepare(clip)
        if self.look is look:
            self.painter.cues.append(ActionCue(spec, clip, self._playout, turn, self._on_action))
            self._playout.work.set()

    def heard(self, turn: int, text: str) -> None:
        """Begin the actions whose keywords come up in a turn, with its next pictures."""
        for spec in self.book.heard(turn, text):
            if spec.sound is None:
                task = asyncio.create_task(self.act(spec, turn), name="live-action")
                self._acting.add(task)
                task.add_done_callback(self._acted)

    def passed(self, pose: int) -> None:
        """Give back what no longer shows."""
        for look in self.walk.passed(pose):
            task = asyncio.create_task(look.close(), name="live-look-close")
            self._leaving.add(task)
            task.add_done_callback(self._left)

    def turn_over(self, turn: int) -> None:
        """Drop actions that waited for a turn that is over."""
        cues = self.painter.cues
        cues[:] = [cue for cue in cues if not (isinstance(cue, ActionCue) and cue.turn == turn)]

    async def close(self) -> None:
        """Give every look back. The painter must have ended."""
        for task in self._acting:
            task.cancel()
        await asyncio.gather(*self._acting, return_exceptions=True)
        self.painter.cues.clear()
        planned = self.painter.abandon()
        for look in {*self.walk.looks(), *([planned] if planned else [])}:
            await look.close()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _acted(self, task: asyncio.Task[None]) -> None:
        self._acting.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._on_action_failed(error)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("an avatar could not be given back", exc_info=task.exception())

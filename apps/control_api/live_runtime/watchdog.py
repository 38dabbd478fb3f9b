"""Work in a thread that does not come back: no call can be taken from a thread, but nobody has to wait for it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from lipsync.errors import UnavailableError

T = TypeVar("T")
_REMEDY = "Open the session again; the avatar is loaded anew. If it comes back, see the machine's memory and the log."


class EngineHungError(UnavailableError):
    """An engine took a piece of work and did not come back."""

    code = "engine_hung"


class EngineSlowError(UnavailableError):
    """An engine has been at one batch for long; the picture stands still meanwhile."""

    code = "engine_slow"


class Watchdog:
    """Waits for work of one engine, not for ever.

    Args:
        name: Whose.
        patience_s: What takes longer counts as hung, for good.
    """

    def __init__(self, name: str, patience_s: float) -> None:
        self._name, self._patience_s = name, patience_s
        self.hung = False

    def check(self) -> None:
        """Raise EngineHungError where a piece of work hangs already."""
        if self.hung:
            raise self._error()

    async def guard(self, work: asyncio.Future[T]) -> T:
        """The result of ``work``.

        Raises:
            EngineHungError: It does not come back.
        """
        try:
            done, _ = await asyncio.wait({work}, timeout=self._patience_s)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if done:
            return work.result()
        # Should it come back after all, nobody wants to know how it went.
        work.add_done_callback(lambda late: late.cancelled() or late.exception())
        self.hung = True
        raise self._error()

    def _error(self) -> EngineHungError:
        return EngineHungError(f"The engine {self._name!r} has not come back for {self._patience_s:g} s.", _REMEDY)

"""How long work tells its caller where it is, and how the caller stops it."""

from __future__ import annotations

import time
from typing import Protocol


class Progress(Protocol):
    """What a job body is handed. Implementations are called from one thread at a time."""

    @property
    def paused_s(self) -> float:
        """Seconds for which ``check`` and ``update`` have made the work wait; see ``work_time``."""

    def update(self, fraction: float) -> None:
        """Report the share of the whole that is done, 0 to 1. Also a safe point: may raise ``CancelledError``."""

    def stage(self, name: str) -> None:
        """Name the stage now beginning (a stable snake_case word, translated by the page)."""

    def log(self, line: str) -> None:
        """Add one line to the job's log."""

    def sample(self, name: str, value: float | str) -> None:
        """Report a figure as it develops (a loss, the path of a sample picture)."""

    def check(self) -> None:
        """A safe point: raises ``CancelledError`` when the work is to stop, waits while it is to yield."""


class SilentProgress:
    """Progress that nobody watches; the default for library calls."""

    @property
    def paused_s(self) -> float:  # noqa: D102
        return 0.0

    def update(self, fraction: float) -> None:  # noqa: D102
        pass

    def stage(self, name: str) -> None:  # noqa: D102
        pass

    def log(self, line: str) -> None:  # noqa: D102
        pass

    def sample(self, name: str, value: float | str) -> None:  # noqa: D102
        pass

    def check(self) -> None:  # noqa: D102
        pass


class PartProgress:
    """A part ``low..high`` of another progress, so that a step need not know what stands around it."""

    def __init__(self, whole: Progress, low: float, high: float) -> None:
        self._whole, self._low, self._high = whole, low, high

    @property
    def paused_s(self) -> float:  # noqa: D102
        return self._whole.paused_s

    def update(self, fraction: float) -> None:  # noqa: D102
        self._whole.update(self._low + (self._high - self._low) * min(max(fraction, 0.0), 1.0))

    def stage(self, name: str) -> None:  # noqa: D102
        self._whole.stage(name)

    def log(self, line: str) -> None:  # noqa: D102
        self._whole.log(line)

    def sample(self, name: str, value: float | str) -> None:  # noqa: D102
        self._whole.sample(name, value)

    def check(self) -> None:  # noqa: D102
        self._whole.check()


def work_time(progress: Progress) -> float:
    """A clock in seconds, as ``time.monotonic``, that stands still while the work is made to wait.

    Budgets of minutes are counted by it, so that a training that made way for somebody live learns no less.
    """
    return time.monotonic() - progress.paused_s

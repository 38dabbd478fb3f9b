"""What a session tells the outside: its events, and what went wrong in words people can act on."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from apps.control_api.live_runtime.events import EventKind, LiveEvent, OnEvent
from apps.control_api.live_runtime.outputs import OutputStats
from apps.control_api.live_runtime.troubles import Trouble
from apps.control_api.live_runtime.turns import Turns
from lipsync.errors import StudioError

_LOG = logging.getLogger(__name__)


class Teller:
    """One session's voice to the outside.

    Args:
        session_id: Whose.
        turns: Where failures are noted.
        on_event: Told everything.
    """

    def __init__(self, session_id: str, turns: Turns, on_event: OnEvent) -> None:
        self._id, self._turns, self._on_event = session_id, turns, on_event

    def emit(self, kind: EventKind, /, **data: Any) -> None:
        """Tell something."""
        self._on_event(LiveEvent(kind, self._id, data))

    def stage_failed(self, stage: str, turn: int, error: Exception) -> None:
        """A stage failed in a turn; the session goes on."""
        code, message, remedy = _facts(error)
        _LOG.warning("live session %s: %s failed in turn %d", self._id, stage, turn, exc_info=error)
        self._turns.fail(turn, code)
        kind: EventKind = "warning" if stage in ("paint", "action") else "error"
        self.emit(kind, code=code, message=message, remedy=remedy, stage=stage, turn=turn)

    def broken(self, stage: str, error: BaseException | None) -> str:
        """The session cannot go on; returns the reason it ends with."""
        code, message, remedy = _facts(error)
        _LOG.error("live session %s ends: %s", self._id, stage, exc_info=error)
        self.emit("error", code=code, message=message, remedy=remedy, stage=stage)
        return f"{stage}: {message}"

    def recording_failed(self, error: Exception) -> None:
        """The recording cannot go on."""
        code, message, remedy = _facts(error)
        _LOG.warning("live session %s: the recording failed", self._id, exc_info=error)
        self.emit("warning", code=code, message=message, remedy=remedy, stage="record")

    def client_lost(self, reason: str, cause: Trouble | None) -> None:
        """A client went, most likely because of ``cause``."""
        self.emit(
            "warning",
            code=reason,
            message="A client went without saying goodbye." if cause is None else cause.message["en"],
            remedy="Check its network." if cause is None else cause.remedy["en"],
            cause=asdict(cause) if cause is not None else None,
        )

    def output_changed(self, output: OutputStats) -> None:
        """An output's state changed."""
        self.emit("output_state", **output.told())


def _facts(error: BaseException | None) -> tuple[str, str, str]:
    if isinstance(error, StudioError):
        return error.code, error.message, error.remedy
    return "internal", f"{type(error).__name__}: {error}", "See the log."

"""The turns of one session: which still count, how to stop one, and when it passed each stage."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Literal

from apps.control_api.live_runtime.events import TurnStats
from apps.control_api.live_runtime.times import STAGES, StageTimes

Outcome = Literal["spoken", "interrupted", "failed"]
_KEPT = 50


class Turn:
    """One utterance on its way."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.began = time.monotonic()
        self.cancel = asyncio.Event()
        self.outcome: Outcome | None = None
        self.error: str | None = None
        self.passed: dict[str, float] = {}
        self.heard: dict[str, float] = {}

    def stats(self) -> TurnStats:
        """The times so far."""
        times = {name: round((at - self.began) * 1000, 1) for name, at in self.passed.items()}
        return TurnStats(self.number, self.outcome, **self.heard, **times)


class Turns:
    """Counts turns up; ``floor`` is the lowest that still counts."""

    def __init__(self) -> None:
        self.last = 0
        self.floor = 1
        self.times = StageTimes()
        self._kept: OrderedDict[int, Turn] = OrderedDict()

    def begin(self) -> Turn:
        """Open the next turn."""
        self.last += 1
        turn = self._kept[self.last] = Turn(self.last)
        while len(self._kept) > _KEPT:
            oldest = next(iter(self._kept))
            if self._kept[oldest].outcome is None:
                break
            del self._kept[oldest]
        return turn

    def stale(self, number: int) -> bool:
        """Whether frames of this turn are to fall."""
        return number < self.floor

    def cancel(self, number: int) -> asyncio.Event:
        """The token that is set when the turn is to stop."""
        return self._kept[number].cancel

    def interrupt(self) -> list[int]:
        """Raise the floor over every turn so far and return those that were open."""
        self.floor = self.last + 1
        cut = self.open()
        for number in cut:
            self._kept[number].cancel.set()
            self.end(number, "interrupted")
        return cut

    def open(self) -> list[int]:
        """Turns not yet ended, oldest first."""
        return [number for number, turn in self._kept.items() if turn.outcome is None]

    def end(self, number: int, outcome: Outcome) -> bool:
        """Note how a turn ended; False where it had ended before."""
        turn = self._kept.get(number)
        if turn is None or turn.outcome is not None:
            return False
        turn.outcome = "failed" if outcome == "spoken" and turn.error else outcome
        return True

    def fail(self, number: int, code: str) -> None:
        """Note that something went wrong in a turn; what was already said is still heard."""
        if number in self._kept:
            self._kept[number].error = code

    def outcome(self, number: int) -> str | None:
        """How a turn ended, or None."""
        turn = self._kept.get(number)
        return turn.outcome if turn else None

    def passed(self, number: int, stage: str) -> bool:
        """Note that a turn's first frame left ``stage``; False where it had before."""
        turn = self._kept.get(number)
        if turn is None or stage in turn.passed:
            return False
        now = turn.passed[stage] = time.monotonic()
        if stage in STAGES:
            before = [turn.passed[name] for name in STAGES[: STAGES.index(stage)] if name in turn.passed]
            self.times.add(stage, (now - (before[-1] if before else turn.began)) * 1000)
        return True

    def asked_aloud(self, number: int, capture_ms: float, recognise_ms: float) -> None:
        """Note how long it took to hear a turn's question, before the turn began."""
        turn = self._kept.get(number)
        if turn is not None:
            turn.heard = {"capture": round(capture_ms, 1), "recognise": round(recognise_ms, 1)}

    def stats(self) -> tuple[TurnStats, ...]:
        """The last turns, newest last."""
        return tuple(turn.stats() for turn in self._kept.values())

    def latency_ms(self, number: int, stage: str) -> float | None:
        """From acceptance until the turn passed ``stage``."""
        turn = self._kept.get(number)
        if turn is None or stage not in turn.passed:
            return None
        return round((turn.passed[stage] - turn.began) * 1000, 1)

"""How long each stage takes lately: the latency budget of a session, measured all the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from apps.control_api.live_runtime.events import StageTime

STAGES = ("capture", "recognise", "reply", "speak", "animate", "paint", "playout", "encode")
"""In the order speech passes them. ``capture`` and ``recognise`` come before a turn, where people are listened to."""
_KEPT = 100


class StageTimes:
    """The last hundred times of each stage, in ms."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[float]] = {name: deque(maxlen=_KEPT) for name in STAGES}

    def add(self, stage: str, ms: float) -> None:
        """Note what one turn spent in a stage."""
        self._kept[stage].append(ms)

    def summary(self) -> tuple[StageTime, ...]:
        """Every stage that was passed, in order."""
        return tuple(
            StageTime(name, len(kept), round(share(kept, 0.5), 1), round(share(kept, 0.95), 1))
            for name, kept in self._kept.items()
            if kept
        )


def share(values: Sequence[float] | deque[float], part: float) -> float:
    """The value that ``part`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

"""What a session tells the outside, and what it answers when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["ready", "live", "closed", "failed"]
EventKind = Literal[
    "session_state",
    "swapped",
    "action",
    "programme",
    "turn_started",
    "turn_reply",
    "turn_first_frame",
    "turn_ended",
    "output_state",
    "user_speech_started",
    "transcript",
    "user_speech_ended",
    "warning",
    "error",
]


def _now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened in a session.

    Attributes:
        kind: What. ``data`` holds, for ``session_state``: state, reason; for the turn events: turn, and outcome
            ("spoken", "interrupted", "failed") at the end, latency_ms at the first frame, text and final (whether it
            is the whole answer) for ``turn_reply``, which only questions have; for ``output_state``:
            output_id, kind, target, state, error; for ``warning`` and ``error``: code, message, remedy; for
            ``user_speech_started``: utterance, interrupts; for ``user_speech_ended``: utterance; for ``transcript``:
            utterance, text, final, language, confidence.
        session_id: Where.
        at: When, UTC ISO 8601.
    """

    kind: EventKind
    session_id: str
    data: dict[str, Any] = field(default_factory=dict)
    at: str = field(default_factory=_now)


OnEvent = Callable[[LiveEvent], None]
"""Called on the event loop; must not block."""


@dataclass(frozen=True)
class TurnStats:
    """When a turn passed each stage, in ms after it was accepted; None where it did not get so far.

    ``reply`` first text, ``speak`` first sound, ``animate`` first drive, ``paint`` first picture drawn, ``playout``
    first frame played, ``encode`` first frame handed to a client's connection.

    Where the question was heard, two times before that: ``capture`` from the last sound of the person's until it was
    sure that nothing follows, ``recognise`` from then until the words were whole and the turn accepted.
    """

    turn: int
    outcome: str | None
    capture: float | None = None
    recognise: float | None = None
    reply: float | None = None
    speak: float | None = None
    animate: float | None = None
    paint: float | None = None
    playout: float | None = None
    encode: float | None = None


@dataclass(frozen=True)
class StageTime:
    """What turns spent in one stage lately: from the stage before it until the first of the turn left it, in ms.

    Attributes:
        stage: Its name.
        turns: How many turns are counted.
        p50_ms, p95_ms: Half of them, and all but a twentieth, took no longer.
    """

    stage: str
    turns: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class SessionStats:
    """A session at a glance.

    Attributes:
        frames: Frames played since the session began.
        held: Of these, pictures repeated because theirs were not ready.
        skipped: Frames left out because the machine stood still.
        gaps: Times speech ran dry in mid-turn.
        buffered: Frames of speech waiting.
        start_frames: Drawn frames a turn waits for before it begins (grows with jitter).
        paint_ms: Mean time to draw a picture lately.
        encode_ms: Mean time to encode a picture lately.
        late_ms: Greatest delay of the playout clock lately.
        dropped_pictures: Pictures a client's encoder had no time for.
        jitter_frames: How much later than at a steady pace pictures became ready lately.
        stages: The latency budget: what each stage took lately.
        turns: The last turns, newest last.
    """

    id: str
    state: State
    speaking: bool
    turn: int
    pending_turns: int
    uptime_s: float
    clients: int
    frames: int
    held: int
    skipped: int
    gaps: int
    buffered: int
    start_frames: int
    paint_ms: float
    encode_ms: float
    late_ms: float
    dropped_pictures: int
    width: int
    height: int
    engine: str
    jitter_frames: int
    stages: tuple[StageTime, ...]
    turns: tuple[TurnStats, ...]

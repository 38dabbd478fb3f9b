"""The studio's state, checks, audit trail, events."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Page, Timestamp, TwoLanguages, Wire
from apps.control_api.api.wire.jobs import Job


class Health(Wire):
    """The API answers."""

    status: Literal["ok"] = "ok"
    version: str


class StudioKey(Wire):
    """The public half of the studio's signing key, base64."""

    algorithm: Literal["ed25519"]
    key: str


class Check(Wire):
    """One thing the studio needs, and what to do where it is missing."""

    id: str
    state: Literal["ok", "warning", "error"]
    value: Any = None
    title: TwoLanguages
    message: TwoLanguages
    remedy: TwoLanguages


class Checks(Wire):
    """All checks; the worst state first seen is the whole's."""

    state: Literal["ok", "warning", "error"]
    checks: list[Check]


class EngineInfo(Wire):
    """A lip-sync method."""

    name: str
    available: bool
    reason: str = ""
    trains: bool = False
    instant_preview: bool = False
    needs_weights: bool = False
    lookahead_ms: int = 0


class BackendInfo(Wire):
    """A way to speak."""

    name: str
    available: bool
    reason: str = ""
    languages: list[str] = Field(default_factory=list)
    streaming: bool = False
    cloning: bool = False
    needs_network: bool = False
    sample_rate: int | None = None


class Capabilities(Wire):
    """What this machine can do."""

    version: str
    engines: list[EngineInfo]
    voice_backends: list[BackendInfo]
    devices: list[str]
    transports: list[str]
    backgrounds: list[str]
    reply_backends: list[str]
    job_kinds: list[str]
    limits: dict[str, float]


class AuditEvent(Wire):
    """Who did what."""

    id: int
    at: Timestamp
    actor: str
    action: str
    object_kind: str
    object_id: str | None
    source: str
    result: int
    detail: dict[str, Any]
    prev_hash: str
    hash: str


class AuditPage(Page[AuditEvent]):
    """Audit events, newest first."""


class AuditVerdict(Wire):
    """Whether the chain of seals holds."""

    ok: bool
    rows: int
    broken_at: int | None = None


class Ticket(Wire):
    """Opens one WebSocket, once, soon."""

    ticket: str
    expires_in_s: int


class JobEvent(Wire):
    """A job changed: state, progress, stage or figures."""

    type: Literal["job"] = "job"
    seq: int
    at: Timestamp
    job: Job


class JobLogEvent(Wire):
    """A job said a line."""

    type: Literal["job_log"] = "job_log"
    seq: int
    at: Timestamp
    job_id: str
    level: str
    line: str


class LiveEvent(Wire):
    """Something happened in a live session; ``data`` holds state and reason, turn and outcome, or code and message.

    For `transcript` it holds utterance, text, final, language and confidence; for `user_speech_started` utterance and
    whether that interrupts the avatar; for `turn_reply` turn, the answer so far as text, and whether it is final.
    """

    type: Literal["live"] = "live"
    seq: int
    at: Timestamp
    session_id: str
    name: Literal[
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
    data: dict[str, Any] = Field(default_factory=dict)


class SystemEvent(Wire):
    """Something happened to the studio or to one of its objects; ``name`` says what."""

    type: Literal["system"] = "system"
    seq: int
    at: Timestamp
    name: str
    data: dict[str, Any] = Field(default_factory=dict)

"""Voice back-ends: what they can do, whether they are set up, what a check finds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from apps.control_api.api.wire.base import TwoLanguages, Wire
from speech.errors import Problem


class BackendCapabilities(Wire):
    """What a voice back-end can do."""

    languages: list[str]
    streaming: bool = Field(description="The first sound comes before the last is made.")
    cloning: bool
    needs_network: bool
    word_timings: bool
    phoneme_timings: bool
    max_chars: int


class VoiceBackend(Wire):
    """A voice back-end and whether it can be used as it is set up. Nobody is asked for that; see its check."""

    name: str
    state: Literal["ready", "not_configured", "unavailable"]
    reason: str = Field(description="Why it cannot be used; empty where it can.")
    missing: list[str] = Field(description="Settings that must be entered first.")
    setup: TwoLanguages = Field(description="How to get it.")
    capabilities: BackendCapabilities | None = Field(description="Null where a package is missing.")


class VoiceBackendList(Wire):
    """Every voice back-end, ours first."""

    items: list[VoiceBackend]


class VoiceBackendFinding(Wire):
    """What a check of a back-end found; never holds a credential."""

    ok: bool
    problem: Problem
    message: str
    remedy: str
    took_ms: float
    detail: dict[str, Any]

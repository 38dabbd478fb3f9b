"""The task center."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from apps.control_api.api.wire.base import ErrorBody, Page, Timestamp, Wire

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Priority = Literal["urgent", "normal", "background"]


class Job(Wire):
    """A row of the task center."""

    id: str
    kind: str
    state: JobState
    priority: Priority
    queue: Literal["cpu", "gpu"]
    progress: float = Field(ge=0, le=1)
    stage: str
    eta_s: float | None
    figures: dict[str, Any] = Field(description="Figures as they develop: loss, sample picture.")
    subject_id: str | None = Field(description="The take, avatar or voice it works on.")
    request: dict[str, Any]
    result: dict[str, Any] | None
    error: ErrorBody | None
    attempts: int
    cancel_requested: bool
    file_url: str | None = Field(None, description="What it made, for download (ranges allowed).")
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None


class JobPage(Page[Job]):
    """Jobs, newest first."""


class JobLogLine(Wire):
    """One line a job said."""

    id: int
    at: Timestamp
    level: Literal["debug", "info", "warning", "error"]
    line: str


class JobLogPage(Page[JobLogLine]):
    """Lines in the order they were said."""

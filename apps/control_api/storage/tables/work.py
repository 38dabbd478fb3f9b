"""Jobs, their logs, and the events that tell listeners about them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from apps.control_api.storage.tables.base import json_column, new_id, time_column

PRIORITIES = {"urgent": 0, "normal": 1, "background": 2}
OPEN_STATES = ("queued", "running")
DONE_STATES = ("succeeded", "failed", "cancelled")


class JobRow(SQLModel, table=True):
    """A row of the task center; ``seq`` is the order of arrival."""

    __tablename__ = "jobs"
    __table_args__ = (
        sa.Index("ix_jobs_turn", "state", "queue", "priority", "seq"),
        sa.Index("ix_jobs_kind_seq", "kind", "seq"),
        sa.Index("ix_jobs_state_seq", "state", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True)
    id: str = Field(default_factory=new_id, unique=True, max_length=36)
    kind: str
    state: str = "queued"
    queue: str = "cpu"
    priority: int = 1
    request: dict[str, Any] = json_column()
    result: dict[str, Any] | None = json_column(nullable=True)
    error: dict[str, Any] | None = json_column(nullable=True)
    progress: float = 0.0
    stage: str = ""
    eta_s: float | None = None
    figures: dict[str, Any] = json_column()
    attempts: int = 0
    max_attempts: int = 3
    subject_id: str | None = Field(default=None, index=True)
    cancel_requested: bool = False
    lease_owner: str | None = Field(default=None, index=True)
    lease_until: datetime | None = time_column(nullable=True)
    not_before: datetime | None = time_column(nullable=True)
    created_at: datetime = time_column()
    started_at: datetime | None = time_column(nullable=True)
    finished_at: datetime | None = time_column(nullable=True)


class JobLogRow(SQLModel, table=True):
    """One line a job said."""

    __tablename__ = "job_logs"
    __table_args__ = (sa.Index("ix_job_logs_job_id_id", "job_id", "id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    job_id: str
    at: datetime = time_column()
    level: str = "info"
    line: str


class EventRow(SQLModel, table=True):
    """What happened, for listeners: an outbox that workers write and the API reads in order."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = time_column(index=True)
    type: str
    data: dict[str, Any] = json_column()


class StateRow(SQLModel, table=True):
    """One fact that processes share, such as how many sessions are live."""

    __tablename__ = "state"

    name: str = Field(primary_key=True)
    value: dict[str, Any] = json_column()
    at: datetime = time_column()

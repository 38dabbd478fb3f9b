"""Who may do what, and who did: tokens with roles; audit rows that are only ever added, each sealed."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from apps.control_api.storage.tables.base import Row, json_column, time_column


class AuditRow(SQLModel, table=True):
    """One sealed event of the audit trail."""

    __tablename__ = "audit_events"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = time_column(index=True)
    actor: str = Field(index=True)
    action: str = Field(index=True)
    object_kind: str = ""
    object_id: str | None = Field(default=None, index=True)
    source: str = ""
    result: int
    detail: dict[str, Any] = json_column()
    prev_hash: str
    hash: str


class TokenRow(Row, table=True):
    """A token beside the owner's own, known by its hash alone. Roles: owner, operator, auditor."""

    __tablename__ = "tokens"

    name: str
    role: str
    hash: str = Field(unique=True, max_length=64)
    until: datetime | None = time_column(nullable=True)

"""The audit trail: append-only rows, each sealed with the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from apps.control_api.services.paging import Slice, decode, encode
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import AuditRow, StateRow

GENESIS = "0" * 64
_LOCK = 0x5EA1
_END = "audit_end"
"""Where the last row's number and seal are kept, so that rows missing at the end are missed."""


@dataclass(frozen=True)
class Verdict:
    """Whether the chain holds: rows seen, and the id of the first row that was changed or follows a gap."""

    ok: bool
    rows: int
    broken_at: int | None = None


class Audit:
    """Writes, lists and verifies audit events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        actor: str,
        action: str,
        result: int,
        *,
        object_kind: str = "",
        object_id: str | None = None,
        source: str = "",
        detail: dict[str, Any] | None = None,
    ) -> AuditRow:
        """Add one event: who did what on what, from where, with which HTTP status."""
        with self._database.write() as session:
            return self.add(
                session,
                actor,
                action,
                result,
                object_kind=object_kind,
                object_id=object_id,
                source=source,
                detail=detail,
            )

    @staticmethod
    def add(
        session: Session,
        actor: str,
        action: str,
        result: int,
        *,
        object_kind: str = "",
        object_id: str | None = None,
        source: str = "",
        detail: dict[str, Any] | None = None,
    ) -> AuditRow:
        """``record`` within a transaction of the caller's: what happened and its row stand or fall together."""
        if session.get_bind().dialect.name != "sqlite":  # SQLite's write lock already keeps the chain single
            session.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        last = session.exec(select(AuditRow).order_by(col(AuditRow.id).desc()).limit(1)).first()
        row = AuditRow(
            at=now(),
            actor=actor,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            source=source,
            result=result,
            detail=detail or {},
            prev_hash=last.hash if last else GENESIS,
            hash="",
        )
        row.hash = seal(row)
        session.add(row)
        session.flush()
        _note_end(session, row)
        return row

    def list(
        self,
        limit: int,
        cursor: str | None,
        *,
        actor: str | None = None,
        action: str | None = None,
        object_id: str | None = None,
        object_kind: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        refused: bool | None = None,
    ) -> Slice[AuditRow]:
        """List events, newest first, filtered by exact values, by time, and by whether the call was refused."""
        query = select(AuditRow).order_by(col(AuditRow.id).desc()).limit(limit + 1)
        exact = (
            (AuditRow.actor, actor),
            (AuditRow.action, action),
            (AuditRow.object_id, object_id),
            (AuditRow.object_kind, object_kind),
            (AuditRow.source, source),
        )
        for column, value in exact:
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(col(AuditRow.at) >= since)
        if until is not None:
            query = query.where(col(AuditRow.at) < until)
        if refused is not None:
            query = query.where(col(AuditRow.result) >= 400 if refused else col(AuditRow.result) < 400)
        if cursor:
            query = query.where(col(AuditRow.id) < int(decode(cursor, 1)[0]))
        with self._database.read() as session:
            rows = list(session.exec(query))
        return Slice(rows[:limit], encode(rows[limit - 1].id) if len(rows) > limit else None)

    def verify(self) -> Verdict:
        """Recompute every seal in order, and name the first row that does not fit, or that is gone from the end."""
        expected, rows, last = GENESIS, 0, 0
        with self._database.read() as session:
            for row in _in_order(session):
                if row.prev_hash != expected or row.hash != seal(row):
                    return Verdict(False, rows, row.id)
                expected, rows, last = row.hash, rows + 1, row.id
            end = session.get(StateRow, _END)
        if end is not None and (end.value["hash"] != expected or end.value["id"] != last):
            return Verdict(False, rows, end.value["id"])
        return Verdict(True, rows)


def seal(row: AuditRow) -> str:
    """Return the SHA-256 over a row's content and the seal of the row before."""
    content = [
        row.prev_hash,
        row.at.isoformat(timespec="microseconds"),
        row.actor,
        row.action,
        row.object_kind,
        row.object_id,
        row.source,
        row.result,
        row.detail,
    ]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_order(session: Session) -> Any:
    return session.exec(select(AuditRow).order_by(col(AuditRow.id)).execution_options(yield_per=500))


def _note_end(session: Session, row: AuditRow) -> None:
    session.merge(StateRow(name=_END, value={"id": row.id, "hash": row.hash}, at=row.at))

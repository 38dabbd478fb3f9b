"""Lists in slices: a cursor names the last row seen, so that rows added meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlmodel import Session

from lipsync.errors import InvalidInputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """A part of a list and the cursor of the next part, None at the end."""

    items: list[Item]
    next_cursor: str | None = None


def encode(*parts: Any) -> str:
    """Return an opaque cursor."""
    plain = [p.isoformat() if isinstance(p, datetime) else p for p in parts]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def decode(cursor: str, parts: int) -> list[Any]:
    """Read a cursor; one that was not made here is refused."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != parts:
            raise ValueError(cursor)
        if parts == 1:
            return [max(-1, min(int(values[0]), 2**31 - 1))]
        return [datetime.fromisoformat(values[0]), str(values[1])]
    except (ValueError, TypeError, OverflowError, binascii.Error, UnicodeError):
        raise InvalidInputError("This cursor is not one of ours.", "Begin the list anew without a cursor.") from None


def newest_first(session: Session, row: Any, filters: list[Any], limit: int, cursor: str | None) -> Slice[Any]:
    """Return a slice of table ``row`` (with ``created_at`` and ``id``), newest first."""
    query = sa.select(row).where(*filters).order_by(row.created_at.desc(), row.id.desc()).limit(limit + 1)
    if cursor:
        at, id_ = decode(cursor, 2)
        if at.tzinfo is None:
            raise InvalidInputError("This cursor is not one of ours.", "Begin the list anew without a cursor.")
        query = query.where(sa.or_(row.created_at < at, sa.and_(row.created_at == at, row.id < id_)))
    rows = list(session.execute(query).scalars())
    following = encode(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return Slice(rows[:limit], following)

"""Which live sessions a studio that was killed had open: written down while they run, told at the next start."""

from __future__ import annotations

from typing import Any

from apps.control_api import log
from apps.control_api.services.audit import Audit
from apps.control_api.services.events import emit
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import StateRow

_log = log.get(__name__)
_NAME = "live_open"
REASON = "The studio ended in the middle of it."


def write_down(database: Database, sessions: list[dict[str, Any]]) -> None:
    """Keep what is open now: ``id``, ``avatar_id``, ``voice_id``, ``transport``, ``created_at`` (ISO) of each."""
    with database.write() as session:
        session.merge(StateRow(name=_NAME, value={"sessions": sessions}, at=now()))


def tell(database: Database, audit: Audit) -> list[dict[str, Any]]:
    """Tell of the sessions an earlier run was cut off in: an event and a line of the audit trail for each.

    Returns:
        What was written down of them. A run that ended in order left none.
    """
    with database.write() as session:
        row = session.get(StateRow, _NAME)
        left: list[dict[str, Any]] = list(row.value.get("sessions", [])) if row is not None else []
        if row is None or not left:
            return []
        row.value = {"sessions": []}
        session.add(row)
        for was in left:
            data = {"session_id": was["id"], "avatar_id": was["avatar_id"], "reason": REASON}
            emit(session, "system", {"name": "live_session_cut_off", "data": data})
    for was in left:
        _log.warning("a live session was cut off", session_id=was["id"])
        audit.record(
            "studio", "live_session_cut_off", 500, object_kind="live", object_id=was["id"],
            detail={"avatar_id": was["avatar_id"], "began_at": was["created_at"], "reason": REASON},
        )  # fmt: skip
    return left

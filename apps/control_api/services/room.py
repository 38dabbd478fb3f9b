"""The live room's library: scripts, playlists, and messages of platforms, each kept once."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import MessageRow, PlaylistRow, ScriptRow
from lipsync.errors import InvalidInputError, NotFoundError


class Room:
    """The use-cases of the room."""

    def __init__(self, tools: Tools) -> None:
        self._database = tools.database

    def scripts(self, limit: int, cursor: str | None) -> Slice[ScriptRow]:
        """List scripts, newest first."""
        with self._database.read() as session:
            return newest_first(session, ScriptRow, [], limit, cursor)

    def playlists(self, limit: int, cursor: str | None) -> Slice[PlaylistRow]:
        """List playlists, newest first."""
        with self._database.read() as session:
            return newest_first(session, PlaylistRow, [], limit, cursor)

    def messages(self, limit: int, cursor: str | None, session_id: str | None) -> Slice[MessageRow]:
        """List messages, newest first."""
        filters = [col(MessageRow.session_id) == session_id] if session_id else []
        with self._database.read() as session:
            return newest_first(session, MessageRow, filters, limit, cursor)

    def get(self, kind: type[Any], row_id: str) -> Any:
        """Return a script or playlist."""
        with self._database.read() as session:
            return _find(session, kind, row_id)

    def save(self, kind: type[Any], values: dict[str, Any], row_id: str | None = None) -> Any:
        """Add a script or playlist, or change the one named."""
        with self._database.write() as session:
            if "items" in values:
                self._scripts_exist(session, values["items"])
            row = kind(**values) if row_id is None else _find(session, kind, row_id)
            if row_id is not None:
                for key, value in values.items():
                    setattr(row, key, value)
                row.updated_at = now()
            session.add(row)
            return row

    def delete(self, kind: type[Any], row_id: str) -> None:
        """Delete a script or playlist."""
        with self._database.write() as session:
            session.delete(_find(session, kind, row_id))

    def programme(self, playlist_id: str) -> tuple[PlaylistRow, list[tuple[ScriptRow, float]]]:
        """Return a playlist and its scripts in order, with their weights; scripts deleted meanwhile are left out."""
        with self._database.read() as session:
            playlist: PlaylistRow = _find(session, PlaylistRow, playlist_id)
            found = [(session.get(ScriptRow, item["script_id"]), float(item["weight"])) for item in playlist.items]
            return playlist, [(script, weight) for script, weight in found if script is not None]

    def ingest(self, items: list[dict[str, Any]], session_id: str | None) -> tuple[list[MessageRow], int]:
        """Keep messages that are new (platform and platform_id); returns them and how many were known already."""
        kept: list[MessageRow] = []
        with self._database.write() as session:
            for item in items:
                known = session.exec(
                    select(MessageRow.id).where(
                        MessageRow.platform == item["platform"], MessageRow.platform_id == item["platform_id"]
                    )
                ).first()
                if known is None:
                    row = MessageRow(**item, session_id=session_id)
                    session.add(row)
                    session.flush()
                    kept.append(row)
        return kept, len(items) - len(kept)

    def mark(self, message_id: str, state: str, turn: str | None = None) -> None:
        """Note what became of a message."""
        with self._database.write() as session:
            row = _find(session, MessageRow, message_id)
            row.state, row.turn = state, turn
            session.add(row)

    def _scripts_exist(self, session: Session, items: list[dict[str, Any]]) -> None:
        wanted = {item["script_id"] for item in items}
        found = set(session.exec(select(ScriptRow.id).where(col(ScriptRow.id).in_(wanted))))
        if wanted - found:
            raise InvalidInputError(
                "The playlist names scripts that do not exist.",
                "Add the scripts first.",
                {"missing": sorted(wanted - found)},
            )


def _find(session: Session, kind: type[Any], row_id: str) -> Any:
    row = session.get(kind, row_id)
    if row is None:
        raise NotFoundError("There is no such object.", "List them to see those there are.")
    return row

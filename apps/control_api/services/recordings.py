"""Recordings of live sessions: begun, ended with their session at the latest, listed, looked at, deleted."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import Session, col, select

from apps.control_api import log
from apps.control_api.services import withdrawal
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import RecordingRow
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

_log = log.get(__name__)
_NAME = "recording.mp4"


class Recordings:
    """The use-cases of recordings, but for the recording itself: that is the session's."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def get(self, recording_id: str) -> RecordingRow:
        """Return a recording."""
        with self._tools.database.read() as session:
            return _find(session, recording_id)

    def list(self, limit: int, cursor: str | None, session_id: str | None) -> Slice[RecordingRow]:
        """List recordings, newest first."""
        filters = [col(RecordingRow.session_id) == session_id] if session_id else []
        with self._tools.database.read() as session:
            return newest_first(session, RecordingRow, filters, limit, cursor)

    def path(self, recording_id: str) -> Path:
        """Where a recording's MP4 lies, or will."""
        return self._tools.files.result(recording_id) / _NAME

    def file(self, recording_id: str) -> tuple[RecordingRow, Path]:
        """Return a finished recording and its MP4.

        Raises:
            ConflictError: it is not finished, or failed.
            ForbiddenError: the consent of its person no longer covers showing it.
        """
        row = self.get(recording_id)
        if row.state != "ready":
            raise ConflictError(f"The recording is {row.state}.", "Stop it first, or choose one that is ready.")
        withdrawal.require_showable(self._tools, row.avatar_id)
        return row, self._tools.files.existing(self.path(row.id))

    def begin(self, session_id: str, avatar_id: str) -> RecordingRow:
        """Enter a recording that is about to begin and make its folder.

        Raises:
            ConflictError: the session is being recorded already.
            NoSpaceError: the disk is nearly full.
        """
        self._tools.files.need_room(0, self._tools.owner.in_force().free_space)
        with self._tools.database.write() as session:
            if _running(session, session_id) is not None:
                raise ConflictError("The session is being recorded already.", "Stop that recording first.")
            row = RecordingRow(session_id=session_id, avatar_id=avatar_id)
            session.add(row)
            session.flush()
            self.path(row.id).parent.mkdir(parents=True)
            _tell(session, row)
            return row

    def running(self, session_id: str) -> RecordingRow | None:
        """Return the recording that a session is making now, if any."""
        with self._tools.database.read() as session:
            return _running(session, session_id)

    def end(self, recording_id: str, error: str | None = None) -> RecordingRow:
        """Enter the end of a recording: ready if its file is there and can be read, else failed, its folder gone.

        Args:
            recording_id: The recording; one that has ended already stays as it is.
            error: Why it failed, where that is known.
        """
        path = self.path(recording_id)
        seconds, problem = _length(path)
        with self._tools.database.write() as session:
            row = _find(session, recording_id)
            if row.state != "recording":
                return row
            row.ended_at = now()
            if seconds is not None:
                row.state, row.seconds, row.size_bytes = "ready", round(seconds, 2), path.stat().st_size
            else:
                row.state, row.error = "failed", error or problem
            _tell(session, row)
        if row.state == "failed":
            _log.warning("a recording failed", recording_id=row.id, error=row.error)
            self._tools.files.remove(path.parent)
        return row

    def delete(self, recording_id: str) -> None:
        """Delete a recording with its file.

        Raises:
            ConflictError: it is being made.
        """
        with self._tools.database.write() as session:
            row = _find(session, recording_id)
            if row.state == "recording":
                raise ConflictError("The recording is being made.", "Stop it first.")
            session.delete(row)
            emit(session, "system", {"name": "recording_deleted", "data": {"recording_id": recording_id}})
        self._tools.files.remove(self.path(recording_id).parent)

    def sweep(self) -> None:
        """End what a killed studio left as being recorded."""
        with self._tools.database.read() as session:
            left = list(session.exec(select(RecordingRow.id).where(RecordingRow.state == "recording")))
        for recording_id in left:
            self.end(recording_id, "The studio ended in the middle of it.")


def _find(session: Session, recording_id: str) -> RecordingRow:
    row = session.get(RecordingRow, recording_id)
    if row is None:
        raise NotFoundError("There is no such recording.", "List the recordings to see those there are.")
    return row


def _running(session: Session, session_id: str) -> RecordingRow | None:
    query = select(RecordingRow).where(RecordingRow.session_id == session_id, RecordingRow.state == "recording")
    return session.exec(query).first()


def _tell(session: Session, row: RecordingRow) -> None:
    data = {"recording_id": row.id, "session_id": row.session_id, "state": row.state}
    emit(session, "system", {"name": "recording_changed", "data": data})


def _length(path: Path) -> tuple[float | None, str]:
    """The seconds of a film, or why it has none."""
    from lipsync.media.video import probe

    if not path.is_file():
        return None, "It ended before its first picture."
    try:
        seconds = probe(path).duration
    except InvalidInputError as error:
        return None, error.message
    return (seconds, "") if seconds > 0 else (None, "It holds no picture.")

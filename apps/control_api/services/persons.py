"""Everything the studio holds of a person: found by name or face, and deleted in one go."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from apps.control_api.services.events import emit
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import (
    AvatarRow,
    Consent,
    EventRow,
    JobLogRow,
    JobRow,
    ModelRow,
    RecordingRow,
    TakeRow,
    VoiceRow,
)
from apps.control_api.storage.tables.work import OPEN_STATES
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

_PATIENCE_S = 10.0


@dataclass
class Belongings:
    """Ids of what is a person's."""

    consents: list[str] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    avatars: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    recordings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Gone:
    """What was deleted, or would be."""

    what: Belongings
    files: int
    size_bytes: int


class Persons:
    """The use-cases of a person's right to be forgotten and to withdraw."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def find(self, person: str | None, face_id: str | None) -> Belongings:
        """Return what is a person's: by the name in their consents, or by the face that their takes show.

        Raises:
            InvalidInputError: not exactly one of the two is given.
            NotFoundError: nothing here is of that person.
        """
        if (person is None) == (face_id is None):
            raise InvalidInputError("Name a person or a face, and not both.", "Send `person` or `face_id`.")
        with self._tools.database.read() as session:
            found = _belongings(session, person, face_id)
        if not (found.consents or found.takes):
            raise NotFoundError("There is nothing of this person.", "Look at the takes for names and faces.")
        return found

    def plan(self, person: str | None, face_id: str | None) -> Gone:
        """Return what ``delete`` would delete."""
        found = self.find(person, face_id)
        return _weighed(found, self._folders(found))

    def withdraw(self, person: str | None, face_id: str | None) -> Belongings:
        """Withdraw every consent of a person; what was made of it can be trained, shown and exported no more."""
        found = self.find(person, face_id)
        with self._tools.database.write() as session:
            session.execute(
                sa.update(Consent)
                .where(col(Consent.id).in_(found.consents), col(Consent.withdrawn_at).is_(None))
                .values(withdrawn_at=now())
            )
            for take_id in found.takes:
                emit(session, "system", {"name": "consent_withdrawn", "data": {"take_id": take_id}})
        return found

    def delete(self, person: str | None, face_id: str | None) -> Gone:
        """Delete a person's takes, avatars, voices, films, exports, recordings, jobs and consents; the audit stays.

        Jobs at work on them are cancelled first. The caller ends live sessions before.

        Raises:
            ConflictError: a job did not stop in time; nothing was deleted.
        """
        found = self.withdraw(person, face_id)  # from now on nothing new can begin
        self._stop_jobs(found)
        with self._tools.database.write() as session:
            found = _belongings(session, person, face_id)
            gone = _weighed(found, self._folders(found))
            _drop_rows(session, found)
            data = {"takes": found.takes, "avatars": found.avatars, "voices": found.voices}
            emit(session, "system", {"name": "person_deleted", "data": data})
        for folder in self._folders(found):
            self._tools.files.remove(folder)
        return gone

    def _stop_jobs(self, found: Belongings) -> None:
        """Cancel what is at work, and wait until it has stopped."""
        end = time.monotonic() + _PATIENCE_S
        asked: set[str] = set()
        while True:
            with self._tools.database.read() as session:
                query = select(JobRow).where(col(JobRow.id).in_(found.jobs), col(JobRow.state).in_(OPEN_STATES))
                at_work = list(session.exec(query))
            if not at_work:
                return
            for job in at_work:
                if job.id not in asked:
                    asked.add(job.id)
                    self._cancel(job.id)
            if all(job.state == "running" for job in at_work) and time.monotonic() > end:
                raise ConflictError(
                    "A job at work on this person's data does not stop.",
                    "It was asked to; delete again in a minute.",
                    {"job_ids": [job.id for job in at_work]},
                )
            time.sleep(0.1)

    def _cancel(self, job_id: str) -> None:
        try:
            self._tools.jobs.cancel(job_id)
        except ConflictError:
            return  # it ended meanwhile, which is all that is wanted

    def _folders(self, found: Belongings) -> list[Path]:
        files = self._tools.files
        folders = [f(i) for i in found.takes for f in (files.take, files.source)]
        folders += [p for i in found.avatars for p in (files.models / "avatars" / i, files.avatar(i))]
        folders += [p for i in found.voices for p in (files.models / "voices" / i, files.voice(i))]
        return folders + [files.result(i) for i in (*found.jobs, *found.recordings)]


def _belongings(session: Session, person: str | None, face_id: str | None) -> Belongings:
    takes = select(TakeRow)
    if face_id is not None:
        shown = list(session.exec(takes.where(TakeRow.face_id == face_id)))
        consents = {take.consent_id for take in shown}
    else:
        wanted = (person or "").strip().casefold()
        rows = session.exec(select(Consent.id, Consent.person))
        consents = {id_ for id_, name in rows if name.strip().casefold() == wanted}
    found = Belongings(consents=sorted(consents))
    found.takes = list(session.exec(select(TakeRow.id).where(col(TakeRow.consent_id).in_(consents))))

    def owned(table: Any) -> list[str]:
        of = sa.or_(table.consent_id.in_(consents), table.take_id.in_(found.takes))
        return list(session.exec(select(table.id).where(of)))

    found.avatars, found.voices = owned(AvatarRow), owned(VoiceRow)
    of = sa.or_(col(ModelRow.consent_id).in_(consents), col(ModelRow.owner_id).in_([*found.avatars, *found.voices]))
    found.models = list(session.exec(select(ModelRow.id).where(of)))
    found.recordings = list(session.exec(select(RecordingRow.id).where(col(RecordingRow.avatar_id).in_(found.avatars))))
    subjects = {*found.takes, *found.avatars, *found.voices, *found.models, *consents}
    for job in session.exec(select(JobRow).execution_options(yield_per=200)):
        named = {job.subject_id, *(v for k, v in job.request.items() if k.endswith("_id") and isinstance(v, str))}
        if named & subjects:
            found.jobs.append(job.id)
    return found


def _drop_rows(session: Session, found: Belongings) -> None:
    session.execute(sa.delete(JobLogRow).where(col(JobLogRow.job_id).in_(found.jobs)))
    session.execute(sa.delete(JobRow).where(col(JobRow.id).in_(found.jobs)))
    session.execute(sa.delete(RecordingRow).where(col(RecordingRow.id).in_(found.recordings)))
    session.execute(sa.delete(ModelRow).where(col(ModelRow.id).in_(found.models)))
    for table, ids in ((AvatarRow, found.avatars), (VoiceRow, found.voices), (TakeRow, found.takes)):
        session.execute(sa.delete(table).where(table.id.in_(ids)))  # type: ignore[attr-defined]
    session.execute(sa.delete(Consent).where(col(Consent.id).in_(found.consents)))
    # Events of the last hour repeat what rows said; those told already are only kept for listeners that come back.
    words = [*found.takes, *found.avatars, *found.voices, *found.models, *found.jobs]
    for event in session.exec(select(EventRow)):
        text = str(event.data)
        if any(word in text for word in words):
            session.delete(event)


def _weighed(found: Belongings, folders: list[Path]) -> Gone:
    files = [p for folder in folders if folder.is_dir() for p in folder.rglob("*") if p.is_file()]
    return Gone(found, len(files), sum(p.stat().st_size for p in files))

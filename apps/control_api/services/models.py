"""The registry of model versions: what there is, which one is live, and what an admin says of those in review."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from apps.control_api.services import consents
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, JobRow, ModelRow, TakeRow, VoiceRow
from apps.control_api.storage.tables.base import new_id
from apps.control_api.storage.tables.work import OPEN_STATES
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError


class Models:
    """The use-cases of model versions."""

    def __init__(self, tools: Tools, uploads: Uploads) -> None:
        self._tools, self._uploads = tools, uploads

    def get(self, model_id: str) -> tuple[ModelRow, bool]:
        """Return a version and whether it is the live one of its avatar or voice."""
        with self._tools.database.read() as session:
            row = _find(session, model_id)
            return row, is_live(session, row)

    def list(
        self, limit: int, cursor: str | None, *, kind: str | None, owner_id: str | None, state: str | None
    ) -> Slice[tuple[ModelRow, bool]]:
        """List versions, newest first, each with whether it is live."""
        filters: list[Any] = []
        for column, value in ((ModelRow.kind, kind), (ModelRow.owner_id, owner_id), (ModelRow.state, state)):
            if value is not None:
                filters.append(column == value)
        with self._tools.database.read() as session:
            part = newest_first(session, ModelRow, filters, limit, cursor)
            ids = [row.id for row in part.items]
            live = set(session.exec(select(AvatarRow.model_id).where(col(AvatarRow.model_id).in_(ids))))
            live |= set(session.exec(select(VoiceRow.model_id).where(col(VoiceRow.model_id).in_(ids))))
        return Slice([(row, row.id in live or _base_in_use(row)) for row in part.items], part.next_cursor)

    def register(self, upload_id: str, name: str | None, given: dict[str, Any]) -> JobRow:
        """Queue the reading of an uploaded file: recognised, checked, hashed, and entered as a version in review.

        Args:
            upload_id: A finished upload: a bundle of ours, or weights of a public network.
            name: What the version is called; as in the file without one.
            given: avatar_id or voice_id of what a bundle is another version of, or consent of its person; sha256 of the
                file, to be held against.
        """
        upload = self._uploads.finished(upload_id)
        avatar_id, voice_id = given.get("avatar_id"), given.get("voice_id")
        if avatar_id and voice_id:
            raise InvalidInputError("Name an avatar or a voice, and not both.", "Send `avatar_id` or `voice_id`.")
        request: dict[str, Any] = {
            "upload_id": upload.id,
            "name": name,
            "avatar_id": avatar_id or new_id(),
            "voice_id": voice_id or new_id(),
            "named": "avatar" if avatar_id else "voice" if voice_id else None,
            "consent_id": None,
            "sha256": given.get("sha256"),
            "review": True,
        }
        with self._tools.database.write() as session:
            owner: AvatarRow | VoiceRow | None = None
            if avatar_id or voice_id:
                owner = session.get(AvatarRow, avatar_id) if avatar_id else session.get(VoiceRow, voice_id)
                if owner is None:
                    raise NotFoundError("There is no such avatar or voice.", "List them to see those there are.")
                consents.require(session, owner.consent_id, "train")
                request["consent_id"] = owner.consent_id
            elif given.get("consent"):
                request["consent_id"] = consents.add(session, given["consent"]).id
            subject = owner.id if owner is not None else None
            return self._tools.jobs.submit("models:register", request, subject_id=subject, session=session)

    def evaluate(self, model_id: str, take_id: str | None, priority: str) -> JobRow:
        """Queue the measuring of a version on the held-out part of a prepared take (its own unless one is named)."""
        from apps.control_api.services.evaluation_jobs import take_for

        with self._tools.database.write() as session:
            row = _find(session, model_id)
            if row.kind == "base":
                raise ConflictError("Weights of a network show nobody.", "Evaluate an avatar made with them.")
            take = session.get(TakeRow, take_for(session, row, take_id))
            for consent_id in (row.consent_id, take.consent_id if take else None):
                consents.require(session, consent_id, "train")
            request = {"model_id": row.id, "take_id": take.id if take else None}
            return self._tools.jobs.submit(
                "models:evaluate", request, subject_id=row.owner_id, priority=priority, session=session
            )

    def promote(self, model_id: str) -> ModelRow:
        """Make a ready version the live one of its avatar or voice."""
        with self._tools.database.write() as session:
            row = _find(session, model_id)
            if row.state not in ("ready", "retired"):
                raise ConflictError(f"The version is {row.state}.", "Approve it first.")
            make_live(session, row)
            return row

    def rollback(self, model_id: str) -> ModelRow:
        """Take a live version back: the newest other ready version of its avatar or voice becomes live."""
        with self._tools.database.write() as session:
            row = _find(session, model_id)
            if row.kind == "base" or not is_live(session, row):
                raise ConflictError("This version is not live.", "Name the live version of an avatar or voice.")
            earlier = session.exec(
                select(ModelRow)
                .where(ModelRow.owner_id == row.owner_id, ModelRow.id != row.id)
                .where(ModelRow.state == "ready", col(ModelRow.created_at) < row.created_at)
                .order_by(col(ModelRow.created_at).desc())
                .limit(1)
            ).first()
            if earlier is None:
                raise ConflictError("There is no earlier version.", "Train or import another one first.")
            row.state, row.retired_at = "retired", now()
            make_live(session, earlier)
            return earlier

    def review(self, model_id: str, approved: bool, note: str) -> ModelRow:
        """Approve (it goes live) or reject (it is retired) a version in review."""
        with self._tools.database.write() as session:
            row = _find(session, model_id)
            if row.state not in ("in_review", "candidate"):
                raise ConflictError(f"The version is {row.state}.", "Only a version in review can be decided on.")
            row.note, row.reviewed_at = note, now()
            if approved:
                make_live(session, row)
            else:
                row.state, row.retired_at = "retired", now()
                emit(session, "system", {"name": "model_changed", "data": {"model_id": row.id, "state": row.state}})
            return row

    def delete(self, model_id: str) -> None:
        """Delete a version that is not live."""
        with self._tools.database.write() as session:
            row = _find(session, model_id)
            if row.kind != "base" and is_live(session, row):
                raise ConflictError(
                    "This version is live.",
                    "Promote another version first, or delete the whole avatar or voice.",
                    {"dependants": [{"kind": row.kind, "id": row.owner_id}]},
                )
            waiting = select(JobRow).where(col(JobRow.state).in_(OPEN_STATES))
            at_work = [job.id for job in session.exec(waiting) if job.request.get("model_id") == row.id]
            if at_work:
                raise ConflictError(
                    "A job is at work on this version.",
                    "Cancel the job first, or wait for its end.",
                    {"dependants": [{"kind": "job", "id": id_} for id_ in at_work]},
                )
            children = list(session.exec(select(ModelRow.id).where(ModelRow.parent_id == row.id)))
            if children:
                raise ConflictError(
                    "Other versions were trained from this one.",
                    "Delete those first.",
                    {"dependants": [{"kind": "model", "id": child} for child in children]},
                )
            path = row.path
            session.delete(row)
            emit(session, "system", {"name": "model_deleted", "data": {"model_id": model_id}})
        self._tools.files.remove(self._tools.files.model_path(path))


def make_live(session: Session, row: ModelRow) -> None:
    """Make a version the live one: its avatar or voice takes its path, version, metrics and becomes ready.

    Weights of a public network have no owner; ready ones are there for engines to use.
    """
    row.state, row.retired_at = "ready", None
    if row.kind == "base":
        session.add(row)
        emit(session, "system", {"name": "model_changed", "data": {"model_id": row.id, "state": row.state}})
        return
    owner = owner_of(session, row)
    owner.model_id, owner.model_path, owner.model_version = row.id, row.path, row.version
    owner.metrics, owner.state, owner.updated_at = row.metrics, "ready", now()
    if isinstance(owner, AvatarRow):
        owner.engine = row.engine
    session.add_all([owner, row])
    emit(session, "system", {"name": "model_changed", "data": {"model_id": row.id, "state": row.state}})


def is_live(session: Session, row: ModelRow) -> bool:
    """Return whether a version is what its avatar or voice uses now; weights of a network are, once they are ready."""
    return _base_in_use(row) if row.kind == "base" else owner_of(session, row).model_id == row.id


def _base_in_use(row: ModelRow) -> bool:
    return row.kind == "base" and row.state == "ready"


def take_off_air(session: Session, owner: AvatarRow | VoiceRow, row: ModelRow) -> None:
    """Leave an avatar or voice without a live version: ``row`` was it, and no other is good enough."""
    owner.model_id = owner.model_path = owner.model_version = None
    owner.state, owner.metrics, owner.updated_at = "in_review", row.metrics, now()
    session.add(owner)


def next_version(session: Session, owner_id: str) -> str:
    """Return the next version number of an avatar or voice, as text; previews do not count."""
    versions = session.exec(select(ModelRow.version).where(ModelRow.owner_id == owner_id))
    return str(1 + max((int(v) for v in versions if v.isdigit()), default=0))


def _find(session: Session, model_id: str) -> ModelRow:
    row = session.get(ModelRow, model_id)
    if row is None:
        raise NotFoundError("There is no such model version.", "List the models to see those there are.")
    return row


def owner_of(session: Session, row: ModelRow) -> AvatarRow | VoiceRow:
    """Return the avatar or voice that a version is one of."""
    owner: AvatarRow | VoiceRow | None
    owner = session.get(AvatarRow, row.owner_id) if row.kind == "avatar" else session.get(VoiceRow, row.owner_id)
    if owner is None:
        raise ConflictError(f"The {row.kind} of this version is gone.", "Delete the version.")
    return owner

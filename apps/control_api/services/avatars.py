"""Avatars: listed, renamed, trained, imported, exported, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from apps.control_api.services import consents, packages
from apps.control_api.services.avatar_takes import require_same_person
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Upload
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, Consent, JobRow, ModelRow, TakeRow
from apps.control_api.storage.tables.base import new_id
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

USABLE = ("preview", "ready")


class Avatars:
    """The use-cases of avatars."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def get(self, avatar_id: str) -> AvatarRow:
        """Return an avatar."""
        with self._tools.database.read() as session:
            return find(session, avatar_id)

    def list(self, limit: int, cursor: str | None, state: str | None, take_id: str | None) -> Slice[AvatarRow]:
        """List avatars, newest first."""
        filters = [col(AvatarRow.state) == state] if state else []
        if take_id:
            filters.append(col(AvatarRow.take_id) == take_id)
        with self._tools.database.read() as session:
            return newest_first(session, AvatarRow, filters, limit, cursor)

    def rename(self, avatar_id: str, name: str) -> AvatarRow:
        """Give an avatar another name."""
        with self._tools.database.write() as session:
            row = find(session, avatar_id)
            row.name, row.updated_at = name, now()
            session.add(row)
            emit(session, "system", {"name": "avatar_changed", "data": {"avatar_id": avatar_id}})
            return row

    def delete(self, avatar_id: str) -> None:
        """Delete an avatar with all its versions and files."""
        if self._tools.jobs.open_for(avatar_id):
            raise ConflictError("A job is at work on this avatar.", "Cancel the job first, or wait for its end.")
        with self._tools.database.write() as session:
            row = find(session, avatar_id)
            session.execute(sa.delete(ModelRow).where(col(ModelRow.owner_id) == avatar_id))
            session.execute(
                sa.update(TakeRow).where(col(TakeRow.preview_avatar_id) == avatar_id).values(preview_avatar_id=None)
            )
            session.delete(row)
            emit(session, "system", {"name": "avatar_deleted", "data": {"avatar_id": avatar_id}})
        self._tools.files.remove(self._tools.files.models / "avatars" / avatar_id)
        self._tools.files.remove(self._tools.files.avatar(avatar_id))

    def withdraw(self, avatar_id: str) -> Consent:
        """Withdraw the consent that the avatar rests on; see ``consents.withdraw``."""
        with self._tools.database.write() as session:
            return consents.withdraw(session, AvatarRow, avatar_id)

    def usable(self, avatar_id: str, scope: str) -> tuple[AvatarRow, Path]:
        """Return an avatar and the folder of its live version, if it may be used for ``scope`` now.

        Raises:
            ConflictError: nothing of it can be used yet.
            ForbiddenError: the consent does not allow it.
        """
        with self._tools.database.read() as session:
            row = find(session, avatar_id)
            if row.model_path is None or row.state == "retired":
                raise ConflictError(
                    f"The avatar is {row.state}.", "Wait for its training, or choose one that is ready or a preview."
                )
            consents.require(session, row.consent_id, scope)
        folder = self._tools.files.bring(self._tools.files.model_path(row.model_path))
        if not (folder / "manifest.json").is_file():
            raise ConflictError(
                "The avatar's files are gone.", "Train it again or import it.", {"path": row.model_path}
            )
        return row, folder

    def train(self, wanted: dict[str, Any], priority: str) -> JobRow:
        """Queue a training. ``wanted`` has take_id, name, engine, minutes, steps, avatar_id, device.

        The take's preview avatar becomes the trained one, unless an avatar is named or the preview is already one. An
        avatar that is named learns from this take beside those it was learned from before.
        """
        with self._tools.database.write() as session:
            take = session.get(TakeRow, wanted["take_id"])
            if take is None:
                raise NotFoundError("There is no such take.", "List the takes to see those there are.")
            if take.state != "prepared":
                raise ConflictError(f"The take is {take.state}.", "Wait until it is prepared.", {"job_id": take.job_id})
            consents.require(session, take.consent_id, "train")
            _engine_that_trains(wanted["engine"])
            if wanted.get("avatar_id"):
                avatar = find(session, wanted["avatar_id"])
                require_same_person(session, avatar, take)
            else:
                avatar = self._taken_over(session, take, wanted)
            avatar.updated_at = now()
            session.add(avatar)
            session.flush()
            request = {**wanted, "avatar_id": avatar.id, "take_id": take.id}
            queue = "gpu" if wanted.get("device") == "cuda" else "cpu"
            return self._tools.jobs.submit(
                "avatars:train", request, subject_id=avatar.id, priority=priority, queue=queue, session=session
            )

    def export(
        self, avatar_id: str, model_id: str | None, passphrase: str | None = None, formats: Sequence[str] = ()
    ) -> JobRow:
        """Queue the packing of an avatar's live version, or of another one of it.

        With ``formats`` of ``lipsync.export`` only its torch networks are packed, in these.
        """
        row, _ = self.usable(avatar_id, "export")
        with self._tools.database.write() as session:
            model = session.get(ModelRow, model_id or row.model_id)
            if model is None or model.owner_id != avatar_id:
                raise NotFoundError("The avatar has no such version.", "List its versions among the models.")
            request: dict[str, Any] = {"avatar_id": avatar_id, "model_id": model.id}
            if formats:
                request["formats"] = [*formats]
            request = packages.with_secret(self._tools, request, passphrase)
            return self._tools.jobs.submit("avatars:export", request, subject_id=avatar_id, session=session)

    def import_(
        self, upload: Upload, name: str | None, consent: dict[str, Any], passphrase: str | None = None
    ) -> JobRow:
        """Queue the import of an uploaded bundle; its person's consent is given anew, here."""
        with self._tools.database.write() as session:
            kept = consents.add(session, consent)
            request = {"upload_id": upload.id, "name": name, "avatar_id": new_id(), "consent_id": kept.id}
            request = packages.with_secret(self._tools, request, passphrase)
            return self._tools.jobs.submit("avatars:import", request, session=session)

    def _taken_over(self, session: Session, take: TakeRow, wanted: dict[str, Any]) -> AvatarRow:
        preview = session.get(AvatarRow, take.preview_avatar_id) if take.preview_avatar_id else None
        if preview is not None and preview.state == "preview" and not self._tools.jobs.open_for(preview.id):
            preview.name, preview.engine = wanted["name"], wanted["engine"]
            return preview
        return AvatarRow(
            name=wanted["name"],
            state="making",
            engine=wanted["engine"],
            take_id=take.id,
            consent_id=take.consent_id,
        )


def find(session: Session, avatar_id: str) -> AvatarRow:
    """Return an avatar's row or raise ``NotFoundError``."""
    row = session.get(AvatarRow, avatar_id)
    if row is None:
        raise NotFoundError("There is no such avatar.", "List the avatars to see those there are.")
    return row


def _engine_that_trains(name: str) -> None:
    from lipsync import registry

    if name not in registry.names():
        raise InvalidInputError(
            f"There is no engine called '{name}'.", f"Choose one of: {', '.join(sorted(registry.names()))}."
        )

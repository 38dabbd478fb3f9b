"""The job that prepares a take and makes the avatar that talks without training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlmodel import Session, col, select

from apps.control_api.services import registration
from apps.control_api.services.bodies import Done
from apps.control_api.services.events import emit
from apps.control_api.services.takes import source_files
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, JobRow, TakeRow
from apps.control_api.storage.tables.base import new_id
from lipsync.errors import CancelledError, NotFoundError, StudioError
from lipsync.progress import PartProgress, Progress

_PREPARING = 0.85


class PrepareTake:
    """``takes:prepare {take_id}`` -> take_id, preview_avatar_id (null where no preview could be made), seconds."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Normalise, track, key and measure the take; then the preview avatar."""
        from apps.control_api.services.take_pictures import thumbnail
        from lipsync.dataset.prepare import prepare_take

        take_id = job.request["take_id"]
        files = self._tools.files
        row = self._begin(take_id)
        video, voice = source_files(files, take_id)
        report = {k: v for k, v in row.report.items() if k in ("ok", "findings", "info")}
        take = prepare_take(video, voice, files.take(take_id), PartProgress(progress, 0.0, _PREPARING), report)
        preview, problem = self._preview(job, row, take, PartProgress(progress, _PREPARING, 1.0))
        if preview is not None:
            thumbnail(files.take(take_id), files.avatar(preview.owner_id) / "thumbnail.jpg")

        def commit(session: Session) -> None:
            done = session.get(TakeRow, take_id)
            if done is None:
                raise NotFoundError("The take was deleted meanwhile.")
            done.state, done.updated_at = "prepared", now()
            done.mic_profile = take.meta.get("mic_profile") or done.mic_profile
            done.chroma_info = take.meta.get("chroma_info") or done.chroma_info
            done.report = {**done.report, **take.report}  # every picture was looked at, where the check saw some
            done.face_embedding = take.meta.get("face_embedding") or []
            done.face_id = _face_id(session, done)
            if preview is not None:
                self._enter_preview(session, preview, row, (take.width, take.height))
                done.preview_avatar_id = preview.owner_id
            emit(session, "system", {"name": "take_changed", "data": {"take_id": take_id, "state": "prepared"}})

        result: dict[str, Any] = {
            "take_id": take_id,
            "preview_avatar_id": preview.owner_id if preview else None,
            "seconds": round(take.n / take.fps, 2),
        }
        if problem is not None:
            result["preview_problem"] = problem
        return Done(result, commit)

    def failed(self, job: JobRow) -> Callable[[Session], None]:
        """Mark the take as failed: its recording stays, and the job can be tried again."""

        def commit(session: Session) -> None:
            row = session.get(TakeRow, job.request["take_id"])
            if row is not None:
                row.state, row.updated_at = "failed", now()
                emit(session, "system", {"name": "take_changed", "data": {"take_id": row.id, "state": "failed"}})

        return commit

    def _begin(self, take_id: str) -> TakeRow:
        with self._tools.database.write() as session:
            row = session.get(TakeRow, take_id)
            if row is None:
                raise NotFoundError("The take was deleted.", "Upload it again.")
            row.state = "preparing"
            return row

    def _preview(
        self, job: JobRow, row: TakeRow, take: Any, progress: Progress
    ) -> tuple[registration.Version | None, str | None]:
        from lipsync.bundle import update_manifest
        from lipsync.engine import TrainOptions
        from lipsync.registry import DEFAULT
        from lipsync.training.avatar import train_avatar

        progress.stage("preview")
        avatar_id = registration.id_for(job, "preview")
        folder = self._tools.files.version("avatar", avatar_id, "preview")
        self._tools.files.remove(folder)
        try:
            train_avatar(take, folder, DEFAULT, TrainOptions(preview=True), progress)
        except CancelledError:
            raise
        except StudioError as error:  # the take is good for training even where no preview can be had
            progress.log(f"No preview: {error.message} {error.remedy}")
            return None, error.message
        update_manifest(folder, name=row.name, version="preview", takes=(row.id,), consent_id=row.consent_id)
        version = registration.Version(
            model_id=registration.id_for(job, "preview-model"),
            owner_id=avatar_id,
            name=row.name,
            version="preview",
            making=folder,
            folder=folder,
            take_ids=(row.id,),
            consent_id=row.consent_id,
        )
        return version, None

    def _enter_preview(
        self, session: Session, version: registration.Version, take: TakeRow, size: tuple[int, int]
    ) -> None:
        model = registration.row_of(self._tools, version, "ready", [])
        avatar = AvatarRow(
            id=version.owner_id,
            name=take.name,
            state="preview",
            engine=model.engine,
            take_id=take.id,
            consent_id=take.consent_id,
            model_id=model.id,
            model_path=model.path,
            model_version=model.version,
            width=size[0],
            height=size[1],
        )
        session.merge(avatar)
        session.merge(model)
        emit(session, "system", {"name": "avatar_changed", "data": {"avatar_id": avatar.id}})


def _face_id(session: Session, take: TakeRow) -> str | None:
    """The id that all takes of this person have: that of the take most like it, else its own; None without a face."""
    from lipsync.face.identity import find_same

    if not take.face_embedding:
        return None
    query = select(TakeRow).where(col(TakeRow.id) != take.id, col(TakeRow.face_id).is_not(None))
    others = {row.id: row for row in session.exec(query)}
    same = find_same(take.face_embedding, {id_: row.face_embedding for id_, row in others.items()})
    return others[same].face_id if same is not None else take.face_id or new_id()

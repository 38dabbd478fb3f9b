"""The jobs of avatars: training, import, export."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from apps.control_api.services import consents, packages, registration
from apps.control_api.services.avatar_takes import Earlier, earlier
from apps.control_api.services.bodies import Done
from apps.control_api.services.events import emit
from apps.control_api.services.models import next_version
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.storage.tables import AvatarRow, Consent, JobRow, ModelRow, TakeRow
from lipsync.errors import BundleError, ConflictError, NotFoundError
from lipsync.progress import Progress


class TrainAvatar:
    """``avatars:train {take_id, name, engine, minutes, steps, device, avatar_id}`` -> avatar_id, model_id, metrics."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Train on a prepared take, judge on its held-out part, register the version."""
        from apps.control_api.services.take_pictures import thumbnail
        from lipsync.bundle import update_manifest
        from lipsync.dataset.take import load_take
        from lipsync.engine import TrainOptions
        from lipsync.training.avatar import train_avatar

        wanted, files = job.request, self._tools.files
        take_row, parent, before = self._begin(wanted)
        take = load_take(files.take(take_row.id))
        making = registration.making_folder(self._tools, wanted["avatar_id"], job)
        files.remove(making)
        options = TrainOptions(
            minutes=wanted.get("minutes"),
            steps=wanted.get("steps"),
            device=_device(wanted.get("device"), self._tools.owner.in_force().device),
            parent=before.parent,
            extra=self._extra(before, wanted["avatar_id"], job),
        )
        for line in before.left_out:
            progress.log(f"Not learned from again: {line}")
        train_avatar(take, making, wanted["engine"], options, progress)
        files.remove(self._work(wanted["avatar_id"], job))
        with self._tools.database.read() as session:
            number = next_version(session, wanted["avatar_id"])
        version = registration.Version(
            model_id=registration.id_for(job, "model"),
            owner_id=wanted["avatar_id"],
            name=wanted["name"],
            version=number,
            making=making,
            folder=files.version("avatar", wanted["avatar_id"], number),
            take_ids=(take_row.id, *before.takes),
            consent_id=take_row.consent_id,
            parent_id=parent.id if parent else None,
        )
        manifest = update_manifest(
            making,
            name=version.name,
            version=number,
            takes=version.take_ids,
            consent_id=version.consent_id,
            parent=parent.version if parent else None,
        )
        bounds = self._tools.owner.in_force()
        reasons = registration.shortcomings(manifest.metrics, bounds.minimum_metrics, bounds.maximum_metrics)
        for reason in reasons:
            progress.log(f"In review: {reason}")
        thumbnail(files.take(take_row.id), files.avatar(version.owner_id) / "thumbnail.jpg")
        result: dict[str, Any] = {
            "avatar_id": version.owner_id,
            "model_id": version.model_id,
            "version": number,
            "metrics": dict(manifest.metrics),
            "reasons": reasons,
            "state": "in_review" if reasons else "ready",
        }
        size = (take.width, take.height)

        def commit(session: Session) -> None:
            consents.require(session, version.consent_id, "train")  # it may have been withdrawn meanwhile
            registration.enter(session, self._tools, version, reasons, size)

        return Done(result, commit)

    def failed(self, job: JobRow) -> Callable[[Session], None]:
        """Take away an avatar of which nothing can be used, and what was made of the version."""
        avatar_id = job.request["avatar_id"]
        self._tools.files.remove(registration.making_folder(self._tools, avatar_id, job))
        self._tools.files.remove(self._work(avatar_id, job))

        def commit(session: Session) -> None:
            row = session.get(AvatarRow, avatar_id)
            if row is not None and row.state == "making":
                session.delete(row)
                emit(session, "system", {"name": "avatar_deleted", "data": {"avatar_id": avatar_id}})

        return commit

    def _work(self, avatar_id: str, job: JobRow) -> Path:
        """Where finished stages wait for the job to be begun again after the studio or the machine went down."""
        return self._tools.files.version("avatar", avatar_id, f".work-{job.id}")

    def _extra(self, before: Earlier, avatar_id: str, job: JobRow) -> dict[str, Any]:
        extra: dict[str, Any] = {"work": str(self._work(avatar_id, job))}
        if before.folders:
            extra["more"] = [str(folder) for folder in before.folders]
        return extra

    def _begin(self, wanted: dict[str, Any]) -> tuple[TakeRow, ModelRow | None, Earlier]:
        from lipsync.registry import load_engine_class

        with self._tools.database.read() as session:
            take = session.get(TakeRow, wanted["take_id"])
            if take is None:
                raise NotFoundError("The take was deleted.", "Upload it again.")
            consents.require(session, take.consent_id, "train")
            avatar = session.get(AvatarRow, wanted["avatar_id"])
            parent = session.get(ModelRow, avatar.model_id) if avatar and avatar.model_id else None
            several = load_engine_class(wanted["engine"]).capabilities.several_takes
            return take, parent, earlier(session, self._tools, parent, take) if several else Earlier()


class ImportAvatar:
    """``avatars:import {upload_id, name, avatar_id, consent_id, review}`` -> avatar_id, model_id, version."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._uploads = Uploads(tools.files)

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Check and unpack an uploaded bundle, register it."""
        from lipsync import registry
        from lipsync.bundle import update_manifest

        wanted, files = job.request, self._tools.files
        upload = self._uploads.finished(wanted["upload_id"])
        avatar_id = wanted["avatar_id"]
        making = registration.making_folder(self._tools, avatar_id, job)
        files.remove(making)
        files.need_room(2 * upload.size, self._tools.owner.in_force().free_space)
        progress.stage("unpack")
        manifest, origin = packages.read(self._tools, upload.path, making, wanted)
        progress.update(0.7)
        if manifest.kind != "avatar" or manifest.engine not in registry.names():
            files.remove(making)
            raise BundleError(
                f"This is a {manifest.kind} of the engine '{manifest.engine}', which this studio cannot use.",
                f"Import an avatar of one of: {', '.join(registry.names())}.",
            )
        progress.stage("register")
        with self._tools.database.read() as session:
            number = next_version(session, avatar_id)
        version = registration.Version(
            model_id=registration.id_for(job, "model"),
            owner_id=avatar_id,
            name=wanted.get("name") or manifest.name,
            version=number,
            making=making,
            folder=files.version("avatar", avatar_id, number),
            consent_id=wanted.get("consent_id"),
        )
        update_manifest(making, name=version.name, version=number, consent_id=version.consent_id, takes=())
        reasons = [registration.BROUGHT_IN] if wanted.get("review") else []
        height, width = _size(manifest.input_shape)
        result = {"avatar_id": avatar_id, "model_id": version.model_id, "version": number, **origin}

        def commit(session: Session) -> None:
            registration.enter(session, self._tools, version, reasons, (width, height))

        self._uploads.forget(upload)
        return Done(result, commit)

    def failed(self, job: JobRow) -> Callable[[Session], None]:
        """Take away what was unpacked, and the consent given for nothing."""
        self._tools.files.remove(registration.making_folder(self._tools, job.request["avatar_id"], job))
        consent_id = job.request.get("consent_id")

        def commit(session: Session) -> None:
            used = session.get(AvatarRow, job.request["avatar_id"]) is not None
            if consent_id and not used:
                session.execute(sa.delete(Consent).where(col(Consent.id) == consent_id))

        return commit


class ExportVersion:
    """``avatars:export`` and ``voices:export`` ``{model_id}`` -> file, model_id, and avatar_id or voice_id."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Pack one version into a zip that another studio can import."""
        with self._tools.database.read() as session:
            model = session.get(ModelRow, job.request["model_id"])
            if model is None:
                raise NotFoundError("The version was deleted.", "Choose another one.")
            consents.require(session, model.consent_id, "export")
        folder = self._tools.files.result(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        source = self._tools.files.model_path(model.path)
        if not source.is_dir():
            raise ConflictError("The version's files are gone.", "Train it again.")
        self._tools.files.need_room(sum(f.stat().st_size for f in source.rglob("*") if f.is_file()), 0)
        progress.stage("pack")
        plain = re.sub(r"[^0-9A-Za-z\u4e00-\u9fff_-]+", "-", model.name).strip("-") or model.kind
        target = folder / f"{plain[:60]}-{model.version}"
        if job.request.get("formats"):
            target = packages.write_networks(self._tools, source, target, job.request, progress)
        else:
            target = packages.write(self._tools, source, target, job.request)
        sealed = target.suffix == ".ltseal"
        result = {"file": target.name, f"{model.kind}_id": model.owner_id, "model_id": model.id, "sealed": sealed}
        return Done(result)

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Take away what was packed."""
        self._tools.files.remove(self._tools.files.result(job.id))
        return None


def _device(wanted: str | None, default: str) -> str:
    return wanted if wanted and wanted != "auto" else default


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    return (int(shape[0]), int(shape[1])) if len(shape) == 3 else (0, 0)

"""``models:register``: what a file is, found out in a process of its own; then entered as a version in review."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import Session, select

from apps.control_api.services import registration
from apps.control_api.services.audit import Audit
from apps.control_api.services.avatar_jobs import ImportAvatar
from apps.control_api.services.bodies import Done
from apps.control_api.services.events import emit
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voice_jobs import ImportVoice
from apps.control_api.settings import ROOT
from apps.control_api.storage.tables import JobRow, ModelRow
from lipsync.errors import BundleError, ConflictError, ForbiddenError
from lipsync.progress import Progress

_PATIENCE_S = 600.0
_DIGITS = 12


def base_owner(network: str) -> str:
    """Return what stands for the owner of a public network's versions: the same id for the same network."""
    return str(uuid5(NAMESPACE_URL, f"livetalking-studio/networks/{network}"))


class RegisterModel:
    """``models:register {upload_id, name, avatar_id, voice_id, named, consent_id, sha256}``.

    The result has model_id, version, format and network, and avatar_id or voice_id where it is one of these.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._uploads = Uploads(tools.files)

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Recognise, check, and enter; what is neither ours nor a known network is refused with the reason."""
        upload = self._uploads.finished(job.request["upload_id"])
        progress.stage("recognise")
        scratch = self._scratch(job)
        self._tools.files.remove(scratch)
        scratch.mkdir(parents=True)
        self._tools.files.need_room(2 * upload.size, self._tools.owner.in_force().free_space)
        found = recognised(upload.path, scratch / "weights.safetensors")
        wanted = job.request.get("sha256")
        if wanted and wanted.lower() != found["sha256"]:
            raise BundleError(
                f"The file's SHA-256 is {found['sha256']}, not {wanted}.", "Copy or download the file again."
            )
        progress.log(f"This is {found['network'] or 'a bundle'} ({found['format']}).")
        progress.update(0.5)
        if found["format"] == "bundle":
            done = self._bundle(job, upload.path, progress)
        else:
            done = self._network(job, found, scratch)
            self._uploads.forget(upload)
        self._tools.files.remove(scratch)
        return Done({**done.result, "format": found["format"], "network": found["network"]}, done.commit)

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Take away what was read and unpacked."""
        self._tools.files.remove(self._scratch(job))
        voice = ImportVoice(self._tools).failed(job)
        avatar = ImportAvatar(self._tools).failed(job)

        def commit(session: Session) -> None:
            if job.request.get("named"):
                return  # the consent is that of an avatar or a voice which stays
            for clear in (voice, avatar):
                if clear is not None:
                    clear(session)

        return commit

    def _scratch(self, job: JobRow) -> Path:
        return self._tools.files.result(registration.id_for(job, "scratch"))

    def _bundle(self, job: JobRow, path: Path, progress: Progress) -> Done:
        kind = _kind_in(path)
        named = job.request.get("named")
        if named and named != kind:
            raise ConflictError(f"This is a {kind}, and the version is to be one of a {named}.", "Name no owner.")
        if job.request.get("consent_id") is None:
            raise ForbiddenError(
                f"This is a person's {kind}, and no consent came with it.",
                f"Send the person's `consent`, or name the {kind} it is a version of.",
            )
        body = ImportAvatar(self._tools) if kind == "avatar" else ImportVoice(self._tools)
        return body.run(job, progress)

    def _network(self, job: JobRow, found: dict[str, Any], scratch: Path) -> Done:
        from safetensors.numpy import load_file

        from lipsync.bundle import Manifest, write_bundle

        files = self._tools.files
        owner, version = base_owner(found["network"]), found["sha256"][:_DIGITS]
        folder = files.models / "base" / found["network"] / version
        with self._tools.database.read() as session:
            known = session.exec(
                select(ModelRow).where(ModelRow.owner_id == owner, ModelRow.version == version)
            ).first()
        if known is not None:
            raise ConflictError("These weights are registered already.", "Use that version.", {"model_id": known.id})
        name = job.request.get("name") or found["network"]
        manifest = Manifest(
            name,
            version,
            "base",
            found["engine"],
            16_000,
            tuple(found["inputs"][0]),
            found["feature"],
            extra={"network": found["network"], "inputs": found["inputs"], "from": found["format"]},
        )
        write_bundle(folder, manifest, load_file(str(scratch / "weights.safetensors")), replace=True)
        model_id = registration.id_for(job, "model")

        def commit(session: Session) -> None:
            version_of = registration.Version(model_id, owner, name, version, folder, folder, kind="base")
            row = registration.row_of(self._tools, version_of, "in_review", [registration.BROUGHT_IN])
            session.add(row)
            session.flush()
            emit(session, "system", {"name": "model_in_review", "data": {"model_id": row.id, "reasons": row.reasons}})
            Audit.add(session, "studio", "model_held", 202, object_kind="models", object_id=row.id)

        return Done({"model_id": model_id, "version": version}, commit)


def recognised(path: Path, out: Path) -> dict[str, Any]:
    """Read a foreign file in a process of its own.

    Raises:
        BundleError: it is refused, crashes whoever reads it, or takes too long.
    """
    command = [sys.executable, "-m", "lipsync.checkpoints", str(path), str(out)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise BundleError("Reading the file took too long.", "Do not use this file.") from None
    try:
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise BundleError(f"The file breaks what reads it (exit {done.returncode}).", "Do not use this file.") from None
    if done.returncode != 0:
        raise BundleError(said["message"], said["remedy"])
    return said


def _kind_in(path: Path) -> str:
    """Whether a packed bundle is an avatar or a voice, as its manifest says; the rest is checked while unpacking."""
    from lipsync.bundle import MANIFEST, MAX_MANIFEST_BYTES

    try:
        with zipfile.ZipFile(path) as archive, archive.open(MANIFEST) as file:
            kind = json.loads(file.read(MAX_MANIFEST_BYTES + 1)[:MAX_MANIFEST_BYTES]).get("kind")
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise BundleError(
            f"The manifest cannot be read: {error}", "Choose a file made by the studio's export."
        ) from error
    if kind not in ("avatar", "voice"):
        raise BundleError(f"This is a bundle of the kind {kind!r}.", "Register an avatar or a voice.")
    return str(kind)

"""The jobs of voices: training, import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, col

from apps.control_api.services import consents, packages, registration
from apps.control_api.services.bodies import Done
from apps.control_api.services.models import next_version
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.storage.tables import Consent, JobRow, VoiceRow
from lipsync.errors import BundleError, ConflictError
from lipsync.progress import Progress

BACKENDS = {"filtered-base": "clone", "xtts": "xtts_local"}
"""Who speaks the bundles of an engine."""


class TrainVoice:
    """``voices:train {voice_id, name, take_id or upload_id, consent_id, transcript, recorded_language}``.

    The result has voice_id, model_id, version, metrics.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._uploads = Uploads(tools.files)

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Train on a take's sound or an uploaded recording, measure, register the version."""
        from lipsync.bundle import read_manifest, update_manifest
        from speech.clone.training import VoiceOptions, train_voice

        wanted, files = job.request, self._tools.files
        voice_id = wanted["voice_id"]
        with self._tools.database.read() as session:
            consents.require(session, wanted["consent_id"], "train")
        takes = (wanted["take_id"],) if wanted.get("take_id") else ()
        making = registration.making_folder(self._tools, voice_id, job, "voice")
        files.remove(making)
        made = {"name": wanted["name"], "progress": progress, "takes": takes, "consent_id": wanted["consent_id"]}
        if wanted.get("method") == "xtts":
            from speech.clone.xtts import clone_for_xtts

            clone_for_xtts(self._recording(job), making, files.models / "base" / "xtts", **made)
        else:
            options = VoiceOptions(recorded_language=wanted.get("recorded_language") or "en")
            train_voice(self._recording(job), making, transcript=wanted.get("transcript"), options=options, **made)
        version = self._version(job, making, takes)
        update_manifest(making, version=version.version)
        manifest = read_manifest(making, verify=False)
        metrics = dict(manifest.metrics)

        def commit(session: Session) -> None:
            consents.require(session, version.consent_id, "train")
            registration.enter_voice(session, self._tools, version, BACKENDS[manifest.engine], {})

        result = {"voice_id": voice_id, "model_id": version.model_id, "version": version.version, "metrics": metrics}
        return Done(result, commit)

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Take away what was made."""
        self._tools.files.remove(registration.making_folder(self._tools, job.request["voice_id"], job, "voice"))
        return None

    def _recording(self, job: JobRow) -> Path:
        if job.request.get("take_id"):
            path = self._tools.files.take(job.request["take_id"]) / "voice.wav"
            if not path.is_file():
                raise ConflictError("The take has no prepared voice.", "Wait until the take is prepared.")
            return path
        return self._uploads.finished(job.request["upload_id"]).path

    def _version(self, job: JobRow, making: Path, takes: tuple[str, ...]) -> registration.Version:
        voice_id = job.request["voice_id"]
        with self._tools.database.read() as session:
            number = next_version(session, voice_id)
            voice = session.get(VoiceRow, voice_id)
        return registration.Version(
            model_id=registration.id_for(job, "model"),
            owner_id=voice_id,
            name=job.request["name"],
            version=number,
            making=making,
            folder=self._tools.files.version("voice", voice_id, number),
            take_ids=takes,
            consent_id=job.request.get("consent_id"),
            parent_id=voice.model_id if voice else None,
            kind="voice",
        )


class ImportVoice(TrainVoice):
    """``voices:import {upload_id, name, voice_id, consent_id}`` -> voice_id, model_id, version."""

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Check and unpack an uploaded voice, register it."""
        from lipsync.bundle import update_manifest

        wanted, files = job.request, self._tools.files
        upload = self._uploads.finished(wanted["upload_id"])
        making = registration.making_folder(self._tools, wanted["voice_id"], job, "voice")
        files.remove(making)
        files.need_room(2 * upload.size, self._tools.owner.in_force().free_space)
        progress.stage("unpack")
        manifest, origin = packages.read(self._tools, upload.path, making, wanted)
        if manifest.kind != "voice":
            raise BundleError(f"This is a {manifest.kind}, not a voice.", "Choose a voice made by the studio's export.")
        _check_voice(manifest.engine, making)
        name = wanted.get("name") or manifest.name
        version = replace(self._version(job, making, ()), name=name)
        update_manifest(making, name=name, version=version.version, consent_id=version.consent_id, takes=())

        def commit(session: Session) -> None:
            registration.enter_voice(
                session, self._tools, version, BACKENDS[manifest.engine], {}, review=bool(wanted.get("review"))
            )

        self._uploads.forget(upload)
        return Done(
            {"voice_id": version.owner_id, "model_id": version.model_id, "version": version.version, **origin}, commit
        )

    def failed(self, job: JobRow) -> Callable[[Session], None]:
        """Take away what was unpacked, and the consent given for nothing."""
        super().failed(job)

        def commit(session: Session) -> None:
            if session.get(VoiceRow, job.request["voice_id"]) is None:
                session.execute(sa.delete(Consent).where(col(Consent.id) == job.request["consent_id"]))

        return commit


def _check_voice(engine: str, folder: Path) -> None:
    """Load a voice as whoever speaks it would. Raises ``BundleError``."""
    if engine == "xtts":
        from speech.clone.xtts import load_latents

        load_latents(folder)
    elif engine in BACKENDS:
        from speech.clone.voice import ClonedVoice

        ClonedVoice.load(folder)
    else:
        raise BundleError(f"This studio knows no voices of {engine!r}.", "Choose a voice made by the studio's export.")

"""Voices: those that come with the studio, those set up from a back-end; listed, changed, heard."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa
from sqlmodel import Session, col

from apps.control_api.services import consents, packages
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import Consent, JobRow, ModelRow, TakeRow, VoiceRow
from apps.control_api.storage.tables.base import new_id
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

_MOST_BACKENDS = 8
MOST_LIKE = 1.5
_BUILTIN = (("auto", "自带双语 / Studio voice"), ("zh", "自带普通话"), ("en", "Studio English"))


def builtin_id(language: str) -> str:
    """Return the id of the studio's own voice of a language ("auto" follows the text): the same on every machine."""
    return str(uuid5(NAMESPACE_URL, f"livetalking-studio/voices/local/{language}"))


class Voices:
    """The use-cases of voices."""

    def __init__(self, tools: Tools, uploads: Uploads) -> None:
        self._tools, self._uploads = tools, uploads
        self._backends: dict[str, Any] = {}

    def seed(self) -> None:
        """Enter the voices that come with the studio, once."""
        with self._tools.database.write() as session:
            for language, name in _BUILTIN:
                if session.get(VoiceRow, builtin_id(language)) is None:
                    session.add(
                        VoiceRow(
                            id=builtin_id(language),
                            name=name,
                            state="ready",
                            backend="local",
                            language=language,
                            builtin=True,
                        )
                    )

    def get(self, voice_id: str) -> VoiceRow:
        """Return a voice."""
        with self._tools.database.read() as session:
            return find(session, voice_id)

    def list(self, limit: int, cursor: str | None, language: str | None) -> Slice[VoiceRow]:
        """List voices, newest first."""
        filters = [col(VoiceRow.language) == language] if language else []
        with self._tools.database.read() as session:
            return newest_first(session, VoiceRow, filters, limit, cursor)

    def _need_xtts(self) -> None:
        """Refuse before anything is queued where XTTS has no weights here."""
        from speech.tts.setup import HINTS
        from speech.tts.xtts_local import missing_weights

        if lacking := missing_weights(self._tools.files.models / "base" / "xtts"):
            raise ConflictError(
                f"XTTS has no weights on this machine: {', '.join(lacking)}.",
                HINTS["xtts_local"][1],
                {"missing": lacking},
            )

    def create(self, wanted: dict[str, Any]) -> VoiceRow:
        """Set up a voice of a back-end: name, backend, voice, language, speed, params."""
        from speech.tts import registry

        if wanted["backend"] not in registry.names():
            raise InvalidInputError(
                f"There is no voice back-end called '{wanted['backend']}'.",
                f"Choose one of: {', '.join(registry.names())}.",
            )
        _check_params(wanted["params"])
        with self._tools.database.write() as session:
            row = VoiceRow(state="ready", **wanted)
            session.add(row)
            emit(session, "system", {"name": "voice_changed", "data": {"voice_id": row.id}})
            return row

    def update(self, voice_id: str, changes: dict[str, Any]) -> VoiceRow:
        """Change name, speed or params."""
        _check_params(changes.get("params", {}))
        with self._tools.database.write() as session:
            row = find(session, voice_id)
            for key, value in changes.items():
                setattr(row, key, value)
            row.updated_at = now()
            session.add(row)
            emit(session, "system", {"name": "voice_changed", "data": {"voice_id": voice_id}})
            return row

    def delete(self, voice_id: str) -> None:
        """Delete a voice with its versions; those that come with the studio stay."""
        if self._tools.jobs.open_for(voice_id):
            raise ConflictError("A job is at work on this voice.", "Cancel the job first, or wait for its end.")
        with self._tools.database.write() as session:
            row = find(session, voice_id)
            if row.builtin:
                raise ConflictError("This voice comes with the studio.", "Choose another one to delete.")
            session.execute(sa.delete(ModelRow).where(col(ModelRow.owner_id) == voice_id))
            session.delete(row)
            emit(session, "system", {"name": "voice_deleted", "data": {"voice_id": voice_id}})
        self._tools.files.remove(self._tools.files.models / "voices" / voice_id)
        self._tools.files.remove(self._tools.files.voice(voice_id))

    def withdraw(self, voice_id: str) -> Consent:
        """Withdraw the consent that the voice rests on; see ``consents.withdraw``."""
        with self._tools.database.write() as session:
            return consents.withdraw(session, VoiceRow, voice_id)

    def usable(self, voice_id: str | None, scope: str) -> VoiceRow:
        """Return a voice that may be used for ``scope`` now; the studio's own if none is named."""
        with self._tools.database.read() as session:
            row = find(session, voice_id or builtin_id("auto"))
            if row.state != "ready":
                raise ConflictError(f"The voice is {row.state}.", "Wait until it is ready, or choose another.")
            consents.require(session, row.consent_id, scope)
        if row.model_path:
            self._tools.files.bring(self._tools.files.model_path(row.model_path))
        return row

    def clone_speaker(self, wanted: dict[str, Any], priority: str) -> JobRow:
        """Queue the training of a person's voice; a voice that is named gets a new version.

        ``wanted``: name, take_id, or upload_id and consent; transcript, recorded_language, method, voice_id.
        """
        wanted = dict(wanted)
        given = wanted.pop("consent", None)
        if wanted.get("method") == "xtts":
            self._need_xtts()
        if (wanted.get("take_id") is None) == (wanted.get("upload_id") is None):
            raise InvalidInputError("Name a take or an upload, and not both.", "Send `take_id` or `upload_id`.")
        with self._tools.database.write() as session:
            if wanted.get("take_id"):
                take = session.get(TakeRow, wanted["take_id"])
                if take is None:
                    raise NotFoundError("There is no such take.", "List the takes to see those there are.")
                if take.state != "prepared":
                    raise ConflictError(f"The take is {take.state}.", "Wait until it is prepared.")
                consent_id: str = take.consent_id
            elif given is None:
                raise InvalidInputError("The person's consent is missing.", "Send `consent` with the upload.")
            else:
                self._uploads.finished(wanted["upload_id"])
                consent_id = consents.add(session, given).id
            consents.require(session, consent_id, "train")
            if wanted.get("voice_id") and find(session, wanted["voice_id"]).builtin:
                raise ConflictError("This voice comes with the studio.", "Train a voice of its own.")
            voice_id = wanted.get("voice_id") or new_id()
            request = {**wanted, "voice_id": voice_id, "consent_id": consent_id}
            return self._tools.jobs.submit(
                "voices:train", request, subject_id=voice_id, priority=priority, session=session
            )

    def export(self, voice_id: str, passphrase: str | None = None) -> JobRow:
        """Queue the packing of a trained voice's live version."""
        with self._tools.database.write() as session:
            row = find(session, voice_id)
            if row.model_id is None:
                raise ConflictError("This voice was not trained here.", "Only a trained voice can be taken along.")
            consents.require(session, row.consent_id, "export")
            request = packages.with_secret(self._tools, {"voice_id": voice_id, "model_id": row.model_id}, passphrase)
            return self._tools.jobs.submit("voices:export", request, subject_id=voice_id, session=session)

    def import_(
        self, upload_id: str, name: str | None, consent: dict[str, Any], passphrase: str | None = None
    ) -> JobRow:
        """Queue the import of an uploaded voice; its person's consent is given anew, here."""
        self._uploads.finished(upload_id)
        with self._tools.database.write() as session:
            kept = consents.add(session, consent)
            request = {"upload_id": upload_id, "name": name or "", "voice_id": new_id(), "consent_id": kept.id}
            request = packages.with_secret(self._tools, request, passphrase)
            return self._tools.jobs.submit("voices:import", request, session=session)

    async def preview(self, voice_id: str, text: str) -> AsyncIterator[bytes]:
        """Speak ``text`` and yield a WAV (16-bit mono) as it is made; the header comes with the first sound.

        Raises:
            StudioError: before the first byte, where the voice cannot speak at all.
        """
        row = await asyncio.to_thread(self.usable, voice_id, "live")
        backend = await self._backend(row)
        spoken = _speak(backend, self.spoken(row), text)
        try:
            first = await anext(spoken)
        except StopAsyncIteration:
            raise InvalidInputError("This text has nothing to say aloud.", "Send words or numbers.") from None
        return _wav(first, spoken, backend.sample_rate)

    def spoken(self, row: VoiceRow) -> Any:
        """Return the row as ``speech.tts.base.Voice``."""
        from speech.tts.base import Voice

        return Voice(row.backend, row.voice, row.language, row.speed, dict(row.params))

    def backend_settings(self, row: VoiceRow) -> dict[str, Any]:
        """Return the settings of the row's back-end: the owner's over the studio's, and a trained voice's folder."""
        settings = self._tools.owner.service("voice", row.backend)
        if row.model_path:
            settings["bundle"] = str(self._tools.files.model_path(row.model_path))
        if row.backend == "xtts_local":
            settings.setdefault("weights", str(self._tools.files.models / "base" / "xtts"))
        return settings

    async def close(self) -> None:
        """Close the back-ends opened for previews."""
        for backend in self._backends.values():
            await backend.close()
        self._backends.clear()

    async def _backend(self, row: VoiceRow) -> Any:
        settings = await asyncio.to_thread(self.backend_settings, row)
        key = f"{row.backend} {sorted(settings.items())!r}"  # a changed address or credential makes another one
        if key not in self._backends:
            from speech.tts import registry

            backend = await asyncio.to_thread(registry.create, row.backend, settings)
            kept = self._backends.setdefault(key, backend)
            if len(self._backends) > _MOST_BACKENDS:
                await self._backends.pop(next(iter(self._backends))).close()
            return kept
        return self._backends[key]


def _check_params(params: dict[str, Any]) -> None:
    """Refuse a slider "like me / clear" that is no number of its range."""
    likeness = params.get("likeness", 1.0)
    if isinstance(likeness, bool) or not isinstance(likeness, int | float) or not 0.0 <= likeness <= MOST_LIKE:
        raise InvalidInputError(
            f"`likeness` goes from 0 (clearest) to {MOST_LIKE:g}; 1 is as trained.", "Move the slider."
        )


def find(session: Session, voice_id: str) -> VoiceRow:
    """Return a voice's row or raise ``NotFoundError``."""
    row = session.get(VoiceRow, voice_id)
    if row is None:
        raise NotFoundError("There is no such voice.", "List the voices to see those there are.")
    return row


async def _speak(backend: Any, voice: Any, text: str) -> AsyncIterator[Any]:
    from speech.text import SentenceSplitter

    cancel = asyncio.Event()
    splitter = SentenceSplitter()
    sentences = [*splitter.push(text), *splitter.flush()]
    try:
        for sentence in sentences:
            async for pcm in backend.stream(sentence, voice, cancel):
                yield pcm
    finally:
        cancel.set()


async def _wav(first: Any, rest: AsyncIterator[Any], rate: int) -> AsyncIterator[bytes]:
    # The length is not known yet: the largest one tells players to read to the end.
    size = 0xFFFFFFFF
    yield b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    yield b"data" + struct.pack("<I", size - 36) + _pcm16(first)
    async for pcm in rest:
        yield _pcm16(pcm)


def _pcm16(pcm: Any) -> bytes:
    import numpy as np

    return bytes((np.clip(pcm, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())

"""Voices: those that come with the studio, those set up from a back-end; listed, changed, heard."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import Session, col

from apps.control_api.services import consents
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import VoiceRow
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

_BUILTIN = (("auto", "自带双语 / Studio voice"), ("zh", "自带普通话"), ("en", "Studio English"))


def builtin_id(language: str) -> str:
    """Return the id of the studio's own voice of a language ("auto" follows the text): the same on every machine."""
    return str(uuid5(NAMESPACE_URL, f"livetalking-studio/voices/local/{language}"))


class Voices:
    """The use-cases of voices."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
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

    def create(self, wanted: dict[str, Any]) -> VoiceRow:
        """Set up a voice of a back-end: name, backend, voice, language, speed, params."""
        from speech.tts import registry

        if wanted["backend"] not in registry.names():
            raise InvalidInputError(
                f"There is no voice back-end called '{wanted['backend']}'.",
                f"Choose one of: {', '.join(registry.names())}.",
            )
        with self._tools.database.write() as session:
            row = VoiceRow(state="ready", **wanted)
            session.add(row)
            emit(session, "system", {"name": "voice_changed", "data": {"voice_id": row.id}})
            return row

    def update(self, voice_id: str, changes: dict[str, Any]) -> VoiceRow:
        """Change name, speed or params."""
        with self._tools.database.write() as session:
            row = find(session, voice_id)
            for key, value in changes.items():
                setattr(row, key, value)
            row.updated_at = now()
            session.add(row)
            emit(session, "system", {"name": "voice_changed", "data": {"voice_id": voice_id}})
            return row

    def delete(self, voice_id: str) -> None:
        """Delete a voice; those that come with the studio stay."""
        with self._tools.database.write() as session:
            row = find(session, voice_id)
            if row.builtin:
                raise ConflictError("This voice comes with the studio.", "Choose another one to delete.")
            session.delete(row)
            emit(session, "system", {"name": "voice_deleted", "data": {"voice_id": voice_id}})
        self._tools.files.remove(self._tools.files.models / "voices" / voice_id)
        self._tools.files.remove(self._tools.files.voice(voice_id))

    def usable(self, voice_id: str | None, scope: str) -> VoiceRow:
        """Return a voice that may be used for ``scope`` now; the studio's own if none is named."""
        with self._tools.database.read() as session:
            row = find(session, voice_id or builtin_id("auto"))
            if row.state != "ready":
                raise ConflictError(f"The voice is {row.state}.", "Wait until it is ready, or choose another.")
            consents.require(session, row.consent_id, scope)
            return row

    async def preview(self, voice_id: str, text: str) -> AsyncIterator[bytes]:
        """Speak ``text`` and yield a WAV (16-bit mono) as it is made; the header comes with the first sound.

        Raises:
            StudioError: before the first byte, where the voice cannot speak at all.
        """
        row = await asyncio.to_thread(self.usable, voice_id, "live")
        backend = await self._backend(row.backend)
        spoken = _speak(backend, await asyncio.to_thread(self.spoken, row), text)
        try:
            first = await anext(spoken)
        except StopAsyncIteration:
            raise InvalidInputError("This text has nothing to say aloud.", "Send words or numbers.") from None
        return _wav(first, spoken, backend.sample_rate)

    def spoken(self, row: VoiceRow) -> Any:
        """Return the row as ``speech.tts.base.Voice``; a trained voice's folder goes along as parameter `bundle`."""
        from speech.tts.base import Voice

        params = dict(row.params)
        if row.model_path:
            params["bundle"] = str(self._folder(row.model_path))
        return Voice(row.backend, row.voice, row.language, row.speed, params)

    async def close(self) -> None:
        """Close the back-ends opened for previews."""
        for backend in self._backends.values():
            await backend.close()
        self._backends.clear()

    def _folder(self, model_path: str) -> Path:
        return self._tools.files.model_path(model_path)

    async def _backend(self, name: str) -> Any:
        if name not in self._backends:
            from speech.tts import registry

            backend = await asyncio.to_thread(registry.create, name, self._tools.settings.voice_services.get(name))
            self._backends.setdefault(name, backend)
        return self._backends[name]


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

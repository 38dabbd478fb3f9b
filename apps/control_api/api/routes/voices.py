"""Voices."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object, plain
from apps.control_api.api.security import client_of
from apps.control_api.api.wire.avatars import (
    Voice,
    VoiceCreate,
    VoiceExport,
    VoiceImport,
    VoicePage,
    VoicePreview,
    VoiceTrain,
    VoiceUpdate,
)
from apps.control_api.api.wire.jobs import Job
from apps.control_api.api.wire.takes import Consent
from apps.control_api.api.wire.voice_backends import VoiceBackend, VoiceBackendFinding, VoiceBackendList
from lipsync.errors import TooManyError

router = APIRouter(tags=["voices"])


@router.get("/voices")
def list_voices(
    studio: Studio,
    limit: Limit = 50,
    cursor: Cursor = None,
    language: Annotated[str | None, Query(max_length=16)] = None,
) -> VoicePage:
    """List voices, newest first."""
    part = studio.voices.list(limit, cursor, language)
    return VoicePage(items=[studio.present.voice(row) for row in part.items], next_cursor=part.next_cursor)


@router.post("/voices", status_code=201)
def create_voice(wanted: VoiceCreate, request: Request, studio: Studio) -> Voice:
    """Set up a voice of a back-end."""
    row = studio.voices.create(wanted.model_dump())
    note_object(request, row.id)
    return studio.present.voice(row)


@router.get("/voices/backends")
def list_voice_backends(studio: Studio) -> VoiceBackendList:
    """Voice back-ends: what they can do and whether they are set up. Imports them: slow at the first call."""
    return VoiceBackendList(items=[VoiceBackend.model_validate(told) for told in studio.voice_backends.told()])


@router.post("/voices/backends/{name}:check")
async def check_voice_backend(name: str, studio: Studio) -> VoiceBackendFinding:
    """Ask a back-end for one short word with the settings kept for it, and say what is wrong where it fails."""
    return VoiceBackendFinding.model_validate(await studio.voice_backends.check(name))


@router.get("/voices/{voice_id}")
def get_voice(voice_id: str, studio: Studio) -> Voice:
    """One voice."""
    return studio.present.voice(studio.voices.get(voice_id))


@router.patch("/voices/{voice_id}")
def update_voice(voice_id: str, wanted: VoiceUpdate, studio: Studio) -> Voice:
    """Change a voice's name, speed or settings."""
    return studio.present.voice(studio.voices.update(voice_id, wanted.model_dump(exclude_none=True)))


@router.post("/voices/{voice_id}:withdraw")
async def withdraw_voice_consent(voice_id: str, studio: Studio) -> Consent:
    """Withdraw the consent the voice rests on: all that rests on it no longer trains, goes live or is exported.

    Live sessions with it end at once.
    """
    consent = await asyncio.to_thread(studio.voices.withdraw, voice_id)
    await studio.live.end_forbidden()
    return Consent.model_validate(consent)


@router.delete("/voices/{voice_id}", status_code=204)
def delete_voice(voice_id: str, studio: Studio) -> None:
    """Delete a voice; those that come with the studio stay."""
    studio.voices.delete(voice_id)


@router.post(
    "/voices/{voice_id}:preview", response_class=StreamingResponse, responses={200: {"content": {"audio/wav": {}}}}
)
async def preview_voice(voice_id: str, wanted: VoicePreview, request: Request, studio: Studio) -> StreamingResponse:
    """Hear a sentence: a WAV (16-bit mono), streamed as it is made."""
    if not studio.previews.allow(client_of(request.scope)):
        raise TooManyError("Too many previews.", "Wait a moment.")
    return StreamingResponse(await studio.voices.preview(voice_id, wanted.text), media_type="audio/wav")


@router.post("/voices:train", status_code=202)
def train_voice(wanted: VoiceTrain, request: Request, studio: Studio) -> Job:
    """Train a person's voice; the job's result has voice_id and model_id."""
    job = studio.voices.clone_speaker(wanted.model_dump(exclude={"priority"}), wanted.priority)
    note_object(request, job.subject_id or "")
    return studio.present.job(job)


@router.post("/voices:export", status_code=202)
def export_voice(wanted: VoiceExport, request: Request, studio: Studio) -> Job:
    """Pack a trained voice into one file; the job's file_url serves it."""
    note_object(request, wanted.voice_id)
    return studio.present.job(studio.voices.export(wanted.voice_id, plain(wanted.passphrase)))


@router.post("/voices:import", status_code=202)
def import_voice(wanted: VoiceImport, request: Request, studio: Studio) -> Job:
    """Import an uploaded voice file; the job's result has voice_id and model_id."""
    job = studio.voices.import_(wanted.upload_id, wanted.name, wanted.consent.model_dump(), plain(wanted.passphrase))
    note_object(request, job.request["voice_id"])
    return studio.present.job(job)

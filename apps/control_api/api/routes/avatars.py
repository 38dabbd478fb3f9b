"""Avatars."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object, plain
from apps.control_api.api.wire.avatars import (
    Avatar,
    AvatarExport,
    AvatarImport,
    AvatarPage,
    AvatarState,
    AvatarTrain,
    AvatarUpdate,
)
from apps.control_api.api.wire.jobs import Job
from apps.control_api.api.wire.takes import Consent

router = APIRouter(tags=["avatars"])


@router.get("/avatars")
def list_avatars(
    studio: Studio,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: AvatarState | None = None,
    take_id: Annotated[str | None, Query(max_length=64)] = None,
) -> AvatarPage:
    """List avatars, newest first."""
    part = studio.avatars.list(limit, cursor, state, take_id)
    return AvatarPage(items=[studio.present.avatar(row) for row in part.items], next_cursor=part.next_cursor)


@router.get("/avatars/{avatar_id}")
def get_avatar(avatar_id: str, studio: Studio) -> Avatar:
    """One avatar."""
    return studio.present.avatar(studio.avatars.get(avatar_id))


@router.patch("/avatars/{avatar_id}")
def update_avatar(avatar_id: str, wanted: AvatarUpdate, studio: Studio) -> Avatar:
    """Rename an avatar."""
    return studio.present.avatar(studio.avatars.rename(avatar_id, wanted.name))


@router.post("/avatars/{avatar_id}:withdraw")
async def withdraw_avatar_consent(avatar_id: str, studio: Studio) -> Consent:
    """Withdraw the consent the avatar rests on: all that rests on it no longer trains, goes live or is exported.

    Live sessions with it end at once.
    """
    consent = await asyncio.to_thread(studio.avatars.withdraw, avatar_id)
    await studio.live.end_forbidden()
    return Consent.model_validate(consent)


@router.delete("/avatars/{avatar_id}", status_code=204)
def delete_avatar(avatar_id: str, studio: Studio) -> None:
    """Delete an avatar with all its versions."""
    studio.avatars.delete(avatar_id)


@router.get("/avatars/{avatar_id}/thumbnail", response_class=FileResponse)
def get_avatar_thumbnail(avatar_id: str, studio: Studio) -> FileResponse:
    """A small picture of the avatar (JPEG)."""
    row = studio.avatars.get(avatar_id)
    files = studio.tools.files
    path = files.existing(files.bring(files.avatar(row.id), beside=True) / "thumbnail.jpg")
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})


@router.post("/avatars:train", status_code=202)
def train_avatar(wanted: AvatarTrain, request: Request, studio: Studio) -> Job:
    """Train an avatar from a prepared take; the job's result has avatar_id and model_id."""
    job = studio.avatars.train(wanted.model_dump(exclude={"priority"}), wanted.priority)
    note_object(request, job.subject_id or "")
    return studio.present.job(job)


@router.post("/avatars:export", status_code=202)
def export_avatar(wanted: AvatarExport, request: Request, studio: Studio) -> Job:
    """Pack an avatar into one file; the job's file_url serves it."""
    note_object(request, wanted.avatar_id)
    formats = list(dict.fromkeys(wanted.formats))
    job = studio.avatars.export(wanted.avatar_id, wanted.model_id, plain(wanted.passphrase), [str(f) for f in formats])
    return studio.present.job(job)


@router.post("/avatars:import", status_code=202)
def import_avatar(wanted: AvatarImport, request: Request, studio: Studio) -> Job:
    """Import an uploaded avatar file; the job's result has avatar_id and model_id."""
    upload = studio.uploads.finished(wanted.upload_id)
    job = studio.avatars.import_(upload, wanted.name, wanted.consent.model_dump(), plain(wanted.passphrase))
    note_object(request, job.request["avatar_id"])
    return studio.present.job(job)

"""A person's own: withdrawn or deleted in one go."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from apps.control_api.api.deps import Studio
from apps.control_api.api.wire.persons import Belongings, PersonDelete, PersonGone, PersonNamed

router = APIRouter(tags=["persons"])


@router.post("/persons:withdraw")
async def withdraw_person(wanted: PersonNamed, request: Request, studio: Studio) -> Belongings:
    """Withdraw every consent of a person; live sessions with them end, nothing of theirs is handed out any more."""
    found = await asyncio.to_thread(studio.persons.withdraw, wanted.person, wanted.face_id)
    request.state.audit_detail = _counted(found)
    await studio.live.end_forbidden()
    return Belongings.model_validate(found)


@router.post("/persons:delete")
async def delete_person(wanted: PersonDelete, request: Request, studio: Studio) -> PersonGone:
    """Delete all data of a person and say what went; the audit trail stays."""
    request.state.audit_detail = {"dry_run": wanted.dry_run}
    ended: list[str] = []
    if wanted.dry_run:
        gone = await asyncio.to_thread(studio.persons.plan, wanted.person, wanted.face_id)
    else:
        await asyncio.to_thread(studio.persons.withdraw, wanted.person, wanted.face_id)
        before = {session.id for session in studio.live.opened()}
        await studio.live.end_forbidden()
        ended = sorted(before - {session.id for session in studio.live.opened()})
        gone = await asyncio.to_thread(studio.persons.delete, wanted.person, wanted.face_id)
    request.state.audit_detail = {"dry_run": wanted.dry_run, **_counted(gone.what)}
    return PersonGone(
        dry_run=wanted.dry_run,
        what=Belongings.model_validate(gone.what),
        files=gone.files,
        size_bytes=gone.size_bytes,
        sessions=ended,
    )


def _counted(found: Any) -> dict[str, Any]:
    """How many of each kind, and which consents: what the audit trail keeps of a person who is forgotten."""
    held = asdict(found)
    return {kind: len(ids) for kind, ids in held.items()} | {"consent_ids": held["consents"]}

"""The machine: its disk, its load, and a bundle for whoever helps."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from apps.control_api.api.deps import Studio
from apps.control_api.api.wire.machine import Load, Storage, StorageClean, StorageCleaned
from apps.control_api.services import diagnostics, machine
from apps.control_api.storage.clock import now

router = APIRouter(prefix="/system", tags=["system"])


@router.get("/load")
def get_load() -> Load:
    """How busy processor, memory and graphics cards are."""
    return Load.model_validate(machine.load())


@router.get("/storage")
def get_storage(studio: Studio) -> Storage:
    """What fills the disk."""
    return Storage.model_validate(studio.storage.measure())


@router.post("/storage:clean")
def clean_storage(wanted: StorageClean, request: Request, studio: Studio) -> StorageCleaned:
    """Remove old uploads, results, recordings or logs; what is in use stays."""
    freed = studio.storage.clean(list(wanted.kinds), wanted.older_than_days)
    request.state.audit_detail = {"kinds": list(wanted.kinds), "freed": freed}
    return StorageCleaned(freed=freed)


@router.get(
    "/diagnostics",
    response_class=Response,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_diagnostics(studio: Studio) -> Response:
    """Versions, checks, settings, failed jobs and logs as a zip, without secrets, names, texts or recordings."""
    made = diagnostics.bundle(studio.tools, len(studio.dispatcher.pids), studio.token)
    name = f"studio-diagnostics-{now():%Y%m%d-%H%M%S}.zip"
    return Response(
        made, media_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )

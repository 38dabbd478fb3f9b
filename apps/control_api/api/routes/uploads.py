"""Resumable uploads (tus 1.0) under /uploads; the protocol's own clients know it, so OpenAPI does not repeat it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from tuspyserver import create_tus_router

from apps.control_api.api.security import PREFIX
from apps.control_api.container import Container

DAYS = 3


def uploads_router(studio: Container) -> APIRouter:
    """Return the tus server's routes. Creation is refused where the disk has too little room."""
    settings, files = studio.settings, studio.tools.files

    def room_first(_metadata: dict[str, Any], info: dict[str, Any]) -> None:
        size = info.get("size") or 0
        files.need_room(int(size), settings.free_space)

    router: APIRouter = create_tus_router(
        prefix=f"{PREFIX}/uploads",
        files_dir=str(files.uploads),
        max_size=settings.upload_limit,
        days_to_keep=DAYS,
        pre_create_hook=room_first,
        strict_offset_validation=True,
        tags=["uploads"],
    )
    return router

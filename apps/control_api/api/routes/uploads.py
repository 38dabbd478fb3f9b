"""Resumable uploads (tus 1.0) under /uploads; the protocol's own clients know it, so OpenAPI does not repeat it.

The library keeps to the protocol; what it leaves to its user is here: limits and room on the disk are looked at before
an upload begins, and what an upload is called need not be said.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, Depends, Header, Request, Response
from tuspyserver import create_tus_router

from apps.control_api.api.security import PREFIX
from apps.control_api.api.upload_store import UploadStore
from apps.control_api.container import Container
from lipsync.errors import InvalidInputError, NotFoundError, TooLargeError

DAYS = 3
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-defer-length,expiration,termination"


def uploads_router(studio: Container) -> APIRouter:
    """Return the tus server's routes."""
    settings, files = studio.settings, studio.tools.files
    store = UploadStore(files.uploads, DAYS, lambda size: files.need_room(size, settings.free_space))

    def fits(size: int) -> None:
        if size > settings.upload_limit:
            raise TooLargeError(
                f"The file is over the limit of {settings.upload_limit // 2**20} MiB.",
                "Send a shorter recording, or raise the limit in the settings.",
                {"limit": settings.upload_limit, "size": size},
            )

    async def before_creating(_metadata: dict[str, Any], info: dict[str, Any]) -> None:
        size, deferred = info.get("size"), info.get("defer_length")
        if size is None and not deferred:
            raise InvalidInputError("The length of the upload is missing.", "Send `Upload-Length`.")
        if size is not None and size < 0:
            raise InvalidInputError("The length of the upload is below zero.", "Send the file's size in bytes.")
        fits(size or 0)
        await asyncio.to_thread(studio.takes.need_room, size or 0)

    async def before_writing(request: Request, upload_length: int | None = Header(None)) -> None:
        if request.method == "PATCH" and upload_length is not None:
            fits(upload_length)
            await asyncio.to_thread(studio.takes.need_room, upload_length)

    library: APIRouter = create_tus_router(
        prefix="uploads",
        files_dir=str(files.uploads),
        max_size=settings.upload_limit,
        days_to_keep=DAYS,
        pre_create_hook=before_creating,  # type: ignore[arg-type]  # it may be a coroutine
        strict_offset_validation=True,
        storage=store,
    )
    router = APIRouter(prefix=PREFIX, tags=["uploads"])

    @router.options("/uploads", status_code=204)
    @router.options("/uploads/", status_code=204)
    def tell_protocol() -> Response:
        """What this server can do."""
        told = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(settings.upload_limit)}
        return Response(status_code=204, headers={"Tus-Resumable": VERSION, **told})

    @router.head("/uploads/{upload_id}")
    async def tell_offset(upload_id: str) -> Response:
        """How much of an upload has arrived, and what was said of it."""
        info = await store.read_info(upload_id) if len(upload_id) == 32 and upload_id.isalnum() else None
        if info is None:
            raise NotFoundError("There is no such upload.", "Send the file again.")
        told = {"Tus-Resumable": VERSION, "Upload-Offset": str(info["offset"]), "Cache-Control": "no-store"}
        if info.get("size") is None:
            told["Upload-Defer-Length"] = "1"
        else:
            told["Upload-Length"] = str(info["size"])
        said = [f"{key} {_base64(str(value))}".strip() for key, value in (info.get("metadata") or {}).items()]
        if said:
            told["Upload-Metadata"] = ",".join(said)
        return Response(headers={**told, "Upload-Expires": info["expires"]})

    router.include_router(library, dependencies=[Depends(before_writing)])
    return router


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

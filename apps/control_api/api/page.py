"""The built page at /: files by their names, everything else its index (the page routes itself), under a strict CSP."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from apps.control_api import errors
from apps.control_api.api.security import PREFIX

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob: mediastream:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}


def page_router(folder: Path) -> APIRouter:
    """Return the routes of the page built into ``folder``; without a build, / says how to make one."""
    router = APIRouter(include_in_schema=False)
    root = folder.resolve()

    @router.get("/{path:path}")
    def page(path: str, request: Request) -> Response:
        if path == "api" or path.startswith("api/"):
            told = errors.body("not_found", "There is nothing at this address.", f"The API lies under {PREFIX}.")
            return JSONResponse(told, 404)
        index = root / "index.html"
        if not index.is_file():
            text = "The page is not built yet: run `npm ci && npm run build` in apps/web_admin.\n"
            return PlainTextResponse(text, 404 if path else 200, headers=_HEADERS)
        wanted = Path(os.path.normpath(root / path))
        if path and wanted.is_relative_to(root) and wanted.is_file():
            cache = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            return FileResponse(wanted, headers={**_HEADERS, "Cache-Control": cache})
        if "." in path.rsplit("/", 1)[-1]:  # a file that is not there, not a page of the app
            return PlainTextResponse("Not found\n", 404, headers=_HEADERS)
        return FileResponse(index, headers={**_HEADERS, "Cache-Control": "no-cache"})

    return router

"""Every error becomes ``{code, message, remedy, detail}`` here, and nowhere else."""

from __future__ import annotations

import errno
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from apps.control_api import log
from lipsync.errors import NoSpaceError, StudioError

_log = log.get(__name__)

_PLAIN = {
    400: ("bad_request", "The request cannot be understood.", "Compare it with the OpenAPI document."),
    401: ("unauthorised", "The token is missing or wrong.", "Send `Authorization: Bearer <token>`."),
    404: ("not_found", "There is nothing at this address.", "Compare the path with the OpenAPI document."),
    405: ("method_not_allowed", "This address does not take this method.", "Compare it with the OpenAPI document."),
    409: ("conflict", "The object's state does not allow it.", "Ask for its state and go on from there."),
    410: ("gone", "It has expired.", "Send it again from the beginning."),
    412: ("precondition_failed", "A protocol version does not fit.", "Send `Tus-Resumable: 1.0.0`."),
    413: ("too_large", "The body is over its limit.", "Send less, or raise the limit in the settings."),
    415: ("wrong_type", "The body is of another kind than expected.", "Compare it with the protocol's description."),
    503: ("unavailable", "It is busy or cannot be written.", "Try again in a moment."),
    507: ("no_space", "The disk has too little room.", "Make room on the disk; an upload goes on where it stopped."),
}


def body(code: str, message: str, remedy: str = "", detail: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an error's body."""
    return {"code": code, "message": message, "remedy": remedy, "detail": detail or {}}


def of(error: StudioError) -> JSONResponse:
    """Return the response of one of our errors."""
    headers = {"Retry-After": "1"} if error.http_status in (429, 503) else None
    return JSONResponse(body(error.code, error.message, error.remedy, error.detail), error.http_status, headers=headers)


def install(app: FastAPI) -> None:
    """Map the error tree, validation errors and everything unforeseen."""

    @app.exception_handler(StudioError)
    async def studio(_request: Request, error: StudioError) -> JSONResponse:
        if error.http_status >= 500:
            _log.warning("request failed", code=error.code, error=error.message)
        return of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [
            {
                "code": e["type"],
                "severity": "error",
                "where": ".".join(str(p) for p in e["loc"]),
                "message": {"zh-CN": f"字段无效：{e['msg']}", "en": e["msg"]},
                "remedy": {"zh-CN": "按接口文档修改此字段。", "en": "Correct this field as the OpenAPI document says."},
            }
            for e in error.errors()
        ]
        return JSONResponse(
            body("invalid_input", "The request breaks a rule.", "Correct the fields named.", {"reasons": reasons}), 422
        )

    @app.exception_handler(HTTPException)
    async def plain(_request: Request, error: HTTPException) -> JSONResponse:
        code, message, remedy = _PLAIN.get(error.status_code, ("error", str(error.detail), ""))
        told = str(error.detail)
        return JSONResponse(
            body(code, message, remedy, {"told": told} if told else {}), error.status_code, headers=error.headers
        )

    @app.exception_handler(OSError)
    async def disk(_request: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error  # not foreseen: goes to the handler below
        _log.warning("the disk is full", error=str(error))
        return of(
            NoSpaceError(
                "The disk is full; nothing of this was kept.",
                "Delete takes or results that are not needed, or move the data folder to a larger disk.",
            )
        )

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        _log.error("unforeseen error", path=request.url.path, exc_info=error)
        return JSONResponse(body("internal", "The studio made a mistake.", "Try again; send the log if it stays."), 500)

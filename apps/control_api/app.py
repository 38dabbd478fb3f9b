"""The application: routes, middleware and the life of what runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from apps.control_api import errors
from apps.control_api.api import events
from apps.control_api.api.page import page_router
from apps.control_api.api.routes import (
    avatars,
    compatibility,
    inference_stream,
    jobs,
    live,
    machine,
    models,
    outputs,
    persons,
    room,
    scene,
    system,
    takes,
    tokens,
    uploads,
    voices,
    watch,
)
from apps.control_api.api.routes import (
    settings as settings_routes,
)
from apps.control_api.api.security import PREFIX, Gate, Guard, Outer
from apps.control_api.api.timing import Timing
from apps.control_api.api.wire.base import ErrorBody
from apps.control_api.api.wire.system import JobEvent, JobLogEvent, LiveEvent, SystemEvent
from apps.control_api.api.wire.takes import TakeFromUploads
from apps.control_api.container import Container, build
from apps.control_api.settings import MIB, Settings

_ROUND_S = 20.0
_HOUR = 180
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "The request cannot be understood.",
        401: "The token is missing or wrong.",
        403: "Host, origin, role or consent does not allow it.",
        404: "There is no such object.",
        409: "The object's state does not allow it.",
        413: "The body is over its limit.",
        422: "The input breaks a rule; `detail.reasons` has every one.",
        429: "A cap is reached.",
        500: "The studio made a mistake.",
        503: "Something it needs is missing or does not answer.",
        507: "The disk has too little room.",
    }.items()
}


def create_app(settings: Settings) -> FastAPI:
    """Build the application. The database is migrated and everything started by the lifespan."""
    studio = build(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        keeper = await start(studio)
        try:
            yield
        finally:
            keeper.cancel()
            await stop(studio)

    app = FastAPI(
        title="LiveTalking Studio control API",
        version=settings.version,
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        responses=_ERRORS,
    )
    app.state.container = studio
    for module in (
        *(system, machine, settings_routes, takes, avatars, voices, models, jobs, live, scene, outputs),
        *(room, tokens, persons),
    ):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(events.router, prefix=PREFIX)
    app.include_router(inference_stream.router, prefix=PREFIX)
    app.include_router(watch.router, prefix=PREFIX)
    app.include_router(uploads.uploads_router(studio), include_in_schema=False)
    app.add_api_route("/health", system.get_health, include_in_schema=False)
    app.add_api_route("/metrics", system.get_metrics, include_in_schema=False)
    if settings.compatibility:
        app.include_router(compatibility.compatibility_router(), include_in_schema=False)
    app.include_router(page_router(settings.page_dir))
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    errors.install(app)

    paths = frozenset(compatibility.PATHS if settings.compatibility else ())
    gate = Gate(settings, studio.token, studio.signer, studio.audit, _body_limit(settings), paths, studio.tokens)
    app.add_middleware(Guard, gate=gate)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE", "HEAD"],
        allow_headers=["Authorization", "Content-Type", "Range", *_TUS_HEADERS],
        expose_headers=["Location", "Content-Range", "Accept-Ranges", *_TUS_HEADERS],
        max_age=600,
    )
    app.add_middleware(Outer, gate=gate)
    app.add_middleware(Timing, observe=studio.metrics.observe)
    return app


async def start(studio: Container) -> asyncio.Task[None]:
    """Bring the database up to date, clear what an earlier run left half-done, start listening and working."""
    studio.tools.database.migrate()
    studio.tools.files.sweep()
    studio.takes.sweep()
    studio.recordings.sweep()
    studio.live.sweep(studio.audit)
    studio.voices.seed()
    studio.tokens.load()
    await studio.hub.start()
    studio.loop_watch.start()
    studio.dispatcher.start()
    return asyncio.create_task(_keep_house(studio), name="housekeeping")


async def _keep_house(studio: Container) -> None:
    """Refresh what workers read of live sessions; clear forgotten uploads once an hour."""
    rounds = 0
    while True:
        if rounds % _HOUR == 0:
            await asyncio.to_thread(studio.uploads.sweep, uploads.DAYS)
        await asyncio.sleep(_ROUND_S)
        await studio.live.refresh()
        await asyncio.to_thread(studio.tokens.load)
        rounds += 1


async def stop(studio: Container) -> None:
    """End live sessions, workers and everything else that was started."""
    await studio.live.shutdown()
    await studio.voices.close()
    await studio.dispatcher.stop()
    await studio.loop_watch.stop()
    await studio.hub.stop()
    studio.tools.database.close()


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the bearer token, the events and the bodies read by hand."""
    if app.openapi_schema:
        return app.openapi_schema
    routes = [r for r in app.routes if not isinstance(r, APIRoute) or r.include_in_schema]
    document = get_openapi(
        title=app.title,
        version=app.version,
        routes=routes,
        description="REST and WebSocket of the studio. Resumable uploads (tus 1.0) lie under `/api/v1/uploads`; events "
        "come over `WS /api/v1/events?ticket=` as the component `Event`.\n" + inference_stream.DESCRIPTION,
    )
    parts = document["components"]
    parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    schemas = parts["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (TakeFromUploads, JobEvent, JobLogEvent, LiveEvent, SystemEvent):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    told = {"job": "JobEvent", "job_log": "JobLogEvent", "live": "LiveEvent", "system": "SystemEvent"}
    refs = {kind: f"#/components/schemas/{name}" for kind, name in told.items()}
    schemas["Event"] = {
        "oneOf": [{"$ref": ref} for ref in refs.values()],
        "discriminator": {"propertyName": "type", "mapping": refs},
        "description": "What `WS /events` tells.",
    }
    app.openapi_schema = document
    return document


_TUS_HEADERS = [
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Expires",
    "X-HTTP-Method-Override",
]


_SOUND_LIMIT = 64 * MIB


def _body_limit(settings: Settings) -> Any:
    whole_take = settings.upload_limit + settings.voice_limit + MIB

    def limit(method: str, path: str) -> int:
        if path == f"{PREFIX}/takes" and method == "POST":
            return whole_take
        if path.startswith(f"{PREFIX}/uploads"):
            return settings.upload_limit
        if path == "/humanaudio" or (path.startswith(f"{PREFIX}/live/sessions/") and path.endswith(":audio")):
            return _SOUND_LIMIT
        return settings.json_limit

    return limit

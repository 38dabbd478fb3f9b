"""The owner's settings, and those of services."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from apps.control_api.api.deps import Studio, note_object
from apps.control_api.api.wire.settings import (
    Service,
    Services,
    ServiceUpdate,
    ServiceVerdict,
    SettingsUpdate,
    SettingsValues,
)
from apps.control_api.container import Container
from apps.control_api.services.settings_store import ServiceKind, check_service, service_names

router = APIRouter(prefix="/settings", tags=["settings"])


@router.get("")
def get_settings(studio: Studio) -> SettingsValues:
    """The settings in force: the owner's over those the studio was started with."""
    return SettingsValues.model_validate(studio.tools.owner.values())


@router.patch("")
def update_settings(wanted: SettingsUpdate, studio: Studio) -> SettingsValues:
    """Change settings; each holds from the next job or session on."""
    return SettingsValues.model_validate(studio.tools.owner.change(wanted))


@router.get("/services")
def list_services(studio: Studio) -> Services:
    """Voice and reply services with their settings; credentials are masked. Imports them: slow at the first call."""
    return Services(items=[_service(studio, kind, name, reason) for kind, name, reason in service_names()])


@router.patch("/services/{kind}/{name}")
def update_service(kind: ServiceKind, name: str, wanted: ServiceUpdate, request: Request, studio: Studio) -> Service:
    """Change settings of a service; a credential can be written and never read."""
    note_object(request, name)
    studio.tools.owner.change_service(kind, name, wanted.fields)
    return _service(studio, kind, name, "")


@router.post("/services/{kind}/{name}:check")
async def check_service_settings(kind: ServiceKind, name: str, studio: Studio) -> ServiceVerdict:
    """Ask a service whether it can be used with the settings kept for it."""
    settings = await asyncio.to_thread(studio.tools.owner.service, kind, name)
    ok, message, remedy = await check_service(kind, name, settings)
    return ServiceVerdict(ok=ok, message=message, remedy=remedy)


def _service(studio: Container, kind: ServiceKind, name: str, reason: str) -> Service:
    fields: list[dict[str, Any]] = [] if reason else studio.tools.owner.describe(kind, name)
    return Service.model_validate(
        {"kind": kind, "name": name, "available": not reason, "reason": reason, "fields": fields}
    )

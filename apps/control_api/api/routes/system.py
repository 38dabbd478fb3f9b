"""The studio itself: health, checks, capabilities, metrics, audit, tickets."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from apps.control_api.api.deps import Cursor, Limit, Studio
from apps.control_api.api.wire.system import (
    AuditEvent,
    AuditPage,
    AuditVerdict,
    Capabilities,
    Checks,
    Health,
    StudioKey,
    Ticket,
)
from apps.control_api.services import bodies, checks, packages

router = APIRouter()
_RANK = {"ok": 0, "warning": 1, "error": 2}


@router.get("/health", tags=["system"], openapi_extra={"security": []})
async def get_health(studio: Studio) -> Health:
    """The API answers. Needs no token."""
    return Health(version=studio.settings.version)


@router.get("/system/key", tags=["system"])
def get_studio_key(studio: Studio) -> StudioKey:
    """The public key that this studio's exports are signed with; others name it in `trusted_studios`."""
    from lipsync.signature import public_text

    return StudioKey(algorithm="ed25519", key=public_text(packages.own_key(studio.tools)))


@router.get("/system/checks", tags=["system"])
def get_checks(studio: Studio) -> Checks:
    """What is missing on this machine, and what to do about it."""
    found = checks.run_checks(studio.tools, len(studio.dispatcher.pids))
    worst = max((check["state"] for check in found), key=lambda state: _RANK[state])
    return Checks.model_validate({"state": worst, "checks": found})


@router.get("/system/capabilities", tags=["system"])
def get_capabilities(studio: Studio) -> Capabilities:
    """What this machine can do."""
    kinds = sorted({**bodies.KINDS, **studio.settings.job_kinds})
    return Capabilities.model_validate(checks.capabilities(studio.tools, kinds))


@router.get(
    "/metrics",
    tags=["system"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(studio: Studio) -> Response:
    """Figures for Prometheus."""
    text = await asyncio.to_thread(studio.metrics.render)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/audit/events", tags=["audit"])
def list_audit_events(
    studio: Studio,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Annotated[str | None, Query(max_length=64)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    object_id: Annotated[str | None, Query(max_length=64)] = None,
    object_kind: Annotated[str | None, Query(max_length=40)] = None,
    source: Annotated[str | None, Query(max_length=64)] = None,
    since: Annotated[AwareDatetime | None, Query(description="From this time on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this time.")] = None,
    refused: Annotated[bool | None, Query(description="Only refused and failed calls, or only others.")] = None,
) -> AuditPage:
    """Who did what, newest first."""
    part = studio.audit.list(
        limit,
        cursor,
        actor=actor,
        action=action,
        object_id=object_id,
        object_kind=object_kind,
        source=source,
        since=since,
        until=until,
        refused=refused,
    )
    return AuditPage(
        items=[AuditEvent.model_validate(row.model_dump()) for row in part.items], next_cursor=part.next_cursor
    )


@router.get("/audit/verify", tags=["audit"])
def verify_audit(studio: Studio) -> AuditVerdict:
    """Recompute the chain of seals and name the first row that was changed."""
    return AuditVerdict.model_validate(studio.audit.verify(), from_attributes=True)


@router.post("/events/ticket", status_code=201, tags=["events"])
async def create_event_ticket(studio: Studio) -> Ticket:
    """A one-time ticket for `WS /events?ticket=`."""
    return Ticket(ticket=studio.tickets.issue(), expires_in_s=studio.tickets.seconds)

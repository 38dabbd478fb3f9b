"""WS /events: every event, in order, to everyone with a ticket."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from apps.control_api.api.deps import Studio
from apps.control_api.services.events import Subscription

router = APIRouter()
_FELL_BEHIND = 1013
_NO_TICKET = 4401


@router.websocket("/events")
async def events(socket: WebSocket, studio: Studio, ticket: str = "") -> None:
    """Tell events as they come; the type of each is in OpenAPI's components as `Event`."""
    if not studio.tickets.redeem(ticket):
        await socket.close(_NO_TICKET, "The ticket is unknown, used or too old.")
        return
    await socket.accept()
    listener = studio.hub.subscribe()
    teller = asyncio.create_task(_tell(socket, listener))
    try:
        while True:
            await socket.receive()  # nothing is expected; this notices the end
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        studio.hub.unsubscribe(listener)
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)


async def _tell(socket: WebSocket, listener: Subscription) -> None:
    while True:
        text = await listener.queue.get()
        if listener.overflowed:
            with contextlib.suppress(RuntimeError):
                await socket.close(_FELL_BEHIND, "Fell too far behind; connect again.")
            return
        await socket.send_text(text)

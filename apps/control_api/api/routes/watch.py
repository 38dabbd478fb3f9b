"""WS /live/sessions/{id}/watch: picture and sound over a WebSocket, for clients that no UDP reaches."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from apps.control_api.api.deps import Studio
from lipsync.errors import StudioError

router = APIRouter()
_NO_TICKET = 4401
_REFUSED = 4000
_GOING = 1001
_LOST = 4408
_SILENT_S = 8.0
"""A client says a word every two seconds; one that is silent this long is gone."""
_STUCK_S = 8.0
"""One that takes nothing for this long, too."""


@router.websocket("/live/sessions/{session_id}/watch")
async def watch(socket: WebSocket, session_id: str, studio: Studio, ticket: str = "") -> None:
    """Send a WebM that does not end: first a text message `{mime, width, height}`, then its bytes as they come.

    The ticket is one of `POST /events/ticket`. The client sends any text every two seconds, to say that it is there.
    """
    if not studio.tickets.redeem(ticket):
        await socket.close(_NO_TICKET, "The ticket is unknown, used or too old.")
        return
    try:
        audience = studio.live.session(session_id).audience
        stream = audience.watch()
    except StudioError as error:
        await socket.close(_REFUSED + error.http_status, error.message)
        return
    from apps.control_api.live_runtime.transports.webm import MIME

    try:
        await socket.accept()
        await socket.send_json({"mime": MIME, "width": audience.width, "height": audience.height})
        sending = asyncio.create_task(_send(socket, stream), name="live-watch")
        hearing = asyncio.create_task(_hear(socket), name="live-watch-hear")
        _, left = await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        stream.close()
        for task in left:
            task.cancel()
        ends = await asyncio.gather(sending, hearing, return_exceptions=True)
        code = next((end for end in ends if isinstance(end, int)), None)
        if code is not None:
            await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        pass  # gone: nobody is left to be told
    finally:
        audience.unwatch(stream)


async def _send(socket: WebSocket, stream: Any) -> int | None:
    """Send until the stream ends; returns the code to close with, None where the client is gone."""
    chunks = stream.chunks()
    try:
        async for chunk in chunks:
            async with asyncio.timeout(_STUCK_S):
                await socket.send_bytes(chunk)
    except TimeoutError:
        return _LOST
    except (WebSocketDisconnect, RuntimeError):
        return None
    finally:
        await chunks.aclose()
    return _GOING


async def _hear(socket: WebSocket) -> int | None:
    """Wait until the client leaves or falls silent."""
    while True:
        try:
            async with asyncio.timeout(_SILENT_S):
                message = await socket.receive()
        except TimeoutError:
            return _LOST
        if message["type"] == "websocket.disconnect":
            return None

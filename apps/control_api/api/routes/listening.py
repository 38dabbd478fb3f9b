"""What live sessions hear: their microphones, and sound that comes as a stream."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from apps.control_api.api.deps import Studio
from apps.control_api.api.wire.listening import Listening, ListenNow, RecogniserInfo, Recognisers
from apps.control_api.services import listening
from lipsync.errors import InvalidInputError, StudioError

router = APIRouter(tags=["live"])
_NO_TICKET = 4401
_REFUSED = 4409
_BAD_MESSAGE = 1003
_IDLE_S = 10.0
"""A stream that sends nothing for this long has ended."""


@router.post("/live/sessions/{session_id}:listen")
async def listen_in_live_session(session_id: str, wanted: ListenNow, studio: Studio) -> Listening:
    """Open or shut the microphone; shutting it ends what is being said (push to talk)."""
    session = studio.live.session(session_id)
    return Listening.model_validate(await listening.enable(session, wanted.enabled, wanted.device))


@router.get("/system/recognisers", tags=["system"])
def list_recognisers() -> Recognisers:
    """What can understand speech here."""
    return Recognisers(items=[RecogniserInfo.model_validate(r) for r in listening.recognisers()])


@router.websocket("/live/sessions/{session_id}/audio")
async def stream_sound(
    socket: WebSocket,
    session_id: str,
    studio: Studio,
    *,
    ticket: str = "",
    rate: Annotated[int, Query(ge=8_000, le=96_000)] = 16_000,
    sample: Literal["pcm16", "float32"] = "pcm16",
    into: Literal["mouth", "ear"] = "mouth",
    interrupt: bool = False,
) -> None:
    """Sound as it comes: binary messages of mono samples, little-endian, at most 1 s each; the text `end` ends it.

    Into the mouth the avatar speaks it, as one turn, and messages are taken only as fast as it speaks (two seconds
    ahead). Into the ear it is a microphone, for clients whose sound cannot come over WebRTC.
    """
    if not studio.tickets.redeem(ticket):
        await socket.close(_NO_TICKET, "The ticket is unknown, used or too old.")
        return
    await socket.accept()
    try:
        session = studio.live.session(session_id)
        sink: Any
        if into == "ear":
            sink = await listening.listener_of(session).stream(rate)
        else:
            sink = session.stream_sound(rate, interrupt)
    except StudioError as error:
        await socket.close(_REFUSED, error.message)
        return
    try:
        while True:
            async with asyncio.timeout(_IDLE_S):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect" or message.get("text") == "end":
                break
            data = message.get("bytes") or b""
            if len(data) > rate * (2 if sample == "pcm16" else 4):
                raise InvalidInputError("The message holds more than a second.", "Send shorter pieces.")
            if not await sink.put(listening.sound_of(data, sample)):
                await socket.send_json({"event": "interrupted"})
                break
    except TimeoutError:
        await socket.close(_BAD_MESSAGE, f"Nothing came for {_IDLE_S:g} s.")
        return
    except InvalidInputError as error:
        await socket.close(_BAD_MESSAGE, error.message)
        return
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        await sink.end()
    if message["type"] != "websocket.disconnect":
        await socket.close()

"""WS /inference/stream: text or sound in, pictures and sound out, for programs that show the avatar themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import Field, TypeAdapter, ValidationError

from apps.control_api.api.deps import Studio
from apps.control_api.api.wire.base import Command, Identifier, Text
from apps.control_api.api.wire.live import Background, Mark, SessionCreate
from lipsync.errors import InvalidInputError, StudioError

router = APIRouter()
_NO_TICKET, _REFUSED, _FELL_BEHIND, _STUCK = 4401, 4000, 1013, 4408
_STUCK_S = 8.0
_LARGEST = 1 << 20
DESCRIPTION = """
### WS /api/v1/inference/stream?ticket=…
Text or sound in, pictures and sound out, at the pace of speech. The ticket is one of `POST /events/ticket`.

The client's first message is text: `{"type": "begin", "avatar_id", "voice_id"?, "background"?, "mark"?}`. The answer
is `{"type": "ready", "session_id", "width", "height", "fps": 25, "sample_rate": 48000}`. Then the client sends, in
any order, `{"type": "text", "text", "interrupt"?}` to have words spoken; `{"type": "sound", "sample_rate",
"interrupt"?}`, binary messages of 16 bit little-endian mono sound, and `{"type": "end"}` to have that sound spoken;
`{"type": "interrupt"}`. The studio sends text, `{"type": "turn", "turn"}` for each utterance begun, `{"type":
"turn_ended", "turn", "outcome"}` and `{"type": "error", "code", "message", "remedy"}`; and binary messages with a
header of 16 bytes, little-endian: kind (u8; 1 picture, 2 sound), flags (u8; 1: the picture repeats the one before), 0
(u16), turn (u32; 0: idle), time (u64; the first sample, in 1/48,000 s). A picture's payload is a JPEG, a sound's
1,920 samples of 16 bits. A picture and the sound of its 40 ms bear the same time. A client that reads slowly misses
pictures; one that is five seconds of sound behind is closed with 1013. The studio reads no further while two seconds
of sound wait, so a client that sends faster is slowed down.
"""


class _Begin(Command):
    type: Literal["begin"]
    avatar_id: Identifier
    voice_id: Identifier | None = None
    background: Background = Field(default_factory=Background)
    mark: Mark | None = Field(default_factory=Mark)


class _Text(Command):
    type: Literal["text"]
    text: Text
    interrupt: bool = False


class _Sound(Command):
    type: Literal["sound"]
    sample_rate: Annotated[int, Field(ge=8000, le=192_000)]
    interrupt: bool = False


class _End(Command):
    type: Literal["end"]


class _Interrupt(Command):
    type: Literal["interrupt"]


_COMMAND: TypeAdapter[Any] = TypeAdapter(Annotated[_Text | _Sound | _End | _Interrupt, Field(discriminator="type")])


@router.websocket("/inference/stream")
async def stream(socket: WebSocket, studio: Studio, ticket: str = "") -> None:
    """See the description of the API."""
    if not studio.tickets.redeem(ticket):
        await socket.close(_NO_TICKET, "The ticket is unknown, used or too old.")
        return
    await socket.accept()
    opened = None
    try:
        wanted = _Begin.model_validate_json(await socket.receive_text())
        opened = await studio.live.open(SessionCreate(**wanted.model_dump(exclude={"type"})).model_dump())
        await _Talk(socket, studio.live.session(opened.id)).run()
    except ValidationError as error:
        await socket.close(_REFUSED + 422, str(error.errors()[0]["msg"])[:100])
    except StudioError as error:
        await socket.close(_REFUSED + error.http_status, error.message[:100])
    except (WebSocketDisconnect, RuntimeError, KeyError):
        pass  # gone, or its first message was no text: nobody is left to be told
    finally:
        if opened is not None:
            await studio.live.close(opened.id, "stream ended")


class _Talk:
    """One client and its session."""

    def __init__(self, socket: WebSocket, session: Any) -> None:
        from apps.control_api.live_runtime.transports.frames_out import FramesOut

        self._socket, self._session = socket, session
        self._out = FramesOut(session.audience.pool)
        self._sending = asyncio.Lock()
        self._open: set[int] = set()
        self._sound: Any = None

    async def run(self) -> None:
        """Serve until the client leaves or cannot be served."""
        audience = self._session.audience
        ready = {"width": audience.width, "height": audience.height, "fps": 25, "sample_rate": 48_000}
        await self._socket.send_json({"type": "ready", "session_id": self._session.id, **ready})
        self._session.attach(self._out)
        tasks = [asyncio.create_task(work, name="live-stream") for work in (self._send(), self._hear())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._session.detach(self._out)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        code = next((end for end in ends if isinstance(end, int)), None)
        if code is not None:
            await self._socket.close(code)

    async def _send(self) -> int:
        while True:
            message = await self._out.next()
            if message is None:
                return _FELL_BEHIND
            try:
                async with asyncio.timeout(_STUCK_S), self._sending:
                    await self._socket.send_bytes(message)
            except TimeoutError:
                return _STUCK
            for turn in [t for t in self._open if self._session.turns.outcome(t) is not None]:
                self._open.discard(turn)
                await self._tell(type="turn_ended", turn=turn, outcome=self._session.turns.outcome(turn))

    async def _hear(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                data, text = message.get("bytes"), message.get("text")
                if data is not None:
                    await self._pcm(data)
                else:
                    await self._command(_COMMAND.validate_python(json.loads(text or "")))
            except StudioError as error:
                await self._tell(type="error", code=error.code, message=error.message, remedy=error.remedy)
            except (ValidationError, ValueError) as error:
                said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "This is not JSON."
                await self._tell(type="error", code="invalid_input", message=said, remedy="See the API's description.")

    async def _command(self, wanted: Any) -> None:
        if isinstance(wanted, _Text):
            await self._began(await self._session.say(wanted.text, wanted.interrupt))
        elif isinstance(wanted, _Sound):
            await self._close_sound()
            self._sound = self._session.stream_sound(wanted.sample_rate, wanted.interrupt)
            await self._began(self._sound.turn)
        elif isinstance(wanted, _End):
            await self._close_sound()
        else:
            self._session.interrupt()

    async def _pcm(self, data: bytes) -> None:
        if self._sound is None:
            raise InvalidInputError("No sound was announced.", "Send a message of the type sound first.")
        if len(data) > _LARGEST or len(data) % 2:
            raise InvalidInputError("A piece of sound is whole samples of 16 bits, 1 MiB at most.", "Cut it up.")
        # Waits while two seconds are ahead of what is heard; meanwhile nothing more is read from the client.
        import numpy as np  # here, so that the studio starts without it

        await self._sound.put(np.frombuffer(data, "<i2").astype(np.float32) / 32768)

    async def _close_sound(self) -> None:
        sound, self._sound = self._sound, None
        if sound is not None:
            await sound.end()

    async def _began(self, turn: int) -> None:
        self._open.add(turn)
        await self._tell(type="turn", turn=turn)

    async def _tell(self, **what: Any) -> None:
        async with self._sending:
            await self._socket.send_json(what)

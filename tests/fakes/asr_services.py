"""Recognition services as local servers that speak each protocol over a real socket, with faults to order."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile

from tests.fakes.http_server import Answer, FakeServer, Request, serving
from tests.fakes.tts_services import _form

SECRET = "s3cr3t-credential-value"


@dataclass
class Plan:
    """What the service understands, and what goes wrong.

    ``fault``: "" | "unauthorised" | "500" | "error_in_200" | "page" | "stall" | "silent" | "drop" | "empty".
    ``ending``: how a FunASR service tells that it has said all: "is_end" | "offline" | "nothing".
    """

    text: str = "续航有多久"
    fault: str = ""
    ending: str = "is_end"
    settings: dict[str, Any] = field(default_factory=dict)
    sound: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int16))
    sizes: list[int] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


def transcriptions(plan: Plan):
    """OpenAI's ``/v1/audio/transcriptions``."""

    async def handler(request: Request, answer: Answer) -> None:
        if (request.method, request.path) != ("POST", "/v1/audio/transcriptions"):
            await answer.whole(json.dumps({"error": {"message": "no such route"}}), 404)
            return
        form = _form(request)
        if plan.fault == "unauthorised" or request.headers.get("authorization") != f"Bearer {SECRET}":
            await answer.whole(json.dumps({"error": {"message": f"bad key {SECRET}"}}), 401)
            return
        if form["response_format"] != b"json" or not form["model"]:
            await answer.whole(json.dumps({"error": {"message": "wrong request"}}), 400)
            return
        plan.settings = {key: value.decode() for key, value in form.items() if key != "file"}
        plan.sound, rate = soundfile.read(io.BytesIO(form["file"]), dtype="int16")
        assert rate == 16_000
        body = json.dumps({"text": f" {plan.text} ", "language": "zh"}, ensure_ascii=False).encode()
        if plan.fault == "500":
            await answer.whole("<html><h1>Internal error</h1></html>", 500, "text/html")
        elif plan.fault == "error_in_200":
            await answer.whole(json.dumps({"error": {"message": "model out of memory"}}))
        elif plan.fault == "page":
            await answer.whole("<!doctype html><html><body>Please log in</body></html>", kind="text/html")
        elif plan.fault == "empty":
            await answer.whole("")
        elif plan.fault == "silent":
            await answer.stall()
        else:
            await answer.start(kind="application/json")
            await answer.pieces(body[: len(body) // 2], [1, 3])
            if plan.fault == "stall":
                await answer.stall()
            if plan.fault == "drop":
                answer.drop()
                return
            await answer.pieces(body[len(body) // 2 :], [1, 5])
            await answer.end()

    return handler


async def _funasr(connection: Any, plan: Plan) -> None:
    plan.connections += 1
    plan.settings = json.loads(await connection.recv())
    assert connection.subprotocol == "binary"
    if plan.fault == "error_in_200":
        await connection.send(json.dumps({"error": "model out of memory"}))
    if plan.fault == "page":
        await connection.send("<html>Please log in</html>")
    guessed = 0
    async for message in connection:
        if isinstance(message, str):
            assert json.loads(message)["is_speaking"] is False
            break
        plan.sizes.append(len(message))
        plan.sound = np.concatenate([plan.sound, np.frombuffer(message, "<i2")])
        if plan.fault in ("silent", "empty"):
            continue
        half = plan.text[: len(plan.text) // 2]
        if guessed < len(half) and len(plan.sizes) % 4 == 0:
            await connection.send(json.dumps({"mode": "2pass-online", "text": half[guessed], "is_final": True}))
            guessed += 1
        if plan.fault == "drop" and guessed:
            connection.transport.abort()
            return
    if plan.fault in ("silent", "stall"):
        await connection.wait_closed()
        return
    if plan.fault == "empty":
        await connection.close()
        return
    text = f"<|zh|><|NEUTRAL|><|Speech|>{plan.text}"
    await connection.send(json.dumps({"mode": "2pass-offline", "text": text, "is_final": plan.ending == "is_end"}))
    if plan.ending == "is_end":
        await connection.send(json.dumps({"is_end": True, "is_final": True}))
    await connection.wait_closed()


@asynccontextmanager
async def funasr(plan: Plan) -> AsyncIterator[str]:
    """A FunASR runtime; yields its address."""
    from websockets.asyncio.server import serve

    async def session(connection: Any) -> None:
        try:
            await _funasr(connection, plan)
        finally:
            plan.left.set()

    def refuse(connection: Any, request: Any) -> Any:
        if plan.fault == "unauthorised":
            return connection.respond(401, "wrong key\n")
        if plan.fault == "500":
            return connection.respond(500, "broken\n")
        return None

    async with serve(session, "127.0.0.1", 0, process_request=refuse, subprotocols=["binary"]) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def openai(plan: Plan) -> AsyncIterator[FakeServer]:
    """A transcription server."""
    async with serving(transcriptions(plan)) as served:
        yield served

"""WS /inference/stream over a real socket: framing, sound in and out, refusals, and a reader that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
import uvicorn

from apps.control_api.live_runtime.frames import PacketFrame
from apps.control_api.live_runtime.transports.frames_out import HEADER, MAX_PICTURES, MAX_SOUND, PICTURE, FramesOut
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in, packed  # noqa: F401  (a fixture)


@pytest.fixture
async def address(api: Api) -> AsyncIterator[str]:
    """The application on a real port of loopback (its lifespan is the fixture's)."""
    server = uvicorn.Server(uvicorn.Config(api.app, port=0, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def ticket(api: Api) -> str:
    answer = await api.client.post("/events/ticket")
    return str(answer.json()["ticket"])


class Caller:
    """A program at the other end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.frames: list[tuple[int, int, int, int, bytes]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                message = await self.socket.receive()
                if message.type == aiohttp.WSMsgType.BINARY:
                    head = HEADER.unpack(message.data[: HEADER.size])
                    self.frames.append((head[0], head[1], head[3], head[4], message.data[HEADER.size :]))
                elif message.type == aiohttp.WSMsgType.TEXT:
                    self.told.append(message.json())
                    if self.told[-1]["type"] == kind:
                        return self.told[-1]
                else:
                    raise AssertionError(f"closed with {self.socket.close_code}")


async def test_text_and_sound_in_pictures_and_sound_out(api: Api, packed: bytes, address: str) -> None:  # noqa: F811
    avatar_id = await bring_in(api, packed)
    url = f"ws://{address}/api/v1/inference/stream?ticket={await ticket(api)}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        caller = Caller(socket)
        await socket.send_json({"type": "begin", "avatar_id": avatar_id, "mark": None})
        ready = await caller.until("ready")
        assert (ready["width"], ready["height"], ready["fps"], ready["sample_rate"]) == (128, 128, 25, 48_000)
        await socket.send_json({"type": "sound", "sample_rate": 16_000})
        turn = (await caller.until("turn"))["turn"]
        sine = (0.3 * 32767 * np.sin(np.arange(16_000) * 0.2)).astype("<i2").tobytes()
        for start in range(0, len(sine), 6400):
            await socket.send_bytes(sine[start : start + 6400])
        await socket.send_json({"type": "end"})
        ended = await caller.until("turn_ended")
        assert ended == {"type": "turn_ended", "turn": turn, "outcome": "spoken"}
        sounds = {f[3]: np.frombuffer(f[4], "<i2") for f in caller.frames if f[0] != PICTURE}
        pictures = {f[3]: f for f in caller.frames if f[0] == PICTURE}
        assert all(len(s) == 1920 for s in sounds.values()) and not any(t % 1920 for t in {*sounds, *pictures})
        times = sorted(sounds)
        assert times == list(range(times[0], times[0] + 1920 * len(times), 1920)), "no sound is missing"
        loud = [t for t, s in sounds.items() if np.abs(s.astype(int)).mean() > 3000]
        assert len(loud) in (24, 25, 26)
        seen = 0
        for t in loud[3:-3]:
            if t in pictures and not pictures[t][1]:
                shown = cv2.imdecode(np.frombuffer(pictures[t][4], np.uint8), cv2.IMREAD_GRAYSCALE)
                assert shown.shape == (128, 128)
                seen += int((shown > 215).sum() > 100)
        assert seen >= 12, "the mouth moves with the sound of the same time"
        for wrong in ('{"type": "dance"}', "no json"):
            await socket.send_str(wrong)
            assert (await caller.until("error"))["code"] == "invalid_input"
        await socket.send_bytes(b"\0\0")
        assert "No sound" in (await caller.until("error"))["message"]
        await socket.send_json({"type": "text", "text": "Hello. " * 40})
        await caller.until("turn")
        await socket.send_json({"type": "interrupt"})
        assert (await caller.until("turn_ended"))["outcome"] == "interrupted"
    for _ in range(300):
        if not api.studio.live.opened():
            break
        await asyncio.sleep(0.02)
    assert not api.studio.live.opened(), "the session ends with its client"


async def test_no_ticket_no_avatar_no_sense(api: Api, address: str) -> None:
    base = f"ws://{address}/api/v1/inference/stream"
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(base + "?ticket=wrong")
        for first, code in (
            ({"type": "begin", "avatar_id": "none"}, 4404),
            ({"type": "begin"}, 4422),
        ):
            async with http.ws_connect(f"{base}?ticket={await ticket(api)}") as socket:
                await socket.send_json(first)
                message = await socket.receive(10)
                assert message.type == aiohttp.WSMsgType.CLOSE and socket.close_code == code


async def test_a_slow_reader_misses_pictures_first_and_is_told_when_sound_would_be_lost() -> None:
    with ThreadPoolExecutor(1) as pool:
        out = FramesOut(pool)
        picture = np.full((12, 8), 128, np.uint8)

        def feed(first: int, frames: int) -> None:
            for number in range(first * 4, (first + frames) * 4):
                shown = picture if number % 4 == 0 else None
                out.take(PacketFrame(1, number, np.full(480, number // 4, np.int16), shown))

        feed(0, 50)
        got = []
        while len(got) < 50 + MAX_PICTURES:
            got.append(await out.next() or b"")
        heads = [HEADER.unpack(m[: HEADER.size]) for m in got]
        assert [h[4] // 1920 for h in heads if h[0] != PICTURE] == list(range(50)), "every sound, in order"
        assert [h[4] // 1920 for h in heads if h[0] == PICTURE] == list(range(50 - MAX_PICTURES, 50))
        assert out.dropped == 50 - MAX_PICTURES and not out.fell_behind
        feed(50, MAX_SOUND + 1)
        assert out.fell_behind and await out.next() is None

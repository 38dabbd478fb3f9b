"""A live session that listens, over HTTP and over a real WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
import websockets

from tests.apps.control_api.conftest import Api
from tests.apps.control_api.live_runtime.fakes import until
from tests.apps.control_api.live_runtime.talking import spoken
from tests.apps.control_api.test_avatars import packed  # noqa: F401  (a fixture)
from tests.apps.control_api.test_recordings import assert_error, bring_in

RATE = 16_000
QUESTION = "How long does the battery last?"


@asynccontextmanager
async def listening(api: Api) -> AsyncIterator[str]:
    """The application on a real port; yields the address of its WebSockets."""
    server = uvicorn.Server(uvicorn.Config(api.app, "127.0.0.1", 0, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started, 10)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/api/v1"
    finally:
        server.should_exit = True
        await serving


async def open_session(api: Api, packed: bytes, **more: Any) -> str:  # noqa: F811  (a fixture)
    body = {"avatar_id": await bring_in(api, packed), "mark": None, **more}
    opened = await api.client.post("/live/sessions", json=body)
    assert opened.status_code == 201, opened.text
    return str(opened.json()["id"])


async def address(api: Api, base: str, session: str, **query: Any) -> str:
    ticket = (await api.client.post("/events/ticket")).json()["ticket"]
    return f"{base}/live/sessions/{session}/audio?ticket={ticket}" + "".join(f"&{k}={v}" for k, v in query.items())


def pcm16(sound: np.ndarray) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()


async def test_a_session_listens_as_it_is_told(api: Api, packed: bytes) -> None:  # noqa: F811  (a fixture)
    deaf = await open_session(api, packed)
    assert_error(await api.client.post(f"/live/sessions/{deaf}:listen", json={"enabled": True}), 409, "conflict")
    await api.client.delete(f"/live/sessions/{deaf}")
    session = await open_session(
        api,
        packed,
        listen={"language": "en", "end_silence_ms": 400, "barge_in": False},
        reply={"backend": "rules", "knowledge": [{"question": QUESTION, "answer": "Thirty hours."}]},
    )
    spec = api.studio.live.session(session).listener.spec
    assert QUESTION in spec.phrases
    assert (spec.end_silence_ms, spec.barge_in, spec.backend) == (400, False, "local")
    shut = (await api.client.post(f"/live/sessions/{session}:listen", json={"enabled": False})).json()
    assert shut == {"enabled": False, "backend": "local", "language": "en", "barge_in": False, "dropped": 0}
    assert (await api.client.post(f"/live/sessions/{session}:listen", json={"enabled": True})).json()["enabled"]
    await api.client.delete(f"/live/sessions/{session}")


async def test_wrong_settings_are_refused(api: Api, packed: bytes) -> None:  # noqa: F811  (a fixture)
    avatar = await bring_in(api, packed)
    for listen in ({"end_silence_ms": 5}, {"language": "xx"}, {"act": "shout"}, {"settings": {"base_url": "http://a"}}):
        answer = await api.client.post("/live/sessions", json={"avatar_id": avatar, "listen": listen})
        assert answer.status_code == 422, listen
    answer = await api.client.post("/live/sessions", json={"avatar_id": avatar, "listen": {"backend": "nobody"}})
    assert_error(answer, 404, "not_found")


async def test_recognisers_are_listed_with_what_they_need(api: Api) -> None:
    items = (await api.client.get("/system/recognisers")).json()["items"]
    by_name = {item["name"]: item for item in items}
    assert items[0]["name"] == "local"
    assert by_name["local"]["languages"] == ["en"]
    assert by_name["local"]["phrase_languages"] == ["zh"], "of Chinese only what it is given"
    assert by_name["funasr"]["phrase_languages"] == []
    assert not by_name["local"]["needs_network"] and not by_name["local"]["needs_download"]
    assert by_name["funasr"]["needs_network"] and by_name["whisper"]["needs_download"]


async def test_sound_as_a_stream_into_the_ear_becomes_an_answer(api: Api, packed: bytes) -> None:  # noqa: F811
    told: list[Any] = []
    api.studio.hub.tap(told.append)
    session = await open_session(
        api,
        packed,
        listen={"language": "en"},
        reply={"backend": "rules", "knowledge": [{"question": QUESTION, "answer": "Thirty hours."}]},
    )
    sound = np.concatenate([np.zeros(RATE // 2), spoken(QUESTION, RATE), np.zeros(RATE)])
    async with listening(api) as base, websockets.connect(await address(api, base, session, into="ear")) as socket:
        for at in range(0, len(sound), 1600):
            await socket.send(pcm16(sound[at : at + 1600]))
        await until(lambda: any(e.data.get("name") == "turn_started" for e in told), 30)
        await socket.send("end")
        await socket.wait_closed()
    words = [e.data["data"] for e in told if e.data.get("name") == "transcript"]
    assert words[-1]["final"]
    assert words[-1]["text"] == QUESTION
    turn = (await api.client.get(f"/live/sessions/{session}/stats")).json()["turns"][0]
    assert turn["capture"] > 0
    assert turn["recognise"] >= 0
    await api.client.delete(f"/live/sessions/{session}")


@pytest.mark.parametrize("sample", ["pcm16", "float32"])
async def test_sound_as_a_stream_into_the_mouth_is_one_turn(api: Api, packed: bytes, sample: str) -> None:  # noqa: F811
    session = await open_session(api, packed)
    live = api.studio.live.session(session)
    tone = 0.3 * np.sin(np.arange(RATE) / 20)
    data = pcm16(tone) if sample == "pcm16" else tone.astype("<f4").tobytes()
    step = 3200 if sample == "pcm16" else 6400
    async with listening(api) as base, websockets.connect(await address(api, base, session, sample=sample)) as socket:
        for at in range(0, len(data), step):
            await socket.send(data[at : at + step])
        await until(lambda: live.playout.number > 0 and live.turns.last == 1, 10)
        assert live.turns.outcome(1) is None
        await socket.send("end")
        await until(lambda: live.turns.outcome(1) == "spoken", 20)
    await api.client.delete(f"/live/sessions/{session}")


async def test_a_stream_that_is_wrong_is_closed_with_a_reason(api: Api, packed: bytes) -> None:  # noqa: F811
    session = await open_session(api, packed)
    async with listening(api) as base:

        async def closed(url: str, *messages: bytes) -> tuple[int, str]:
            async with websockets.connect(url) as socket:
                for message in messages:
                    await socket.send(message)
                await socket.wait_closed()
                return socket.close_code or 0, socket.close_reason or ""

        for wrong in (b"abc", bytes(2 * RATE + 2)):
            code, reason = await closed(await address(api, base, session), wrong)
            assert code == 1003
            assert reason
        assert (await closed(await address(api, base, session, into="ear")))[0] == 4409
        assert (await closed(await address(api, base, "none")))[0] == 4409
        with pytest.raises(websockets.exceptions.WebSocketException):
            await closed(f"{base}/live/sessions/{session}/audio?ticket=stale")
    live = api.studio.live.session(session)
    await until(lambda: not live.turns.open(), 10)
    await api.client.delete(f"/live/sessions/{session}")

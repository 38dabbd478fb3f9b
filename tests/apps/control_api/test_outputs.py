"""Outputs over HTTP: made, listed, ended, refused with their reason; secrets stay secret; no browser is needed."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import av
import pytest
import uvicorn
import websockets

from apps.control_api.__main__ import bind
from apps.control_api.services.push_targets import push_target
from lipsync.errors import ForbiddenError, InvalidInputError, StudioError
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in, packed  # noqa: F401  (a fixture)
from tests.apps.control_api.test_guard import assert_error
from tests.fakes.devices import camera_driver, sound_system
from tests.fakes.rtmp_server import KEY, ffmpeg_server, free_port


async def told(api: Api, path: str, true: Any) -> Any:
    for _ in range(400):
        value = (await api.client.get(path)).json()
        if true(value):
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(value)


async def test_a_session_without_browser_pushes_and_tells_no_secret(
    api: Api,
    packed: bytes,  # noqa: F811  (a fixture)
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    avatar, port, listener = await bring_in(api, packed), free_port(), api.studio.hub.subscribe()
    async with ffmpeg_server(port, tmp_path / "a.flv") as server:
        wanted = {"kind": "rtmp", "url": f"rtmp://127.0.0.1:{port}/live", "key": KEY}
        made = await api.client.post("/live/sessions", json={"avatar_id": avatar, "transport": [wanted], "mark": None})
        assert made.status_code == 201, made.text
        session = made.json()
        assert session["transport"] == "rtmp"
        path = f"/live/sessions/{session['id']}/outputs"
        listed = await told(api, path, lambda got: got["items"][0]["frames"] > 10)
        (output,) = listed["items"]
        assert output["state"] == "live" and output["target"] == f"rtmp://127.0.0.1:{port}/live"
        assert (await api.client.get(f"/live/sessions/{session['id']}")).json()["state"] == "live"
        assert (await api.client.delete(f"{path}/{output['id']}")).status_code == 204
        await asyncio.wait_for(server.wait(), 10)
    assert_error(await api.client.delete(f"{path}/{output['id']}"), 404, "not_found")
    with av.open(str(tmp_path / "a.flv")) as film:
        assert sum(1 for _ in film.decode(video=0)) > 10
    await asyncio.sleep(0.2)
    events = "".join(listener.queue.get_nowait() for _ in range(listener.queue.qsize()))
    assert "output_state" in events
    audit = (await api.client.get("/audit/events")).text
    assert "delete_live_output" in audit
    assert KEY not in events + audit + caplog.text + str(listed) + made.text


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"kind": "rtmp", "url": "file:///etc/passwd", "key": "k"}, 422, "invalid_input"),
        ({"kind": "rtmp", "url": "http://127.0.0.1/live", "key": "k"}, 422, "invalid_input"),
        ({"kind": "rtmp", "url": "rtmp://127.0.0.1/live"}, 422, "invalid_input"),
        ({"kind": "rtmp", "url": "rtmp://127.0.0.1/live", "key": "a b"}, 422, "invalid_input"),
        ({"kind": "rtmp", "url": "rtmp://192.0.2.1/live", "key": "k"}, 403, "forbidden"),
        ({"kind": "whip", "url": "unix:///run/x.sock"}, 422, "invalid_input"),
        ({"kind": "whip", "url": "http://192.0.2.1/w", "confirm_host": "192.0.2.2"}, 403, "forbidden"),
        ({"kind": "whip", "url": "http://169.254.169.254/w", "confirm_host": "169.254.169.254"}, 403, "forbidden"),
        ({"kind": "smoke"}, 422, "invalid_input"),
        ({"kind": "camera"}, 503, "unavailable"),
        ({"kind": "sound", "device": "none such"}, 503, "unavailable"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    api: Api,
    packed: bytes,  # noqa: F811  (a fixture)
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, Any],
    status: int,
    code: str,
) -> None:
    camera_driver(monkeypatch).absent = True
    sound_system(monkeypatch)
    avatar = await bring_in(api, packed)
    body = {"avatar_id": avatar, "transport": [wanted], "mark": None}
    answer = await api.client.post("/live/sessions", json=body)
    assert_error(answer, status, code)
    if status == 503:
        assert set(answer.json()["detail"]["remedy"]) == {"zh-CN", "en"}
    assert (await api.client.get("/live/sessions")).json()["items"] == [], "a session was left behind"


async def test_devices_are_listed_with_what_to_install(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sound_system(monkeypatch)
    found = (await api.client.get("/system/devices")).json()
    assert [(s["name"], s["outputs"], s["default_output"]) for s in found["sounds"]] == [
        ("Speakers", 2, True), ("CABLE Input", 2, False),
    ]  # fmt: skip
    assert found["sound_trouble"] is None
    assert found["cameras"] or "v4l2loopback" in found["camera_trouble"]["remedy"]["en"]


@pytest.mark.parametrize(
    ("url", "confirmed", "error"),
    [
        ("rtmp://127.0.0.1:1935/live", None, None),
        ("rtmp://live.example.com/live", None, None),
        ("rtmp://10.1.2.3/live", "10.1.2.3", None),
        ("rtmp://10.1.2.3/live", None, ForbiddenError),
        ("rtmp://[fe80::1]/live", "fe80::1", ForbiddenError),
        ("rtmp://[::ffff:169.254.169.254]/live", "::ffff:169.254.169.254", ForbiddenError),
        ("rtmp://0.0.0.0/live", "0.0.0.0", ForbiddenError),
        ("rtmp://127.0.0.1:99999/live", None, InvalidInputError),
        ("rtmp:///live", None, InvalidInputError),
        ("rtmp://127.0.0.1/li ve", None, InvalidInputError),
    ],
)
def test_where_a_push_may_go(url: str, confirmed: str | None, error: type[StudioError] | None) -> None:
    hosts = ["*.example.com"]
    if error is None:
        assert push_target(url, ("rtmp", "rtmps"), hosts, confirmed).url == url
        return
    with pytest.raises(error):
        push_target(url, ("rtmp", "rtmps"), hosts, confirmed)


def test_a_redirect_may_stay_but_not_turn_inwards() -> None:
    allow = push_target("https://10.1.2.3/whip", ("https", "http"), ["10.1.2.4"], "10.1.2.3").allow
    allow("https://10.1.2.3/elsewhere")
    allow("https://10.1.2.4/whip")
    for url in ("http://127.0.0.1/x", "https://169.254.169.254/", "https://10.9.9.9/"):
        with pytest.raises(ForbiddenError):
            allow(url)


async def test_a_client_without_udp_gets_webm_over_a_websocket(api: Api, packed: bytes) -> None:  # noqa: F811
    avatar = await bring_in(api, packed)
    session = (await api.client.post("/live/sessions", json={"avatar_id": avatar})).json()["id"]
    sock = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(api.app, lifespan="off", log_config=None, ws_per_message_deflate=False))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    url = f"ws://127.0.0.1:{sock.getsockname()[1]}/api/v1/live/sessions/{session}/watch?ticket="
    try:
        while not server.started:
            await asyncio.sleep(0.02)
        with pytest.raises(websockets.exceptions.WebSocketException):
            async with websockets.connect(url + "guessed"):
                pass
        ticket = api.studio.tickets.issue()
        async with websockets.connect(url + ticket) as socket:
            assert '"width":128' in await socket.recv()
            data = b"".join([await socket.recv() for _ in range(30)])
            connected = (await api.client.get(f"/live/sessions/{session}/stats")).json()
            assert (connected["state"], connected["clients"]) == ("live", 1)
            with pytest.raises(websockets.exceptions.WebSocketException):
                async with websockets.connect(url + ticket):
                    pass
        with av.open(io.BytesIO(data)) as film:
            assert '"Label":"1"' in film.metadata["AIGC"]
            frames = list(film.decode(video=0))
        assert frames[0].key_frame and len(frames) >= 28
        with av.open(io.BytesIO(data)) as film:
            # Reading takes Opus' delay off the sound's times; as written they have it.
            read = [(p.dts, 7 if p.stream.type == "audio" else 0) for p in film.demux() if p.dts is not None]
        blocks = [dts + delay for dts, delay in read]
        assert blocks == sorted(blocks), "players refuse a block that is earlier than the one before"
        await told(api, f"/live/sessions/{session}/stats", lambda got: got["clients"] == 0)
        ticket = api.studio.tickets.issue()
        async with websockets.connect(url + ticket) as socket:
            await socket.recv()
            await api.client.delete(f"/live/sessions/{session}")
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                while True:
                    await asyncio.wait_for(socket.recv(), 10)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
    finally:
        server.should_exit = True
        await serving

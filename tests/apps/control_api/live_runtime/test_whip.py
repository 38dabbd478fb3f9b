"""A WHIP push at a real endpoint: what it gets, and what happens when it answers wrongly or goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.outputs import WhipSpec
from apps.control_api.live_runtime.transports import backoff
from lipsync.errors import ForbiddenError
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import bar_length
from tests.fakes.whip_server import TOKEN, whip_server


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenacity import wait_fixed

    monkeypatch.setattr(backoff, "waits", lambda: wait_fixed(0.1))


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_the_endpoint_gets_sound_and_picture_and_a_goodbye(make_world: Any, codec: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    async with whip_server() as server:
        made = await outputs.add(WhipSpec(server.url, TOKEN, codec))
        assert TOKEN not in repr(made) + repr(WhipSpec(server.url, TOKEN)) + repr(world.events)
        await until(lambda: len(server.pictures) > 5, 15)
        assert session.state == "live"
        base = session.host.engine.base
        await session.say("aaaaaa")
        await until(lambda: max(bar_length(p, base) for _, p in server.pictures) > 0.5, 10)
        await until(lambda: world.told("turn_ended"), 10)
        assert {round(step, 4) for step in np.diff([at for at, _ in server.pictures])} == {0.04}
        assert max(np.abs(s.astype(float)).mean() for _, s in server.sounds) > 4000
        offer = server.asked("POST")[0].body.decode()
        assert f"{'H264' if codec == 'h264' else 'VP8'}/90000" in server.sdp and "a=sendonly" in offer
        assert outputs.stats()[0].frames > 5 and outputs.stats()[0].bytes > 0
        await outputs.remove(made.id)
        assert server.deleted == ["/whip/room/1"]


async def test_a_lost_endpoint_is_found_again(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    async with whip_server() as server:
        await outputs.add(WhipSpec(server.url, TOKEN, "vp8"))
        await until(lambda: server.pictures, 15)
        await server.peers[0].close()
        await until(lambda: outputs.stats()[0].state == "retrying", 15)
        seen = len(server.pictures)
        await until(lambda: len(server.pictures) > seen + 3, 15)
        assert [o["state"] for o in world.told("output_state")][-2:] == ["retrying", "live"]
        assert outputs.stats()[0].last_error.code == "push_lost" and len(server.peers) == 2
        await session.close()
        assert server.deleted[-1] == "/whip/room/2"


Case = tuple[int, dict[str, str], str, str]


@pytest.mark.parametrize(
    "case",
    [
        (403, {}, f"token {TOKEN} is wrong", "whip_refused"),
        (404, {}, "no such room", "whip_refused"),
        (503, {}, "overloaded", "push_unreachable"),
        (200, {"Content_Type": "text/html"}, "<html>hello</html>", "whip_bad_answer"),
        (201, {"Content_Type": "text/html"}, "<html>hello</html>", "whip_bad_answer"),
        (201, {"Content_Type": "application/sdp"}, "v=0", "whip_bad_answer"),
        (201, {"Content_Type": "application/sdp"}, "x" * 300_000, "whip_bad_answer"),
        (302, {"Location": "/elsewhere"}, "", "whip_redirect"),
        (307, {"Location": "file:///etc/passwd"}, "", "whip_redirect"),
        (307, {"Location": "http://10.0.0.1/whip"}, "", "whip_redirect"),
        (307, {}, "", "whip_redirect"),
    ],
)
async def test_wrong_answers_have_their_cause_and_the_next_try_works(make_world: Any, case: Case) -> None:
    status, headers, body, code = case
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs

    def allow(url: str) -> None:
        if "10.0.0.1" in url:
            raise ForbiddenError("no")

    async with whip_server() as server:
        server.faults.append((status, dict(headers), body))
        await outputs.add(WhipSpec(server.url, TOKEN, "vp8", allow=allow))
        await until(lambda: outputs.stats()[0].last_error is not None, 10)
        error = outputs.stats()[0].last_error
        assert error.code == code and TOKEN not in error.said
        if status == 404:
            assert error.said == "404 no such room"
        await until(lambda: server.pictures, 15)
        assert outputs.live and outputs.stats()[0].attempts == 2


async def test_an_allowed_redirect_is_followed_without_the_token_elsewhere(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    async with whip_server() as server, whip_server() as other:
        server.faults.append((307, {"Location": server.url}, ""))
        server.faults.append((307, {"Location": other.url}, ""))
        await session.audience.outputs.add(WhipSpec(server.url, TOKEN, "vp8"))
        await until(lambda: other.asked("POST"), 10)
        assert [r.headers.get("authorization") for r in server.asked("POST")][:2] == [f"Bearer {TOKEN}"] * 2
        assert "authorization" not in other.asked("POST")[0].headers


async def test_an_endpoint_that_is_away_or_silent_holds_nothing_up(make_world: Any) -> None:
    from tests.fakes.http_server import Answer, Request, serving

    async def silent(request: Request, answer: Answer) -> None:
        await answer.stall()

    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    await outputs.add(WhipSpec("http://127.0.0.1:9/whip"))
    async with serving(silent) as http:
        await outputs.add(WhipSpec(f"{http.url}/whip"))
        await until(lambda: outputs.stats()[0].last_error is not None and http.requests, 10)
        assert outputs.stats()[0].last_error.code == "push_unreachable"
        await session.close()
        assert await http.all_closed()

"""Recordings of live sessions over HTTP: begun, stopped, found, played, deleted; never lost with their session."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import av
import httpx
import pytest

from apps.control_api.storage.tables import RecordingRow
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in, packed  # noqa: F401  (a fixture)
from tests.apps.control_api.test_guard import assert_error

BASE = "http://127.0.0.1:9001"


@pytest.fixture
async def session(api: Api, packed: bytes) -> str:  # noqa: F811  (a fixture)
    """The address of an open live session."""
    opened = await api.client.post("/live/sessions", json={"avatar_id": await bring_in(api, packed), "mark": None})
    assert opened.status_code == 201, opened.text
    return f"/live/sessions/{opened.json()['id']}"


async def record(api: Api, session: str, action: str) -> httpx.Response:
    return await api.client.post(f"{session}:record", json={"action": action})


async def until(get: Callable[[], Awaitable[Any]], true: Callable[[Any], bool]) -> Any:
    for _ in range(200):
        value = await get()
        if true(value):
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(value)


def length(film: bytes) -> dict[str, float]:
    """Seconds of each stream of a film, and that every picture of it can be read."""
    with av.open(io.BytesIO(film)) as container:
        seconds = {s.type: float((s.duration or 0) * (s.time_base or 0)) for s in container.streams}
        assert sum(1 for _ in container.decode(video=0)) == round(seconds["video"] * 25)
    return seconds


async def test_a_session_is_recorded_and_the_film_can_be_fetched(api: Api, session: str) -> None:
    listener = api.studio.hub.subscribe()
    begun = (await record(api, session, "start")).json()
    assert (begun["state"], begun["file_url"], begun["seconds"]) == ("recording", None, None)
    assert begun["session_id"] == session.rsplit("/", 1)[-1]
    assert_error(await record(api, session, "start"), 409, "conflict")
    assert_error(await api.client.get(f"/live/recordings/{begun['id']}/file"), 409, "conflict")
    assert_error(await api.client.delete(f"/live/recordings/{begun['id']}"), 409, "conflict")
    await api.client.post(f"{session}:say", json={"text": "Hello there."})
    await asyncio.sleep(1.5)
    done = (await record(api, session, "stop")).json()
    assert done["id"] == begun["id"] and done["state"] == "ready" and done["ended_at"]
    assert_error(await record(api, session, "stop"), 409, "conflict")

    film = await api.stranger.get(BASE + done["file_url"])
    assert film.status_code == 200 and film.headers["content-type"] == "video/mp4"
    assert len(film.content) == done["size_bytes"]
    seconds = length(film.content)
    assert set(seconds) == {"video", "audio"} and abs(seconds["video"] - seconds["audio"]) < 0.1
    assert seconds["video"] == pytest.approx(done["seconds"], abs=0.1) and seconds["video"] > 0.5
    part = await api.stranger.get(BASE + done["file_url"], headers={"Range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == film.content[:10]
    assert_error(await api.stranger.get(f"/live/recordings/{done['id']}/file"), 401, "unauthorised")

    again = (await record(api, session, "start")).json()
    listed = (await api.client.get("/live/recordings", params={"session_id": begun["session_id"]})).json()["items"]
    assert [(r["id"], r["state"]) for r in listed] == [(again["id"], "recording"), (done["id"], "ready")]
    assert (await api.client.delete(f"/live/recordings/{done['id']}")).status_code == 204
    assert_error(await api.client.get(f"/live/recordings/{done['id']}"), 404, "not_found")
    assert not api.studio.recordings.path(done["id"]).parent.exists()

    await asyncio.sleep(0.3)
    heard = "".join(listener.queue.get_nowait() for _ in range(listener.queue.qsize()))
    assert heard.count("recording_changed") == 3 and "recording_deleted" in heard
    audit = (await api.client.get("/audit/events", params={"action": "record_live_session"})).json()["items"]
    told = [(row["result"], row["detail"].get("action"), row["detail"].get("recording_id")) for row in audit]
    assert (200, "start", begun["id"]) in told and (200, "stop", begun["id"]) in told and (409, "start", None) in told


async def test_a_recording_ends_with_its_session(api: Api, session: str) -> None:
    begun = (await record(api, session, "start")).json()
    await asyncio.sleep(1.0)
    assert (await api.client.delete(session)).status_code == 204

    async def now() -> Any:
        return (await api.client.get(f"/live/recordings/{begun['id']}")).json()

    ended = await until(now, lambda row: row["state"] != "recording")
    assert ended["state"] == "ready" and ended["seconds"] > 0.2
    length((await api.stranger.get(BASE + ended["file_url"])).content)
    assert_error(await record(api, session, "start"), 409, "conflict")


async def test_one_that_is_stopped_before_its_first_picture_has_failed(api: Api, session: str) -> None:
    await record(api, session, "start")
    done = (await record(api, session, "stop")).json()
    if done["state"] == "ready":  # the clock was quicker than two calls
        assert done["seconds"] <= 1
    else:
        assert done["state"] == "failed" and done["error"] and done["file_url"] is None
        assert not api.studio.recordings.path(done["id"]).parent.exists()


async def test_bad_calls_are_refused(api: Api, session: str) -> None:
    assert_error(await record(api, session, "pause"), 422, "invalid_input")
    assert_error(await record(api, "/live/sessions/none", "start"), 404, "not_found")
    assert_error(await record(api, session, "stop"), 409, "conflict")
    for strange in ("none", "../x", "😀"):
        assert (await api.client.get(f"/live/recordings/{strange}/file")).status_code == 404
    api.studio.settings.free_space = 1 << 60
    assert_error(await record(api, session, "start"), 507, "no_space")
    assert (await api.client.get("/live/recordings")).json()["items"] == []


async def test_what_a_killed_studio_left_is_ended_at_the_next_start(make_api: Any) -> None:
    first = await make_api()
    with first.studio.tools.database.write() as row:
        row.add(RecordingRow(session_id="s", avatar_id="a"))
    again = await make_api()
    (left,) = (await again.client.get("/live/recordings")).json()["items"]
    assert (left["state"], left["error"]) == ("failed", "The studio ended in the middle of it.")


async def test_livetalkings_own_clients_record_too(make_api: Any, packed: bytes) -> None:  # noqa: F811  (a fixture)
    api = await make_api(compatibility=True)
    opened = (await api.client.post("/live/sessions", json={"avatar_id": await bring_in(api, packed)})).json()

    async def call(what: str) -> httpx.Response:
        answer = await api.stranger.post(f"{BASE}/record", json={"sessionid": opened["id"], "type": what})
        return answer  # type: ignore[no-any-return]

    assert (await call("start_record")).json() == {"code": 0, "msg": "ok", "data": None}
    await asyncio.sleep(0.8)
    assert (await call("end_record")).json()["code"] == 0
    assert_error(await call("end_record"), 409, "conflict")
    (made,) = (await api.client.get("/live/recordings")).json()["items"]
    assert made["state"] == "ready"
    (stop, start) = [
        row for row in (await api.client.get("/audit/events")).json()["items"]
        if row["action"] == "compat_record" and row["result"] == 200
    ]  # fmt: skip
    assert (start["actor"], stop["detail"]) == ("compatibility", {"action": "stop", "recording_id": made["id"]})

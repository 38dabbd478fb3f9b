"""Playlists said by a session, over HTTP, and messages of a platform that are urgent."""

from __future__ import annotations

import asyncio

from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in, packed  # noqa: F401  (a fixture)
from tests.apps.control_api.test_guard import assert_error


async def opened(api: Api, bundle: bytes) -> str:
    answer = await api.client.post("/live/sessions", json={"avatar_id": await bring_in(api, bundle)})
    return str(answer.json()["id"])


async def test_a_playlist_is_played_and_stopped(api: Api, packed: bytes) -> None:  # noqa: F811
    session_id = await opened(api, packed)
    wanted = {"session_id": session_id}
    script = (await api.client.post("/scripts", json={"title": "s", "text": "One. Two. Three."})).json()["id"]
    items = [{"script_id": script}]
    full = (await api.client.post("/playlists", json={"name": "full", "items": items})).json()["id"]
    empty = (await api.client.post("/playlists", json={"name": "empty"})).json()["id"]
    listener = api.studio.hub.subscribe()
    played = await api.client.post(f"/playlists/{full}:play", json=wanted)
    assert played.status_code == 202 and played.json()["id"] == full, played.text
    begun = ""
    while not ('"programme"' in begun and script in begun):
        begun = await asyncio.wait_for(listener.queue.get(), 20)
    runtime = api.studio.live.session(session_id)
    assert runtime.programme is not None and not runtime.programme.over
    assert (await api.client.post(f"/playlists/{full}:stop", json=wanted)).status_code == 204
    assert runtime.programme is None
    assert (await api.client.post(f"/playlists/{full}:stop", json=wanted)).status_code == 204, "nothing to stop is fine"
    assert_error(await api.client.post(f"/playlists/{empty}:play", json=wanted), 422, "invalid_input")
    assert_error(await api.client.post("/playlists/none:play", json=wanted), 404, "not_found")
    assert_error(await api.client.post(f"/playlists/{full}:play", json={}), 422, "invalid_input")
    for call in ("play", "stop"):
        unknown = await api.client.post(f"/playlists/{full}:{call}", json={"session_id": "none"})
        assert_error(unknown, 404, "not_found")
    assert (await api.client.delete(f"/live/sessions/{session_id}")).status_code == 204
    for call in ("play", "stop"):
        assert_error(await api.client.post(f"/playlists/{full}:{call}", json=wanted), 409, "conflict")
    trail = (await api.client.get("/audit/events", params={"object_id": session_id})).json()["items"]
    assert {"play_playlist", "stop_playlist"} <= {row["action"] for row in trail}


async def test_an_urgent_message_goes_before_those_that_came_earlier(api: Api, packed: bytes) -> None:  # noqa: F811
    session_id = await opened(api, packed)
    waiting = api.studio.live.session(session_id).line.agenda
    say = {"text": "This sentence is being said for quite a while, so that the others must wait for it. " * 2}
    assert (await api.client.post(f"/live/sessions/{session_id}:say", json=say)).status_code == 202

    async def ingest(number: int, priority: int) -> str:
        message = {"platform": "p", "platform_id": str(number), "text": "Hello?", "priority": priority}
        wanted = {"messages": [message], "session_id": session_id}
        return str((await api.client.post("/messages:ingest", json=wanted)).json()["accepted"][0]["turn"])

    turns = [await ingest(number, priority) for number, priority in enumerate((2, 1, 0))]
    assert turns == ["2", "3", "4"]
    assert [turn for _, turn, _ in sorted(waiting._waiting, key=lambda item: item[:2])] == [4, 3, 2]

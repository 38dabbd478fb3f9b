"""Swaps and actions over HTTP: consent, what cannot be, and what is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apps.control_api.services import consents
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, Consent, TakeRow
from lipsync.bundle import pack
from lipsync.frame_cycle import BaseClip
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in
from tests.apps.control_api.test_guard import assert_error
from tests.fakes.bar_engine import write_bar_bundle
from tests.fakes.drawn_take import drawn_take

SIZE = 256


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("bar")
    write_bar_bundle(folder / "bundle", frames=30, width=SIZE, height=SIZE)
    return pack(folder / "bundle", folder / "bar.zip").read_bytes()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared take of three seconds whose face is out of view in the last half second."""
    import numpy as np

    take = drawn_take(tmp_path_factory.mktemp("take") / "take", seconds=3.0, size=SIZE)
    found = take.found.copy()
    found[-12:] = False
    np.savez(take.folder / "landmarks.npz", landmarks=take.landmarks, found=found)
    return take.folder


def add_take(api: Api, prepared: Path, person: str) -> str:
    """Enter a prepared take of a person; returns its id."""
    import shutil

    with api.studio.tools.database.write() as session:
        given = consents.add(session, {"person": person, "scope": ["live"], "statement": "I agree."})
        row = TakeRow(
            name="take", state="prepared", video_name="a.mp4", video_sha256="0", size_bytes=1, consent_id=given.id
        )
        session.add(row)
        session.flush()
        shutil.copytree(prepared, api.studio.tools.files.take(row.id))
        return row.id


async def opened(api: Api, avatar_id: str) -> str:
    answer = await api.client.post("/live/sessions", json={"avatar_id": avatar_id, "mark": None})
    assert answer.status_code == 201, answer.text
    return f"/live/sessions/{answer.json()['id']}"


async def test_actions_are_cut_listed_played_and_deleted(api: Api, packed: bytes, prepared: Path) -> None:
    avatar_id = await bring_in(api, packed)
    base = f"/avatars/{avatar_id}/actions"
    assert (await api.client.get(base)).json() == {"items": []}
    wave: dict[str, Any] = {"name": "wave", "start_s": 0.4, "end_s": 1.4, "keywords": ["hello"]}
    assert_error(await api.client.post(base, json=wave), 404, "not_found")  # imported: it has no take of its own
    take_id = add_take(api, prepared, "Ada")
    wave["take_id"] = take_id
    made = await api.client.post(base, json=wave)
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["seconds"], body["speech"], body["sound"]) == (1.0, "drive", False)
    folder = api.studio.tools.files.avatar(avatar_id) / "actions" / body["id"]
    clip = BaseClip.load(folder)
    assert clip.n == 25 and clip.width == SIZE
    assert_error(await api.client.post(base, json=wave), 409, "conflict")
    for wrong in ({"start_s": 2.0, "end_s": 1.0}, {"start_s": 0.0, "end_s": 0.2}, {"start_s": 0.0, "end_s": 99.0}):
        assert_error(await api.client.post(base, json={**wave, "name": "x", **wrong}), 422, "invalid_input")
    hidden = {**wave, "name": "away", "start_s": 1.8, "end_s": 2.9}
    refused = await api.client.post(base, json=hidden)
    assert_error(refused, 422, "invalid_input")
    assert "out of view" in refused.json()["message"]
    assert (await api.client.post(base, json={**hidden, "speech": "hold"})).status_code == 201
    loud = {**wave, "name": "greet", "sound": True, "keywords": []}
    assert (await api.client.post(base, json=loud)).status_code == 201
    assert [a["name"] for a in (await api.client.get(base)).json()["items"]] == ["wave", "away", "greet"]

    session = await opened(api, avatar_id)
    assert (await api.client.post(f"{session}:action", json={"name": "wave"})).json()["turn"] is None
    assert (await api.client.post(f"{session}:action", json={"name": "greet"})).json()["turn"] == 1
    assert_error(await api.client.post(f"{session}:action", json={"name": "jump"}), 404, "not_found")
    assert (await api.client.delete(f"{base}/{body['id']}")).status_code == 204
    assert_error(await api.client.delete(f"{base}/{body['id']}"), 404, "not_found")
    assert not folder.exists()


async def test_a_take_of_another_person_or_without_consent_is_refused(api: Api, packed: bytes, prepared: Path) -> None:
    avatar_id = await bring_in(api, packed)
    base, wave = f"/avatars/{avatar_id}/actions", {"name": "wave", "start_s": 0.4, "end_s": 1.4}
    other = add_take(api, prepared, "Grace")
    assert_error(await api.client.post(base, json={**wave, "take_id": other}), 403, "forbidden")
    own = add_take(api, prepared, "Ada")
    with api.studio.tools.database.write() as session:
        row = session.get(Consent, session.get(TakeRow, own).consent_id)  # type: ignore[union-attr]
        row.withdrawn_at = now()  # type: ignore[union-attr]
        session.add(row)
    assert_error(await api.client.post(base, json={**wave, "take_id": own}), 403, "forbidden")


async def test_a_session_goes_on_with_another_avatar_voice_and_background(api: Api, packed: bytes) -> None:
    first, second = await bring_in(api, packed), await bring_in(api, packed)
    session = await opened(api, first)
    listener = api.studio.hub.subscribe()
    swapped = await api.client.post(f"{session}:swap", json={"avatar_id": second})
    assert swapped.status_code == 200 and swapped.json()["avatar_id"] == second, swapped.text
    voices = (await api.client.get("/voices")).json()["items"]
    current = swapped.json()["voice_id"]
    other = next(v["id"] for v in voices if v["id"] != current)
    wanted = {"voice_id": other, "background": {"kind": "colour", "colour": "#ffffff"}}
    swapped = await api.client.post(f"{session}:swap", json=wanted)
    assert swapped.json()["voice_id"] == other and (await api.client.get(session)).json()["voice_id"] == other
    assert (await api.client.post(f"{session}:say", json={"text": "Hello."})).status_code == 202
    told = ""
    while '"swapped"' not in told:
        told = await asyncio.wait_for(listener.queue.get(), 5)
    events = (await api.client.get("/audit/events", params={"object_id": session.rsplit("/", 1)[-1]})).json()["items"]
    assert any(e["detail"].get("avatar_id") == second for e in events)
    assert_error(await api.client.post(f"{session}:swap", json={}), 422, "invalid_input")
    with api.studio.tools.database.write() as database:
        row = database.get(Consent, database.get(AvatarRow, first).consent_id)  # type: ignore[union-attr]
        row.withdrawn_at = now()  # type: ignore[union-attr]
        database.add(row)
    assert_error(await api.client.post(f"{session}:swap", json={"avatar_id": first}), 403, "forbidden")
    assert (await api.client.get(session)).json()["avatar_id"] == second, "the old one runs on"
    assert_error(await api.client.post("/live/sessions/none:swap", json={"avatar_id": first}), 404, "not_found")


async def test_the_other_clients_actions_are_counted_from_two(make_api: Any, packed: bytes, prepared: Path) -> None:
    api: Api = await make_api(compatibility=True)
    avatar_id = await bring_in(api, packed)
    take_id = add_take(api, prepared, "Ada")
    wave = {"name": "wave", "start_s": 0.4, "end_s": 1.4, "take_id": take_id}
    assert (await api.client.post(f"/avatars/{avatar_id}/actions", json=wave)).status_code == 201
    session = (await opened(api, avatar_id)).rsplit("/", 1)[-1]
    url = "http://127.0.0.1:9001/set_audiotype"
    for kind in (0, 1, 2):
        answer = await api.stranger.post(url, json={"sessionid": session, "audiotype": kind, "reinit": True})
        assert answer.json() == {"code": 0, "msg": "ok", "data": None}
    runtime = api.studio.live.session(session)
    assert [cue.spec.name for cue in runtime.scene.painter.cues] == ["wave"]
    assert_error(await api.stranger.post(url, json={"sessionid": session, "audiotype": 3}), 404, "not_found")
    assert_error(await api.stranger.post(url, json={"sessionid": 111111, "audiotype": 1}), 404, "not_found")

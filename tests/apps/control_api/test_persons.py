"""A person forgotten: takes, avatars, voices, exports, films, jobs and consents go, the audit trail stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from apps.control_api.storage.tables import AvatarRow, Consent, JobRow, ModelRow, RecordingRow, TakeRow, VoiceRow
from lipsync.dataset.take import PreparedTake
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import work
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_model_evaluation import drawn, painted, trained, with_take

__all__ = ["drawn", "painted"]


async def person(api: Api, drawn: PreparedTake, name: str) -> dict[str, str]:
    """Somebody with a take, an avatar, an export of it, a voice and a recording."""
    take_id = await with_take(api, drawn, person=name)
    made = await trained(api, take_id)
    export = (await api.client.post("/avatars:export", json={"avatar_id": made["avatar_id"]})).json()
    await work(api)
    with api.studio.tools.database.write() as session:
        take = session.get(TakeRow, take_id)
        assert take is not None
        take.face_id = f"face-of-{name}"
        voice = VoiceRow(name=name, state="ready", backend="clone", language="en", consent_id=take.consent_id)
        recording = RecordingRow(session_id="s", avatar_id=made["avatar_id"], state="ready")
        session.add_all([voice, recording])
        session.flush()
        ids = {"take": take_id, "avatar": made["avatar_id"], "voice": voice.id, "recording": recording.id}
        ids |= {"export": export["id"], "model": made["model_id"], "consent": take.consent_id}
    film = api.studio.tools.files.result(ids["recording"]) / "recording.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    return ids


def files_of(api: Api, ids: dict[str, str]) -> list[Path]:
    files = api.studio.tools.files
    folders = [files.take(ids["take"]), files.models / "avatars" / ids["avatar"], files.avatar(ids["avatar"])]
    return [*folders, files.result(ids["export"]), files.result(ids["recording"])]


async def test_everything_of_a_person_goes_and_nothing_of_another(api: Api, drawn: PreparedTake) -> None:
    ada, bob = await person(api, drawn, "Ada"), await person(api, drawn, "Bob")
    session_id = (await api.client.post("/live/sessions", json={"avatar_id": ada["avatar"]})).json()["id"]
    other = (await api.client.post("/live/sessions", json={"avatar_id": bob["avatar"]})).json()["id"]
    waiting = (await api.client.post("/avatars:export", json={"avatar_id": ada["avatar"]})).json()["id"]
    assert all(p.exists() for p in files_of(api, ada))

    plan = (await api.client.post("/persons:delete", json={"person": " ada", "dry_run": True})).json()
    assert plan["dry_run"] and plan["files"] > 3 and plan["what"]["takes"] == [ada["take"]]
    assert (await api.client.get(f"/takes/{ada['take']}")).status_code == 200, "only looked"

    gone = (await api.client.post("/persons:delete", json={"person": "Ada"})).json()
    assert gone["what"]["takes"] == [ada["take"]] and gone["what"]["avatars"] == [ada["avatar"]]
    assert gone["what"]["voices"] == [ada["voice"]] and gone["what"]["models"] == [ada["model"]]
    assert gone["what"]["consents"] == [ada["consent"]] and gone["what"]["recordings"] == [ada["recording"]]
    assert {ada["export"], waiting} <= set(gone["what"]["jobs"]) and gone["sessions"] == [session_id]
    assert gone["files"] == plan["files"] and gone["size_bytes"] > 1000
    assert not [p for p in files_of(api, ada) if p.exists()]
    assert all(p.exists() for p in files_of(api, bob))
    with api.studio.tools.database.read() as session:
        for table in (TakeRow, AvatarRow, VoiceRow, ModelRow, JobRow, RecordingRow, Consent):
            left = {row.id for row in session.exec(select(table))}
            assert not left & set(ada.values()), table.__tablename__
            assert left & set(bob.values()) or table is JobRow, table.__tablename__
    assert [s["id"] for s in (await api.client.get("/live/sessions")).json()["items"]] == [other]
    rows = (await api.client.get("/audit/events", params={"action": "delete_person"})).json()["items"]
    assert rows[0]["detail"]["takes"] == 1 and rows[0]["detail"]["consent_ids"] == [ada["consent"]]
    assert "Ada" not in str(rows), "the trail does not keep the name"
    assert (await api.client.get("/audit/verify")).json()["ok"]
    assert_error(await api.client.post("/persons:delete", json={"person": "Ada"}), 404, "not_found")


async def test_a_face_names_a_person_too(api: Api, drawn: PreparedTake) -> None:
    ids = await person(api, drawn, "Eve")
    gone = (await api.client.post("/persons:delete", json={"face_id": "face-of-Eve"})).json()
    assert gone["what"]["avatars"] == [ids["avatar"]]
    for wanted in ({}, {"person": "a", "face_id": "b"}):
        assert_error(await api.client.post("/persons:delete", json=wanted), 422, "invalid_input")


async def test_withdrawal_reaches_what_was_handed_out_before(api: Api, drawn: PreparedTake) -> None:
    ids = await person(api, drawn, "Ada")
    file_url = (await api.client.get(f"/jobs/{ids['export']}")).json()["file_url"]
    base = "http://127.0.0.1:9001"
    assert (await api.stranger.get(base + file_url)).status_code == 200
    assert (await api.client.get(f"/live/recordings/{ids['recording']}/file")).status_code == 200
    rows = (await api.client.get("/audit/events", params={"action": "download_export"})).json()["items"]
    assert len(rows) == 1 and rows[0]["object_id"] == ids["export"], "the moment it left is noted"
    withdrawn = (await api.client.post("/persons:withdraw", json={"person": "Ada"})).json()
    assert withdrawn["consents"] == [ids["consent"]]
    assert_error(await api.stranger.get(base + file_url), 403, "forbidden")
    assert_error(await api.client.get(f"/live/recordings/{ids['recording']}/file"), 403, "forbidden")
    assert_error(await api.client.post("/voices:export", json={"voice_id": ids["voice"]}), 409, "conflict")
    assert_error(await api.client.post(f"/models/{ids['model']}:evaluate"), 403, "forbidden")


async def test_a_job_that_does_not_stop_is_waited_for_and_nothing_is_half_gone(
    api: Api, drawn: PreparedTake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await person(api, drawn, "Ada")
    job: Any = api.studio.tools.jobs.submit("avatars:train", {"avatar_id": ids["avatar"]}, subject_id=ids["avatar"])
    leased = api.studio.tools.jobs.lease("w")
    assert leased is not None and leased.id == job.id
    monkeypatch.setattr("apps.control_api.services.persons._PATIENCE_S", 0.0)
    assert_error(await api.client.post("/persons:delete", json={"person": "Ada"}), 409, "conflict")
    assert (await api.client.get(f"/takes/{ids['take']}")).status_code == 200
    assert api.studio.tools.jobs.get(job.id).cancel_requested
    assert api.studio.tools.jobs.abandon("w") == 1
    assert (await api.client.post("/persons:delete", json={"person": "Ada"})).status_code == 200

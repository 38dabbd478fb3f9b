"""What a person agreed to is kept whole, and taking it back ends every use, with the reason said."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from apps.control_api.services import consents
from apps.control_api.storage.tables import AvatarRow, Consent, ModelRow, TakeRow, VoiceRow
from apps.control_api.worker.loop import Worker
from tests.apps.control_api.conftest import CONSENT, Api
from tests.apps.control_api.test_avatars import bring_in, packed
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import codes, judged, send

__all__ = ["judged", "packed"]
NEWS = {**CONSENT, "purpose": "The evening news of Channel 5", "statement_version": "2026-11"}


async def derived(api: Api, packed: bytes, **consent: Any) -> tuple[str, str]:
    """A take, and an avatar with a version that count as made from it; returns both ids."""
    take = (await send(api, b"video", {**NEWS, **consent})).json()
    avatar_id = await bring_in(api, packed)
    with api.studio.tools.database.write() as session:
        row = session.get(TakeRow, take["id"])
        assert row is not None
        row.state = "prepared"
        own = {"consent_id": row.consent_id}
        session.execute(sa.update(AvatarRow).where(col(AvatarRow.id) == avatar_id).values(take_id=row.id, **own))
        session.execute(sa.update(ModelRow).where(col(ModelRow.owner_id) == avatar_id).values(**own))
    return take["id"], avatar_id


async def test_everything_agreed_to_is_kept_and_shown(api: Api, judged: dict[str, Any]) -> None:
    until = datetime(2099, 5, 1, tzinfo=UTC)
    answer = await send(api, b"video", {**NEWS, "scope": ["market", "train"], "until": until.isoformat()})
    assert answer.status_code == 201, answer.text
    shown = (await api.client.get(f"/takes/{answer.json()['id']}")).json()["consent"]
    assert shown["person"] == "Ada" and shown["purpose"] == "The evening news of Channel 5"
    assert shown["scope"] == ["market", "train"]
    assert (shown["statement"], shown["statement_version"]) == ("I agree.", "2026-11")
    assert datetime.fromisoformat(shown["until"]) == until and shown["withdrawn_at"] is None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(shown["created_at"])) < timedelta(minutes=5)
    with api.studio.tools.database.read() as session:
        row = session.get(Consent, shown["id"])
        assert row is not None and row.purpose == shown["purpose"] and row.until == until
    plain = (await send(api, b"other", CONSENT)).json()["consent"]
    assert plain["purpose"] == "" and plain["until"] is None


async def test_a_consent_that_says_too_little_or_too_much_is_refused(api: Api, judged: dict[str, Any]) -> None:
    for change in (
        {"purpose": "x" * 501},
        {"purpose": None},
        {"statement": ""},
        {"person": ""},
        {"until": "some day"},
        {"scope": ["train", "sell"]},
        {"statement_version": "v 1!"},
    ):
        answer = await send(api, b"video", {**NEWS, **change})
        assert_error(answer, 422, "invalid_input")
        assert codes(answer) == {"invalid_field"}, change
        assert f"consent.{next(iter(change))}" in answer.json()["message"]


async def test_taking_it_back_ends_live_export_films_and_training(
    api: Api, packed: bytes, judged: dict[str, Any]
) -> None:
    take_id, avatar_id = await derived(api, packed)
    queued = (await api.client.post("/avatars:export", json={"avatar_id": avatar_id})).json()
    opened = await api.client.post("/live/sessions", json={"avatar_id": avatar_id})
    assert opened.status_code == 201, opened.text
    session = f"/live/sessions/{opened.json()['id']}"
    assert (await api.client.post(f"{session}:say", json={"text": "Hello."})).status_code == 202

    told = (await api.client.post(f"/takes/{take_id}:withdraw")).json()
    assert told["consent"]["withdrawn_at"] is not None
    assert (await api.client.get(session)).json()["state"] == "closed"
    body = assert_error(await api.client.post(f"{session}:say", json={"text": "More."}), 409, "conflict")
    assert "Ada has withdrawn the consent" in body["message"]
    for path, wanted in (
        ("/live/sessions", {"avatar_id": avatar_id}),
        ("/avatars:export", {"avatar_id": avatar_id}),
        ("/inference/video", {"avatar_id": avatar_id, "text": "Hi"}),
        ("/avatars:train", {"take_id": take_id, "name": "Ada"}),
    ):
        body = assert_error(await api.client.post(path, json=wanted), 403, "forbidden")
        assert "Ada has withdrawn the consent" in body["message"] and body["remedy"], path
    worker = Worker(api.studio.tools, "w", threading.Event())
    while await asyncio.to_thread(worker.once):
        pass
    job = (await api.client.get(f"/jobs/{queued['id']}")).json()
    assert job["state"] == "failed" and "withdrawn" in job["error"]["message"], "what had waited was exported"
    again = (await api.client.post(f"/takes/{take_id}:withdraw")).json()
    assert again["consent"]["withdrawn_at"] == told["consent"]["withdrawn_at"]


async def test_a_session_ends_when_its_consent_runs_out_and_others_go_on(
    api: Api, packed: bytes, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ending = await derived(api, packed, until="2099-01-01T00:00:00Z")
    other = await bring_in(api, packed)
    sessions = [
        (await api.client.post("/live/sessions", json={"avatar_id": avatar_id})).json()["id"]
        for avatar_id in (ending, other)
    ]
    await api.studio.live.refresh()
    assert {s["id"] for s in (await api.client.get("/live/sessions")).json()["items"]} == set(sessions)
    monkeypatch.setattr("apps.control_api.services.consents.now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
    await api.studio.live.refresh()
    assert [s["id"] for s in (await api.client.get("/live/sessions")).json()["items"]] == [sessions[1]]
    body = assert_error(
        await api.client.post(f"/live/sessions/{sessions[0]}:say", json={"text": "Hi"}), 409, "conflict"
    )
    assert "The consent of Ada has ended" in body["message"]


async def test_the_consent_of_what_was_brought_in_is_taken_back_there(api: Api, packed: bytes) -> None:
    """An imported avatar has no take whose consent could be withdrawn."""
    avatar_id = await bring_in(api, packed)
    opened = await api.client.post("/live/sessions", json={"avatar_id": avatar_id})
    assert opened.status_code == 201, opened.text
    told = await api.client.post(f"/avatars/{avatar_id}:withdraw")
    assert told.status_code == 200 and told.json()["person"] == "Ada" and told.json()["withdrawn_at"] is not None
    assert (await api.client.get(f"/live/sessions/{opened.json()['id']}")).json()["state"] == "closed"
    for path in ("/live/sessions", "/avatars:export"):
        body = assert_error(await api.client.post(path, json={"avatar_id": avatar_id}), 403, "forbidden")
        assert "Ada has withdrawn the consent" in body["message"] and body["remedy"], path
    again = (await api.client.post(f"/avatars/{avatar_id}:withdraw")).json()
    assert again["withdrawn_at"] == told.json()["withdrawn_at"]
    assert_error(await api.client.post(f"/avatars/{avatar_id[:-1]}0:withdraw"), 404, "not_found")
    rows = (await api.client.get("/audit/events", params={"action": "withdraw_avatar_consent"})).json()["items"]
    assert {row["object_id"] for row in rows} >= {avatar_id} and rows[-1]["result"] == 200


async def test_the_consent_of_a_voice_is_taken_back_there(api: Api) -> None:
    with api.studio.tools.database.write() as session:
        consent = consents.add(session, {**CONSENT, "person": "Grace"})
        row = VoiceRow(name="Grace", state="ready", backend="local", language="en", consent_id=consent.id)
        session.add(row)
        voice_id = row.id
    assert (await api.client.post(f"/voices/{voice_id}:preview", json={"text": "Hi."})).status_code == 200
    told = await api.client.post(f"/voices/{voice_id}:withdraw")
    assert told.status_code == 200 and told.json()["person"] == "Grace"
    body = assert_error(await api.client.post(f"/voices/{voice_id}:preview", json={"text": "Hi."}), 403, "forbidden")
    assert "Grace has withdrawn the consent" in body["message"]
    own = (await api.client.get("/voices")).json()["items"]
    builtin = next(v for v in own if v["builtin"])
    assert_error(await api.client.post(f"/voices/{builtin['id']}:withdraw"), 409, "conflict")

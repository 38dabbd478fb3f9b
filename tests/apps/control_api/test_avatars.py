"""Avatars, versions, voices and live sessions over HTTP, with an engine that paints a bar."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import httpx
import numpy as np
import pytest
import soundfile

from apps.control_api.api.wire.live import SessionCreate
from apps.control_api.services import registration
from apps.control_api.services.takes import Takes
from apps.control_api.services.voices import builtin_id
from apps.control_api.settings import Settings
from apps.control_api.storage.tables import TakeRow
from apps.control_api.worker.loop import Worker
from lipsync.bundle import Manifest, pack, read_manifest, update_manifest, write_bundle
from lipsync.media.transparent import read_transparent
from tests.apps.control_api.conftest import CONSENT, Api
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import REPORT_OK, send, upload
from tests.fakes.bar_engine import write_bar_bundle


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("bar")
    write_bar_bundle(folder / "bundle", frames=30, width=128, height=128)
    return pack(folder / "bundle", folder / "bar.zip").read_bytes()


async def work(api: Api) -> None:
    """Do every job that waits."""
    worker = Worker(api.studio.tools, "w", threading.Event())
    while await asyncio.to_thread(worker.once):
        pass


async def bring_in(api: Api, packed: bytes, **consent: Any) -> str:
    """Import the bar avatar; returns its id."""
    wanted = {"upload_id": await upload(api, packed, "bar.zip"), "consent": {**CONSENT, **consent}, "name": "Bar"}
    answer = await api.client.post("/avatars:import", json=wanted)
    assert answer.status_code == 202, answer.text
    await work(api)
    job = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
    assert job["state"] == "succeeded", job
    return str(job["result"]["avatar_id"])


async def register(api: Api, packed: bytes, avatar_id: str) -> str:
    """Register the bundle as another version of an avatar; returns the version's id."""
    wanted = {"upload_id": await upload(api, packed, "bar.zip"), "avatar_id": avatar_id}
    answer = await api.client.post("/models/register", json=wanted)
    assert answer.status_code == 202, answer.text
    await work(api)
    return str((await api.client.get(f"/jobs/{answer.json()['id']}")).json()["result"]["model_id"])


async def test_import_and_export_are_inverse(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    avatar = (await api.client.get(f"/avatars/{avatar_id}")).json()
    assert (avatar["state"], avatar["engine"], avatar["name"], avatar["model_version"]) == ("ready", "bar", "Bar", "1")
    folder = api.studio.tools.files.models / avatar["model_path"]
    assert folder == api.studio.tools.files.models / "avatars" / avatar_id / "1"
    manifest = read_manifest(folder)
    assert manifest.consent_id == avatar["consent_id"] and manifest.version == "1"
    assert [p.name for p in folder.parent.iterdir()] == ["1"], "nothing half-made lies beside it"

    job = (await api.client.post("/avatars:export", json={"avatar_id": avatar_id})).json()
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    file = await api.stranger.get("http://127.0.0.1:9001" + job["file_url"])
    assert file.status_code == 200 and file.headers["content-disposition"].startswith("attachment")
    names = set(zipfile.ZipFile(io.BytesIO(file.content)).namelist()) - {"signature.json"}
    assert names == set(zipfile.ZipFile(io.BytesIO(packed)).namelist())
    part = await api.client.get(f"/jobs/{job['id']}/file", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == file.content[:10]


async def test_a_file_that_is_no_avatar_is_refused_and_leaves_nothing(api: Api, packed: bytes) -> None:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"x" if name.endswith(".safetensors") else b""))
    escape = io.BytesIO()
    with zipfile.ZipFile(escape, "w") as new:
        new.writestr("manifest.json", "{}")
        new.writestr("../../../evil.txt", "x")
    for data in (b"no zip", changed.getvalue(), escape.getvalue()):
        wanted = {"upload_id": await upload(api, data, "x.zip"), "consent": CONSENT}
        job = (await api.client.post("/avatars:import", json=wanted)).json()
        await work(api)
        job = (await api.client.get(f"/jobs/{job['id']}")).json()
        assert (job["state"], job["error"]["code"]) == ("failed", "bad_bundle") and job["error"]["remedy"]
    assert (await api.client.get("/avatars")).json()["items"] == []
    assert not [p for p in (api.studio.tools.files.models / "avatars").rglob("*") if p.is_file()]


async def test_versions_are_reviewed_promoted_and_taken_back(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    first = (await api.client.get(f"/avatars/{avatar_id}")).json()["model_id"]
    second = await register(api, packed, avatar_id)

    async def live() -> str:
        avatar = (await api.client.get(f"/avatars/{avatar_id}")).json()
        assert (api.studio.tools.files.models / avatar["model_path"] / "manifest.json").is_file()
        return str(avatar["model_id"])

    told = (await api.client.get(f"/models/{second}")).json()
    assert (told["state"], told["version"], told["live"]) == ("in_review", "2", False) and told["reasons"]
    assert await live() == first
    assert_error(await api.client.post(f"/models/{second}:promote"), 409, "conflict")
    told = (await api.client.post(f"/models/{second}:approve", json={"note": "looks good"})).json()
    assert (told["state"], told["note"], told["live"]) == ("ready", "looks good", True) and await live() == second
    assert_error(await api.client.post(f"/models/{second}:reject"), 409, "conflict")
    assert_error(await api.client.delete(f"/models/{second}"), 409, "conflict")
    assert (await api.client.post(f"/models/{second}:rollback")).json()["id"] == first and await live() == first
    assert (await api.client.get(f"/models/{second}")).json()["state"] == "retired"
    assert_error(await api.client.post(f"/models/{first}:rollback"), 409, "conflict")
    assert (await api.client.post(f"/models/{second}:promote")).status_code == 200 and await live() == second
    assert (await api.client.delete(f"/models/{first}")).status_code == 204
    assert not (api.studio.tools.files.models / "avatars" / avatar_id / "1").exists()
    third = await register(api, packed, avatar_id)
    assert (await api.client.get(f"/models/{third}")).json()["version"] == "3"
    assert (await api.client.post(f"/models/{third}:reject", json={"note": "no"})).json()["state"] == "retired"
    listed = (await api.client.get("/models", params={"owner_id": avatar_id})).json()["items"]
    assert [(m["id"], m["live"]) for m in listed] == [(third, False), (second, True)]
    assert (await api.client.delete(f"/avatars/{avatar_id}")).status_code == 204
    assert (await api.client.get("/models")).json()["items"] == []
    assert not (api.studio.tools.files.models / "avatars" / avatar_id).exists()


GOOD = {"lip_gap_corr": 0.8, "gap_std_ratio": 0.9, "lag_ms": 0.0, "sharpness": 0.95}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"lip_gap_corr": 0.4, "gap_std_ratio": 0.4, "lag_ms": -80.0, "sharpness": 1.5}, None),
        ({"lip_gap_corr": 0.39}, "lip_gap_corr is 0.39, wanted at least 0.4"),
        ({"gap_std_ratio": 0.3}, "gap_std_ratio is 0.3, wanted at least 0.4"),
        ({"lag_ms": 120.0}, "lag_ms is 120, wanted at most 80"),
        ({"lag_ms": -120.0}, "lag_ms is -120, wanted at least -80"),
        ({"sharpness": 0.5}, "sharpness is 0.5, wanted at least 0.6"),
        ({"sharpness": 1.6}, "sharpness is 1.6, wanted at most 1.5"),
        ({"sharpness": None, "lag_ms": None}, None),
    ],
)
def test_the_gate_by_default(change: dict[str, float | None], why: str | None) -> None:
    wanted = Settings(token="t")
    reasons = registration.shortcomings(GOOD | change, wanted.minimum_metrics, wanted.maximum_metrics)
    assert reasons == ([why] if why else [])


def test_what_was_not_measured_is_not_held_against_a_version() -> None:
    wanted = Settings(token="t")
    assert registration.shortcomings({"psnr": 3.0}, wanted.minimum_metrics, wanted.maximum_metrics) == []
    strange = {"lip_gap_corr": float("nan")}
    assert len(registration.shortcomings(strange, wanted.minimum_metrics, wanted.maximum_metrics)) == 1


async def train(api: Api, monkeypatch: pytest.MonkeyPatch, take_id: str, avatar_id: str | None, **figures: Any) -> Any:
    """Train a version whose figures are given; training itself has tests of its own."""

    def trained(take: Any, out: Path, *_: Any) -> Path:
        write_bar_bundle(out, frames=5, width=64, height=64)
        update_manifest(out, metrics=GOOD | figures)
        return out

    shape = SimpleNamespace(width=64, height=64)
    monkeypatch.setattr("lipsync.training.avatar.train_avatar", trained)
    monkeypatch.setattr("lipsync.dataset.take.load_take", lambda folder: shape)
    monkeypatch.setattr("apps.control_api.services.take_pictures.thumbnail", lambda *_: None)
    wanted = {"take_id": take_id, "name": "Ada", "engine": "bar", **({"avatar_id": avatar_id} if avatar_id else {})}
    answer = await api.client.post("/avatars:train", json=wanted)
    assert answer.status_code == 202, answer.text
    await work(api)
    job = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    return job["result"]


async def test_a_worse_version_waits_for_review_and_the_last_good_one_stays_live(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(self: Takes, video: Path, voice: Path | None) -> dict[str, Any]:
        return dict(REPORT_OK)

    monkeypatch.setattr(Takes, "check", check)
    take = (await send(api, b"video")).json()
    await api.client.post(f"/jobs/{take['job_id']}:cancel")
    with api.studio.tools.database.write() as session:
        session.get(TakeRow, take["id"]).state = "prepared"
    good = await train(api, monkeypatch, take["id"], None)
    avatar_id = good["avatar_id"]
    before = (await api.client.get(f"/avatars/{avatar_id}")).json()
    assert (before["state"], before["model_id"], good["reasons"]) == ("ready", good["model_id"], [])

    listener = api.studio.hub.subscribe()
    bad = await train(api, monkeypatch, take["id"], avatar_id, lip_gap_corr=0.2, lag_ms=160.0)
    assert bad["state"] == "in_review" and len(bad["reasons"]) == 2
    model = (await api.client.get(f"/models/{bad['model_id']}")).json()
    assert (model["state"], model["live"], model["reasons"]) == ("in_review", False, bad["reasons"])
    after = (await api.client.get(f"/avatars/{avatar_id}")).json()
    kept = ("state", "model_id", "model_path", "metrics")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    await asyncio.sleep(0.4)
    heard = [json.loads(listener.queue.get_nowait()) for _ in range(listener.queue.qsize())]
    told = [e["data"] for e in heard if e.get("name") == "model_in_review"]
    assert told == [{"model_id": bad["model_id"], "reasons": bad["reasons"]}]
    assert (await api.client.post(f"/models/{bad['model_id']}:approve")).json()["live"] is True


async def test_the_gate_is_a_setting(make_api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MINIMUM_METRICS", '{"lip_gap_corr": 0.1}')
    monkeypatch.setenv("STUDIO_MAXIMUM_METRICS", "{}")
    settings = (await make_api()).studio.settings
    assert (settings.minimum_metrics, settings.maximum_metrics) == ({"lip_gap_corr": 0.1}, {})


async def test_consent_covers_export_and_live(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed, scope=["live"])
    assert_error(await api.client.post("/avatars:export", json={"avatar_id": avatar_id}), 403, "forbidden")
    other = await bring_in(api, packed, scope=["train"])
    assert_error(await api.client.post("/live/sessions", json={"avatar_id": other}), 403, "forbidden")
    assert_error(await api.client.post("/inference/video", json={"avatar_id": other, "text": "Hi"}), 403, "forbidden")


async def test_a_live_session_from_opening_to_its_end(make_api: Any, packed: bytes) -> None:
    api = await make_api(max_sessions=1)
    avatar_id = await bring_in(api, packed)
    listener = api.studio.hub.subscribe()
    opened = await api.client.post("/live/sessions", json={"avatar_id": avatar_id, "background": {"kind": "colour"}})
    assert opened.status_code == 201, opened.text
    session = f"/live/sessions/{opened.json()['id']}"
    assert_error(await api.client.post("/live/sessions", json={"avatar_id": avatar_id}), 429, "too_many")
    assert [s["id"] for s in (await api.client.get("/live/sessions")).json()["items"]] == [opened.json()["id"]]
    said = await api.client.post(f"{session}:say", json={"text": "Hello."})
    assert said.status_code == 202 and said.json()["turn"] == 1
    assert (await api.client.post(f"{session}:chat", json={"text": "Who are you?", "interrupt": True})).json()[
        "turn"
    ] == 2
    stats = (await api.client.get(f"{session}/stats")).json()
    assert stats["engine"] == "bar" and stats["width"] == 128 and stats["turn"] == 2
    assert (await api.client.post(f"{session}:interrupt")).status_code == 204
    assert_error(await api.client.post(f"{session}:say", json={"text": ""}), 422, "invalid_input")
    assert_error(await api.client.post(f"{session}:audio", content=b"no sound"), 422, "invalid_input")
    bad = await api.client.post(f"{session}/offer", json={"sdp": "v=0", "type": "offer"})
    assert bad.status_code == 422, bad.text
    wanted = {"messages": [{"platform": "p", "platform_id": str(i // 2), "text": "Hi"} for i in range(4)]}
    told = (await api.client.post("/messages:ingest", json={**wanted, "session_id": opened.json()["id"]})).json()
    assert (len(told["accepted"]), told["duplicates"]) == (2, 2)
    assert {m["state"] for m in told["accepted"]} == {"answering"}
    assert (await api.client.delete(session)).status_code == 204
    assert (await api.client.get(session)).json()["state"] == "closed"
    for call in (":say", ":chat"):
        assert_error(await api.client.post(session + call, json={"text": "Hi"}), 409, "conflict")
    assert_error(await api.client.post("/live/sessions/none:say", json={"text": "Hi"}), 404, "not_found")
    again = await api.client.post("/live/sessions", json={"avatar_id": avatar_id})
    assert again.status_code == 201
    await asyncio.sleep(0.3)
    heard = [listener.queue.get_nowait() for _ in range(listener.queue.qsize())]
    assert any('"type":"live"' in text and "turn_started" in text for text in heard)


async def test_only_allowed_services_are_called(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    reply = {"backend": "openai", "base_url": "http://169.254.169.254/latest", "model": "m"}
    answer = await api.client.post("/live/sessions", json={"avatar_id": avatar_id, "reply": reply})
    assert_error(answer, 403, "forbidden")


async def test_a_film_wants_a_text_or_a_sound(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    for more in ({}, {"text": "Hi", "audio_upload_id": "0" * 32}):
        answer = await api.client.post("/inference/video", json={"avatar_id": avatar_id, **more})
        assert_error(answer, 422, "invalid_input")
    job = (await api.client.post("/inference/video", json={"avatar_id": avatar_id, "text": "Hello there."})).json()
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    film = await api.client.get(f"/jobs/{job['id']}/file")
    assert film.headers["content-type"] == "video/mp4" and film.content[4:8] == b"ftyp"


async def test_a_film_with_transparency_is_a_webm_of_the_person_alone(api: Api, packed: bytes, tmp_path: Path) -> None:
    avatar_id = await bring_in(api, packed)
    through = {"avatar_id": avatar_id, "background": {"kind": "transparent"}}
    assert_error(await api.client.post("/live/sessions", json=through), 422, "invalid_input")
    job = (await api.client.post("/inference/video", json={**through, "text": "Hello."})).json()
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    film = await api.client.get(f"/jobs/{job['id']}/file")
    assert film.headers["content-type"] == "video/webm"
    (tmp_path / "film.webm").write_bytes(film.content)
    pictures = list(read_transparent(tmp_path / "film.webm"))
    matte = pictures[len(pictures) // 2][1]
    assert len(pictures) > 20 and matte.shape == (128, 128)
    assert 0.02 < (matte < 10).mean() < 0.98, "nothing, or everything, can be seen through"
    assert (matte[4:8, 4:20] > 240).all(), "the label can be seen through"
    with av.open(str(tmp_path / "film.webm")) as container:
        assert "ProduceID" in container.metadata["AIGC"] and container.streams.audio


async def test_voices(api: Api) -> None:
    listed = (await api.client.get("/voices")).json()["items"]
    assert {v["language"] for v in listed if v["builtin"]} == {"auto", "zh", "en"}
    assert_error(await api.client.delete(f"/voices/{builtin_id('auto')}"), 409, "conflict")
    assert_error(await api.client.post("/voices", json={"name": "x", "backend": "nobody"}), 422, "invalid_input")
    made = (await api.client.post("/voices", json={"name": "Fast", "language": "en", "speed": 1.5})).json()
    assert (await api.client.patch(f"/voices/{made['id']}", json={"speed": 1.2})).json()["speed"] == 1.2
    heard = await api.client.post(f"/voices/{made['id']}:preview", json={"text": "Hello. 你好。"})
    assert heard.status_code == 200 and heard.headers["content-type"] == "audio/wav"
    assert heard.content[:4] == b"RIFF" and len(heard.content) > 20_000
    assert_error(await api.client.post(f"/voices/{made['id']}:preview", json={"text": "!!!"}), 422, "invalid_input")
    assert_error(await api.client.post(f"/voices/{made['id']}:preview", json={"text": "x" * 501}), 422, "invalid_input")
    assert (await api.client.delete(f"/voices/{made['id']}")).status_code == 204
    assert_error(await api.client.get(f"/voices/{made['id']}"), 404, "not_found")


async def test_two_hundred_listeners_hear_everything_in_order(api: Api) -> None:
    listeners = [api.studio.hub.subscribe() for _ in range(200)]
    jobs = await asyncio.to_thread(lambda: [api.studio.tools.jobs.submit("k", {"i": i}).id for i in range(30)])
    end = asyncio.get_running_loop().time() + 10
    while listeners[0].queue.qsize() < 30 and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    heard = [[listener.queue.get_nowait() for _ in range(listener.queue.qsize())] for listener in listeners]
    assert len(heard[0]) == 30 and all(other == heard[0] for other in heard)
    assert all(job in text for job, text in zip(jobs, heard[0], strict=True))
    for listener in listeners:
        api.studio.hub.unsubscribe(listener)
    assert api.studio.hub.listeners == 0


def fake_training(voice: Path, out: Path, *, name: str, progress: Any, takes: Any, consent_id: Any, **_: Any) -> Path:
    """Stands in for the training of a voice, which has tests of its own: a bundle of one tensor."""
    progress.update(0.5)
    manifest = Manifest(
        name, "1", "voice", "filtered-base", 16_000, (25,), "mel-cepstrum", {"similarity": 0.9}, {}, takes, consent_id
    )
    return write_bundle(out, manifest, {"heard": np.frombuffer(voice.read_bytes(), np.uint8)})


async def test_a_voice_is_trained_versioned_and_packed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech.clone.training.train_voice", fake_training)

    async def train(**more: Any) -> dict[str, Any]:
        wanted = {"name": "Ada", "upload_id": await upload(api, b"RIFFsound", "v.wav"), "consent": CONSENT, **more}
        answer = await api.client.post("/voices:train", json=wanted)
        assert answer.status_code == 202, answer.text
        await work(api)
        job: dict[str, Any] = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
        assert job["state"] == "succeeded", job["error"]
        return job["result"]  # type: ignore[no-any-return]

    first = await train()
    voice = (await api.client.get(f"/voices/{first['voice_id']}")).json()
    assert (voice["state"], voice["backend"], voice["model_version"]) == ("ready", "clone", "1")
    assert voice["metrics"] == {"similarity": 0.9} and voice["model_path"] == f"voices/{voice['id']}/1"
    row = api.studio.voices.get(voice["id"])
    assert api.studio.voices.backend_settings(row) == {
        "bundle": str(api.studio.tools.files.models / voice["model_path"])
    }
    second = await train(voice_id=voice["id"])
    assert second["voice_id"] == voice["id"] and second["version"] == "2"
    assert (await api.client.post(f"/models/{second['model_id']}:rollback")).json()["id"] == first["model_id"]
    job = (await api.client.post("/voices:export", json={"voice_id": voice["id"]})).json()
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    packed = (await api.client.get(f"/jobs/{job['id']}/file")).content
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(packed)).namelist()
    # What is brought in is read as a voice first: this one holds none of a voice's tensors.
    wanted = {"upload_id": await upload(api, packed, "v.zip"), "consent": CONSENT}
    job = (await api.client.post("/voices:import", json=wanted)).json()
    await work(api)
    assert (await api.client.get(f"/jobs/{job['id']}")).json()["error"]["code"] == "bad_bundle"
    assert (await api.client.delete(f"/voices/{voice['id']}")).status_code == 204
    assert not [p for p in (api.studio.tools.files.models / "voices").rglob("*") if p.is_file()]


async def test_a_voice_wants_one_source_and_a_consent(api: Api) -> None:
    upload_id = await upload(api, b"RIFF", "v.wav")
    for wanted, status in (
        ({}, 422),
        ({"upload_id": upload_id}, 422),
        ({"upload_id": upload_id, "take_id": "x", "consent": CONSENT}, 422),
        ({"take_id": "x"}, 404),
        ({"upload_id": upload_id, "consent": {**CONSENT, "scope": ["live"]}}, 403),
        ({"upload_id": upload_id, "consent": CONSENT, "voice_id": builtin_id("en")}, 409),
    ):
        answer = await api.client.post("/voices:train", json={"name": "Ada", **wanted})
        assert answer.status_code == status, (wanted, answer.text)
    assert_error(await api.client.post("/voices:export", json={"voice_id": builtin_id("en")}), 409, "conflict")
    assert (await api.client.get("/jobs")).json()["items"] == []


async def test_livetalkings_own_clients_are_let_in_only_when_asked_for(make_api: Any, packed: bytes) -> None:
    base = "http://127.0.0.1:9001"
    closed = await make_api()
    assert (await closed.stranger.post(base + "/human", json={"sessionid": 1, "text": "x"})).status_code == 405
    api = await make_api(compatibility=True)
    assert_error(await api.stranger.post(base + "/offer", json={"sdp": "v=0"}), 409, "conflict")
    avatar_id = await bring_in(api, packed)
    session = await api.studio.live.open(SessionCreate(avatar_id=avatar_id).model_dump())
    said = await api.stranger.post(base + "/human", json={"sessionid": session.id, "text": "Hello.", "type": "echo"})
    assert said.json() == {"code": 0, "msg": "ok", "data": None}
    speaking = await api.stranger.post(base + "/is_speaking", json={"sessionid": session.id})
    assert speaking.json()["data"] in (True, False)
    assert (await api.stranger.post(base + "/interrupt_talk", json={"sessionid": session.id})).json()["code"] == 0
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(1600, np.float32), 16_000, format="WAV")
    files = {"file": ("a.wav", sound.getvalue(), "audio/wav")}
    heard = await api.stranger.post(base + "/humanaudio", files=files, data={"sessionid": session.id})
    assert heard.json()["code"] == 0
    assert_error(await api.stranger.post(base + "/human", json={"sessionid": 123456, "text": "x"}), 404, "not_found")
    assert_error(await api.stranger.get("/takes"), 401, "unauthorised")
    transport = httpx.ASGITransport(api.app, client=("192.168.1.5", 5))
    async with httpx.AsyncClient(transport=transport, base_url=base) as far:
        assert_error(await far.post("/human", json={"sessionid": session.id, "text": "x"}), 403, "forbidden")
    actors = {r["actor"] for r in (await api.client.get("/audit/events")).json()["items"] if "human" in r["action"]}
    assert actors == {"compatibility"}

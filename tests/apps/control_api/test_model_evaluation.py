"""``models:evaluate``: what is bad is stopped, the last good version comes back by itself, an admin is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from apps.control_api.storage.tables import Consent, EventRow, ModelRow, TakeRow
from apps.control_api.storage.tables.base import new_id
from lipsync.bundle import pack
from lipsync.dataset.take import PreparedTake
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import register, work
from tests.apps.control_api.test_guard import assert_error
from tests.fakes.drawn_take import drawn_take
from tests.fakes.drawn_tracker import DrawnTracker
from tests.fakes.paint_engine import write_paint_bundle

BAD = {
    "shifted sound": ({"late": 5}, "lag_ms"),
    "half-trained": ({"gain": 0.25, "noise": 1.5}, "gap_std_ratio"),
    "another's mouth": ({"shade": 0.6}, "psnr_gain"),
}


@pytest.fixture(autouse=True)
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces that are drawn are looked for by a tracker of drawn faces."""
    monkeypatch.setattr("lipsync.face.landmarks.FaceTracker", DrawnTracker)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> PreparedTake:
    return drawn_take(tmp_path_factory.mktemp("drawn") / "take", size=160)


async def with_take(api: Api, drawn: PreparedTake, **consent: Any) -> str:
    """A prepared take; returns its id."""
    files, take_id = api.studio.tools.files, new_id()
    shutil.copytree(drawn.folder, files.take(take_id))
    given = {"person": "Ada", "scope": ["train", "live", "export"], "statement": "I agree.", **consent}
    with api.studio.tools.database.write() as session:
        kept = Consent(**given)
        session.add(kept)
        session.flush()
        session.add(
            TakeRow(
                id=take_id,
                name="drawn",
                state="prepared",
                video_name="v.mp4",
                video_sha256="0",
                size_bytes=1,
                consent_id=kept.id,
            )
        )
    return take_id


async def trained(api: Api, take_id: str) -> dict[str, Any]:
    """An avatar whose version passed its own training's judge."""
    wanted = {"take_id": take_id, "name": "Ada", "engine": "paint"}
    answer = await api.client.post("/avatars:train", json=wanted)
    assert answer.status_code == 202, answer.text
    return await ended(api, answer.json()["id"])


async def ended(api: Api, job_id: str) -> dict[str, Any]:
    await work(api)
    job = (await api.client.get(f"/jobs/{job_id}")).json()
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


async def evaluate(api: Api, model_id: str, **wanted: Any) -> dict[str, Any]:
    answer = await api.client.post(f"/models/{model_id}:evaluate", json=wanted)
    assert answer.status_code == 202, answer.text
    assert answer.json()["kind"] == "models:evaluate"
    return await ended(api, answer.json()["id"])


def bundle(drawn: PreparedTake, folder: Path, **way: float) -> bytes:
    write_paint_bundle(folder / "bundle", drawn, **way)
    return pack(folder / "bundle", folder / "b.zip").read_bytes()


async def test_a_good_version_passes_and_stays_live(api: Api, drawn: PreparedTake) -> None:
    take_id = await with_take(api, drawn)
    made = await trained(api, take_id)
    assert made["state"] == "ready", made["reasons"]
    told = await evaluate(api, made["model_id"])
    assert told["passed"] and told["live_model_id"] == made["model_id"] and told["state"] == "ready"
    model = (await api.client.get(f"/models/{made['model_id']}")).json()
    seen = model["evaluation"]
    assert seen["passed"] and seen["take_id"] == take_id and model["live"]
    wanted = {"psnr", "ssim", "lip_l1", "lip_l2", "lip_gap_corr", "lag_ms", "sync", "jitter", "seam", "sharpness"}
    assert {*wanted, "silence_motion_ratio"} <= seen["figures"].keys()
    for name in wanted:
        assert isinstance(seen["figures"][name]["real"], float), f"{name} stands alone"
    assert seen["figures"]["lip_gap_corr"]["least"] == api.studio.settings.minimum_metrics["lip_gap_corr"]
    assert seen["figures"]["sync"]["real"] > 0.5 and seen["figures"]["sync"]["value"] > 0.5
    avatar = (await api.client.get(f"/avatars/{made['avatar_id']}")).json()
    assert avatar["metrics"]["sync"] == seen["figures"]["sync"]["value"]


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_version_is_stopped_and_the_last_good_one_comes_back(
    api: Api, drawn: PreparedTake, tmp_path: Path, kind: str
) -> None:
    take_id = await with_take(api, drawn)
    good = await trained(api, take_id)
    avatar_id = good["avatar_id"]
    way, figure = BAD[kind]
    bad = await register(api, bundle(drawn, tmp_path, **way), avatar_id)
    assert (await api.client.post(f"/models/{bad}:approve")).json()["live"], "somebody let it go live unheard"
    told = await evaluate(api, bad)
    assert not told["passed"] and any(figure in reason for reason in told["reasons"]), told["reasons"]
    assert told["state"] == "in_review" and told["live_model_id"] == good["model_id"]
    avatar = (await api.client.get(f"/avatars/{avatar_id}")).json()
    assert (avatar["state"], avatar["model_id"], avatar["model_version"]) == ("ready", good["model_id"], "1")
    model = (await api.client.get(f"/models/{bad}")).json()
    assert model["state"] == "in_review" and model["reasons"] == told["reasons"] and not model["live"]
    with api.studio.tools.database.read() as session:
        told_all = [row.data for row in session.exec(select(EventRow).where(EventRow.type == "system"))]
    event = [e["data"] for e in told_all if e["name"] == "model_in_review"][-1]
    assert event["model_id"] == bad and event["was_live"] and event["live_model_id"] == good["model_id"]
    rows = (await api.client.get("/audit/events", params={"action": "model_stopped"})).json()["items"]
    assert [(r["object_id"], r["actor"], r["detail"]["reasons"]) for r in rows] == [(bad, "studio", told["reasons"])]
    noted = (await api.client.post(f"/models/{bad}:reject", json={"note": "The mouth is late."})).json()
    assert (noted["state"], noted["note"]) == ("retired", "The mouth is late.")
    assert_error(await api.client.post(f"/models/{good['model_id']}:rollback"), 409, "conflict")


async def test_where_nothing_good_is_left_the_avatar_is_off_the_air_until_somebody_decides(
    api: Api, drawn: PreparedTake
) -> None:
    take_id = await with_take(api, drawn)
    made = await trained(api, take_id)
    with api.studio.tools.database.write() as session:
        row = session.get(ModelRow, made["model_id"])
        assert row is not None
        folder = api.studio.tools.files.model_path(row.path)
    write_paint_bundle(folder.with_name("worse"), drawn, late=6)
    folder.rename(folder.with_name("better"))
    folder.with_name("worse").rename(folder)
    told = await evaluate(api, made["model_id"])
    assert not told["passed"] and told["live_model_id"] is None
    avatar = (await api.client.get(f"/avatars/{made['avatar_id']}")).json()
    assert (avatar["state"], avatar["model_id"], avatar["model_path"]) == ("in_review", None, None)
    refused = await api.client.post("/live/sessions", json={"avatar_id": made["avatar_id"]})
    assert_error(refused, 409, "conflict")
    approved = (await api.client.post(f"/models/{made['model_id']}:approve", json={"note": "Good enough."})).json()
    assert approved["live"] and approved["note"] == "Good enough."


async def test_what_cannot_be_measured_is_refused_with_the_reason(
    api: Api, drawn: PreparedTake, tmp_path: Path
) -> None:
    take_id = await with_take(api, drawn)
    made = await trained(api, take_id)
    assert_error(await api.client.post("/models/none:evaluate"), 404, "not_found")
    missing = await api.client.post(f"/models/{made['model_id']}:evaluate", json={"take_id": "none"})
    assert_error(missing, 404, "not_found")
    untrained = await with_take(api, drawn, scope=["live"])
    refused = await api.client.post(f"/models/{made['model_id']}:evaluate", json={"take_id": untrained})
    assert "training" in assert_error(refused, 403, "forbidden")["message"]
    with api.studio.tools.database.write() as session:
        row = session.get(TakeRow, take_id)
        assert row is not None
        row.state = "preparing"
    assert_error(await api.client.post(f"/models/{made['model_id']}:evaluate"), 409, "conflict")


async def test_a_candidate_that_passes_goes_live(api: Api, drawn: PreparedTake) -> None:
    made = await trained(api, await with_take(api, drawn))
    with api.studio.tools.database.write() as session:
        row = session.get(ModelRow, made["model_id"])
        assert row is not None
        row.state = "candidate"
    assert (await evaluate(api, made["model_id"]))["state"] == "ready"


async def test_the_bounds_are_settings(make_api: Any, drawn: PreparedTake) -> None:
    api = await make_api(minimum_metrics={"lip_gap_corr": 0.5}, maximum_metrics={"lip_l1": 0.001})
    made = await trained(api, await with_take(api, drawn))
    assert made["state"] == "in_review" and made["reasons"][0].startswith("lip_l1 is ")

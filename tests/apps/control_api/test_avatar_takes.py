"""A second take of the person makes an avatar's next version; another person's is refused."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.control_api.services.takes import Takes
from apps.control_api.storage.tables import Consent, ModelRow, TakeRow
from apps.control_api.worker.loop import Worker
from lipsync.bundle import update_manifest
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import REPORT_OK, send
from tests.fakes.bar_engine import write_bar_bundle

GOOD = {"lip_gap_corr": 0.8, "gap_std_ratio": 0.9, "lag_ms": 0.0, "sharpness": 0.95}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options each training was given; training itself has tests of its own."""
    seen: list[Any] = []

    def trained(take: Any, out: Path, engine: str, options: Any, progress: Any) -> Path:
        seen.append(options)
        write_bar_bundle(out, frames=5, width=64, height=64)
        update_manifest(out, metrics=GOOD)
        return out

    async def check(self: Takes, video: Path, voice: Path | None) -> dict[str, Any]:
        return dict(REPORT_OK)

    monkeypatch.setattr("lipsync.training.avatar.train_avatar", trained)
    monkeypatch.setattr("lipsync.dataset.take.load_take", lambda folder: SimpleNamespace(width=64, height=64))
    monkeypatch.setattr("apps.control_api.services.take_pictures.thumbnail", lambda *_: None)
    monkeypatch.setattr(Takes, "check", check)
    return seen


async def prepared(api: Api, face: str | None) -> str:
    """A take of somebody, prepared."""
    take = (await send(api, f"video of {face} {datetime.now(UTC)}".encode())).json()
    await api.client.post(f"/jobs/{take['job_id']}:cancel")
    with api.studio.tools.database.write() as session:
        row = session.get(TakeRow, take["id"])
        row.state, row.face_id = "prepared", face
    api.studio.tools.files.take(take["id"]).mkdir(parents=True)
    return str(take["id"])


async def train(api: Api, take_id: str, avatar_id: str | None = None) -> Any:
    wanted = {"take_id": take_id, "name": "Ada", **({"avatar_id": avatar_id} if avatar_id else {})}
    answer = await api.client.post("/avatars:train", json=wanted)
    if answer.status_code != 202:
        return answer
    worker = Worker(api.studio.tools, "w", threading.Event())
    while await asyncio.to_thread(worker.once):
        pass
    job = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    return job["result"]


async def test_a_second_take_makes_a_new_version_that_learns_from_both(api: Api, given: list[Any]) -> None:
    first, second = await prepared(api, "f-ada"), await prepared(api, "f-ada")
    one = await train(api, first)
    two = await train(api, second, one["avatar_id"])
    assert two["avatar_id"] == one["avatar_id"] and (one["version"], two["version"]) == ("1", "2")
    folder = api.studio.tools.files.take(first)
    assert "more" not in given[0].extra and given[1].extra["more"] == [str(folder)] and given[1].parent is None
    model = (await api.client.get(f"/models/{two['model_id']}")).json()
    assert model["take_ids"] == [second, first] and model["parent_id"] == one["model_id"]
    avatar = (await api.client.get(f"/avatars/{one['avatar_id']}")).json()
    assert (avatar["model_id"], avatar["take_id"]) == (two["model_id"], first)


async def test_another_person_is_refused(api: Api, given: list[Any]) -> None:
    one = await train(api, await prepared(api, "f-ada"))
    for face in ("f-grace", None):
        answer = await train(api, await prepared(api, face), one["avatar_id"])
        assert_error(answer, 422, "invalid_input")
        assert "another person" in str(answer.json())
    assert len(given) == 1


async def test_of_a_deleted_take_the_versions_own_mouths_stay(api: Api, given: list[Any]) -> None:
    first, second = await prepared(api, "f-ada"), await prepared(api, "f-ada")
    one = await train(api, first)
    await train(api, second, one["avatar_id"])
    api.studio.tools.files.remove(api.studio.tools.files.take(first))
    third = await train(api, await prepared(api, "f-ada"), one["avatar_id"])
    parent = api.studio.tools.files.models / "avatars" / one["avatar_id"] / "2"
    assert given[2].parent == parent and given[2].extra["more"] == [str(api.studio.tools.files.take(second))]
    assert third["version"] == "3"


@pytest.mark.parametrize("change", ["withdrawn", "narrower", "ends sooner"])
async def test_a_take_whose_consent_says_less_is_left_out(api: Api, given: list[Any], change: str) -> None:
    first, second = await prepared(api, "f-ada"), await prepared(api, "f-ada")
    one = await train(api, first)
    with api.studio.tools.database.write() as session:
        consent = session.get(Consent, session.get(TakeRow, first).consent_id)
        if change == "withdrawn":
            consent.withdrawn_at = datetime.now(UTC)
        elif change == "narrower":
            consent.scope = ["train"]
        else:
            consent.until = datetime.now(UTC) + timedelta(days=1)
    two = await train(api, second, one["avatar_id"])
    assert "more" not in given[1].extra and given[1].parent is None
    with api.studio.tools.database.read() as session:
        assert session.get(ModelRow, two["model_id"]).take_ids == [second]

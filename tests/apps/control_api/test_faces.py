"""Takes of one person are grouped when they are prepared; what the grouping rests on goes to nobody."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apps.control_api.services import take_jobs
from apps.control_api.services.takes import Takes
from apps.control_api.storage.tables import TakeRow
from apps.control_api.worker.loop import Worker
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_takes import REPORT_OK, send

ADA, GRACE = (np.random.default_rng(seed).normal(0, 0.3, 256) for seed in (1, 2))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the preparation of the next take measures; preparing itself has tests of its own."""
    meta: dict[str, Any] = {"mic_profile": {"snr_db": 33.0}, "chroma_info": {"kind": "green", "tolerance": [0.1, 0.9]}}

    def prepare(video: Path, voice: Path | None, folder: Path, progress: Any, report: Any) -> Any:
        return SimpleNamespace(n=50, fps=25, width=64, height=64, meta=dict(meta), report={})

    async def check(self: Takes, video: Path, voice: Path | None) -> dict[str, Any]:
        return dict(REPORT_OK)

    monkeypatch.setattr("lipsync.dataset.prepare.prepare_take", prepare)
    monkeypatch.setattr(take_jobs.PrepareTake, "_preview", lambda *_: (None, "none here"))
    monkeypatch.setattr(Takes, "check", check)
    return meta


async def prepare(api: Api, seen: dict[str, Any], face: np.ndarray | None, name: str) -> dict[str, Any]:
    seen["face_embedding"] = [] if face is None else [round(float(v), 5) for v in face]
    take = (await send(api, name.encode())).json()
    assert take["face_id"] is None
    assert await asyncio.to_thread(Worker(api.studio.tools, "w", threading.Event()).once)
    told: dict[str, Any] = (await api.client.get(f"/takes/{take['id']}")).json()
    assert told["state"] == "prepared", told
    return told


async def test_takes_of_one_person_have_one_face_id(api: Api, seen: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    first = await prepare(api, seen, ADA, "one")
    other = await prepare(api, seen, GRACE, "two")
    again = await prepare(api, seen, ADA + rng.normal(0, 0.02, 256), "three")
    nobody = await prepare(api, seen, None, "four")
    assert first["face_id"] and other["face_id"] and first["face_id"] != other["face_id"]
    assert again["face_id"] == first["face_id"] and nobody["face_id"] is None
    # A person's group outlives the take that began it.
    assert (await api.client.delete(f"/takes/{first['id']}")).status_code == 204
    assert (await prepare(api, seen, ADA + rng.normal(0, 0.02, 256), "five"))["face_id"] == first["face_id"]


async def test_what_was_measured_is_kept_and_the_embedding_stays_inside(api: Api, seen: dict[str, Any]) -> None:
    take = await prepare(api, seen, ADA, "one")
    assert take["mic_profile"] == {"snr_db": 33.0} and take["chroma_info"]["tolerance"] == [0.1, 0.9]
    with api.studio.tools.database.read() as session:
        row = session.get(TakeRow, take["id"])
        assert row is not None and len(row.face_embedding) == 256
    assert "face_embedding" not in take
    assert str(row.face_embedding[0]) not in (await api.client.get("/takes")).text

"""``POST /models/register``: what it is given is recognised; the rest is refused with the reason and leaves nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.control_api.services import register_jobs
from lipsync.bundle import read_manifest
from tests.apps.control_api.conftest import CONSENT, Api
from tests.apps.control_api.test_avatars import bring_in, packed, work
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import upload
from tests.lipsync.test_checkpoints import FACTS

__all__ = ["packed"]


async def register(api: Api, data: bytes, file: str, **more: Any) -> dict[str, Any]:
    answer = await api.client.post("/models/register", json={"upload_id": await upload(api, data, file), **more})
    assert answer.status_code == 202, answer.text
    await work(api)
    job: dict[str, Any] = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
    return job


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Weights as wide as SyncTalk's published audio encoder, with numbers of our own."""
    facts = FACTS / "synctalk_audio_encoder.json"
    if not facts.is_file():
        pytest.skip("the facts of the public checkpoints are not on this machine")
    shapes = json.loads(facts.read_text())["state_dict"]
    path = tmp_path_factory.mktemp("public") / "ave.pth"
    torch.save({"state_dict": {k: torch.zeros(shape) for k, shape in shapes.items()}}, path)
    return path.read_bytes()


async def test_a_public_checkpoint_becomes_weights_for_engines_once_approved(api: Api, public: bytes) -> None:
    job = await register(api, public, "ave.pth", name="AVE", sha256=hashlib.sha256(public).hexdigest())
    assert job["state"] == "succeeded", job["error"]
    assert (job["result"]["network"], job["result"]["format"]) == ("synctalk-audio-encoder", "torch")
    model = (await api.client.get(f"/models/{job['result']['model_id']}")).json()
    assert (model["kind"], model["state"], model["live"], model["engine"]) == ("base", "in_review", False, "ultralight")
    folder = api.studio.tools.files.models / model["path"]
    assert folder.parent == api.studio.tools.files.models / "base" / "synctalk-audio-encoder"
    assert read_manifest(folder).extra["network"] == "synctalk-audio-encoder", "kept as safetensors, hashed"
    assert (await api.client.post(f"/models/{model['id']}:approve")).json()["state"] == "ready"
    assert (await api.client.get("/models", params={"kind": "base"})).json()["items"][0]["live"]
    assert_error(await api.client.post(f"/models/{model['id']}:rollback"), 409, "conflict")
    assert_error(await api.client.post(f"/models/{model['id']}:evaluate"), 409, "conflict")
    again = await register(api, public, "ave.pth")
    assert again["state"] == "failed" and again["error"]["detail"] == {"model_id": model["id"]}
    assert (await api.client.delete(f"/models/{model['id']}")).status_code == 204 and not folder.exists()


async def test_a_bundle_needs_its_persons_consent(api: Api, packed: bytes) -> None:
    job = await register(api, packed, "bar.zip")
    assert (job["state"], job["error"]["code"]) == ("failed", "forbidden") and "consent" in job["error"]["message"]
    job = await register(api, packed, "bar.zip", consent=CONSENT, name="Bar")
    assert job["state"] == "succeeded", job["error"]
    avatar = (await api.client.get(f"/avatars/{job['result']['avatar_id']}")).json()
    assert avatar["state"] == "in_review" and avatar["consent_id"]
    model = (await api.client.get(f"/models/{job['result']['model_id']}")).json()
    assert (model["state"], model["consent_id"]) == ("in_review", avatar["consent_id"])
    other = await bring_in(api, packed, scope=["live"])
    wanted = {"upload_id": await upload(api, packed, "bar.zip"), "avatar_id": other}
    assert_error(await api.client.post("/models/register", json=wanted), 403, "forbidden")


async def test_what_is_refused_leaves_nothing(api: Api, packed: bytes, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "a.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    wrong = "0" * 64
    for data, name, why, more in (
        ((tmp_path / "a.pth").read_bytes(), "a.pth", "no network the studio knows", {}),
        ((tmp_path / "whole.pt").read_bytes(), "whole.pt", "run code", {}),
        ((tmp_path / "a.pth").read_bytes()[:-300], "a.pth", "truncated", {}),
        (packed[: len(packed) // 2], "b.zip", "truncated", {}),
        (packed, "b.zip", "SHA-256", {"sha256": wrong, "consent": CONSENT}),
        (packed, "b.zip", "is to be one of a voice", {"voice_id": "studio"}),
    ):
        if "voice_id" in more:
            voices = (await api.client.get("/voices")).json()["items"]
            more = {"voice_id": voices[0]["id"]}
        job = await register(api, data, name, **more)
        assert job["state"] == "failed" and why in job["error"]["message"], (name, job["error"])
        assert job["error"]["remedy"]
    assert (await api.client.get("/models")).json()["items"] == []
    left = [p for p in api.studio.tools.files.models.rglob("*") if p.is_file()]
    assert not left and not list((api.studio.tools.files.data / "results").iterdir())


async def test_a_file_that_breaks_its_reader_breaks_nothing_else(
    api: Api, packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_jobs.sys, "executable", "/bin/false")
    job = await register(api, packed, "b.zip", consent=CONSENT)
    assert (job["state"], job["error"]["code"]) == ("failed", "bad_bundle") and "exit 1" in job["error"]["message"]

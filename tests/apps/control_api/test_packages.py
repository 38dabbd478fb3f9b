"""Exports sealed with a passphrase and signed by the studio; imports that need both."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lipsync import sealed
from lipsync.bundle import Manifest, pack, write_bundle
from tests.apps.control_api.conftest import CONSENT, Api
from tests.apps.control_api.test_avatars import bring_in, packed, work
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import upload
from tests.lipsync.test_export import listener

__all__ = ["packed"]
WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_KIB", 64)
    monkeypatch.setattr(sealed, "_PASSES", 1)


async def exported(api: Api, avatar_id: str, **more: Any) -> tuple[dict[str, Any], bytes]:
    job = (await api.client.post("/avatars:export", json={"avatar_id": avatar_id, **more})).json()
    assert WORDS not in str(job)
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    return job, (await api.client.get(f"/jobs/{job['id']}/file")).content


async def imported(api: Api, data: bytes, **more: Any) -> dict[str, Any]:
    wanted = {"upload_id": await upload(api, data, "a.ltseal"), "consent": CONSENT, **more}
    answer = await api.client.post("/avatars:import", json=wanted)
    assert answer.status_code == 202, answer.text
    await work(api)
    job: dict[str, Any] = (await api.client.get(f"/jobs/{answer.json()['id']}")).json()
    return job


async def test_a_sealed_export_opens_with_its_passphrase_alone(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    job, data = await exported(api, avatar_id, passphrase=WORDS)
    assert job["result"]["sealed"] and job["result"]["file"].endswith(".ltseal") and data.startswith(b"LTSEAL")
    assert "sealed_passphrase" not in job["request"]
    results = list((api.studio.tools.files.result(job["id"])).iterdir())
    assert [p.name for p in results] == [job["result"]["file"]], "no open copy is left beside it"
    back = await imported(api, data, passphrase=WORDS)
    assert back["state"] == "succeeded", back["error"]
    assert back["result"]["trusted"] and back["result"]["signed_by"]
    for more, why in (({}, "sealed with a passphrase"), ({"passphrase": WORDS + "!"}, "passphrase is wrong")):
        job = await imported(api, data, **more)
        assert job["state"] == "failed" and why in job["error"]["message"] and job["error"]["remedy"]
    job = await imported(api, data[:-5], passphrase=WORDS)
    assert job["state"] == "failed" and job["error"]["code"] == "bad_bundle"
    wanted = {"avatar_id": avatar_id, "passphrase": "short"}
    body = assert_error(await api.client.post("/avatars:export", json=wanted), 422, "invalid_input")
    assert "short" not in str(body["detail"].get("reasons", [{}])[0].get("where"))
    left = [p.name for p in (api.studio.tools.files.models / "avatars").rglob(".*")]
    assert not left, "nothing opened lies about"


async def test_a_passphrase_is_nowhere_in_clear(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    await exported(api, avatar_id, passphrase=WORDS)
    await api.client.get("/audit/events")
    for path in api.studio.settings.data_dir.rglob("*"):
        if path.is_file():
            assert WORDS.encode() not in path.read_bytes(), path.name


async def test_signatures_may_be_asked_for(make_api: Any, packed: bytes) -> None:
    api = await make_api(imports_need_signature=True)
    job = await imported(api, packed)
    assert (job["state"], job["error"]["code"]) == ("failed", "forbidden")
    assert "trusted_studios" in job["error"]["remedy"]
    assert not [p for p in (api.studio.tools.files.models / "avatars").rglob("*") if p.is_file()]
    key = (await api.client.get("/system/key")).json()
    assert key["algorithm"] == "ed25519" and len(key["key"]) == 44


async def test_networks_alone_in_other_formats(api: Api, tmp_path: Path) -> None:
    manifest = Manifest("Ann", "1", "avatar", "lipbank", 16000, (64, 64, 3), "mel")
    tensors = {f"shape.net0.{k}": v.numpy() for k, v in listener(0).folded().items()}
    trained = pack(write_bundle(tmp_path / "b", manifest, tensors), tmp_path / "b.zip").read_bytes()
    avatar_id = (await imported(api, trained))["result"]["avatar_id"]
    job, data = await exported(api, avatar_id, formats=["onnx", "safetensors", "onnx"])
    assert job["result"]["file"].endswith("-networks.zip")
    names = set(zipfile.ZipFile(io.BytesIO(data)).namelist())
    assert names == {"listener-0.onnx", "listener-0.safetensors", "networks.json"}
    _, hidden = await exported(api, avatar_id, formats=["torchscript"], passphrase=WORDS)
    assert hidden.startswith(b"LTSEAL")


async def test_an_avatar_without_networks_says_so(api: Api, packed: bytes) -> None:
    avatar_id = await bring_in(api, packed)
    job = (await api.client.post("/avatars:export", json={"avatar_id": avatar_id, "formats": ["onnx"]})).json()
    await work(api)
    job = (await api.client.get(f"/jobs/{job['id']}")).json()
    assert job["state"] == "failed" and "no network of its own" in job["error"]["message"]
    wanted = {"avatar_id": avatar_id, "formats": ["gguf"]}
    assert_error(await api.client.post("/avatars:export", json=wanted), 422, "invalid_input")

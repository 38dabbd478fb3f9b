"""What fills the disk and what of it may go; the load; and a diagnostics bundle that gives nothing away."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from apps.control_api.services.machine import parse_gpus
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import JobLogRow, JobRow, RecordingRow
from tests.apps.control_api.conftest import TOKEN, Api

KEY = "sk-very-secret-key-123456"


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


async def sizes(api: Api) -> dict[str, int]:
    return {part["kind"]: part["bytes"] for part in (await api.client.get("/system/storage")).json()["kinds"]}


async def test_every_kind_is_measured_where_it_lies(api: Api) -> None:
    files = api.studio.tools.files
    write(files.data / "takes" / str(uuid4()) / "matte" / "a.bin", 1000)
    write(files.models / "avatars" / str(uuid4()) / "1" / "weights.safetensors", 2000)
    write(files.data / "uploads" / "u", 300)
    measured = await sizes(api)
    assert (measured["takes"], measured["avatars"], measured["uploads"]) == (1000, 2000, 300)
    assert measured["database"] > 10_000
    whole = (await api.client.get("/system/storage")).json()
    assert 0 < whole["free"] < whole["total"]


async def test_cleaning_spares_what_is_new_and_what_is_in_use(api: Api) -> None:
    tools = api.studio.tools
    long_ago = now() - timedelta(days=40)
    rows = {
        "old": JobRow(kind="inference:video", state="succeeded", finished_at=long_ago, result={"file": "film.mp4"}),
        "new": JobRow(kind="inference:video", state="succeeded", finished_at=now(), result={"file": "film.mp4"}),
        "running": JobRow(kind="inference:video", state="running", created_at=long_ago),
    }
    taped = {
        "ready": RecordingRow(session_id="s", avatar_id="a", state="ready", created_at=long_ago),
        "recording": RecordingRow(session_id="s", avatar_id="a", state="recording", created_at=long_ago),
    }
    with tools.database.write() as session:
        session.add_all([*rows.values(), *taped.values()])
    for row in [*rows.values(), *taped.values()]:
        write(tools.files.result(row.id) / "film.mp4", 100)
    before = await sizes(api)
    assert (before["results"], before["recordings"]) == (300, 200)
    answer = await api.client.post(
        "/system/storage:clean", json={"kinds": ["results", "recordings"], "older_than_days": 30}
    )
    assert answer.json() == {"freed": 200}
    assert not tools.files.result(rows["old"].id).exists() and not tools.files.result(taped["ready"].id).exists()
    assert tools.files.result(rows["new"].id).exists() and tools.files.result(rows["running"].id).exists()
    assert tools.files.result(taped["recording"].id).exists()


async def test_an_upload_that_is_being_sent_stays(api: Api) -> None:
    uploads = api.studio.tools.files.uploads
    going, old = write(uploads / "going", 10), write(uploads / "old", 10)
    os.utime(old, (time.time() - 10 * 86_400,) * 2)
    await api.client.post("/system/storage:clean", json={"kinds": ["uploads"], "older_than_days": 0})
    assert going.exists() and not old.exists()


async def test_takes_and_avatars_are_never_cleaned(api: Api) -> None:
    for kind in ("takes", "avatars", "voices", "database"):
        assert (await api.client.post("/system/storage:clean", json={"kinds": [kind]})).status_code == 422


async def test_the_bundle_holds_what_helps_and_nothing_secret(api: Api) -> None:
    tools = api.studio.tools
    await api.client.patch("/settings/services/voice/azure", json={"fields": {"key": KEY, "proxy": "http://u:pw@p:1"}})
    request = {"text": "words of a person", "person": "Ada"}
    job = JobRow(kind="inference:video", state="failed", request=request, error={"code": "internal"})
    with tools.database.write() as session:
        session.add(job)
        session.add(JobLogRow(job_id=job.id, line=f"asked with api_key={KEY}"))
    log = f'{{"event": "GET /x?token={TOKEN}", "other": "{TOKEN}", "authorization": "Bearer {KEY}"}}\n'
    (tools.files.data / "logs" / "control_api.log").write_text(log)
    answer = await api.client.get("/system/diagnostics")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"versions.json", "checks.json", "settings.json", "failed_jobs.json", "logs/control_api.log"} <= set(parts)
    whole = "\n".join(parts.values())
    for secret in (TOKEN, KEY, "u:pw@", "words of a person", "Ada"):
        assert secret not in whole, secret
    assert json.loads(parts["settings.json"])["services"]["voice:azure"]["region"] == "eastasia"
    assert json.loads(parts["failed_jobs.json"])[0]["id"] == job.id
    assert json.loads(parts["versions.json"])["packages"]["fastapi"]


async def test_load_is_told(api: Api) -> None:
    load = (await api.client.get("/system/load")).json()
    assert 0 <= load["cpu"] <= 1 and 0 < load["memory_used"] < load["memory_total"]


def test_cards_are_read_with_what_they_do_not_tell() -> None:
    text = "NVIDIA H200, 37, 1024, 143771, 41\nTesla, K80, [N/A], 0, 11441, [Not Supported]\nnonsense\n"
    first, second = parse_gpus(text)
    assert first == {
        "name": "NVIDIA H200",
        "use": 0.37,
        "memory_used": 1024 * 2**20,
        "memory_total": 143771 * 2**20,
        "celsius": 41,
    }
    assert (second["name"], second["use"], second["celsius"]) == ("Tesla, K80", None, None)


async def test_a_stranger_gets_nothing(api: Api) -> None:
    for path in ("/system/storage", "/system/diagnostics", "/system/load"):
        assert (await api.stranger.get(path)).status_code == 401

"""The control API as a real process: ready line, events, kill -9 of worker and API, lifeline, orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets

from apps.control_api.services.jobs import Jobs
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import ScriptRow
from tests.apps.control_api.job_bodies import KINDS
from tests.conftest import ROOT, Studio, start_studio, stop_studio

SETTINGS = {"job_kinds": json.dumps(KINDS), "lease": "3", "token": "t"}


@contextmanager
def running(data: Path) -> Iterator[Studio]:
    studio = start_studio(data, **SETTINGS)
    try:
        yield studio
    finally:
        stop_studio(studio)


@contextmanager
def opened(data: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{data / 'meta.db'}")
    try:
        yield database
    finally:
        database.close()


def worker_of(studio: Studio, seconds: float = 20.0) -> psutil.Process:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for child in psutil.Process(studio.process.pid).children():
            try:
                if "apps.control_api.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    return child
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    raise AssertionError("no worker runs")


def wait_for(client: httpx.Client, job_id: str, what: Any, seconds: float = 30.0) -> dict[str, Any]:
    end = time.monotonic() + seconds
    job: dict[str, Any] = {}
    while time.monotonic() < end:
        job = client.get(f"/jobs/{job_id}").json()
        if what(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"not reached: {job}")


def test_the_ready_line_is_first_and_the_studio_answers(tmp_path: Path) -> None:
    with running(tmp_path / "data") as studio, studio.client() as client:
        assert client.get("/health").json()["status"] == "ok"
        assert httpx.get(f"{studio.url}/health", trust_env=False).status_code == 200
        assert client.get("/takes", headers={"Host": "evil.example"}).status_code == 403


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from apps.control_api.app import create_app; import apps.control_api.__main__, "
        "apps.control_api.worker.loop; "
        "print([m for m in ('torch','cv2','mediapipe','openvino','onnxruntime','librosa','av','scipy','numpy',"
        "'alembic','aiortc','celery') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_killed_worker_is_replaced_and_its_job_done_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as studio, studio.client() as client, opened(data) as database:
        first = worker_of(studio)
        job = Jobs(database).submit("test:write", {"pause": 0.15})
        wait_for(client, job.id, lambda j: j["progress"] > 0.2)
        os.kill(first.pid, signal.SIGKILL)
        done = wait_for(client, job.id, lambda j: j["state"] == "succeeded")
        assert done["attempts"] == 2 and done["result"] == {"made": job.id}
        assert worker_of(studio).pid != first.pid
        with database.read() as session:
            assert session.get(ScriptRow, job.id) is not None
        lines = [line["line"] for line in client.get(f"/jobs/{job.id}/logs").json()["items"]]
        assert any("worker ended" in line for line in lines)


@pytest.mark.slow
def test_a_job_that_kills_every_worker_fails_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as studio, studio.client() as client, opened(data) as database:
        bad, good = Jobs(database).submit("test:die", {}), Jobs(database).submit("test:count", {"to": 3})
        failed = wait_for(client, bad.id, lambda j: j["state"] == "failed", 60)
        assert failed["error"]["code"] == "worker_lost" and failed["error"]["remedy"]
        wait_for(client, good.id, lambda j: j["state"] == "succeeded")


def test_a_killed_api_leaves_no_orphan_and_its_job_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    studio = start_studio(data, **SETTINGS)
    worker = worker_of(studio)
    with opened(data) as database:
        job = Jobs(database).submit("test:slow", {"seconds": 4})
        with studio.client() as client:
            wait_for(client, job.id, lambda j: j["progress"] > 0)
        os.kill(studio.process.pid, signal.SIGKILL)
        studio.process.wait()
        assert worker.wait(10) is not None or not worker.is_running()
        assert Jobs(database).get(job.id).state == "queued"
    with running(data) as again, again.client() as client:
        done = wait_for(client, job.id, lambda j: j["state"] == "succeeded")
        assert done["result"] == {"slept": 4}


def test_everything_killed_at_once_recovers_when_the_lease_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    studio = start_studio(data, **SETTINGS)
    with opened(data) as database, studio.client() as client:
        job = Jobs(database).submit("test:slow", {"seconds": 2})
        wait_for(client, job.id, lambda j: j["progress"] > 0)
    os.killpg(studio.process.pid, signal.SIGKILL)
    studio.process.wait()
    with running(data) as again, again.client() as client:
        done = wait_for(client, job.id, lambda j: j["state"] == "succeeded")
        assert done["attempts"] == 2


def test_the_end_of_stdin_and_a_signal_end_it_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "apps.control_api", "--port", "0", "--stdin-lifeline"]
    for how in ("stdin", "signal"):
        process = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / how)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "STUDIO_TOKEN": "t"},
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready" and ready["pid"] == process.pid
        worker = worker_of(Studio(ready["url"], "t", tmp_path, tmp_path, process))
        if how == "stdin":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.stderr.read()[-2000:]
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert process.stdout.read() == b"", "standard output carries the ready line alone"


def test_two_studios_do_not_share_a_folder(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        command = [sys.executable, "-m", "apps.control_api", "--port", "0", "--data-dir", str(tmp_path / "data")]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert second.returncode != 0 and "already uses" in second.stderr and second.stdout == ""


def test_listeners_hear_everything_in_order_with_a_ticket_that_opens_once(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def listen(studio: Studio, database: Database, count: int) -> list[list[dict[str, Any]]]:
        url = studio.url.replace("http://", "ws://") + "/api/v1/events?ticket="
        async with studio.async_client() as client:
            tickets = [(await client.post("/events/ticket")).json()["ticket"] for _ in range(count)]
        sockets = [await websockets.connect(url + ticket) for ticket in tickets]
        for bad in (tickets[0], "nonsense", ""):
            with pytest.raises(websockets.exceptions.WebSocketException):
                async with websockets.connect(url + bad) as socket:
                    await socket.recv()
        with pytest.raises(websockets.exceptions.WebSocketException):
            await websockets.connect(url + tickets[0], origin=websockets.Origin("http://evil.example"))
        await asyncio.to_thread(Jobs(database).submit, "test:count", {"to": 40})
        heard: list[list[dict[str, Any]]] = []
        for socket in sockets:
            events: list[dict[str, Any]] = []
            while not (events and events[-1]["type"] == "job" and events[-1]["job"]["state"] == "succeeded"):
                events.append(json.loads(await asyncio.wait_for(socket.recv(), 20)))
            heard.append(events)
            await socket.close()
        return heard

    with running(data) as studio, opened(data) as database:
        worker_of(studio)
        heard = asyncio.run(listen(studio, database, 20))
    first = heard[0]
    assert [e["seq"] for e in first] == list(range(first[0]["seq"], first[0]["seq"] + len(first)))
    assert all(other == first for other in heard)
    assert [e["line"] for e in first if e["type"] == "job_log"] == [
        "Stage: counting",
        *(f"line {i}" for i in range(40)),
    ]
    progress = [e["job"]["progress"] for e in first if e["type"] == "job"]
    assert progress == sorted(progress) and progress[-1] == 1.0

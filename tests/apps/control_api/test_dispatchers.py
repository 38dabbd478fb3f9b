"""One contract, two dispatchers: local worker processes, and Celery workers woken through a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from apps.control_api.services.dispatch import DISPATCHERS, LocalDispatcher, make_dispatcher
from apps.control_api.services.jobs import Jobs
from apps.control_api.services.tools import Tools, build_tools
from apps.control_api.settings import ROOT, Settings
from apps.control_api.storage.tables import JobRow, ScriptRow
from lipsync.errors import UnavailableError
from tests.apps.control_api.job_bodies import KINDS
from tests.fakes.redis_server import RedisServer

WORKERS = 2
LEASE = 1.5


class Cluster:
    """A dispatcher and its two workers, on one database."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.redis = RedisServer(folder) if kind == "celery" else None
        more = {"redis_url": self.redis.url} if self.redis else {}
        self.settings = Settings(
            data_dir=folder / "data",
            job_kinds=KINDS,
            lease=LEASE,
            workers=WORKERS,
            dispatcher=kind,
            machine="m",
            log_level="ERROR",
            **more,
        )
        self.tools: Tools = build_tools(self.settings)
        self.tools.files.prepare()
        self.tools.database.migrate()
        self.jobs: Jobs = self.tools.jobs
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.dispatcher = make_dispatcher(self.settings, self.jobs)
        self._loop.call_soon_threadsafe(self.dispatcher.start)
        self.processes: list[subprocess.Popen[bytes]] = []
        if self.redis:
            for _ in range(WORKERS):
                self.add_worker()

    def add_worker(self) -> None:
        """Start a Celery worker as a supervisor would."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")} | {
            "STUDIO_DATA_DIR": str(self.settings.data_dir),
            "STUDIO_JOB_KINDS": json.dumps(KINDS),
            "STUDIO_LEASE": str(LEASE),
            "STUDIO_REDIS_URL": self.settings.redis_url,
            "STUDIO_MACHINE": "m",
            "STUDIO_LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "apps.control_api.worker", "--celery"]
        self.processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL))

    def until(self, job_id: str, what: Callable[[JobRow], Any], seconds: float = 60.0) -> JobRow:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            row = self.jobs.get(job_id)
            if what(row):
                return row
            time.sleep(0.03)
        raise AssertionError(f"not reached: {row}")

    def done(self, job_id: str) -> JobRow:
        row = self.until(job_id, lambda row: row.state in ("succeeded", "failed", "cancelled"))
        assert row.state == "succeeded", row
        return row

    def kill_holder(self, job_id: str) -> None:
        """Kill -9 of who does the job."""
        owner = self.jobs.get(job_id).lease_owner
        if self.redis is None:  # the owner's name is the API's choice: all go, and come back
            for pid in self.dispatcher.pids:
                os.kill(pid, signal.SIGKILL)
            return
        pid = int(str(owner).rpartition("/")[2].partition("-")[0])
        victim = next(p for p in self.processes if p.pid == pid)
        victim.kill()
        victim.wait()
        self.processes.remove(victim)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.dispatcher.stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.redis:
            self.redis.kill()
        self.tools.database.close()


@pytest.fixture(scope="module", params=["local", "celery"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(request.param, tmp_path_factory.mktemp(request.param))
    try:
        yield made
    finally:
        made.close()


def test_a_job_is_done_in_either_queue_and_tells_of_it(cluster: Cluster) -> None:
    jobs = [cluster.jobs.submit("test:count", {"to": 3}, queue=queue) for queue in ("cpu", "gpu")]
    for job in jobs:
        row = cluster.done(job.id)
        assert row.result == {"counted": 3} and row.attempts == 1
        assert [line.line for line in cluster.jobs.logs(job.id, 9).items][-1] == "line 2"


def test_urgent_first_and_in_order_of_arrival_within(cluster: Cluster) -> None:
    busy = [cluster.jobs.submit("test:slow", {"seconds": 60}) for _ in range(WORKERS)]
    for job in busy:
        cluster.until(job.id, lambda row: row.progress > 0)
    wanted = [("background", 0), ("normal", 1), ("urgent", 2), ("normal", 3), ("urgent", 4)]
    jobs = {i: cluster.jobs.submit("test:count", {"to": 1}, priority=priority).id for priority, i in wanted}
    for job in busy:
        cluster.jobs.cancel(job.id)
    began = {i: cluster.done(job_id).started_at for i, job_id in jobs.items()}
    assert sorted(began, key=lambda i: began[i]) == [2, 4, 1, 3, 0]
    assert {cluster.until(job.id, lambda row: row.finished_at).state for job in busy} == {"cancelled"}


def test_one_training_at_a_time_on_a_machine(cluster: Cluster) -> None:
    trainings = [cluster.jobs.submit("test:train", {"seconds": 1}) for _ in range(3)]
    other = cluster.jobs.submit("test:count", {"to": 1})
    cluster.done(other.id)
    spans = sorted((row.started_at, row.finished_at) for row in (cluster.done(job.id) for job in trainings))
    assert all(began >= ended for (_, ended), (began, _) in pairwise(spans))
    assert cluster.jobs.get(other.id).started_at < spans[-1][0], "other work passes a training that waits"


def test_what_fails_for_a_while_is_tried_again_and_what_fails_for_good_is_not(cluster: Cluster) -> None:
    flaky, refused = cluster.jobs.submit("test:flaky", {"good": 2}), cluster.jobs.submit("test:refuse", {})
    assert cluster.done(flaky.id).result == {"attempts": 2}
    row = cluster.until(refused.id, lambda row: row.state == "failed")
    assert row.error["code"] == "invalid_input" and row.attempts == 1


def test_a_killed_workers_job_is_taken_again_and_done_once(cluster: Cluster) -> None:
    job = cluster.jobs.submit("test:write", {"pause": 0.3})
    cluster.until(job.id, lambda row: row.progress > 0)
    cluster.kill_holder(job.id)
    row = cluster.done(job.id)
    assert row.attempts == 2
    with cluster.tools.database.read() as session:
        assert len(list(session.exec(select(ScriptRow).where(ScriptRow.id == job.id)))) == 1
    if cluster.redis:
        cluster.add_worker()


def test_a_job_longer_than_redis_waits_for_its_message_is_done_once(cluster: Cluster) -> None:
    if cluster.redis is None:
        pytest.skip("the local dispatcher has no messages")
    job = cluster.jobs.submit("test:write", {"pause": 1.0})  # 10 s; a message comes back after four leases: 6 s
    row = cluster.done(job.id)
    assert row.attempts == 1 and row.result == {"made": job.id}


def test_nothing_is_lost_when_redis_is_killed(cluster: Cluster) -> None:
    if cluster.redis is None:
        pytest.skip("the local dispatcher needs no Redis")
    running = cluster.jobs.submit("test:write", {"pause": 0.2})
    cluster.until(running.id, lambda row: row.progress > 0)
    waiting = [cluster.jobs.submit("test:count", {"to": 1}) for _ in range(3)]
    cluster.redis.kill()
    meanwhile = cluster.jobs.submit("test:count", {"to": 1})
    cluster.done(running.id)
    cluster.redis.start()
    for job in (*waiting, meanwhile):
        cluster.done(job.id)
    assert cluster.jobs.get(running.id).attempts == 1


def test_a_worker_told_to_stop_gives_its_job_back(tmp_path: Path, cluster: Cluster) -> None:
    if cluster.redis is None:
        pytest.skip("held for the local worker in test_jobs and test_process")
    job = cluster.jobs.submit("test:slow", {"seconds": 60})
    row = cluster.until(job.id, lambda row: row.progress > 0)
    pid = int(str(row.lease_owner).rpartition("/")[2].partition("-")[0])
    first = next(p for p in cluster.processes if p.pid == pid)
    first.terminate()
    assert first.wait(30) == 0
    cluster.processes.remove(first)
    again = cluster.until(job.id, lambda row: row.lease_owner and str(pid) not in row.lease_owner)
    assert again.attempts == 1, "an attempt that was given back does not count"
    cluster.jobs.cancel(job.id)
    cluster.until(job.id, lambda row: row.state == "cancelled")


def test_the_setting_chooses_and_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = build_tools(Settings(data_dir=tmp_path))
    assert isinstance(make_dispatcher(tools.settings, tools.jobs), LocalDispatcher)
    monkeypatch.setitem(DISPATCHERS, "celery", "no_such_library.here:Dispatcher")
    with pytest.raises(UnavailableError, match="no_such_library"):
        make_dispatcher(Settings(data_dir=tmp_path, dispatcher="celery"), tools.jobs)
    tools.database.close()


def test_a_live_session_elsewhere_is_in_nobodys_way(tmp_path: Path) -> None:
    from apps.control_api.storage.clock import now
    from apps.control_api.storage.tables import StateRow
    from apps.control_api.worker.progress import JobProgress

    tools = build_tools(Settings(data_dir=tmp_path))
    tools.files.prepare()
    tools.database.migrate()
    tools.jobs.submit("avatars:train", {})
    job = tools.jobs.lease("m/w")
    assert job is not None
    progress = JobProgress(tools.jobs, tools.database, job, "m/w", stop=threading.Event(), lease=15)
    for machine, pauses in (("m", True), ("elsewhere", False)):
        with tools.database.write() as session:
            session.merge(StateRow(name="live_sessions", value={"sessions": 1, "machine": machine}, at=now()))
        assert progress._somebody_live() is pauses
    with tools.database.read() as session:
        assert list(session.exec(select(col(JobRow.lease_owner)))) == ["m/w"]
    tools.database.close()

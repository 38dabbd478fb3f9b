"""The task center, driven directly: leases, order, cancelling, retries, recovery, one transaction at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from apps.control_api.services.jobs import Jobs, LeaseLostError
from apps.control_api.services.tools import Tools, build_tools
from apps.control_api.settings import Settings
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import EventRow, JobRow, ScriptRow, StateRow
from apps.control_api.worker.loop import Worker
from lipsync.errors import ConflictError, NotFoundError
from tests.apps.control_api.job_bodies import KINDS


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    made = build_tools(Settings(data_dir=tmp_path / "data", job_kinds=KINDS, lease=2.0))
    made.files.prepare()
    made.database.migrate()
    yield made
    made.database.close()


@pytest.fixture
def worker(tools: Tools) -> Worker:
    return Worker(tools, "w1", threading.Event())


def run_beside(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.once)
    thread.start()
    return thread


def wait_for(tools: Tools, job_id: str, what: Any, seconds: float = 5.0) -> JobRow:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        row = tools.jobs.get(job_id)
        if what(row):
            return row
        time.sleep(0.02)
    raise AssertionError(f"not reached: {row}")


def test_a_job_runs_and_tells_of_it(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:count", {"to": 5}, subject_id="s")
    assert worker.once()
    done = tools.jobs.get(job.id)
    assert (done.state, done.progress, done.result, done.attempts) == ("succeeded", 1.0, {"counted": 5}, 1)
    assert done.figures == {"loss": 0.5} and done.lease_owner is None and done.finished_at >= done.started_at
    lines = [row.line for row in tools.jobs.logs(job.id, 100).items]
    assert lines == ["Stage: counting", *(f"line {i}" for i in range(5))]
    with tools.database.read() as session:
        events = list(session.exec(select(EventRow).order_by(col(EventRow.id))))
    states = [e.data["state"] for e in events if e.type == "job"]
    assert states[0] == "queued" and states[1] == "running" and states[-1] == "succeeded"
    fractions = [e.data["progress"] for e in events if e.type == "job"]
    assert fractions == sorted(fractions)
    assert not worker.once()


def test_urgent_first_then_in_order_of_arrival(tools: Tools) -> None:
    wanted = [("background", 0), ("normal", 1), ("urgent", 2), ("normal", 3), ("urgent", 4)]
    for priority, i in wanted:
        tools.jobs.submit("test:count", {"to": 1, "i": i}, priority=priority)
    order = [tools.jobs.lease("w").request["i"] for _ in wanted]  # type: ignore[union-attr]
    assert order == [2, 4, 1, 3, 0]
    assert tools.jobs.lease("w") is None


def test_queues_are_apart(tools: Tools) -> None:
    tools.jobs.submit("test:count", {"to": 1}, queue="gpu")
    assert tools.jobs.lease("w", ("cpu",)) is None
    assert tools.jobs.lease("w", ("gpu",)) is not None


def test_two_workers_never_get_the_same_job(tools: Tools) -> None:
    count = 40
    for _ in range(count):
        tools.jobs.submit("test:count", {"to": 1})
    got: list[str] = []
    lock = threading.Lock()

    def take(owner: str) -> None:
        jobs = Jobs(tools.database)
        while (row := jobs.lease(owner)) is not None:
            with lock:
                got.append(row.id)

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == count and len(set(got)) == count


def test_cancel_a_queued_job_at_once(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:count", {"to": 1})
    assert tools.jobs.cancel(job.id).state == "cancelled"
    assert not worker.once()
    with pytest.raises(ConflictError):
        tools.jobs.cancel(job.id)
    with pytest.raises(NotFoundError):
        tools.jobs.cancel("nothing")


def test_cancel_a_running_job_at_a_safe_point(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:slow", {"seconds": 20})
    thread = run_beside(worker)
    wait_for(tools, job.id, lambda row: row.progress > 0)
    tools.jobs.cancel(job.id)
    thread.join(15)  # the body alone would take 20 s
    assert not thread.is_alive()
    row = tools.jobs.get(job.id)
    assert row.state == "cancelled" and row.error["code"] == "cancelled" and row.progress < 1


def test_a_retryable_error_is_tried_again_later(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:flaky", {"good": 2})
    assert worker.once()
    row = tools.jobs.get(job.id)
    assert row.state == "queued" and row.not_before > now()
    assert not worker.once(), "not before its time"
    with tools.database.write() as session:
        session.get(JobRow, row.seq).not_before = now() - timedelta(seconds=1)
    assert worker.once()
    assert tools.jobs.get(job.id).result == {"attempts": 2}
    assert "abcdefghijklmnop" not in " ".join(line.line for line in tools.jobs.logs(job.id, 200).items)


def test_attempts_end(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:flaky", {"good": 99})
    for _ in range(3):
        with tools.database.write() as session:
            session.exec(select(JobRow).where(JobRow.id == job.id)).one().not_before = None
        assert worker.once()
    row = tools.jobs.get(job.id)
    assert row.state == "failed" and row.error["code"] == "unavailable" and row.attempts == 3
    assert tools.jobs.retry(job.id).state == "queued"
    assert tools.jobs.get(job.id).attempts == 0


def test_other_errors_fail_with_code_and_remedy(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:refuse", {})
    worker.once()
    row = tools.jobs.get(job.id)
    assert row.state == "failed"
    assert row.error == {
        "code": "invalid_input",
        "message": "This cannot be done.",
        "remedy": "Send something else.",
        "detail": {"why": "test"},
    }
    assert tools.jobs.get(tools.jobs.submit("no:such", {}).id).state == "queued"


def test_an_unknown_kind_fails_by_name(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("no:such", {})
    worker.once()
    row = tools.jobs.get(job.id)
    assert row.state == "queued" and "no:such" in tools.jobs.logs(job.id, 100).items[-1].line


def test_a_silent_worker_loses_its_job(tools: Tools) -> None:
    job = tools.jobs.submit("test:count", {"to": 1})
    first = tools.jobs.lease("dead")
    assert first is not None and tools.jobs.lease("other") is None
    with tools.database.write() as session:
        session.get(JobRow, first.seq).lease_until = now() - timedelta(seconds=1)
    second = tools.jobs.lease("other")
    assert second is not None and second.id == job.id and second.attempts == 2
    with pytest.raises(LeaseLostError):
        tools.jobs.report(first, "dead", progress=0.9)
    with pytest.raises(LeaseLostError):
        tools.jobs.succeed(first, "dead", {"who": "dead"})
    tools.jobs.succeed(second, "other", {"who": "other"})
    assert tools.jobs.get(job.id).result == {"who": "other"}


def test_a_job_that_kills_its_workers_fails_in_the_end(tools: Tools) -> None:
    job = tools.jobs.submit("test:count", {"to": 1})
    for attempt in range(3):
        assert tools.jobs.lease(f"w{attempt}") is not None
        assert tools.jobs.abandon(f"w{attempt}") == 1
    row = tools.jobs.get(job.id)
    assert row.state == "failed" and row.error["code"] == "worker_lost"


def test_what_a_job_made_and_its_success_are_one(tools: Tools) -> None:
    job = tools.jobs.submit("test:count", {"to": 1})
    leased = tools.jobs.lease("w")
    assert leased is not None

    def half(session: Any) -> None:
        session.add(ScriptRow(id="x", title="t", text="t"))
        session.flush()
        raise RuntimeError("the machine stops here")

    with pytest.raises(RuntimeError):
        tools.jobs.succeed(leased, "w", {}, half)
    with tools.database.read() as session:
        assert session.get(ScriptRow, "x") is None
    assert tools.jobs.get(job.id).state == "running"


def test_a_stopping_worker_gives_its_job_back(tools: Tools) -> None:
    stop = threading.Event()
    job = tools.jobs.submit("test:slow", {"seconds": 20})
    thread = run_beside(Worker(tools, "w1", stop))
    wait_for(tools, job.id, lambda row: row.progress > 0)
    stop.set()
    thread.join(5)
    row = tools.jobs.get(job.id)
    assert (row.state, row.attempts, row.error) == ("queued", 0, None)


def test_training_makes_way_for_a_live_session(tools: Tools, worker: Worker) -> None:
    job = tools.jobs.submit("test:train", {"seconds": 20})
    thread = run_beside(worker)
    wait_for(tools, job.id, lambda row: row.progress > 0)

    def live(sessions: int) -> None:
        with tools.database.write() as session:
            session.merge(StateRow(name="live_sessions", value={"sessions": sessions}, at=now()))

    live(1)
    time.sleep(1.2)
    paused = tools.jobs.get(job.id).progress
    time.sleep(0.6)
    assert tools.jobs.get(job.id).progress == paused
    live(0)
    wait_for(tools, job.id, lambda row: row.progress > paused)
    tools.jobs.cancel(job.id)
    thread.join(5)


def test_ten_thousand_jobs_are_filtered_and_paged(tools: Tools) -> None:
    with tools.database.write() as session:
        session.add_all(
            JobRow(
                kind=f"k{i % 5}", request={}, state="failed" if i % 7 == 0 else "succeeded", subject_id=f"s{i % 100}"
            )
            for i in range(10_000)
        )
    for filters in ({}, {"states": ["failed"]}, {"kind": "k3"}, {"subject_id": "s7", "states": ["failed"]}):
        part = tools.jobs.page(50, **filters)
        assert len(part.items) == (15 if "subject_id" in filters else 50)
    seen, cursor = 0, None
    while True:
        part = tools.jobs.page(200, cursor, states=["failed"])
        seen += len(part.items)
        cursor = part.next_cursor
        if cursor is None:
            break
    assert seen == 1429

"""The task center under load: what it asks the database, what every listener hears, what is tried again and when."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from apps.control_api.services import jobs as jobs_module
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import JobRow
from apps.control_api.worker.loop import Worker
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_jobs import tools

__all__ = ["tools"]
LISTENERS = 200


def plan(tools: Tools, statement: Any) -> str:
    compiled = statement.compile(tools.database.engine, compile_kwargs={"literal_binds": True})
    with tools.database.engine.connect() as connection:
        rows = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {compiled}")).all()
    return " | ".join(str(row[-1]) for row in rows)


def filled(tools: Tools) -> None:
    with tools.database.write() as session:
        session.add_all(
            JobRow(
                kind=f"k{i % 5}",
                request={},
                state="failed" if i % 500 == 0 else "succeeded",
                subject_id=f"s{i % 100}",
                queue="cpu",
            )
            for i in range(10_000)
        )


def test_no_list_of_ten_thousand_jobs_reads_them_all(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tools)
    asked: list[Any] = []
    real = jobs_module.Session.exec

    def noted(self: Any, statement: Any, **more: Any) -> Any:
        asked.append(statement)
        return real(self, statement, **more)

    monkeypatch.setattr(jobs_module.Session, "exec", noted)
    for filters in ({}, {"states": ["failed"]}, {"kind": "k3"}, {"subject_id": "s7"}, {"states": ["queued"]}):
        tools.jobs.page(50, **filters)  # type: ignore[arg-type]
    tools.jobs.waiting()
    monkeypatch.undo()
    everything, *filtered, waiting = [plan(tools, statement) for statement in asked]
    assert everything == "SCAN jobs", "by number, newest first: ends after a page"
    assert len(filtered) == 4 and all(steps.startswith("SEARCH jobs USING INDEX") for steps in filtered), filtered
    assert not [steps for steps in filtered if "TEMP B-TREE" in steps], "sorted by hand"
    assert "SCAN jobs" not in waiting, waiting
    turn = (
        select(JobRow)
        .where(JobRow.state == "queued", col(JobRow.queue).in_(["cpu"]))
        .order_by(col(JobRow.priority), col(JobRow.seq))
        .limit(1)
    )
    assert "ix_jobs" in plan(tools, turn)
    rare = select(JobRow).where(col(JobRow.state).in_(["failed"])).order_by(col(JobRow.seq).desc()).limit(50)
    assert "ix_jobs_state_seq" in plan(tools, rare)


async def test_two_hundred_listeners_hear_every_event_in_order(api: Api) -> None:
    listeners = [api.studio.hub.subscribe() for _ in range(LISTENERS)]

    def work(many: int) -> None:
        for i in range(many):
            job = api.studio.tools.jobs.submit("test:none", {"i": i})
            api.studio.tools.jobs.cancel(job.id)

    await asyncio.gather(*(asyncio.to_thread(work, 15) for _ in range(4)))
    wanted = 4 * 15 * 2
    heard = []
    for listener in listeners:
        async with asyncio.timeout(60):
            heard.append([json.loads(await listener.queue.get()) for _ in range(wanted)])
    first = heard[0]
    assert [e["seq"] for e in first] == list(range(first[0]["seq"], first[0]["seq"] + wanted))
    assert all(other == first for other in heard), "somebody heard something else"
    by_job: dict[str, list[str]] = {}
    for event in first:
        by_job.setdefault(event["job"]["id"], []).append(event["job"]["state"])
    assert len(by_job) == 60 and all(states == ["queued", "cancelled"] for states in by_job.values())


def test_what_failed_for_a_while_waits_longer_each_time(tools: Tools) -> None:
    job = tools.jobs.submit("test:flaky", {"good": 9})
    waits = []
    worker = Worker(tools, "w", threading.Event())
    for _ in range(2):
        before = now()
        assert worker.once()
        row = tools.jobs.get(job.id)
        assert row.state == "queued" and row.not_before is not None
        waits.append((row.not_before - before).total_seconds())
        with tools.database.write() as session:
            session.exec(select(JobRow).where(JobRow.id == job.id)).one().not_before = now() - timedelta(seconds=1)
    assert waits[1] > 2 * waits[0] > 2
    assert worker.once() and tools.jobs.get(job.id).state == "failed"
    lines = [line.line for line in tools.jobs.logs(job.id, 200).items]
    assert sum(line.startswith("Tried again in") for line in lines) == 2


def test_logs_outlive_the_worker_and_a_restart(tools: Tools, tmp_path: Path) -> None:
    from apps.control_api.services.tools import build_tools

    job = tools.jobs.submit("test:count", {"to": 3})
    Worker(tools, "w", threading.Event()).once()
    tools.database.close()
    later = build_tools(tools.settings)
    assert [r.line for r in later.jobs.logs(job.id, 10).items][-1] == "line 2"
    later.database.close()

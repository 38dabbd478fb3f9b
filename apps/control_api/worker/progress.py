"""How a running job tells where it is, and learns that it is to stop, yield or let go."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

from apps.control_api import log
from apps.control_api.services.jobs import Jobs, LeaseLostError, seconds_left
from apps.control_api.services.live import LIVE_STATE
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import JobRow, StateRow
from lipsync.errors import CancelledError

_log = log.get(__name__)
_TELL_EVERY = 0.25
_LOOK_EVERY = 0.5
_LIVE_STALE_S = 60.0
_MOST_LINES = 500


class StoppingError(CancelledError):
    """The worker is to end; the job goes back into the queue. A cancellation to whoever does the work."""


class GoneError(CancelledError):
    """The job is no longer ours; what was done of it is thrown away. A cancellation to whoever does the work."""


class JobProgress:
    """``lipsync.progress.Progress`` of a leased job. The body's thread calls it; a watcher thread keeps the lease."""

    def __init__(
        self,
        jobs: Jobs,
        database: Database,
        job: JobRow,
        owner: str,
        *,
        stop: threading.Event,
        lease: float,
        yields: bool = True,
    ) -> None:
        """``stop``: set when the worker is to end. ``lease`` in seconds. ``yields``: training makes way for live."""
        self._jobs, self._database, self._job, self._owner, self._stop = jobs, database, job, owner, stop
        self._renew_every = max(0.5, lease / 5)
        self._yields = yields and job.kind.endswith(":train")
        self._began: datetime | None = None
        self._fraction = 0.0
        self._stage: str | None = None
        self._figures: dict[str, Any] = {}
        self._lines: list[tuple[str, str]] = []
        self._told = 0.0
        self._changed = False
        self._cancelled = self._gone = self._paused = False
        self._waiting = threading.Lock()
        self._waiters, self._waited, self._waits_since = 0, 0.0, 0.0
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name=f"lease-{job.id[:8]}")

    def __enter__(self) -> JobProgress:
        """Begin to keep the lease."""
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop keeping it."""
        self._ended.set()
        self._watcher.join(timeout=10)

    # --- the body's side ------------------------------------------------------------------------------------------

    @property
    def paused_s(self) -> float:
        """Seconds the body has waited while somebody was live; threads that wait together count once."""
        with self._waiting:
            return self._waited + (time.monotonic() - self._waits_since if self._waiters else 0.0)

    def update(self, fraction: float) -> None:
        """Report the share done, 0 to 1; a safe point."""
        self._began = self._began or now()
        self._fraction = max(self._fraction, min(max(float(fraction), 0.0), 1.0))
        self._changed = True
        self._tell()
        self.check()

    def stage(self, name: str) -> None:
        """Name the stage now beginning."""
        self._stage = name[:64]
        self._lines.append(("info", f"Stage: {self._stage}"))
        self._tell(at_once=True)

    def log(self, line: str) -> None:
        """Add one line to the job's log."""
        if len(self._lines) < _MOST_LINES:
            self._lines.append(("info", str(line)))
        self._changed = True
        self._tell()

    def sample(self, name: str, value: float | str) -> None:
        """Report a figure as it develops."""
        self._figures[name[:64]] = value if isinstance(value, str) else round(float(value), 6)
        self._changed = True
        self._tell()

    def check(self) -> None:
        """A safe point: raises if the job is to stop, waits while it is to make way for somebody live."""
        self._raise_if_ended()
        if not self._paused:
            return
        with self._waiting:
            self._waiters += 1
            first = self._waiters == 1
            if first:
                self._waits_since = time.monotonic()
        try:
            if first:
                self._lines.append(("info", "Waiting: somebody is live."))
                self._tell(at_once=True)
            while self._paused:
                time.sleep(0.1)
                self._raise_if_ended()
        finally:
            with self._waiting:
                self._waiters -= 1
                if not self._waiters:
                    self._waited += time.monotonic() - self._waits_since

    def flush(self) -> None:
        """Write what has not been told yet."""
        if self._changed or self._lines or self._stage is not None:
            self._tell(at_once=True)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _raise_if_ended(self) -> None:
        if self._gone:
            raise GoneError("The job was given to another worker.")
        if self._cancelled:
            raise CancelledError("Cancelled.", "Try it again from the task center.")
        if self._stop.is_set():
            raise StoppingError("The studio is stopping.")

    def _tell(self, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._told < _TELL_EVERY:
            return
        lines, figures, stage = self._lines, self._figures, self._stage
        self._lines, self._figures, self._stage = [], {}, None
        self._changed, self._told = False, time.monotonic()
        try:
            self._jobs.report(
                self._job,
                self._owner,
                progress=self._fraction,
                stage=stage,
                eta_s=seconds_left(self._began + timedelta(seconds=self.paused_s), self._fraction)
                if self._began
                else None,
                figures=figures,
                lines=lines,
            )
        except LeaseLostError:
            self._gone = True

    def _watch(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(_LOOK_EVERY):
            try:
                if time.monotonic() - renewed >= self._renew_every:
                    self._cancelled = self._jobs.renew(self._job, self._owner)
                    renewed = time.monotonic()
                else:
                    self._cancelled = self._jobs.wanted(self._job, self._owner)
                self._paused = self._yields and self._somebody_live()
            except LeaseLostError:
                self._gone = True
                return
            except Exception as error:  # the database may be busy or away for a while: the lease outlives that
                _log.warning("the lease cannot be renewed now", job_id=self._job.id, error=str(error))

    def _somebody_live(self) -> bool:
        with self._database.read() as session:
            row = session.get(StateRow, LIVE_STATE)
        if row is None or not row.value.get("sessions"):
            return False
        there, here = row.value.get("machine"), self._owner.rpartition("/")[0]
        if there and here and there != here:
            return False  # live on another machine: nothing here is in its way
        # A count that nobody refreshes was left behind by an API that was killed.
        return (now() - row.at).total_seconds() < _LIVE_STALE_S

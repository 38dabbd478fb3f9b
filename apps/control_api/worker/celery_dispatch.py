"""The dispatcher for many machines: Celery on Redis wakes workers, the table says what they do.

A message names no job. It says "there is work in this queue"; whoever gets it leases the next job from the table, as a
local worker does. So order, leases, cancelling and retries are the same with both dispatchers, a message that comes
twice finds nothing left to do, and one that is lost is sent again: a sweep holds the number of waiting messages against
the number of waiting rows, in the API and in every worker, and needs nothing that Redis must not forget.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any
from uuid import uuid4

from celery import Celery, signals
from kombu import Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from apps.control_api import log
from apps.control_api.services.jobs import Jobs
from apps.control_api.services.tools import build_tools
from apps.control_api.settings import Settings
from apps.control_api.worker.loop import Worker

_log = log.get(__name__)
QUEUES = ("cpu", "gpu")
WAKE = "studio.wake"
_SWEEP_S = 0.5
_AWAY_S = 1.0
_ROLL_CALL_S = 10.0
_MOST_WAITING = 64
_IDLE_S = 0.25
_BROKER_ERRORS = (KombuError, RedisError, OSError)


def make_app(settings: Settings) -> Celery:
    """Return the Celery application of a studio: its broker and how messages are kept, and no task yet."""
    app = Celery("studio", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue=QUEUES[0],
        task_ignore_result=True,
        # Taken off the queue when done: a worker fetches no message that it cannot serve now.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # One job at a time, in a thread: the process hears that it is to stop, and the job does at its next safe point.
        worker_pool="threads",
        worker_concurrency=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A job holds its lease by the database: that Redis went away is no reason to stop it.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "queue_order_strategy": "priority",
            # A message of a dead worker comes back after this long. One of a long job does too, and finds nothing.
            "visibility_timeout": max(1, round(4 * settings.lease)),
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 3,
            "socket_timeout": 10,
        },
    )
    return app


def make_worker_app(settings: Settings) -> Celery:
    """Return the application with the task that leases and does jobs; for the process that is a worker."""
    app = make_app(settings)
    tools = build_tools(settings)
    stop = threading.Event()
    worker = Worker(tools, f"{settings.place}/{os.getpid()}-{uuid4().hex[:12]}", stop, tuple(settings.queues))
    sweep = Sweep(app, tools.jobs)

    @app.task(name=WAKE)
    def wake() -> None:
        if not stop.is_set() and not worker.once():
            stop.wait(_IDLE_S)  # what waits may not be begun yet, such as a second training: do not ask in a circle

    def stopping(**_: Any) -> None:
        stop.set()

    def ended(**_: Any) -> None:
        sweep.stop()
        tools.database.close()

    signals.worker_ready.connect(lambda **_: sweep.start(), weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.worker_shutdown.connect(ended, weak=False)
    app.conf.task_queues = [Queue(name) for name in settings.queues]
    return app


class Sweep:
    """A thread that keeps as many messages waiting as jobs wait (64 of a queue at most)."""

    def __init__(self, app: Celery, jobs: Jobs, roll_call: bool = False) -> None:
        """``roll_call``: ask every few seconds which workers are there."""
        self._app, self._jobs, self._roll_call = app, jobs, roll_call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="celery-sweep")
        self._asked = -_ROLL_CALL_S
        self.pids: list[int] = []
        self.sent = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def once(self) -> None:
        """Send what is missing. Raises what the broker or the database raises while it is away."""
        with self._app.connection_for_write() as connection:
            channel = connection.default_channel
            for queue in QUEUES:
                waiting = Queue(queue)(channel).queue_declare().message_count
                missing = self._jobs.due(queue, _MOST_WAITING) - waiting
                for _ in range(missing):
                    self._app.send_task(WAKE, queue=queue, connection=connection, retry=False, ignore_result=True)
                    self.sent += 1
            if self._roll_call and time.monotonic() - self._asked >= _ROLL_CALL_S:
                told = self._app.control.inspect(timeout=0.5, connection=connection).stats() or {}
                self.pids = [int(each["pid"]) for each in told.values()]
                self._asked = time.monotonic()

    def _run(self) -> None:
        away = False
        while not self._stop.is_set():
            try:
                self.once()
                if away:
                    _log.info("the broker answers again")
                away = False
            except (*_BROKER_ERRORS, SQLAlchemyError) as error:  # rows wait; they are swept when it is back
                if not away:
                    _log.warning("workers cannot be woken now", error=log.redact_text(str(error)))
                away, self.pids = True, []
            self._stop.wait(_AWAY_S if away else _SWEEP_S)


class CeleryDispatcher:
    """The API's side: sweeps. It starts no worker; each is a process of its own, here or elsewhere."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        """Start nothing; ``settings.redis_url`` names the broker."""
        self._app = make_app(settings)
        self._sweep = Sweep(self._app, jobs, roll_call=True)
        self.restarts = 0

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that answered last."""
        return list(self._sweep.pids)

    def start(self) -> None:
        """Begin to sweep."""
        self._sweep.start()

    async def stop(self) -> None:
        """Stop sweeping and let the connections go."""
        await asyncio.to_thread(self._sweep.stop)
        self._app.close()


def run_worker(settings: Settings) -> None:
    """Be a worker until a signal comes; returns after the job at hand went back into the queue."""
    app = make_worker_app(settings)
    name = f"{os.getpid()}@{settings.place}"
    app.worker_main(["worker", "--loglevel=WARNING", "--without-gossip", "--without-mingle", "--hostname", name])

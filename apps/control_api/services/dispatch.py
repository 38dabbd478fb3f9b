"""Dispatchers wake workers; which job is done next is the table's word alone (``Jobs.lease``).

The local one, the default, keeps worker processes alive and takes back at once what a dead one was doing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from importlib import import_module
from typing import Protocol
from uuid import uuid4

from apps.control_api import log
from apps.control_api.services.jobs import Jobs
from apps.control_api.settings import ROOT, Settings
from lipsync.errors import UnavailableError

_log = log.get(__name__)
_BACKOFF = (0.2, 1.0, 5.0, 15.0, 30.0)
_STEADY = 60.0
_PATIENCE = 8.0


DISPATCHERS = {
    "local": "apps.control_api.services.dispatch:LocalDispatcher",
    "celery": "apps.control_api.worker.celery_dispatch:CeleryDispatcher",
}
"""By name of the setting; imported when chosen, so that nobody needs a broker's library who has no broker."""


class Dispatcher(Protocol):
    """Owned by the API: started and stopped with it."""

    restarts: int

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        """Take what it is built from; start nothing."""

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers known to run now, on whichever machine."""

    def start(self) -> None:
        """Begin; on the event loop."""

    async def stop(self) -> None:
        """End all that was started."""


def make_dispatcher(settings: Settings, jobs: Jobs) -> Dispatcher:
    """Build the dispatcher that the settings name.

    Raises:
        UnavailableError: its library is not installed.
    """
    module, _, name = DISPATCHERS[settings.dispatcher].partition(":")
    try:
        made: Dispatcher = getattr(import_module(module), name)(settings, jobs)
    except ImportError as error:
        raise UnavailableError(
            f"The dispatcher '{settings.dispatcher}' cannot be used: {error}",
            "Install the extra `workers`, or set STUDIO_DISPATCHER=local.",
        ) from error
    return made


class LocalDispatcher:
    """Owns ``settings.workers`` worker processes. Their standard input is the lifeline: its end tells them to stop."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._settings, self._jobs = settings, jobs
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self.restarts = 0

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [p.pid for p in self._processes.values() if p.returncode is None]

    def start(self) -> None:
        """Start the workers and their keepers."""
        for _ in range(self._settings.workers):
            self._tasks.append(asyncio.create_task(self._keep(), name="worker-keeper"))

    async def stop(self) -> None:
        """Ask the workers to stop at a safe point, then end those that do not."""
        self._stopping.set()
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in list(self._processes.values()):
            try:
                await asyncio.wait_for(process.wait(), _PATIENCE)
            except TimeoutError:
                _log.warning("worker does not stop, ending it", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            owner = f"{self._settings.place}/{os.getpid()}-{uuid4().hex[:12]}"
            began = asyncio.get_running_loop().time()
            process = await self._spawn(owner)
            code = await process.wait()
            self._processes.pop(owner, None)
            await asyncio.to_thread(self._jobs.abandon, owner)
            if self._stopping.is_set():
                return
            failures = 0 if asyncio.get_running_loop().time() - began > _STEADY else failures + 1
            wait = _BACKOFF[min(failures, len(_BACKOFF)) - 1] if failures else _BACKOFF[0]
            self.restarts += 1
            _log.warning("worker ended, starting another", code=code, in_s=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _spawn(self, owner: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "apps.control_api.worker",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self._processes[owner] = process
        assert process.stdin is not None  # noqa: S101  (asked for above)
        settings = self._settings.model_copy(update={"token": None}).model_dump_json()
        process.stdin.write(f'{{"owner": {json.dumps(owner)}, "settings": {settings}}}\n'.encode())
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await process.stdin.drain()
        return process

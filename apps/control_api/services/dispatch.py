"""The local dispatcher: keeps worker processes alive and takes back what a dead one was doing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from uuid import uuid4

from apps.control_api import log
from apps.control_api.services.jobs import Jobs
from apps.control_api.settings import ROOT, Settings

_log = log.get(__name__)
_BACKOFF = (0.2, 1.0, 5.0, 15.0, 30.0)
_STEADY = 60.0
_PATIENCE = 8.0


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
            owner = f"{os.getpid()}-{uuid4().hex[:12]}"
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
        process.stdin.write(f'{{"owner": "{owner}", "settings": {settings}}}\n'.encode())
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await process.stdin.drain()
        return process

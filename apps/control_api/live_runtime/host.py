"""One loaded engine for a bundle, shared by its sessions.

Three threads belong to a host, each serving one kind of work in order: drawing (the engine's own contract), driving
(the sessions' streams) and composing. Requests to draw that wait together are drawn together, whoever asked.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from apps.control_api.live_runtime.footage import Footage, end_task
from apps.control_api.live_runtime.watchdog import Watchdog
from lipsync.engine import Engine, Patch
from lipsync.errors import StudioError, UnavailableError
from lipsync.frame_cycle import BaseClip

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Loader = Callable[[Path], Engine]
MAX_BATCH = 8
HUNG_AFTER_S = 30.0


@dataclass(frozen=True, eq=False)
class _Request:
    """Pairs to draw, and who waits for them."""

    engine: Engine
    items: Sequence[tuple[int, Any]]
    future: asyncio.Future[list[Patch]]


def load_engine(bundle: Path) -> Engine:
    """Load a bundle by the engine its manifest names, and draw once."""
    from lipsync.registry import engine_for

    engine = engine_for(bundle)
    engine.warm_up()
    return engine


class EngineHost:
    """A loaded engine and its threads. Made by ``HostPool``.

    Args:
        bundle: Where it comes from.
        engine: The engine.
        hung_after_s: Work that takes longer hangs: whoever waits for it is told, and the host serves nobody any more.
    """

    def __init__(self, bundle: Path, engine: Engine, hung_after_s: float = HUNG_AFTER_S) -> None:
        self.bundle, self.engine = bundle, engine
        self.watchdog = Watchdog(engine.name, hung_after_s)
        self.users = 0
        name = engine.name
        self._draw_pool = ThreadPoolExecutor(1, f"{name}-draw")
        self._drive_pool = ThreadPoolExecutor(1, f"{name}-drive")
        self._compose_pool = ThreadPoolExecutor(1, f"{name}-compose")
        # Starting a thread waits until it runs; better here, in the loading thread, than on the loop in mid-sentence.
        for pool in (self._draw_pool, self._drive_pool, self._compose_pool):
            start_threads(pool, 1)
        self.footage = Footage(engine, self.draw, self.compose)
        self._clips: dict[Path, asyncio.Task[Footage]] = {}
        self._waiting: list[_Request] = []
        self._drawing: asyncio.Task[None] | None = None
        self._closed = False

    async def drive(self, call: Callable[..., T], *args: Any) -> T:
        """Run a driving stream's method in the driving thread."""
        return await self._run(self._drive_pool, call, *args)

    async def compose(self, call: Callable[..., T], *args: Any) -> T:
        """Run picture work in the composing thread."""
        return await self._run(self._compose_pool, call, *args)

    async def draw(self, engine: Engine, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        """Draw (frame, drive) pairs, together with what other sessions ask for meanwhile.

        Args:
            engine: The host's own, or one rebased from it.
            items: What to draw.
        """
        if self._closed:
            raise UnavailableError("The avatar was unloaded.", "Open the session again.")
        self.watchdog.check()
        future: asyncio.Future[list[Patch]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(engine, items, future))
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._drain(), name="live-draw")
        return await future

    async def clip(self, folder: Path) -> Footage:
        """Another clip of the same person, drawn on by the same model; loaded once and kept as long as the host.

        Args:
            folder: As ``lipsync.frame_cycle.write_base`` fills it.

        Raises:
            BundleError: The clip is damaged.
        """
        if self._closed:
            raise UnavailableError("The avatar was unloaded.", "Open the session again.")
        self.watchdog.check()
        if folder not in self._clips:
            self._clips[folder] = asyncio.create_task(self._load_clip(folder), name="live-clip")
        try:
            return await asyncio.shield(self._clips[folder])
        except StudioError:
            self._clips.pop(folder, None)
            raise

    async def _load_clip(self, folder: Path) -> Footage:
        base = await asyncio.to_thread(BaseClip.load, folder)
        engine = await self._run(self._draw_pool, self.engine.rebase, base)
        return Footage(engine, self.draw, self.compose)

    async def close(self) -> None:
        """Free the engine and end the threads. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self.footage.close()
        for loading in self._clips.values():
            await asyncio.wait({loading})
            if loading.exception() is None:
                await loading.result().close()
        if self._drawing is not None:
            await asyncio.wait({self._drawing})
        self._clips.clear()
        pools = (self._draw_pool, self._drive_pool, self._compose_pool)
        others = [pool.submit(_nothing) for pool in pools[1:]]
        freeing = self._draw_pool.submit(self._free, others)
        if not self.watchdog.hung:
            await asyncio.wrap_future(freeing)
        # A thread that hangs is left alone; should it come back, the engine is freed and its threads end.
        for pool in pools:
            await asyncio.to_thread(pool.shutdown, not self.watchdog.hung)

    def _free(self, others: list[Future[None]]) -> None:
        """Close the engine, but not under a thread that is still at work with it."""
        for other in others:
            other.result()
        self.engine.close()

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[..., T], *args: Any) -> T:
        self.watchdog.check()
        return await self.watchdog.guard(asyncio.get_running_loop().run_in_executor(pool, call, *args))

    async def _drain(self) -> None:
        while self._waiting:
            engine = self._waiting[0].engine
            taken: list[_Request] = []
            count = 0
            # One batch is of one clip; requests on another wait for the next.
            for request in list(self._waiting):
                if request.engine is not engine:
                    continue
                if taken and count + len(request.items) > MAX_BATCH:
                    break
                taken.append(request)
                self._waiting.remove(request)
                count += len(request.items)
            items = [item for request in taken for item in request.items]
            try:
                patches = await self._run(self._draw_pool, engine.infer, items)
                if len(patches) != len(items):
                    raise UnavailableError(f"The engine drew {len(patches)} pictures of {len(items)}.")
            except Exception as error:
                for request in taken:
                    if not request.future.done():
                        request.future.set_exception(error)
                continue
            at = 0
            for request in taken:
                if not request.future.done():
                    request.future.set_result(patches[at : at + len(request.items)])
                at += len(request.items)


class HostPool:
    """Loads engines off the event loop, once each, and unloads them some time after their last user.

    Args:
        loader: Loads a bundle; blocking.
        unload_after_s: How long an engine nobody uses stays.
        hung_after_s: As in ``EngineHost``.
    """

    def __init__(
        self, loader: Loader = load_engine, unload_after_s: float = 60.0, hung_after_s: float = HUNG_AFTER_S
    ) -> None:
        self._loader, self._unload_after_s, self._hung_after_s = loader, unload_after_s, hung_after_s
        self._hosts: dict[Path, EngineHost] = {}
        self._loading: dict[Path, asyncio.Lock] = {}
        self._unloading: dict[Path, asyncio.Task[None]] = {}

    async def acquire(self, bundle: Path) -> EngineHost:
        """The host of a bundle, loaded if need be; one that hangs is replaced.

        Raises:
            BundleError: The bundle cannot be loaded.
        """
        key = await asyncio.to_thread(bundle.resolve)
        async with self._loading.setdefault(key, asyncio.Lock()):
            pending = self._unloading.pop(key, None)
            if pending is not None:
                await end_task(pending)
            host = self._hosts.get(key)
            if host is None or host.watchdog.hung:
                host = self._hosts[key] = await asyncio.to_thread(self._load, key, bundle)
                settle_memory(collect=not self._talking())
            host.users += 1
            return host

    async def release(self, host: EngineHost) -> None:
        """Give a host back."""
        host.users -= 1
        if host.users > 0:
            return
        if self._hosts.get(host.bundle) is not host:
            await host.close()
        elif self._unload_after_s <= 0 or host.watchdog.hung:
            await self._unload(host)
        else:
            self._unloading[host.bundle] = asyncio.create_task(self._unload_later(host), name="live-unload")

    async def close(self) -> None:
        """Unload everything."""
        for task in list(self._unloading.values()):
            await end_task(task)
        self._unloading.clear()
        for host in list(self._hosts.values()):
            await host.close()
        self._hosts.clear()

    @property
    def loaded(self) -> int:
        """Engines in memory."""
        return len(self._hosts)

    def _talking(self) -> bool:
        return any(host.users for host in self._hosts.values())

    def _load(self, key: Path, bundle: Path) -> EngineHost:
        return EngineHost(key, self._loader(bundle), self._hung_after_s)

    async def _unload_later(self, host: EngineHost) -> None:
        await asyncio.sleep(self._unload_after_s)
        async with self._loading.setdefault(host.bundle, asyncio.Lock()):
            if host.users == 0:
                self._unloading.pop(host.bundle, None)
                await self._unload(host)

    async def _unload(self, host: EngineHost) -> None:
        self._hosts.pop(host.bundle, None)
        await host.close()
        settle_memory(collect=not self._talking())
        _LOG.info("unloaded %s", host.bundle.name)


def _nothing() -> None:
    """Shows that a thread has done all before it."""


def start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Start a pool's threads now. Blocking."""
    together = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait, 10.0)
    together.wait(10.0)


def settle_memory(collect: bool = True) -> None:
    """Take what is in memory now out of the garbage collector's sight, until called again.

    A full collection walks every object, libraries included, and holds the event loop up for some 100 ms, in the middle
    of somebody's sentence. So it is done here, where an engine has just come or gone, and what is left is not walked
    again: from then on a full collection takes a few milliseconds.

    Args:
        collect: Collect what is garbage first. Not while another session runs: what cannot be freed now (a few objects
            in circles) is freed when the next engine comes or goes in quiet.
    """
    if collect:
        gc.unfreeze()
        gc.collect()
    gc.freeze()

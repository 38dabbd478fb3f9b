"""One loaded engine for a bundle, shared by its sessions.

Three threads belong to a host, each serving one kind of work in order: drawing (the engine's own contract), driving
(the sessions' streams) and composing. Requests to draw that wait together are drawn together, whoever asked.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from lipsync.compositor import Background, Compositor
from lipsync.engine import Engine, Patch
from lipsync.errors import UnavailableError
from lipsync.mark import MarkSpec

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Loader = Callable[[Path], Engine]
MAX_BATCH = 8
REST_CACHE_BYTES = 96 << 20
_BAKE = 5


def load_engine(bundle: Path) -> Engine:
    """Load a bundle by the engine its manifest names, and draw once."""
    from lipsync.registry import engine_for

    engine = engine_for(bundle)
    engine.warm_up()
    return engine


class EngineHost:
    """A loaded engine and its threads. Made by ``HostPool``."""

    def __init__(self, bundle: Path, engine: Engine) -> None:
        self.bundle, self.engine = bundle, engine
        self.users = 0
        name = engine.name
        self._draw_pool = ThreadPoolExecutor(1, f"{name}-draw")
        self._drive_pool = ThreadPoolExecutor(1, f"{name}-drive")
        self._compose_pool = ThreadPoolExecutor(1, f"{name}-compose")
        # Starting a thread waits until it runs; better here, in the loading thread, than on the loop in mid-sentence.
        for pool in (self._draw_pool, self._drive_pool, self._compose_pool):
            start_threads(pool, 1)
        self._waiting: list[tuple[Sequence[tuple[int, Any]], asyncio.Future[list[Patch]]]] = []
        self._drawing: asyncio.Task[None] | None = None
        self._rest: OrderedDict[int, Patch] = OrderedDict()
        self._rest_bytes = 0
        self._compositors: dict[tuple[Background, MarkSpec | None], tuple[Compositor, int]] = {}
        self._baking: dict[tuple[Background, MarkSpec | None], asyncio.Task[None]] = {}
        self._closed = False

    async def drive(self, call: Callable[..., T], *args: Any) -> T:
        """Run a driving stream's method in the driving thread."""
        return await asyncio.get_running_loop().run_in_executor(self._drive_pool, call, *args)

    async def compose(self, call: Callable[..., T], *args: Any) -> T:
        """Run picture work in the composing thread."""
        return await asyncio.get_running_loop().run_in_executor(self._compose_pool, call, *args)

    async def draw(self, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        """Draw (base frame, drive) pairs, together with what other sessions ask for meanwhile."""
        if self._closed:
            raise UnavailableError("The avatar was unloaded.", "Open the session again.")
        future: asyncio.Future[list[Patch]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future))
        if self._drawing is None or self._drawing.done():
            self._drawing = asyncio.create_task(self._drain(), name="live-draw")
        return await future

    async def rest(self, index: int) -> Patch:
        """The resting mouth on a base frame; drawn once and kept while there is room."""
        patch = self._rest.get(index)
        if patch is not None:
            self._rest.move_to_end(index)
            return patch
        patch = (await self.draw([(index, self.engine.rest)]))[0]
        if index not in self._rest:
            self._rest[index] = patch
            self._rest_bytes += _size(patch)
            while self._rest_bytes > REST_CACHE_BYTES and len(self._rest) > 1:
                _, old = self._rest.popitem(last=False)
                self._rest_bytes -= _size(old)
        return patch

    async def compositor(self, background: Background, mark: MarkSpec | None) -> Compositor:
        """A compositor; sessions with the same still background share one, so memory does not grow with them."""
        base = self.engine.base
        if background.kind == "video":
            return await self.compose(Compositor, base, background, mark)
        key = (background, mark)
        if key not in self._compositors:
            made = await self.compose(Compositor, base, background, mark)
            if key not in self._compositors:
                self._compositors[key] = (made, 0)
                if background.kind != "original":
                    self._baking[key] = asyncio.create_task(self._bake(made), name="live-bake")
        compositor, users = self._compositors[key]
        self._compositors[key] = (compositor, users + 1)
        return compositor

    async def release_compositor(self, background: Background, mark: MarkSpec | None) -> None:
        """Give a compositor back; the last user frees it."""
        key = (background, mark)
        if key not in self._compositors:
            return
        compositor, users = self._compositors[key]
        if users > 1:
            self._compositors[key] = (compositor, users - 1)
            return
        del self._compositors[key]
        await _end(self._baking.pop(key, None))

    async def close(self) -> None:
        """Free the engine and end the threads. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for task in self._baking.values():
            await _end(task)
        self._baking.clear()
        if self._drawing is not None:
            await asyncio.wait({self._drawing})
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._draw_pool, self.engine.close)
        for pool in (self._draw_pool, self._drive_pool, self._compose_pool):
            await asyncio.to_thread(pool.shutdown, True)
        self._rest.clear()
        self._compositors.clear()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            taken: list[tuple[Sequence[tuple[int, Any]], asyncio.Future[list[Patch]]]] = []
            count = 0
            while self._waiting and (not taken or count + len(self._waiting[0][0]) <= MAX_BATCH):
                taken.append(self._waiting.pop(0))
                count += len(taken[-1][0])
            items = [item for part, _ in taken for item in part]
            try:
                patches = await loop.run_in_executor(self._draw_pool, self.engine.infer, items)
                if len(patches) != len(items):
                    raise UnavailableError(f"The engine drew {len(patches)} pictures of {len(items)}.")
            except Exception as error:
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            at = 0
            for part, future in taken:
                if not future.done():
                    future.set_result(patches[at : at + len(part)])
                at += len(part)

    async def _bake(self, compositor: Compositor) -> None:
        for first in range(0, compositor.base.n, _BAKE):
            await self.compose(compositor.bake, first, _BAKE)
            await asyncio.sleep(0.005)


class HostPool:
    """Loads engines off the event loop, once each, and unloads them some time after their last user.

    Args:
        loader: Loads a bundle; blocking.
        unload_after_s: How long an engine nobody uses stays.
    """

    def __init__(self, loader: Loader = load_engine, unload_after_s: float = 60.0) -> None:
        self._loader, self._unload_after_s = loader, unload_after_s
        self._hosts: dict[Path, EngineHost] = {}
        self._loading: dict[Path, asyncio.Lock] = {}
        self._unloading: dict[Path, asyncio.Task[None]] = {}

    async def acquire(self, bundle: Path) -> EngineHost:
        """The host of a bundle, loaded if need be.

        Raises:
            BundleError: The bundle cannot be loaded.
        """
        key = await asyncio.to_thread(bundle.resolve)
        async with self._loading.setdefault(key, asyncio.Lock()):
            pending = self._unloading.pop(key, None)
            if pending is not None:
                await _end(pending)
            host = self._hosts.get(key)
            if host is None:
                host = self._hosts[key] = await asyncio.to_thread(self._load, key, bundle)
                settle_memory()
            host.users += 1
            return host

    async def release(self, host: EngineHost) -> None:
        """Give a host back."""
        host.users -= 1
        if host.users > 0 or self._hosts.get(host.bundle) is not host:
            return
        if self._unload_after_s <= 0:
            await self._unload(host)
        else:
            self._unloading[host.bundle] = asyncio.create_task(self._unload_later(host), name="live-unload")

    async def close(self) -> None:
        """Unload everything."""
        for task in list(self._unloading.values()):
            await _end(task)
        self._unloading.clear()
        for host in list(self._hosts.values()):
            await host.close()
        self._hosts.clear()

    @property
    def loaded(self) -> int:
        """Engines in memory."""
        return len(self._hosts)

    def _load(self, key: Path, bundle: Path) -> EngineHost:
        return EngineHost(key, self._loader(bundle))

    async def _unload_later(self, host: EngineHost) -> None:
        await asyncio.sleep(self._unload_after_s)
        async with self._loading.setdefault(host.bundle, asyncio.Lock()):
            if host.users == 0:
                self._unloading.pop(host.bundle, None)
                await self._unload(host)

    async def _unload(self, host: EngineHost) -> None:
        self._hosts.pop(host.bundle, None)
        await host.close()
        settle_memory()
        _LOG.info("unloaded %s", host.bundle.name)


def start_threads(pool: ThreadPoolExecutor, count: int) -> None:
    """Start a pool's threads now. Blocking."""
    together = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait, 10.0)
    together.wait(10.0)


def settle_memory() -> None:
    """Take what is in memory now out of the garbage collector's sight, until called again.

    A full collection walks every object, libraries included, and holds the event loop up for some 100 ms, in the middle
    of somebody's sentence. So it is done here, where an engine has just come or gone, and what is left is not walked
    again: from then on a full collection takes a few milliseconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _size(patch: Patch) -> int:
    return patch.i420.nbytes + (patch.mask.nbytes if patch.mask is not None else 0)


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None and task is not asyncio.current_task():
        task.cancel()
        await asyncio.wait({task})

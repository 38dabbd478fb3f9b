"""What an engine draws on: a clip of the avatar, its resting mouths and its compositors, shared by all sessions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from lipsync.compositor import Background, Compositor
from lipsync.engine import Engine, Patch
from lipsync.mark import MarkSpec

T = TypeVar("T")
Draw = Callable[[Engine, Sequence[tuple[int, Any]]], Awaitable[list[Patch]]]
Compose = Callable[..., Awaitable[Any]]
REST_CACHE_BYTES = 96 << 20
_BAKE = 5
_Key = tuple[Background, MarkSpec | None]


class Footage:
    """A clip and an engine that draws on it.

    Args:
        engine: Draws on the clip: the host's own, or one rebased on a clip of an action.
        draw: Draws (engine, items), in the host's drawing thread.
        compose: Runs picture work in the host's composing thread.
    """

    def __init__(self, engine: Engine, draw: Draw, compose: Compose) -> None:
        self.engine, self.base = engine, engine.base
        self._draw, self._compose = draw, compose
        self._rest: OrderedDict[int, Patch] = OrderedDict()
        self._rest_bytes = 0
        self._compositors: dict[_Key, tuple[Compositor, int]] = {}
        self._baking: dict[_Key, asyncio.Task[None]] = {}

    async def draw(self, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        """Draw (frame, drive) pairs, together with what other sessions ask for meanwhile."""
        return await self._draw(self.engine, items)

    async def rest(self, index: int) -> Patch:
        """The resting mouth on a frame; drawn once and kept while there is room."""
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
        if background.kind == "video":
            made: Compositor = await self._compose(Compositor, self.base, background, mark)
            return made
        key = (background, mark)
        if key not in self._compositors:
            made = await self._compose(Compositor, self.base, background, mark)
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
        await end_task(self._baking.pop(key, None))

    async def close(self) -> None:
        """Stop what is being made and let it go; the engine is the host's to close."""
        for task in self._baking.values():
            await end_task(task)
        self._baking.clear()
        self._rest.clear()
        self._compositors.clear()

    async def _bake(self, compositor: Compositor) -> None:
        for first in range(0, compositor.base.n, _BAKE):
            await self._compose(compositor.bake, first, _BAKE)
            await asyncio.sleep(0.005)


def _size(patch: Patch) -> int:
    return patch.i420.nbytes + (patch.mask.nbytes if patch.mask is not None else 0)


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end."""
    if task is not None and task is not asyncio.current_task():
        task.cancel()
        await asyncio.wait({task})

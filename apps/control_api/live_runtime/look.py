"""An avatar as one session shows it: its engine's host, what stands behind it, its label, its clips."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.footage import Footage
from apps.control_api.live_runtime.host import EngineHost, HostPool
from apps.control_api.live_runtime.pictures import Mouth, Picture, compose
from lipsync.compositor import Background, Compositor
from lipsync.engine import Engine, Patch
from lipsync.mark import Mark, MarkSpec, planes


@dataclass(frozen=True, eq=False)
class Wanted:
    """One picture to draw.

    Attributes:
        shots: What shows: (footage, frame), one, or two where one passes into the other.
        share: Of the second, 0 to 1.
        drive: What the mouth does; None for rest.
        engine: Whose drive it is; another engine's is never drawn, the mouth rests then.
        weight: How much of the driven mouth shows against the resting one.
        filmed: The mouth as it was filmed, whatever is said.
    """

    shots: tuple[tuple[Footage, int], ...]
    share: float = 0.0
    drive: Any = None
    engine: Engine | None = None
    weight: float = 1.0
    filmed: bool = False


class Look:
    """What a session shows from one swap to the next. Made by ``open_look``; ``close`` gives everything back.

    Args:
        host: The engine's, already acquired.
        hosts: Where the host goes back to.
        background: What stands behind the person.
        mark: The visible label.
        size: Width and height of the session's pictures; the avatar is scaled to fit, bars fill the rest.
    """

    def __init__(
        self,
        host: EngineHost,
        hosts: HostPool,
        background: Background,
        mark: MarkSpec | None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.host, self.engine, self.footage = host, host.engine, host.footage
        self.background, self.mark = background, mark
        own = (host.engine.base.width, host.engine.base.height)
        self.own_size = own
        self.size = size or own
        # Scaled, the label would be scaled too, and could fall below the height the law asks for: it is laid on last.
        self._fit = None if self.size == own else Fit(own, self.size, mark)
        self._baked_mark = mark if self._fit is None else None
        self._hosts = hosts
        self._compositors: dict[Footage, Compositor] = {}
        self._busy = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closed = False

    async def prepare(self, footage: Footage) -> None:
        """Make ready to show a clip.

        Raises:
            InvalidInputError: The background cannot be had with it.
        """
        if footage not in self._compositors:
            made = await footage.compositor(self.background, self._baked_mark)
            if footage is not self.footage and self.background.kind == "video":
                made.share_video(self._compositors[self.footage])
            self._compositors[footage] = made

    async def draw(self, wanted: list[Wanted]) -> list[Picture]:
        """Draw whole pictures, I420 of the session's size, in order."""
        self._busy += 1
        self._quiet.clear()
        try:
            return await self._draw(wanted)
        finally:
            self._busy -= 1
            if not self._busy:
                self._quiet.set()

    def still(self) -> Picture:
        """The first picture, as filmed. Blocking."""
        return self._finish(self._compositors[self.footage].compose(0, None))

    async def close(self) -> None:
        """Give everything back once nothing is drawn with it any more. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self._quiet.wait()
        for footage in self._compositors:
            if self.background.kind != "video":
                await footage.release_compositor(self.background, self._baked_mark)
        self._compositors.clear()
        await self._hosts.release(self.host)

    async def _draw(self, wanted: list[Wanted]) -> list[Picture]:
        flat = [(w, footage, index) for w in wanted for footage, index in w.shots]
        patches: list[Patch | None] = [None] * len(flat)
        rests: list[Patch | None] = [None] * len(flat)
        for footage in dict.fromkeys(f for _, f, _ in flat):
            items = [(k, (i, w.drive)) for k, (w, f, i) in enumerate(flat) if f is footage and self._driven(w)]
            if items:
                for (k, _), patch in zip(items, await footage.draw([item for _, item in items]), strict=True):
                    patches[k] = patch
        for k, (w, footage, index) in enumerate(flat):
            if not w.filmed and (not self._driven(w) or w.weight < 1):
                rests[k] = await footage.rest(index)
        mouths = [
            (self._compositors[footage], _mouth(w, index, patches[k], rests[k]))
            for k, (w, footage, index) in enumerate(flat)
        ]
        made: list[Picture] = await self.host.compose(self._compose, mouths, wanted)
        return made

    def _driven(self, wanted: Wanted) -> bool:
        return not wanted.filmed and wanted.drive is not None and wanted.engine is self.engine

    def _compose(self, mouths: list[tuple[Compositor, Mouth]], wanted: list[Wanted]) -> list[Picture]:
        shots = iter(mouths)
        made = []
        for w in wanted:
            picture, *others = [compose(compositor, [mouth])[0] for compositor, mouth in (next(shots) for _ in w.shots)]
            for other in others:
                picture = np.asarray(cv2.addWeighted(picture, 1.0 - w.share, other, w.share, 0.0), np.uint8)
            made.append(self._finish(picture))
        return made

    def _finish(self, picture: Picture) -> Picture:
        return picture if self._fit is None else self._fit.apply(picture)


def _mouth(wanted: Wanted, index: int, patch: Patch | None, rest: Patch | None) -> Mouth:
    if wanted.filmed:
        return Mouth(index, None)
    if patch is None:
        return Mouth(index, rest)
    return Mouth(index, patch, rest, wanted.weight)


class Fit:
    """Scales pictures of one size into another, bars at the sides that are left, and lays the label on.

    Args:
        own: Width and height of what is drawn, even.
        size: Width and height of what is shown, even.
        mark: The label.
    """

    def __init__(self, own: tuple[int, int], size: tuple[int, int], mark: MarkSpec | None) -> None:
        (w, h), (width, height) = own, size
        scale = min(width / w, height / h)
        self._w, self._h = max(2, round(w * scale / 2) * 2), max(2, round(h * scale / 2) * 2)
        self._own_h = h
        self._size = size
        self._x, self._y = (width - self._w) // 4 * 2, (height - self._h) // 4 * 2
        self._method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        self._mark = Mark(mark, width, height) if mark else None

    def apply(self, picture: Picture) -> Picture:
        """The picture in its new size, I420 uint8 (h * 3 // 2, w)."""
        width, height = self._size
        out = np.empty((height * 3 // 2, width), np.uint8)
        out[:height], out[height:] = 16, 128
        u, v = planes(out, height)
        own_u, own_v = planes(picture, self._own_h)
        x, y, w, h = self._x, self._y, self._w, self._h
        out[y : y + h, x : x + w] = self._scaled(picture[: self._own_h], w, h)
        for to, own in ((u, own_u), (v, own_v)):
            to[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = self._scaled(own, w // 2, h // 2)
        if self._mark is not None:
            self._mark.draw(out)
        return out

    def _scaled(self, plane: NDArray[np.uint8], w: int, h: int) -> NDArray[np.uint8]:
        return np.asarray(cv2.resize(plane, (w, h), interpolation=self._method), np.uint8)


async def open_look(
    hosts: HostPool,
    bundle: Path,
    background: Background,
    mark: MarkSpec | None,
    size: tuple[int, int] | None = None,
) -> Look:
    """Load and warm up what a look needs; leaves nothing behind where it fails.

    Raises:
        BundleError: The avatar cannot be loaded.
        InvalidInputError: The background cannot be had.
    """
    host = await hosts.acquire(bundle)
    look = Look(host, hosts, background, mark, size)
    try:
        await look.prepare(look.footage)
        await look.footage.rest(0)
    except BaseException:
        await look.close()
        raise
    return look

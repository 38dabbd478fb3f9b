"""The live runtime in a process of its own, told what to do by JSON lines; the live measurements start it.

One line in, ``{"id", "do", ...}``, gives one line out, ``{"id", ...}``; events come as ``{"event", ...}``. Times are
``time.monotonic()``, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from apps.control_api.live_runtime.ear import ListenSpec
from apps.control_api.live_runtime.events import LiveEvent
from apps.control_api.live_runtime.host import load_engine
from apps.control_api.live_runtime.manager import LiveManager
from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec, SessionSpec
from lipsync.engine import HOP, DriveStream, Engine, Patch
from speech.tts.base import Voice

CLAP_HZ = 3000.0
CLAP_SIZE = 48


class ClapStream(DriveStream):
    """A session's own stream whose drives also say whether a clap sounds in their 40 ms."""

    def __init__(self, inner: DriveStream) -> None:
        self._inner = inner
        self.reset()

    def push(self, pcm: NDArray[np.float32]) -> list[Any]:
        self._listen(pcm)
        return self._pair(self._inner.push(pcm))

    def flush(self) -> list[Any]:
        self._listen(np.zeros(-len(self._rest) % HOP, np.float32))
        out = self._pair(self._inner.flush())
        self._begin()
        return out

    def reset(self) -> None:
        self._inner.reset()
        self._begin()

    def _begin(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._claps: list[bool] = []

    def _listen(self, pcm: NDArray[np.float32]) -> None:
        self._rest = np.concatenate([self._rest, pcm])
        while len(self._rest) >= HOP:
            block, self._rest = self._rest[:HOP], self._rest[HOP:]
            self._claps.append(is_clap(block, 16_000))

    def _pair(self, drives: list[Any]) -> list[Any]:
        claps, self._claps = self._claps[: len(drives)], self._claps[len(drives) :]
        return list(zip(drives, claps, strict=True))


class ClapEngine(Engine):
    """An engine that also paints a square that is white while a clap sounds, else black: the same work, and a sign."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.name, self.capabilities = inner.name, inner.capabilities  # type: ignore[misc]
        self._x, self._y, self._size = clap_square(inner)

    @classmethod
    def train(cls, *args: Any) -> Path:
        raise TypeError("a measuring engine is not trained")

    @classmethod
    def load(cls, bundle: Path, device: str = "auto") -> Engine:
        return cls(load_engine(bundle))

    @property
    def base(self) -> Any:
        return self._inner.base

    def rebase(self, base: Any) -> Engine:
        return ClapEngine(self._inner.rebase(base))

    def open_stream(self) -> DriveStream:
        return ClapStream(self._inner.open_stream())

    @property
    def rest(self) -> Any:
        return self._inner.rest, False

    def infer(self, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        patches = self._inner.infer([(index, drive[0]) for index, drive in items])
        for (_, (_, clap)), patch in zip(items, patches, strict=True):
            x, y = self._x - patch.x, self._y - patch.y
            square = slice(max(y, 0), max(y + self._size, 0)), slice(max(x, 0), max(x + self._size, 0))
            luma = patch.i420[: len(patch.i420) * 2 // 3]
            luma[square] = 235 if clap else 16
            if patch.mask is not None:
                patch.mask[square] = 255
        return patches

    def close(self) -> None:
        self._inner.close()


def clap_square(engine: Engine) -> tuple[int, int, int]:
    """Left, top and side of a square of the frame that every patch covers, however the head moves."""
    patches = [engine.infer([(k, engine.rest)])[0] for k in range(0, engine.base.n, 5)]
    left, top = max(p.x for p in patches), max(p.y for p in patches)
    right = min(p.x + p.i420.shape[1] for p in patches)
    low = min(p.y + p.i420.shape[0] * 2 // 3 for p in patches)
    side = min(CLAP_SIZE, right - left, low - top)
    if side < 16:
        raise RuntimeError("the avatar moves too much for the measuring square")
    return (left + right - side) // 2, (top + low - side) // 2, side


def is_clap(block: NDArray[np.float32], rate: int) -> bool:
    """Whether a pure tone of 3 kHz is most of what sounds, and loud."""
    t = np.arange(len(block)) / rate
    tone = np.abs(np.mean(block * np.exp(-2j * np.pi * CLAP_HZ * t))) * 2
    return bool(tone > 0.2 and tone > 0.8 * np.sqrt(2) * np.sqrt(np.mean(block**2)))


class LoopWatch:
    """The longest time the event loop did not come round, beyond the 2 ms it sleeps.

    ``longest`` is by the clock and holds what other processes take of the machine; ``longest_cpu`` is what the loop's
    own thread worked between two rounds.
    """

    def __init__(self) -> None:
        self.longest = self.longest_cpu = 0.0

    async def run(self) -> None:
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.002)
            now, work = time.perf_counter(), time.thread_time()
            self.longest = max(self.longest, now - last - 0.002)
            self.longest_cpu = max(self.longest_cpu, work - worked)
            last, worked = now, work


class Server:
    """Does what it is told."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._avatar: Path = args.avatar
        self._watch = LoopWatch()
        limits = LiveLimits(max_sessions=args.max_sessions, unload_after_s=args.unload_after, linger_s=600.0)
        self.manager = LiveManager(limits, self._event, load=ClapEngine.load if args.clap else load_engine)

    async def run(self) -> None:
        watching = asyncio.create_task(self._watch.run())
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 24)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        tell({"event": "up"})
        pending: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(self._serve(json.loads(line)))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        watching.cancel()
        await self.manager.shutdown()

    async def _serve(self, ask: dict[str, Any]) -> None:
        try:
            answer = await getattr(self, f"do_{ask['do']}")(ask)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        tell({"id": ask["id"], **answer})

    async def do_open(self, ask: dict[str, Any]) -> dict[str, Any]:
        knowledge = ask.get("knowledge")
        spec = SessionSpec(
            avatar=self._avatar,
            voice=Voice("local", language=ask.get("language", "auto")),
            reply=ReplySpec("rules", {"knowledge": knowledge}) if knowledge else ReplySpec("echo"),
            listen=ListenSpec(language="en", phrases=tuple(q["question"] for q in knowledge)) if knowledge else None,
            video_bitrate=ask.get("bitrate", 2_500_000),
        )
        session = await self.manager.open(spec)
        base = session.host.engine.base
        return {"session": session.id, "width": base.width, "height": base.height}

    async def do_offer(self, ask: dict[str, Any]) -> dict[str, Any]:
        return await self.manager.get(ask["session"]).offer(ask["sdp"], ask["type"])

    async def do_say(self, ask: dict[str, Any]) -> dict[str, Any]:
        return {"turn": await self.manager.get(ask["session"]).say(ask["text"], ask.get("interrupt", False))}

    async def do_audio(self, ask: dict[str, Any]) -> dict[str, Any]:
        pcm = await asyncio.to_thread(np.fromfile, ask["path"], np.float32)
        return {"turn": await self.manager.get(ask["session"]).audio(pcm, ask["rate"])}

    async def do_interrupt(self, ask: dict[str, Any]) -> dict[str, Any]:
        return {"turns": self.manager.get(ask["session"]).interrupt()}

    async def do_stats(self, ask: dict[str, Any]) -> dict[str, Any]:
        return {"stats": dataclasses.asdict(self.manager.get(ask["session"]).stats())}

    async def do_close(self, ask: dict[str, Any]) -> dict[str, Any]:
        await self.manager.close(ask["session"])
        return {}

    async def do_usage(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Threads, descriptors, memory, CPU seconds, longest block of the loop since the last call."""
        if ask.get("collect"):
            gc.collect()
            with contextlib.suppress(OSError, AttributeError):
                import ctypes

                ctypes.CDLL("libc.so.6").malloc_trim(0)
        longest, self._watch.longest = self._watch.longest, 0.0
        longest_cpu, self._watch.longest_cpu = self._watch.longest_cpu, 0.0
        process = psutil.Process()
        times = process.cpu_times()
        return {
            "threads": threading.active_count(),
            "os_threads": process.num_threads(),
            "fds": process.num_fds(),
            "tasks": len(asyncio.all_tasks()),
            "rss_mb": process.memory_info().rss / 2**20,
            "cpu_s": times.user + times.system,
            "loop_longest_ms": longest * 1000,
            "loop_longest_cpu_ms": longest_cpu * 1000,
            "engines": self.manager.hosts.loaded,
        }

    def _event(self, event: LiveEvent) -> None:
        tell({"event": event.kind, "session": event.session_id, "at": time.monotonic(), **event.data})


def tell(line: dict[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--avatar", type=Path, required=True)
    parser.add_argument("--clap", action="store_true")
    parser.add_argument("--max-sessions", type=int, default=64)
    parser.add_argument("--unload-after", type=float, default=60.0)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import uvloop

    uvloop.run(Server(args).run())


if __name__ == "__main__":
    main()

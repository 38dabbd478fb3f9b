"""How long the event loop is held up at a time, and in debug by what.

A block delays every session's sound: the clock hands out 10 ms at a time. Two figures are kept: wall time, which on a
busy machine also counts the time other processes had the core, and the loop thread's own CPU time, which is ours.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from types import FrameType

from apps.control_api import log

_log = log.get(__name__)
PERIOD_S = 0.01
WINDOW_S = 60.0
LONG_S = 0.02
"""A block that ought not to be."""


@dataclass(frozen=True)
class Block:
    """A time in which the loop did not turn.

    Attributes:
        at: When it ended, ``time.monotonic()``.
        wall_ms, cpu_ms: How long, and how much of it the loop's own thread worked.
        stack: Where it stood, the innermost call last; empty unless traced.
    """

    at: float
    wall_ms: float
    cpu_ms: float
    stack: str = ""


class LoopWatch:
    """Watches the loop it is started on.

    Args:
        trace: Also look, from a thread, at where the loop stands while it is held up; costs a little, for debugging.
    """

    def __init__(self, trace: bool = False) -> None:
        self._trace = trace
        self._blocks: deque[Block] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self._turned = 0.0
        self._stack = ""

    def start(self) -> None:
        """Begin to watch; on the loop."""
        self._turned = time.monotonic()
        self._task = asyncio.create_task(self._run(), name="loop-watch")
        if self._trace:
            loop_thread = threading.get_ident()
            self._watcher = threading.Thread(target=self._look, args=(loop_thread,), name="loop-watch", daemon=True)
            self._watcher.start()

    async def stop(self) -> None:
        """Stop watching."""
        self._ended.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.join)

    def longest(self) -> Block:
        """The longest block by CPU time within the last minute."""
        self._forget()
        return max(self._blocks, key=lambda block: block.cpu_ms, default=Block(time.monotonic(), 0.0, 0.0))

    def facts(self) -> dict[str, float]:
        """Gauges for the metrics: longest blocks of the last minute, in seconds."""
        self._forget()
        return {
            "loop_longest_block_seconds": max((b.wall_ms for b in self._blocks), default=0.0) / 1000,
            "loop_longest_work_seconds": max((b.cpu_ms for b in self._blocks), default=0.0) / 1000,
        }

    async def _run(self) -> None:
        while True:
            began, worked = time.monotonic(), time.thread_time()
            await asyncio.sleep(PERIOD_S)
            now, work = time.monotonic(), time.thread_time() - worked
            self._turned = now
            wall = now - began - PERIOD_S
            # What is under a millisecond is how timers are, and one value a second is plenty.
            if wall > 0.001 or work > 0.001:
                self._note(Block(now, wall * 1000, min(work, now - began) * 1000, self._stack))
            self._stack = ""

    def _note(self, block: Block) -> None:
        if block.cpu_ms > LONG_S * 1000:
            _log.debug("the event loop was held up", ms=round(block.wall_ms), cpu_ms=round(block.cpu_ms),
                       stack=block.stack)  # fmt: skip
        # Only blocks that no later one exceeds in both figures can still be the longest of the window.
        while self._blocks and self._less(self._blocks[-1], block):
            self._blocks.pop()
        self._blocks.append(block)
        self._forget()

    @staticmethod
    def _less(one: Block, other: Block) -> bool:
        return one.cpu_ms <= other.cpu_ms and one.wall_ms <= other.wall_ms

    def _forget(self) -> None:
        oldest = time.monotonic() - WINDOW_S
        while self._blocks and self._blocks[0].at < oldest:
            self._blocks.popleft()

    def _look(self, loop_thread: int) -> None:
        while not self._ended.wait(0.004):
            if time.monotonic() - self._turned > PERIOD_S + LONG_S / 2 and not self._stack:
                frame: FrameType | None = sys._current_frames().get(loop_thread)
                # A loop that waits for the core in its selector is held up by others.
                if frame is not None and not frame.f_code.co_filename.endswith("selectors.py"):
                    self._stack = "".join(traceback.format_stack(frame, 12))

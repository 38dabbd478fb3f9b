"""The one clock of a session: every 10 ms it hands sound, and every 40 ms a picture, to all outputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import numpy as np

from apps.control_api.live_runtime.frames import FRAME_S, PACKET_SAMPLES, PACKETS, MediaFrame, PacketFrame
from apps.control_api.live_runtime.playout import Playout, faded

_LOG = logging.getLogger(__name__)
PACKET_S = 0.01
STANDSTILL_S = 0.3
"""Later than this the clock does not hurry after the time it missed; it goes on from now."""


class Sink(Protocol):
    """Where a session's packets go: a client, a file, a camera."""

    def take(self, packet: PacketFrame) -> None:
        """Take 10 ms. Must not block and must not keep more than a bounded number."""


class Timer(Protocol):
    """What the time is, and waiting for a while."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait; may take longer, never shorter."""


class LoopTimer:
    """The event loop's own time."""

    def time(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Clock:
    """Pulls frames from the playout buffer at their time.

    Args:
        playout: The session's buffer.
        on_frame: Told every MediaFrame when its sound begins.
        timer: Whose time it keeps.
    """

    def __init__(self, playout: Playout, on_frame: Callable[[MediaFrame], None], timer: Timer | None = None) -> None:
        self._timer = timer or LoopTimer()
        self.sinks: list[Sink] = []
        self.late_ms = 0.0
        self.skipped = 0
        self._playout, self._on_frame = playout, on_frame

    def add(self, sink: Sink) -> None:
        """Begin to feed a sink."""
        self.sinks.append(sink)
        self._playout.watched = True
        self._playout.work.set()

    def remove(self, sink: Sink) -> None:
        """Stop feeding a sink; unknown ones are ignored."""
        if sink in self.sinks:
            self.sinks.remove(sink)
        self._playout.watched = bool(self.sinks)

    async def run(self) -> None:
        """Serve until cancelled."""
        due = self._timer.time()
        while True:
            late = await self._until(due)
            if late > STANDSTILL_S:
                missed = int(late / FRAME_S)
                self._playout.skip(missed)
                self.skipped += missed
                due += missed * FRAME_S
                _LOG.warning("the live clock stood still for %d ms", late * 1000)
            frame = self._playout.next()
            self._on_frame(frame)
            cuts, turn = self._playout.cuts, frame.turn
            for k in range(PACKETS):
                if k:
                    await self._until(due + k * PACKET_S)
                sound = frame.sound[k * PACKET_SAMPLES : (k + 1) * PACKET_SAMPLES]
                # An interrupt in mid-frame is heard at once, not at the next frame.
                if frame.turn and self._playout.cuts != cuts:
                    sound = faded(sound) if turn else np.zeros_like(sound)
                    turn = 0
                    self._playout.fade_done()
                number = frame.number * PACKETS + k
                self._give(PacketFrame(turn, number, sound, None if k else frame.picture, frame.held))
            due += FRAME_S

    async def _until(self, due: float) -> float:
        wait = due - self._timer.time()
        if wait > 0:
            await self._timer.sleep(wait)
        late = max(0.0, self._timer.time() - due)
        # A maximum that is forgotten slowly: half of it in about half a minute.
        self.late_ms = max(late * 1000, self.late_ms * 0.9995)
        return late

    def _give(self, packet: PacketFrame) -> None:
        for sink in list(self.sinks):
            sink.take(packet)

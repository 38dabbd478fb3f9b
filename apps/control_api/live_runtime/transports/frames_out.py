"""Pictures and sound of a session as framed messages for programs: JPEG and raw sound, oldest first, bounded."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import FRAME_SAMPLES, PACKETS, PacketFrame

HEADER = struct.Struct("<BBHIQ")
"""Kind, flags, zero, turn, first sample (1/48,000 s since the session began); the payload follows."""
PICTURE, SOUND = 1, 2
HELD = 1
"""Flag of a picture that repeats the one before."""
_QUALITY = 88
MAX_SOUND = 125
"""Frames of sound that wait for a slow reader (5 s); beyond that the stream has fallen behind."""
MAX_PICTURES = 8
"""Pictures that wait; beyond that the oldest are left out, the sound never is."""


class FramesOut:
    """A ``Sink`` whose messages are read with ``messages``.

    Args:
        pool: Threads for encoding pictures.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.dropped = 0
        self.fell_behind = False
        self._pool = pool
        self._waiting: deque[tuple[int, bytes | PacketFrame]] = deque()
        self._pictures = self._sounds = 0
        self._sound: list[NDArray[np.int16]] = []
        self._more = asyncio.Event()

    def take(self, packet: PacketFrame) -> None:
        """Collect 10 ms."""
        if packet.number % PACKETS == 0:
            self._sound = []
            if packet.picture is not None:
                self._put_picture(packet)
        self._sound.append(packet.sound)
        if packet.number % PACKETS == PACKETS - 1 and len(self._sound) == PACKETS:
            self._put_sound(packet)

    async def next(self) -> bytes | None:
        """The next message; None once the reader has fallen too far behind."""
        while not self._waiting:
            if self.fell_behind:
                return None
            self._more.clear()
            await self._more.wait()
        if self.fell_behind:
            return None
        _, what = self._waiting.popleft()
        if isinstance(what, bytes):
            self._sounds -= 1
            return what
        self._pictures -= 1
        return await asyncio.get_running_loop().run_in_executor(self._pool, encoded, what)

    def _put_picture(self, packet: PacketFrame) -> None:
        if self._pictures >= MAX_PICTURES:
            oldest = next(k for k, (kind, _) in enumerate(self._waiting) if kind == PICTURE)
            del self._waiting[oldest]
            self._pictures -= 1
            self.dropped += 1
        self._waiting.append((PICTURE, packet))
        self._pictures += 1
        self._more.set()

    def _put_sound(self, packet: PacketFrame) -> None:
        if self._sounds >= MAX_SOUND:
            self.fell_behind = True
        else:
            sound = np.concatenate(self._sound)
            head = HEADER.pack(SOUND, 0, 0, packet.turn, packet.number // PACKETS * FRAME_SAMPLES)
            self._waiting.append((SOUND, head + sound.astype("<i2").tobytes()))
            self._sounds += 1
        self._more.set()


def encoded(packet: PacketFrame) -> bytes:
    """A picture's message."""
    bgr = cv2.cvtColor(np.asarray(packet.picture), cv2.COLOR_YUV2BGR_I420)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    head = HEADER.pack(PICTURE, HELD if packet.held else 0, 0, packet.turn, packet.number // PACKETS * FRAME_SAMPLES)
    return head + jpeg.tobytes()

"""The way to a client that no UDP reaches: a WebM that never ends, over whatever carries bytes.

VP8 and Opus, which every browser's MediaSource plays, in clusters of one picture, so that nothing waits in a muxer. A
stream is one client's own: it begins with a whole picture, and where the client is slow pictures and sound are left
out before they are encoded, so that what arrives can always be decoded.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import av
import numpy as np

from apps.control_api.live_runtime.film import COMMENT, aigc_field
from apps.control_api.live_runtime.frames import LIVE_RATE, PACKET_SAMPLES, PACKETS, PacketFrame
from apps.control_api.live_runtime.transports.encode import SOUND_BASE, set_up_pictures, set_up_sound
from lipsync.engine import FPS

MIME = 'video/webm; codecs="vp8,opus"'
_CLUSTER_MS = 30
"""Shorter than a picture, so that each picture begins a cluster and the one before goes out."""
_KEY_FRAMES = 2 * FPS
"""A player throws away what was played only up to a whole picture."""
_DELAY_MS = 7
"""Opus begins 6.5 ms early; the muxer writes sound by as much later, in whole milliseconds. Pictures are moved with it:
players refuse a block that is earlier than the one before, of whichever track."""
_PACKETS = 100
"""Packets that wait (1 s); a client slower than that misses some."""


class _Sink:
    """A file for the muxer whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


class WebmStream:
    """One client's stream. A ``Sink`` of the session's clock; made on the event loop.

    Args:
        width, height: Of the pictures.
        bitrate: Of the pictures, bits a second.
        produce_id: For the AIGC tag.
        pool: Threads for encoding.
        on_sent: Told the turn when one of its pictures was encoded.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        bitrate: int,
        produce_id: str,
        pool: ThreadPoolExecutor,
        on_sent: Callable[[int], Any] = lambda turn: None,
    ) -> None:
        self._size, self._bitrate, self._produce_id = (width, height), bitrate, produce_id
        self._pool, self._on_sent = pool, on_sent
        self._packets: deque[PacketFrame] = deque(maxlen=_PACKETS)
        self._more = asyncio.Event()
        self._ended = False
        self._first = -1
        self._bytes = _Sink()
        self._container: Any = None
        self.encode_ms = 3.0
        self.dropped = 0

    def take(self, packet: PacketFrame) -> None:
        """Feed 10 ms (the clock calls this)."""
        if len(self._packets) == _PACKETS:
            self.dropped += self._packets[0].picture is not None
        self._packets.append(packet)
        # Woken once a picture and all its sound are there.
        if packet.number % PACKETS == PACKETS - 1:
            self._more.set()

    def close(self) -> None:
        """End the stream; ``chunks`` returns soon."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The stream's bytes as they come; whoever awaits the next sets the pace. To be used once."""
        loop = asyncio.get_running_loop()
        try:
            while not self._ended:
                await self._more.wait()
                self._more.clear()
                packets = [*self._packets]
                self._packets.clear()
                if self._ended or not packets:
                    continue
                started = time.monotonic()
                data = await loop.run_in_executor(self._pool, self._write, packets)
                pictures = max(1, len(packets) // PACKETS)
                self.encode_ms += 0.05 * ((time.monotonic() - started) * 1000 / pictures - self.encode_ms)
                for packet in packets:
                    if packet.turn and packet.picture is not None:
                        self._on_sent(packet.turn)
                if data:
                    yield data
        finally:
            await loop.run_in_executor(self._pool, self._finish)

    # -- in a thread, one at a time ----------------------------------------------------------------------------------

    def _write(self, packets: list[PacketFrame]) -> bytes:
        if self._container is None:
            self._open()
        for packet in packets:
            if self._first < 0:
                if packet.picture is None:
                    continue
                self._first = packet.number
            at = packet.number - self._first
            if packet.picture is not None:
                picture = av.VideoFrame.from_ndarray(packet.picture, format="yuv420p")
                picture.pts, picture.time_base = at // PACKETS, Fraction(1, FPS)
                self._mux(self._video.encode(picture), at * 10 + _DELAY_MS, Fraction(1, 1000))
            sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(packet.sound).reshape(1, -1), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = LIVE_RATE, at * PACKET_SAMPLES, SOUND_BASE
            self._mux(self._sound.encode(sound), at * PACKET_SAMPLES, SOUND_BASE)
        return self._bytes.taken()

    def _mux(self, packets: list[Any], at: int, base: Fraction) -> None:
        for encoded in packets:
            encoded.pts = encoded.dts = at
            encoded.time_base = base
            self._container.mux(encoded)

    def _open(self) -> None:
        options = {"live": "1", "cluster_time_limit": str(_CLUSTER_MS), "flush_packets": "1"}
        self._container = av.open(self._bytes, "w", format="webm", options=options)
        self._container.metadata["AIGC"] = aigc_field(self._produce_id)
        self._container.metadata["comment"] = COMMENT
        self._video: Any = self._container.add_stream("libvpx", rate=FPS)
        width, height = self._size
        set_up_pictures(
            self._video.codec_context, "vp8", width=width, height=height, bitrate=self._bitrate, key_frames=_KEY_FRAMES
        )
        self._sound: Any = self._container.add_stream("libopus", rate=LIVE_RATE, layout="mono")
        set_up_sound(self._sound.codec_context)

    def _finish(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.close()

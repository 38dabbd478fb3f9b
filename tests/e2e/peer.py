"""A person watching: a real WebRTC peer that decodes what the studio sends and keeps it for looking at."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

AUDIO_RATE = 48_000


@dataclass
class Seen:
    """What came in while watching.

    Attributes:
        frames: BGR uint8 (h, w, 3).
        frame_times: When each belongs, seconds on the picture's own clock.
        pcm: float32 (n,) mono at 48 kHz.
        wall: Seconds of watching.
    """

    frames: list[np.ndarray] = field(default_factory=list)
    frame_times: list[float] = field(default_factory=list)
    pieces: list[np.ndarray] = field(default_factory=list)
    wall: float = 0.0

    @property
    def pcm(self) -> np.ndarray:
        return np.concatenate(self.pieces) if self.pieces else np.zeros(0, np.float32)

    def loudness(self) -> np.ndarray:
        """Root mean square of each 40 ms."""
        whole = self.pcm[: self.pcm.size // 1920 * 1920].reshape(-1, 1920)
        return np.sqrt((whole**2).mean(1))


class Peer:
    """Connects to a session through ``:offer``; an async context manager."""

    def __init__(self, http: httpx.AsyncClient, session_id: str) -> None:
        self._http, self._session = http, session_id
        self._connection = RTCPeerConnection()
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: Seen | None = None
        self.pictures = asyncio.Event()

    async def __aenter__(self) -> Peer:
        self._connection.addTransceiver("video", direction="recvonly")
        self._connection.addTransceiver("audio", direction="recvonly")

        @self._connection.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            self._tasks.append(asyncio.ensure_future(self._receive(track)))

        await self._connection.setLocalDescription(await self._connection.createOffer())
        own = self._connection.localDescription
        answer = await self._http.post(f"/live/sessions/{self._session}/offer", json={"sdp": own.sdp, "type": own.type})
        assert answer.status_code == 200, answer.text
        await self._connection.setRemoteDescription(RTCSessionDescription(**answer.json()))
        await asyncio.wait_for(self.pictures.wait(), 20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                self.pictures.set()
                if self._seen is not None:
                    self._seen.frames.append(frame.to_ndarray(format="bgr24"))
                    self._seen.frame_times.append(float(frame.pts * frame.time_base))
            elif self._seen is not None:
                channels = len(frame.layout.channels)
                sound = frame.to_ndarray().reshape(-1, channels).astype(np.float32) / 32768
                self._seen.pieces.append(sound.mean(1))

    async def watch(self, seconds: float) -> Seen:
        """Keep everything that comes in for a while."""
        self._seen = seen = Seen()
        began = time.monotonic()
        await asyncio.sleep(seconds)
        self._seen = None
        seen.wall = time.monotonic() - began
        return seen

"""Neighbours of the live runtime: a voice of pure tones, and a WebRTC client that keeps all it gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from speech.tts.base import Capabilities, SpeechChunk, TextToSpeech, Voice

RATE = 22_050


class ToneVoice(TextToSpeech):
    """Says every character as 100 ms: letters as a loud tone, anything else as silence.

    Args:
        pace: Seconds waited before each chunk.
        stall_after: Chunks after which it falls silent for good.
        fail_after: Chunks after which it raises.
    """

    name: ClassVar[str] = "tone"
    capabilities: ClassVar[Capabilities] = Capabilities(languages=("en",), streaming=True)

    def __init__(self, pace: float = 0.0, stall_after: int | None = None, fail_after: int | None = None) -> None:
        self.pace, self.stall_after, self.fail_after = pace, stall_after, fail_after
        self.closed = 0
        self.spoken: list[str] = []
        self.open = 0

    @property
    def sample_rate(self) -> int:
        return RATE

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        self.spoken.append(sentence)
        self.open += 1
        try:
            for k, char in enumerate(sentence):
                if self.pace:
                    await asyncio.sleep(self.pace)
                if self.fail_after is not None and k >= self.fail_after:
                    from speech.errors import SpeechError

                    raise SpeechError(self.name, "The tone broke.")
                if self.stall_after is not None and k >= self.stall_after:
                    await asyncio.Event().wait()
                yield SpeechChunk(tone(0.1, RATE, 0.35 if char.isalpha() else 0.0))
        finally:
            self.open -= 1

    async def close(self) -> None:
        self.closed += 1


def tone(seconds: float, rate: int, level: float, hertz: float = 440.0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


@dataclass
class Picture:
    at: float
    pts: int
    i420: NDArray[np.uint8]


@dataclass
class Client:
    """An aiortc peer that receives one sound and one picture track."""

    pictures: list[Picture] = field(default_factory=list)
    sounds: list[tuple[float, int, NDArray[np.int16]]] = field(default_factory=list)

    async def connect(self, session: Any) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tasks: list[asyncio.Task[None]] = []
        self.connection.addTransceiver("audio", direction="recvonly")
        self.connection.addTransceiver("video", direction="recvonly")

        @self.connection.on("track")
        def on_track(track: Any) -> None:
            self.tasks.append(asyncio.create_task(self._keep(track)))

        await self.connection.setLocalDescription(await self.connection.createOffer())
        local = self.connection.localDescription
        answer = await session.offer(local.sdp, local.type)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))

    async def _keep(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                now = time.monotonic()
                if track.kind == "video":
                    self.pictures.append(Picture(now, frame.pts, frame.to_ndarray(format="yuv420p")))
                else:
                    # The decoder gives interleaved stereo.
                    self.sounds.append((now, frame.pts, frame.to_ndarray().reshape(-1, 2)[:, 0].copy()))
        except MediaStreamError:
            return

    async def close(self) -> None:
        await self.connection.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def vanish(self) -> None:
        """Stop dead without a word, as a machine that lost power."""
        transport = self.connection.getTransceivers()[0].sender.transport.transport
        for protocol in transport._connection._protocols:
            protocol.transport.close()
        transport._connection._query_consent_task and transport._connection._query_consent_task.cancel()

    async def picture(self, timeout: float = 5.0) -> Picture:
        count = len(self.pictures)
        await until(lambda: len(self.pictures) > count, timeout)
        return self.pictures[-1]

    def loudness(self, since: float = 0.0) -> NDArray[np.float64]:
        return np.array([np.abs(s.astype(np.float64)).mean() for at, _, s in self.sounds if at >= since])


async def until(condition: Any, timeout: float = 5.0, what: str = "") -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s in vain {what}"
        await asyncio.sleep(0.005)


class Streams:
    """As much of an engine as the stage that drives needs: its streams."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.open_stream = make

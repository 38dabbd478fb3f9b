"""A person with a microphone: an aiortc peer that sends what a test puts into it, in real time."""

from __future__ import annotations

import asyncio
import fractions
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from lipsync.media.audio import resample
from speech.tts.espeak import Prosody, library
from tests.apps.control_api.live_runtime.fakes import Client

STEP = 960
"""Samples to a packet, at 48 kHz."""


def spoken(text: str, rate: int = 48_000, voice: str = "en-us+m3", level: float = 0.4) -> NDArray[np.float32]:
    """``text`` in another voice than the avatar's, with a breath of noise."""
    pcm, _ = library().render(text, Prosody(voice, 160))
    sound = resample(pcm.astype(np.float32) / 32768, library().sample_rate, rate)
    sound = sound * (level / np.abs(sound).max())
    return (sound + np.random.default_rng(3).normal(0, 0.0005, len(sound))).astype(np.float32)


class MicrophoneTrack(MediaStreamTrack):
    """Sends what is put into it, 20 ms a packet in real time, and a quiet room otherwise.

    ``echo`` is called with each packet's length and gives what else the microphone hears.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound = np.zeros(0, np.float32)
        self._noise = np.random.default_rng(5)
        self.sent = 0
        self._due: float | None = None
        self.ended_at = 0.0
        self.echo: Any = None

    def speak(self, sound: NDArray[np.float32]) -> None:
        self._sound = np.concatenate([self._sound, sound])

    @property
    def quiet(self) -> bool:
        """Whether everything was sent."""
        return not self._sound.size

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._due = loop.time() if self._due is None else self._due + STEP / 48_000
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        piece, self._sound = self._sound[:STEP], self._sound[STEP:]
        if piece.size:
            self.ended_at = loop.time() + piece.size / 48_000
        sound = self._noise.normal(0, 0.0005, STEP)
        sound[: piece.size] += piece
        if self.echo is not None:
            sound += self.echo(STEP)
        frame = av.AudioFrame.from_ndarray((np.clip(sound, -1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self.sent * STEP, fractions.Fraction(1, 48_000)
        self.sent += 1
        return frame


class Talker(Client):
    """A client that sends a microphone and receives sound and picture."""

    async def connect(self, session: Any) -> None:
        self.microphone = MicrophoneTrack()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tasks = []
        self.connection.addTransceiver(self.microphone, direction="sendrecv")
        self.connection.addTransceiver("video", direction="recvonly")

        @self.connection.on("track")
        def on_track(track: Any) -> None:
            self.tasks.append(asyncio.create_task(self._keep(track)))

        await self.connection.setLocalDescription(await self.connection.createOffer())
        local = self.connection.localDescription
        answer = await session.offer(local.sdp, local.type)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))

    async def close(self) -> None:
        self.microphone.stop()
        await super().close()


class Loudspeaker:
    """What a microphone hears of the sound its client plays: late, quieter, with the reflections of a room.

    Args:
        client: Whose sound.
        delay: Seconds between receiving and hearing it.
    """

    def __init__(self, client: Client, delay: float) -> None:
        self._client, self._delay = client, round(delay * 48_000)
        self._taken = 0
        self._sound = np.zeros(0, np.float32)
        room = np.zeros(2400, np.float32)
        room[[0, 310, 1200, 2100]] = 0.3, 0.12, 0.06, 0.03
        self._room, self._last = room, np.zeros(len(room) - 1, np.float32)

    def __call__(self, count: int) -> NDArray[np.float32]:
        if self._taken == 0:
            self._taken = len(self._client.sounds)
            self._sound = np.zeros(self._delay, np.float32)
        new = self._client.sounds[self._taken :]
        self._taken += len(new)
        self._sound = np.concatenate([self._sound, *(s.astype(np.float32) / 32768 for _, _, s in new)])
        if len(self._sound) < count:
            self._sound = np.concatenate([np.zeros(count + self._delay, np.float32), self._sound])
        played, self._sound = self._sound[:count], self._sound[count:]
        heard = np.concatenate([self._last, played])
        self._last = heard[len(heard) - len(self._last) :]
        return np.convolve(heard, self._room, "valid").astype(np.float32)

"""A WebRTC client of a session: one sound and one picture track, both fed by the session's clock.

The tracks carry packets that are already encoded (aiortc sends them as they are), so that the bit rate is ours to set
and the picture is encoded in a thread of ours. Time stamps are counts of samples, never of the wall clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from av.packet import Packet

from apps.control_api.live_runtime.frames import PACKETS, PacketFrame
from apps.control_api.live_runtime.spec import IceServer
from apps.control_api.live_runtime.transports.encode import PictureEncoder, SoundEncoder
from lipsync.errors import InvalidInputError

_LOG = logging.getLogger(__name__)
_TRACK_PACKETS = 50
_PICTURES = 3

Ended = Callable[["WebRtcClient", str], None]


class PacketTrack(MediaStreamTrack):
    """A track of encoded packets; the newest are kept when nobody fetches them."""

    def __init__(self, kind: Literal["audio", "video"]) -> None:
        super().__init__()
        self.kind = kind
        self._packets: asyncio.Queue[Packet | None] = asyncio.Queue(_TRACK_PACKETS)

    def put(self, packet: Packet | None) -> None:
        """Hand a packet over; drops the oldest where the queue is full."""
        if self._packets.full():
            self._packets.get_nowait()
        self._packets.put_nowait(packet)

    async def recv(self) -> Packet:
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        packet = await self._packets.get()
        if packet is None:
            self.stop()
            raise MediaStreamError
        return packet


class WebRtcClient:
    """One connected client. A ``Sink`` of the session's clock.

    Args:
        width, height: Of the pictures.
        bitrate: Of the pictures, bits a second.
        codec: Asked for first.
        ice_servers: STUN and TURN.
        pool: Threads for encoding.
        on_sent: Told the turn when its first picture was encoded and handed to the connection.
        on_ended: Told once, with the reason, when the client is gone.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        bitrate: int,
        codec: Literal["vp8", "h264"],
        ice_servers: tuple[IceServer, ...],
        pool: ThreadPoolExecutor,
        on_sent: Callable[[int], Any],
        on_connected: Callable[[WebRtcClient], None],
        on_ended: Ended,
    ) -> None:
        self._size, self._bitrate, self._codec = (width, height), bitrate, codec
        self._pool = pool
        self._on_sent, self._on_connected, self._on_ended = on_sent, on_connected, on_ended
        servers = [RTCIceServer(list(s.urls), s.username, s.credential) for s in ice_servers]
        # An explicit empty list: aiortc's own default asks a public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._sound_track, self._picture_track = PacketTrack("audio"), PacketTrack("video")
        self._sound: SoundEncoder | None = None
        self._picture: PictureEncoder | None = None
        self._pictures: deque[PacketFrame] = deque(maxlen=_PICTURES)
        self._more = asyncio.Event()
        self._encoding: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._ended = False
        self._heard = (-1, time.monotonic())
        self.connected = False
        self.began = time.monotonic()
        self.encode_ms = 3.0
        self.dropped = 0
        self._connection.on("connectionstatechange", self._changed)

    async def answer(self, sdp: str, kind: str) -> tuple[str, str]:
        """Answer an offer.

        Returns:
            The answer's SDP and type, with every candidate in it.

        Raises:
            InvalidInputError: The offer cannot be understood or asks for no media we have.
        """
        if kind != "offer":
            raise InvalidInputError("This is not an offer.", "Send the description's type as offer.")
        connection = self._connection
        for track in (self._sound_track, self._picture_track):
            transceiver = connection.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                known = RTCRtpSender.getCapabilities("video").codecs
                wanted = f"video/{self._codec}".lower()
                # Sorting is stable: the wanted codec first, the rest (with rtx) as they were.
                transceiver.setCodecPreferences(sorted(known, key=lambda c: c.mimeType.lower() != wanted))
        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp, kind))
            answer = await connection.createAnswer()
        except (ValueError, KeyError, IndexError, AttributeError, AssertionError, TypeError) as error:
            raise InvalidInputError(f"The offer cannot be understood: {error}", "Send the SDP unchanged.") from error
        kinds = [t.kind for t in connection.getTransceivers() if t.mid is not None and not t.stopped]
        if "video" not in kinds or "audio" not in kinds:
            raise InvalidInputError(
                "The offer must ask for sound and picture.", "Add an audio and a video transceiver that receive."
            )
        await connection.setLocalDescription(answer)
        local = connection.localDescription
        codec = _chosen(local.sdp)
        if codec is None:
            raise InvalidInputError("The client knows neither VP8 nor H.264.", "Use another browser.")
        self._sound = SoundEncoder()
        self._picture = PictureEncoder(codec, *self._size, self._bitrate)
        for sender in connection.getSenders():
            if sender.kind == "video":
                # aiortc keeps key frame requests for its own encoder; packets encoded here must hear of them.
                setattr(sender, "_send_keyframe", self._picture.request_key)  # noqa: B010
        self._encoding = asyncio.create_task(self._encode(), name="live-encode")
        return local.sdp, local.type

    def take(self, packet: PacketFrame) -> None:
        """Feed 10 ms (the clock calls this)."""
        if not self.connected or self._sound is None:
            return
        for encoded in self._sound.encode(packet.sound, packet.number):
            self._sound_track.put(encoded)
        if packet.picture is not None:
            if len(self._pictures) == _PICTURES:
                self.dropped += 1
            self._pictures.append(packet)
            self._more.set()

    async def check(self, lost_after_s: float, handshake_s: float) -> None:
        """Notice a client that went without a word; called every second or so."""
        now = time.monotonic()
        if not self.connected:
            if now - self.began > handshake_s:
                self._end("never_connected")
            return
        stats = await self._connection.getStats()
        packets = sum(s.packetsReceived for s in stats.values() if s.type == "transport")
        if packets != self._heard[0]:
            self._heard = (packets, now)
        elif now - self._heard[1] > lost_after_s:
            self._end("client_lost")

    async def close(self) -> None:
        """End the connection and everything of it. Safe to call twice."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="live-client-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._ended = True
        self.connected = False
        if self._encoding is not None:
            self._encoding.cancel()
            await asyncio.wait({self._encoding})
        for track in (self._sound_track, self._picture_track):
            track.put(None)
        await self._connection.close()
        self._connection.remove_all_listeners()
        self._sound = self._picture = None

    async def _encode(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            self._more.clear()
            while self._pictures and self._picture is not None:
                packet = self._pictures.popleft()
                if packet.picture is None:
                    continue
                started = time.monotonic()
                made = await loop.run_in_executor(
                    self._pool, self._picture.encode, packet.picture, packet.number // PACKETS
                )
                self.encode_ms += 0.05 * ((time.monotonic() - started) * 1000 - self.encode_ms)
                for encoded in made:
                    self._picture_track.put(encoded)
                if packet.turn:
                    self._on_sent(packet.turn)

    def _changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._ended and not self.connected:
            self.connected = True
            self._heard = (-1, time.monotonic())
            if self._picture is not None:
                self._picture.request_key()
            self._on_connected(self)
        elif state == "failed":
            self._end("connection_failed")
        elif state == "closed":
            self._end("client_left")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.connected = False
            self._on_ended(self, reason)


def _chosen(sdp: str) -> Literal["vp8", "h264"] | None:
    """The codec of the answer's video section: the first payload type of its m-line."""
    first: str | None = None
    for line in sdp.splitlines():
        if line.startswith("m="):
            first = line.split()[3] if line.startswith("m=video") else None
        elif first is not None and line.startswith(f"a=rtpmap:{first} "):
            name = line.split(" ", 1)[1].split("/")[0].lower()
            return "vp8" if name == "vp8" else "h264" if name == "h264" else None
    return None

"""A session's packets as two encoded tracks of a peer connection, whoever began that connection.

The tracks carry packets that are already encoded (aiortc sends them as they are), so that the bit rate is ours to set
and the picture is encoded in a thread of ours. Time stamps are counts of samples, never of the wall clock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from av.packet import Packet

from apps.control_api.live_runtime.frames import PACKETS, PacketFrame
from apps.control_api.live_runtime.spec import VideoCodec
from apps.control_api.live_runtime.transports.encode import PictureEncoder, SoundEncoder

_TRACK_PACKETS = 50
_PICTURES = 3


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


class PacketFeed:
    """Encodes what the clock gives and hands it to a connection: sound at once, pictures by a thread.

    Args:
        width, height: Of the pictures.
        bitrate: Of the pictures, bits a second.
        codec: Asked for first.
        pool: Threads for encoding.
        on_sent: Told the turn when one of its pictures was encoded and handed to the connection.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        bitrate: int,
        codec: VideoCodec,
        pool: ThreadPoolExecutor,
        on_sent: Callable[[int], Any] = lambda turn: None,
    ) -> None:
        self._size, self._bitrate, self._codec = (width, height), bitrate, codec
        self._pool, self._on_sent = pool, on_sent
        self._sound_track, self._picture_track = PacketTrack("audio"), PacketTrack("video")
        self._sound: SoundEncoder | None = None
        self._picture: PictureEncoder | None = None
        self._pictures: deque[PacketFrame] = deque(maxlen=_PICTURES)
        self._more = asyncio.Event()
        self._encoding: asyncio.Task[None] | None = None
        self.encode_ms = 3.0
        self.pictures = 0
        self.bytes = 0
        self.dropped = 0

    def offer_tracks(self, connection: RTCPeerConnection) -> list[RTCRtpTransceiver]:
        """Add both tracks to a connection, with the wanted codec first; returns their transceivers."""
        made = []
        for track in (self._sound_track, self._picture_track):
            transceiver = connection.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                known = RTCRtpSender.getCapabilities("video").codecs
                wanted = f"video/{self._codec}".lower()
                # Sorting is stable: the wanted codec first, the rest (with rtx) as they were.
                transceiver.setCodecPreferences(sorted(known, key=lambda c: c.mimeType.lower() != wanted))
            made.append(transceiver)
        return made

    def begin(self, connection: RTCPeerConnection, codec: VideoCodec) -> None:
        """Begin to encode, once both sides agreed on a codec."""
        self._sound = SoundEncoder()
        self._picture = PictureEncoder(codec, *self._size, self._bitrate)
        for sender in connection.getSenders():
            if sender.kind == "video":
                # aiortc keeps key frame requests for its own encoder; packets encoded here must hear of them.
                setattr(sender, "_send_keyframe", self._picture.request_key)  # noqa: B010
        self._encoding = asyncio.create_task(self._encode(), name="live-encode")

    def request_key(self) -> None:
        """Make the next picture whole."""
        if self._picture is not None:
            self._picture.request_key()

    def take(self, packet: PacketFrame) -> None:
        """Feed 10 ms."""
        if self._sound is None:
            return
        for encoded in self._sound.encode(packet.sound, packet.number):
            self.bytes += encoded.size
            self._sound_track.put(encoded)
        if packet.picture is not None:
            if len(self._pictures) == _PICTURES:
                self.dropped += 1
            self._pictures.append(packet)
            self._more.set()

    async def end(self) -> None:
        """Stop encoding and end the tracks; the connection is then to be closed, and ``release`` called."""
        if self._encoding is not None:
            self._encoding.cancel()
            await asyncio.wait({self._encoding})
        for track in (self._sound_track, self._picture_track):
            track.put(None)

    def release(self) -> None:
        """Let the encoders go."""
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
                self.pictures += 1
                for encoded in made:
                    self.bytes += encoded.size
                    self._picture_track.put(encoded)
                if packet.turn:
                    self._on_sent(packet.turn)


def agreed_codec(sdp: str) -> VideoCodec | None:
    """The codec of an answer's video section: the first payload type of its m-line."""
    first: str | None = None
    for line in sdp.splitlines():
        if line.startswith("m="):
            first = line.split()[3] if line.startswith("m=video") else None
        elif first is not None and line.startswith(f"a=rtpmap:{first} "):
            name = line.split(" ", 1)[1].split("/")[0].lower()
            return "vp8" if name == "vp8" else "h264" if name == "h264" else None
    return None

"""A WebRTC client of a session: it asks, we answer with one sound and one picture track fed by the session's clock."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from apps.control_api.live_runtime.frames import PacketFrame
from apps.control_api.live_runtime.spec import IceServer
from apps.control_api.live_runtime.transports import ice, microphone
from apps.control_api.live_runtime.transports.feed import PacketFeed, agreed_codec
from lipsync.errors import InvalidInputError

_LOG = logging.getLogger(__name__)

Ended = Callable[["WebRtcClient", str], None]


class WebRtcClient:
    """One connected client. A ``Sink`` of the session's clock.

    Args:
        width, height: Of the pictures.
        bitrate: Of the pictures, bits a second.
        codec: Asked for first.
        ice_servers: STUN and TURN.
        relay_only: Through TURN alone.
        pool: Threads for encoding.
        on_sent: Told the turn when its first picture was encoded and handed to the connection.
        on_ended: Told once, with the reason, when the client is gone.
        on_microphone: Given the client's sound, if it offers to send any; None: its offer to send is declined.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        bitrate: int,
        codec: Literal["vp8", "h264"],
        ice_servers: tuple[IceServer, ...],
        relay_only: bool = False,
        pool: ThreadPoolExecutor,
        on_sent: Callable[[int], Any],
        on_connected: Callable[[WebRtcClient], None],
        on_ended: Ended,
        on_microphone: Callable[[MediaStreamTrack], None] | None = None,
    ) -> None:
        self._on_connected, self._on_ended = on_connected, on_ended
        self._feed = PacketFeed(width, height, bitrate=bitrate, codec=codec, pool=pool, on_sent=on_sent)
        self._connection = RTCPeerConnection(ice.configuration(ice_servers, relay_only))
        self._closing: asyncio.Task[None] | None = None
        self._ended = False
        self._heard = (-1, time.monotonic())
        self._facts: ice.ConnectionFacts | None = None
        self._answered: str | None = None
        self.id = str(uuid.uuid4())
        self.connected = False
        self.began = time.monotonic()
        self._connection.on("connectionstatechange", self._changed)
        self._on_microphone = on_microphone

    @property
    def encode_ms(self) -> float:
        """Mean time to encode a picture lately, ms."""
        return self._feed.encode_ms

    @property
    def dropped(self) -> int:
        """Pictures there was no time to encode."""
        return self._feed.dropped

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
        self._feed.offer_tracks(connection)
        if self._on_microphone is not None:
            microphone.expect(connection, self._on_microphone)
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
        codec = agreed_codec(local.sdp)
        if codec is None:
            raise InvalidInputError("The client knows neither VP8 nor H.264.", "Use another browser.")
        self._feed.begin(connection, codec)
        self._answered = local.sdp
        return local.sdp, local.type

    def request_key(self) -> None:
        """Make the next picture whole."""
        self._feed.request_key()

    def facts(self) -> ice.ConnectionFacts:
        """How the connection stands, or how it ended and why."""
        return self._facts or ice.facts(self._connection, sent=self._answered)

    def take(self, packet: PacketFrame) -> None:
        """Feed 10 ms (the clock calls this)."""
        if self.connected:
            self._feed.take(packet)

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
        await self._feed.end()
        await self._connection.close()
        self._connection.remove_all_listeners()
        self._feed.release()

    def _changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._ended and not self.connected:
            self.connected = True
            self._heard = (-1, time.monotonic())
            self._feed.request_key()
            self._on_connected(self)
        elif state == "failed":
            self._end("connection_failed")
        elif state == "closed":
            self._end("client_left")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.connected = False
            # Now, for closing takes the connection apart.
            self._facts = ice.facts(self._connection, reason, self._answered)
            self._on_ended(self, reason)

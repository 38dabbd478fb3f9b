"""Who gets what a session makes: its WebRTC clients, its recording, and every other output of its clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiortc import MediaStreamTrack

from apps.control_api.live_runtime.clock import Clock, Sink
from apps.control_api.live_runtime.outputs import Outputs, OutputStats, Source
from apps.control_api.live_runtime.recorder import Recorder
from apps.control_api.live_runtime.spec import LiveLimits, SessionSpec
from apps.control_api.live_runtime.transports import ice
from apps.control_api.live_runtime.transports.webm import WebmStream
from apps.control_api.live_runtime.transports.webrtc import WebRtcClient
from apps.control_api.live_runtime.troubles import Trouble
from lipsync.errors import ConflictError, TooManyError

_LOG = logging.getLogger(__name__)
_GONE = 8
"""Connections that ended and are still told of."""


class Audience:
    """The outputs of one session, from their coming to their going.

    Args:
        spec: What the session is made from.
        width, height: Of every picture, for the session's whole life.
        clock: Feeds the outputs.
        limits: Caps and patience.
        pool: Threads for encoding.
        on_sent: Told the turn when one of its pictures was handed to a client's connection.
        on_watched: Told whether anybody is reached, by a client or another output, and why, when that changes.
        on_lost: Told the reason, and the likely cause, when a client goes without saying goodbye.
        on_recording_failed: Told when the recording cannot go on.
        on_output: Told of every change of another output's state.
        on_microphone: Given the sound of each client that sends any; None where nobody listens.
    """

    def __init__(
        self,
        spec: SessionSpec,
        width: int,
        height: int,
        clock: Clock,
        *,
        limits: LiveLimits,
        pool: ThreadPoolExecutor,
        on_sent: Callable[[int], Any],
        on_watched: Callable[[bool, str], None],
        on_lost: Callable[[str, Trouble | None], None],
        on_recording_failed: Callable[[Exception], None],
        on_output: Callable[[OutputStats], None],
        on_microphone: Callable[[MediaStreamTrack], None] | None = None,
    ) -> None:
        self.width, self.height = width, height
        self.clients: list[WebRtcClient] = []
        self.streams: list[WebmStream] = []
        self._spec, self._clock, self._limits, self.pool = spec, clock, limits, pool
        self._on_sent, self._on_watched, self._on_lost = on_sent, on_watched, on_lost
        self._on_recording_failed, self._on_output = on_recording_failed, on_output
        self._on_microphone = on_microphone
        self.outputs = Outputs(Source(spec.id, width, height, pool), self.attach, self.detach, self._output_changed)
        self._recorder: Recorder | None = None
        self._gone: deque[tuple[str, str | None, ice.ConnectionFacts]] = deque(maxlen=_GONE)
        self._partings: set[asyncio.Task[None]] = set()
        self._alone_since = time.monotonic()
        self._watched_once = False
        self._closed = False

    @property
    def connected(self) -> list[WebRtcClient]:
        """Clients whose connection stands."""
        return [client for client in self.clients if client.connected]

    @property
    def watching(self) -> list[WebRtcClient | WebmStream]:
        """Whoever gets pictures now, by WebRTC or without it."""
        return [*self.connected, *self.streams]

    def watch(self) -> WebmStream:
        """Begin a stream for a client that no UDP reaches; to be given back with ``unwatch``.

        Raises:
            TooManyError: As many clients watch as may.
        """
        self._require_room()
        stream = WebmStream(
            self.width,
            self.height,
            bitrate=self._spec.video_bitrate,
            produce_id=self._spec.id,
            pool=self.pool,
            on_sent=self._on_sent,
        )
        self.streams.append(stream)
        self.attach(stream)
        self._on_watched(True, "client_connected")
        return stream

    def unwatch(self, stream: WebmStream) -> None:
        """End such a stream. Safe to call twice."""
        stream.close()
        if stream in self.streams:
            self.streams.remove(stream)
            self.detach(stream)
            self._on_watched(self._reaches, "client_left")

    async def offer(self, sdp: str, kind: str) -> dict[str, str]:
        """Connect a WebRTC client.

        Returns:
            ``{"sdp", "type"}`` of the answer, candidates included.

        Raises:
            TooManyError: As many clients watch as may.
            InvalidInputError: The offer is not understood.
        """
        self._require_room()
        client = WebRtcClient(
            self.width,
            self.height,
            bitrate=self._spec.video_bitrate,
            codec=self._spec.video_codec,
            ice_servers=self._spec.ice_servers,
            relay_only=self._spec.relay_only,
            pool=self.pool,
            on_sent=self._on_sent,
            on_connected=self._client_connected,
            on_ended=self._client_ended,
            on_microphone=self._on_microphone,
        )
        self.clients.append(client)
        try:
            answer, answer_kind = await client.answer(sdp, kind)
        except BaseException:
            self.clients.remove(client)
            await client.close()
            raise
        if self._closed:
            await client.close()
            raise ConflictError("The session has ended.", "Open a new one.")
        return {"sdp": answer, "type": answer_kind}

    def _require_room(self) -> None:
        watching = len(self.clients) + len(self.streams)
        if watching >= self._limits.max_clients:
            raise TooManyError(
                f"{watching} clients watch this session already.", "Close one of them.",
                {"max_clients": self._limits.max_clients},
            )  # fmt: skip

    def connections(self) -> list[tuple[str, str | None, ice.ConnectionFacts]]:
        """The clients there are and the last that went: id, how it ended (None: it has not), facts."""
        return [*self._gone, *((client.id, None, client.facts()) for client in self.clients)]

    def request_key(self) -> None:
        """Make the next picture whole for every client: what it shows has changed altogether."""
        for client in self.clients:
            client.request_key()

    def attach(self, sink: Sink) -> None:
        """Feed another output from the same clock."""
        self._watched_once = True
        self._clock.add(sink)

    def detach(self, sink: Sink) -> None:
        """Stop feeding an output."""
        self._clock.remove(sink)
        self._alone_since = time.monotonic()

    async def record(self, path: Path) -> None:
        """Begin to record to an MP4; nothing is at ``path`` until ``stop_recording``.

        Raises:
            ConflictError: It is being recorded already.
        """
        if self._recorder is not None:
            raise ConflictError("The session is being recorded already.", "Stop that recording first.")
        self._recorder = Recorder(path, self.width, self.height, self._spec.id, self._recording_failed)
        self.attach(self._recorder)

    async def stop_recording(self) -> Path:
        """Finish the recording and return its file.

        Raises:
            ConflictError: Nothing is being recorded.
            NoSpaceError: The disk filled up; the recording is lost.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            raise ConflictError("Nothing is being recorded.", "Begin a recording first.")
        self.detach(recorder)
        return await recorder.stop()

    async def abandoned(self) -> str | None:
        """Notice lost clients; why the session may end because nobody gets anything, or None."""
        for client in list(self.clients):
            await client.check(self._limits.lost_after_s, self._limits.handshake_s)
        if self.clients or self._clock.sinks:
            return None
        patience = self._limits.linger_s if self._watched_once else self._limits.connect_timeout_s
        if time.monotonic() - self._alone_since <= patience:
            return None
        return "nobody_watches" if self._watched_once else "nobody_came"

    async def close(self) -> None:
        """End every output. What was recorded until now is kept."""
        self._closed = True
        clients, self.clients = self.clients, []
        for client in clients:
            self._clock.remove(client)
        for stream in [*self.streams]:
            self.unwatch(stream)
        await asyncio.gather(*(client.close() for client in clients), *self._partings, self.outputs.close())
        self._clock.sinks.clear()
        if self._recorder is not None:
            # A failure was told when it happened.
            recorder, self._recorder = self._recorder, None
            await asyncio.gather(recorder.stop(), return_exceptions=True)

    def _client_connected(self, client: WebRtcClient) -> None:
        self._watched_once = True
        self._clock.add(client)
        self._on_watched(True, "client_connected")

    def _client_ended(self, client: WebRtcClient, reason: str) -> None:
        self._clock.remove(client)
        if client in self.clients:
            self.clients.remove(client)
        self._alone_since = time.monotonic()
        facts = client.facts()
        self._gone.append((client.id, reason, facts))
        ask_turn = self._turn_missing(facts) and reason != "client_left"
        if reason != "client_left" and not ask_turn:
            self._on_lost(reason, facts.trouble)
        self._on_watched(self._reaches, reason)
        parting = asyncio.create_task(self._part(client, reason, ask_turn), name="live-client-part")
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

    async def _part(self, client: WebRtcClient, reason: str, ask_turn: bool) -> None:
        await client.close()
        if ask_turn:
            # A TURN server is set and gave no address: whether it refuses or is away only asking it tells.
            self._on_lost(reason, await ice.try_turn(self._spec.ice_servers) or client.facts().trouble)

    def _turn_missing(self, facts: ice.ConnectionFacts) -> bool:
        turn = any(url.startswith("turn") for server in self._spec.ice_servers for url in server.urls)
        return turn and facts.pair is None and "relay" not in facts.ours

    @property
    def _reaches(self) -> bool:
        return bool(self.connected or self.streams) or self.outputs.live

    def _output_changed(self, output: OutputStats) -> None:
        self._on_output(output)
        self._on_watched(self._reaches, f"{output.kind}_{output.state}")

    def _recording_failed(self, error: Exception) -> None:
        if self._recorder is not None:
            self._clock.remove(self._recorder)
        self._on_recording_failed(error)

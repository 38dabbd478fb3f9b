"""A WHIP endpoint (RFC 9725) built on aiortc: real HTTP, real WebRTC, and faults a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from tests.fakes.http_server import Answer, FakeServer, Request, serving

TOKEN = "the-secret-bearer-token"


@dataclass
class WhipServer:
    """What came in. ``faults`` are answered first, one a request: (status, headers, body)."""

    http: FakeServer
    faults: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    pictures: list[tuple[float, NDArray[np.uint8]]] = field(default_factory=list)
    sounds: list[tuple[float, NDArray[np.int16]]] = field(default_factory=list)
    peers: list[RTCPeerConnection] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    sdp: str = ""

    @property
    def url(self) -> str:
        return f"{self.http.url}/whip/room"

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.http.requests if request.method == method]


@asynccontextmanager
async def whip_server() -> AsyncIterator[WhipServer]:
    """Serve on a free port of loopback; takes the one token there is."""
    tasks: list[asyncio.Task[None]] = []

    async def keep(track) -> None:
        try:
            while True:
                frame = await track.recv()
                at = float(frame.pts * frame.time_base)
                if track.kind == "video":
                    server.pictures.append((at, frame.to_ndarray(format="yuv420p")))
                else:
                    server.sounds.append((at, frame.to_ndarray().reshape(-1, 2)[:, 0].copy()))
        except MediaStreamError:
            return

    async def handle(request: Request, answer: Answer) -> None:
        if server.faults:
            status, headers, body = server.faults.pop(0)
            data = body.encode()
            answer.ended = True
            await answer.start(status, headers.pop("Content_Type", "text/plain"), len(data), **headers)
            await answer.send(data)
            return
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            await answer.whole("no such token", 401, "text/plain")
        elif request.method == "DELETE":
            server.deleted.append(request.path)
            await answer.whole(b"", 200)
        elif request.headers.get("content-type") != "application/sdp":
            await answer.whole("an SDP is wanted", 415, "text/plain")
        else:
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            server.peers.append(peer)
            peer.on("track", lambda track: tasks.append(asyncio.create_task(keep(track))))
            await peer.setRemoteDescription(RTCSessionDescription(request.body.decode(), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            server.sdp = peer.localDescription.sdp
            data = server.sdp.encode()
            answer.ended = True
            await answer.start(201, "application/sdp", len(data), Location=f"/whip/room/{len(server.peers)}")
            await answer.send(data)

    async with serving(handle) as http:
        server = WhipServer(http)
        try:
            yield server
        finally:
            for peer in server.peers:
                await peer.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

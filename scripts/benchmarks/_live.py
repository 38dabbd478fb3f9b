"""What the live measurements share: a server process, a WebRTC client that keeps what it gets, and the avatar."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
LINES = (
    "Our new headphones are light, they last for thirty hours, and they fold into a pocket.",
    "Welcome to the show! Today I have three things for you, and the last one is free.",
    "一起来看看今天的新品，这款耳机很轻，续航有三十个小时。",
    "Ask me anything about the price, the delivery, or how long the battery will last.",
    "大家晚上好，欢迎来到我的直播间，今天给大家带来三样好东西。",
)


def add_avatar(parser: argparse.ArgumentParser) -> None:
    """The option every live measurement has."""
    parser.add_argument(
        "--avatar", type=Path, help="a bundle's folder; without one, a preview of the demo take is made"
    )


def avatar(args: argparse.Namespace) -> Path:
    """The bundle to measure with."""
    if args.avatar is not None:
        return Path(args.avatar).resolve()
    place = ROOT / ".cache" / "bench"
    out = place / "avatar"
    if not _usable(out):
        shutil.rmtree(out, ignore_errors=True)
        from lipsync.dataset.demo_take import make_demo_take

        place.mkdir(parents=True, exist_ok=True)
        film = place / "take.mp4"
        make_demo_take(film, 12.0)
        subprocess.run(
            ["bash", str(ROOT / "scripts/train_avatar.sh"), "--take", str(film), "--preview", "--out", str(out)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return out


def _usable(bundle: Path) -> bool:
    """Whether a bundle made earlier can still be read."""
    from apps.control_api.live_runtime.host import load_engine
    from lipsync.errors import BundleError

    try:
        load_engine(bundle).close()
    except BundleError:
        return False
    return True


class Server:
    """The live runtime in its own process. An async context manager."""

    def __init__(self, bundle: Path, *options: str) -> None:
        self._command = [sys.executable, "-m", "scripts.benchmarks._live_server", "--avatar", str(bundle), *options]
        self._asked = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Server:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            limit=1 << 24,
        )
        self._reading = asyncio.create_task(self._read())
        await wait_for(lambda: any(e["event"] == "up" for e in self.events), 60)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Have something done."""
        self._asked += 1
        number = self._asked
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps({"id": number, "do": do, **what}) + "\n").encode())
        answer = await asyncio.wait_for(future, 120)
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            if "event" in told:
                self.events.append(told)
            elif told["id"] in self._waiting:
                self._waiting.pop(told["id"]).set_result(told)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RuntimeError("the server ended"))


@dataclass
class Got:
    """Something a client decoded.

    Attributes:
        at: When, ``time.monotonic()``.
        stamp: Its RTP stamp in seconds of the media clock.
        data: What the measurement kept of it.
    """

    at: float
    stamp: float
    data: Any


@dataclass
class Reports:
    """Sender reports of a track, (stamp in seconds, sender's wall clock): how a player lays tracks together."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    def wall(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sender's wall clock of stamps: the reports' mean offset, as players smooth it."""
        offset = float(np.median([wall - stamp for stamp, wall in self.seen]))
        return stamps + offset


class Peer:
    """An aiortc client. ``keep_picture`` and ``keep_sound`` say what to keep of each (I420, int16 (480,)).

    ``microphone`` is a sound track it sends.
    """

    def __init__(
        self,
        keep_picture: Callable[[NDArray[np.uint8]], Any] = lambda p: None,
        keep_sound: Callable[[NDArray[np.int16]], Any] = lambda s: s,
        microphone: Any = None,
    ) -> None:
        self._microphone = microphone
        self.pictures: list[Got] = []
        self.sounds: list[Got] = []
        self.reports: dict[str, Reports] = {"audio": Reports(), "video": Reports()}
        self._keep = {"video": keep_picture, "audio": keep_sound}
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, server: Server, session: str) -> None:
        """Connect and wait for the first picture and sound."""
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if self._microphone is None:
            self.connection.addTransceiver("audio", direction="recvonly")
        else:
            self.connection.addTransceiver(self._microphone, direction="sendrecv")
        self.connection.addTransceiver("video", direction="recvonly")
        for transceiver in self.connection.getTransceivers():
            self._listen(transceiver.receiver, transceiver.kind)

        @self.connection.on("track")
        def on_track(track: Any) -> None:
            self._tasks.append(asyncio.create_task(self._receive(track)))

        await self.connection.setLocalDescription(await self.connection.createOffer())
        local = self.connection.localDescription
        answer = await server.ask("offer", session=session, sdp=local.sdp, type=local.type)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await wait_for(lambda: bool(self.pictures and self.sounds), 30)

    async def close(self) -> None:
        """Leave."""
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self, receiver: Any, kind: str) -> None:
        """Keep sender reports; aiortc uses them but does not show the stamps."""
        inner = receiver._handle_rtcp_packet
        rate = 48_000 if kind == "audio" else 90_000
        mapper = receiver._RTCRtpReceiver__timestamp_mapper

        async def handle(packet: Any) -> None:
            info = getattr(packet, "sender_info", None)
            if info is not None and mapper._origin is not None and info.rtp_timestamp:
                behind = (info.rtp_timestamp - mapper._origin + (1 << 31)) % (1 << 32) - (1 << 31)
                self.reports[kind].seen.append((behind / rate, info.ntp_timestamp / 2**32))
            await inner(packet)

        receiver._handle_rtcp_packet = handle

    async def _receive(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        keep, video = self._keep[track.kind], track.kind == "video"
        kept = self.pictures if video else self.sounds
        try:
            while True:
                frame = await track.recv()
                at = time.monotonic()
                array = frame.to_ndarray(format="yuv420p") if video else frame.to_ndarray().reshape(-1, 2)[:, 0]
                kept.append(Got(at, frame.pts / (90_000 if video else 48_000), keep(array)))
        except MediaStreamError:
            return


@contextlib.asynccontextmanager
async def talking(server: Server, peer: Peer, **spec: Any) -> AsyncIterator[dict[str, Any]]:
    """A session with a client; both end with the block."""
    opened = await server.ask("open", **spec)
    await peer.connect(server, opened["session"])
    try:
        yield opened
    finally:
        await peer.close()
        await server.ask("close", session=opened["session"])


async def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until ``condition``; raises ``TimeoutError``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        await asyncio.sleep(0.003)


def turn_ended(server: Server, session: str, turn: int) -> bool:
    """Whether the server told of a turn's end."""
    return any(
        e["event"] == "turn_ended" and e["session"] == session and e["turn"] == turn for e in reversed(server.events)
    )


class LipGap:
    """Opening of the lips in decoded pictures, by landmarks: what a viewer's eye sees, not what the server meant."""

    def __init__(self) -> None:
        from lipsync.face.landmarks import FaceTracker

        self._tracker = FaceTracker(max_faces=1)

    def measure(self, i420: NDArray[np.uint8]) -> float:
        """Gap of the inner lips against the height of the face; NaN where no face is found."""
        import cv2

        points = self._tracker.track(np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)))
        if points is None:
            return float("nan")
        face = np.linalg.norm(points[10] - points[152])
        return float(np.linalg.norm(points[13] - points[14]) / face)


def percentile(values: Any, share: float) -> float:
    """A percentile of the values that are numbers."""
    numbers = np.asarray(list(values), float)
    numbers = numbers[np.isfinite(numbers)]
    return float(np.percentile(numbers, share)) if len(numbers) else float("nan")


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for sounds handed to the server."""
    return tempfile.TemporaryDirectory(prefix="bench-live-")

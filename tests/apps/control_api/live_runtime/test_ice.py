"""Why a connection fails, at real peers; TURN at a real server; codec and bit rate as they arrive."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection

from apps.control_api.live_runtime.frames import PACKETS, PacketFrame
from apps.control_api.live_runtime.spec import IceServer, LiveLimits
from apps.control_api.live_runtime.transports.ice import ConnectionFacts, likely_cause, try_turn
from apps.control_api.live_runtime.transports.webrtc import WebRtcClient
from tests.apps.control_api.live_runtime.fakes import Client, until
from tests.fakes.rtmp_server import free_port
from tests.fakes.turn_server import PASSWORD, USER, turn_server

HASTY = LiveLimits(unload_after_s=0, handshake_s=1.0, connect_timeout_s=30.0)


async def offer(change: Any) -> str:
    """A peer's offer, its candidates changed."""
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return re.sub(r"a=candidate:(.+?)\r\n", change, sdp)


def elsewhere(host: str) -> Any:
    return lambda found: re.sub(r"(udp \d+) \S+", rf"\1 {host}", found.group(0))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda found: "", "no_candidates"),
        (elsewhere("0b3bd5ae-1a2b-4c3d-8e9f-0123456789ab.local"), "only_mdns"),
        (elsewhere("192.0.2.7"), "host_unreachable"),
    ],
)
async def test_a_client_that_never_connects_is_told_why(make_world: Any, change: Any, code: str) -> None:
    world = make_world(HASTY)
    session = await world.manager.open(world.spec())
    await session.offer(await offer(change), "offer")
    await until(lambda: world.told("warning"), 20)
    (warning,) = world.told("warning")
    assert warning["code"] in ("never_connected", "connection_failed")
    assert warning["cause"]["code"] == code and set(warning["cause"]["remedy"]) == {"zh-CN", "en"}
    ((_, ended, facts),) = session.audience.connections()
    assert ended == warning["code"] and facts.trouble.code == code and facts.pair is None


def test_causes_follow_from_what_was_seen() -> None:
    def cause(reason: str = "connection_failed", **seen: Any) -> str | None:
        known: dict[str, Any] = {"ours": {"host": 2}, "theirs": {"host": 1}, "pair": None, "heard": False}
        found = likely_cause(ConnectionFacts("failed", "failed", "new", **{**known, **seen}), reason)
        return found.code if found else None

    assert cause("client_left") is None
    assert cause("client_lost", pair=("host", "host")) == "peer_silent"
    assert cause(pair=("host", "host")) == "dtls_failed"
    assert cause(theirs={"tcp": 2}) == "no_candidates"
    assert cause(theirs={"host": 1, "srflx": 1}) == "udp_blocked"
    assert cause(heard=True) == "udp_blocked"
    assert cause(theirs={"mdns": 2}) == "only_mdns"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_client_is_reached_through_turn_alone(make_world: Any, tmp_path: Path, transport: str) -> None:
    async with turn_server(tmp_path) as port:
        servers = (IceServer((f"turn:127.0.0.1:{port}?transport={transport}",), USER, PASSWORD),)
        assert PASSWORD not in repr(servers) and await try_turn(servers) is None
        world = make_world()
        session = await world.manager.open(world.spec(ice_servers=servers, relay_only=True))
        client = Client()
        await client.connect(session)
        answer = client.connection.remoteDescription.sdp
        assert "typ relay" in answer and "typ host" not in answer
        await until(lambda: len(client.pictures) > 5, 20)
        ((_, ended, facts),) = session.audience.connections()
        assert ended is None and facts.pair is not None and facts.pair[0] == "relay" and facts.state == "connected"
        await client.close()
        wrong = (IceServer(servers[0].urls, USER, "wrong"),)
        found = await try_turn(wrong)
        assert found is not None and found.code == "turn_auth_failed"
        world = make_world(HASTY)
        session = await world.manager.open(world.spec(ice_servers=wrong, relay_only=True))
        await session.offer(await offer(lambda found: found.group(0)), "offer")
        await until(lambda: world.told("warning"), 20)
        assert world.told("warning")[0]["cause"]["code"] == "turn_auth_failed"


async def test_a_turn_server_that_is_away_is_told_of() -> None:
    found = await try_turn((IceServer((f"turn:127.0.0.1:{free_port()}?transport=tcp",), USER, PASSWORD),))
    assert found is not None and found.code == "turn_unreachable"
    assert await try_turn((IceServer(("stun:127.0.0.1:9",)),)) is None


@pytest.mark.parametrize(("codec", "bitrate"), [("vp8", 700_000), ("vp8", 1_500_000), ("h264", 800_000)])
async def test_codec_and_bit_rate_are_what_the_settings_say(codec: Any, bitrate: int) -> None:
    rng, pool = np.random.default_rng(0), ThreadPoolExecutor(1)
    server = WebRtcClient(
        256, 256, bitrate=bitrate, codec=codec, ice_servers=(), pool=pool, on_sent=lambda turn: None,
        on_connected=lambda client: None, on_ended=lambda client, reason: None,
    )  # fmt: skip

    class Session:
        async def offer(self, sdp: str, kind: str) -> dict[str, str]:
            return dict(zip(("sdp", "type"), await server.answer(sdp, kind), strict=True))

    client = Client()
    await client.connect(Session())
    await until(lambda: server.connected, 10)
    name = "H264" if codec == "h264" else "VP8"
    chosen = re.search(r"m=video \d+ \S+ (\d+)", client.connection.remoteDescription.sdp)
    assert chosen and f"a=rtpmap:{chosen.group(1)} {name}/90000" in client.connection.remoteDescription.sdp

    async def received() -> float:
        stats = await client.connection.getStats()
        return float(max(s.bytesReceived for s in stats.values() if s.type == "transport"))

    before = 0.0
    for k in range(75):
        picture = rng.integers(0, 255, (384, 256), dtype=np.uint8)
        picture[:, 40:] = 128
        server.take(PacketFrame(0, k * PACKETS, np.zeros(480, np.int16), picture))
        # As fast as it is encoded: a rate is bits to a picture's 40 ms, however long it took.
        await until(lambda: server._feed.pictures == k + 1, 10)  # noqa: B023
        if k == 25:  # behind the first picture, which is whole, and the encoder's settling
            before = await received()
    await until(lambda: len(client.pictures) > 60, 10)
    got = (await received() - before) * 8 / 2
    assert 0.6 * bitrate < got < 1.4 * bitrate
    await client.close()
    await server.close()
    await asyncio.to_thread(pool.shutdown)

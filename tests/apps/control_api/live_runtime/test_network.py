"""Bad networks and impatient clients, at a real peer."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.spec import LiveLimits
from tests.apps.control_api.live_runtime.fakes import Client, until
from tests.fakes.bar_engine import bar_length


def video_receiver(client: Client) -> Any:
    return next(t.receiver for t in client.connection.getTransceivers() if t.kind == "video")


async def test_a_key_frame_is_sent_when_the_client_asks(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 5, 10)
    asked = []
    encoder = session.audience.clients[0]._feed._picture
    inner = encoder.request_key
    for sender in session.audience.clients[0]._connection.getSenders():
        if sender.kind == "video":
            assert sender._send_keyframe == inner, "aiortc no longer asks us for key frames"
            sender._send_keyframe = lambda: (asked.append(1), inner())
    receiver = video_receiver(client)
    ssrc = next(iter(receiver._RTCRtpReceiver__remote_streams))
    await receiver._send_rtcp_pli(ssrc)
    await until(lambda: asked, 5, "for the request")
    await client.close()


async def test_five_percent_loss_is_repaired(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 5, 10)
    receiver = video_receiver(client)
    inner, chance, lost = receiver._handle_rtp_packet, random.Random(1), []

    async def lossy(packet: Any, arrival_time_ms: int) -> None:
        if chance.random() < 0.05:
            lost.append(packet.sequence_number)
            return
        await inner(packet, arrival_time_ms)

    monkeypatch.setattr(receiver, "_handle_rtp_packet", lossy)
    before = len(client.pictures)
    await session.say("a aa aaa aaaa aaaaa")
    await until(lambda: world.told("turn_ended"), 10)
    await asyncio.sleep(0.6)
    seconds = (client.pictures[-1].pts - client.pictures[before].pts) / 90_000
    got = len(client.pictures) - before
    assert lost and got >= 0.9 * seconds * 25, f"{got} pictures in {seconds:.1f} s with {len(lost)} packets lost"
    bars = [bar_length(p.i420, base) for p in client.pictures[before:]]
    assert max(bars) > 0.5 and bars[-1] < 0.05
    await client.close()


@pytest.mark.parametrize("stage", ["offered", "connecting", "connected", "speaking"])
async def test_a_tab_closed_at_any_stage_is_freed(make_world: Any, stage: str) -> None:
    world = make_world(LiveLimits(unload_after_s=0, linger_s=0.2, connect_timeout_s=3.0, handshake_s=1.5))
    session = await world.manager.open(world.spec())
    client = Client()
    if stage == "offered":
        from aiortc import RTCPeerConnection

        peer = RTCPeerConnection()
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        await session.offer(peer.localDescription.sdp, "offer")
        await peer.close()
    else:
        await client.connect(session)
        if stage != "connecting":
            await until(lambda: client.pictures, 10)
        if stage == "speaking":
            await session.say("a" * 100)
            await until(lambda: session.speaking, 5)
        await client.close()
    await until(lambda: not world.manager.list(), 10, f"for the end of a session left when {stage}")
    await until(lambda: world.told("session_state")[-1]["state"] == "closed")
    assert world.engines[0].closed and world.voice.open == 0
    await asyncio.sleep(0)
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("live-")]


async def test_the_mouth_stays_shut_in_silent_sound(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: client.pictures, 10)
    await session.audio(np.zeros(16_000, np.float32), 16_000)
    await until(lambda: world.told("turn_ended"), 5)
    await asyncio.sleep(0.3)
    assert max(bar_length(p.i420, base) for p in client.pictures) < 0.05
    await client.close()

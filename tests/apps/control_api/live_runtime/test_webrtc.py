"""A real aiortc peer: what a client sees and hears, decoded."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from tests.apps.control_api.live_runtime.fakes import Client, until
from tests.fakes.bar_engine import bar_length


async def test_speech_moves_the_bar_and_idle_flows(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 10 and len(client.sounds) >= 20, 10)
    assert all(bar_length(p.i420, base) < 0.05 for p in client.pictures), "the mouth moves in silence"
    assert client.loudness().max() < 20
    idle = [p.i420[:256] for p in client.pictures]
    assert np.abs(idle[-1].astype(int) - idle[0].astype(int)).mean() > 0.05, "the idle cycle stands still"

    began = time.monotonic()
    turn = await session.say("aaaaa aaaaa")
    await until(lambda: any(p.at > began and bar_length(p.i420, base) > 0.5 for p in client.pictures), 5)
    await until(lambda: world.told("turn_ended"), 5)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "spoken"}]
    await asyncio.sleep(0.4)
    spoken = client.loudness(began)
    # A sine of 0.35 has a mean magnitude of 0.22; eleven characters of 100 ms, one of them silent.
    loud = (spoken > 0.15 * 32767).sum() * 0.01
    assert loud == pytest.approx(1.0, abs=0.08)
    assert bar_length(client.pictures[-1].i420, base) < 0.05
    steps = np.diff([p.pts for p in client.pictures])
    assert not (steps % 3600).any() and (steps > 0).all(), "pictures are 40 ms apart by their stamps"
    # A machine too busy leaves pictures out, which is counted; none may be missing that nobody knows of.
    stats = session.stats()
    assert (steps // 3600 - 1).sum() <= stats.dropped_pictures + stats.skipped
    await client.close()


async def test_sound_and_picture_are_in_step_at_the_client(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 5, 10)
    await session.say("aa  a   aaa a  aa    a aaaa  a a")
    await until(lambda: world.told("turn_ended"), 10)
    await asyncio.sleep(0.4)
    stats = session.stats()
    late = stats.held + stats.dropped_pictures + stats.skipped
    await client.close()
    # Each track's stamps begin at its first packet; both are laid on the server's count by the event in them.
    bars = np.array([bar_length(p.i420, base) for p in client.pictures])
    video = np.array([p.pts / 90_000 for p in client.pictures])
    sound = np.concatenate([s for _, _, s in client.sounds]).astype(float) / 32768
    start = client.sounds[0][1] / 48_000
    level = np.sqrt(np.convolve(sound**2, np.ones(1920) / 1920, "same"))[::48]
    times = start + np.arange(len(level)) / 1000
    lags = np.arange(-400, 401, 2) / 1000
    fits = [np.corrcoef(np.interp(video + 0.02 + lag, times, level), bars)[0, 1] for lag in lags]
    best = lags[int(np.argmax(fits))]
    # A picture that was not ready repeats the one before: a busy machine blurs the likeness, not the place of its peak.
    assert max(fits) > (0.6 if late else 0.9)
    # Stamps of both tracks begin within one packet of each other, because both begin when the client connects.
    assert abs(best) <= 0.045, f"offset {best * 1000:.0f} ms"


async def test_interrupt_silences_and_closes(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 5, 10)
    for _ in range(5):
        first = await session.say("a" * 60)
        second = await session.say("b" * 60)
        await until(lambda: client.sounds and np.abs(client.sounds[-1][2]).mean() > 4000, 5)
        await asyncio.sleep(0.2)
        assert session.interrupt() == [first, second]
        await until(lambda: np.abs(client.sounds[-1][2]).mean() < 300, 2)
        await until(lambda: bar_length(client.pictures[-1].i420, base) < 0.1, 2)
        quiet = time.monotonic()
        await asyncio.sleep(0.4)
        assert client.loudness(quiet).max() < 300, "speech came back after the interrupt"
    assert [e["outcome"] for e in world.told("turn_ended")] == ["interrupted"] * 10
    assert world.voice.open == 0, "the voice still speaks"
    await session.say("aaa")
    await until(lambda: world.told("turn_ended")[-1]["outcome"] == "spoken", 5)
    await client.close()


async def test_a_client_that_vanishes_is_freed(make_world: Any) -> None:
    from apps.control_api.live_runtime.spec import LiveLimits

    world = make_world(LiveLimits(unload_after_s=0, linger_s=0.3))
    session = await world.manager.open(world.spec())
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 3, 10)
    client.vanish()
    await until(lambda: not world.manager.list(), 10)
    await until(lambda: world.told("session_state")[-1]["state"] == "closed")
    assert [e["code"] for e in world.told("warning")] == ["client_lost"]
    assert world.told("session_state")[-1] == {"state": "closed", "reason": "nobody_watches"}
    assert world.engines[0].closed and world.voice.closed == 1
    await client.close()


async def test_a_client_that_leaves_ends_the_session_and_another_may_come_first(make_world: Any) -> None:
    from apps.control_api.live_runtime.spec import LiveLimits

    world = make_world(LiveLimits(unload_after_s=0, linger_s=1.0))
    session = await world.manager.open(world.spec())
    one, two = Client(), Client()
    await one.connect(session)
    await until(lambda: one.pictures, 10)
    await one.close()
    await until(lambda: session.stats().clients == 0, 5)
    await two.connect(session)
    await until(lambda: two.pictures, 10)
    await asyncio.sleep(1.2)
    assert world.manager.list() == [session]
    await two.close()
    await until(lambda: not world.manager.list(), 5)


async def test_h264_on_request(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec(video_codec="h264"))
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 3, 10)
    await session.say("aaaaaaa")
    await until(lambda: bar_length(client.pictures[-1].i420, base) > 0.5, 5)
    await client.close()


@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\ns=-\r\nt=0 0\r\n"])
async def test_a_bad_offer_is_refused_and_leaves_nothing(make_world: Any, sdp: str) -> None:
    from lipsync.errors import InvalidInputError

    world = make_world()
    session = await world.manager.open(world.spec())
    with pytest.raises(InvalidInputError):
        await session.offer(sdp, "offer")
    assert session.stats().clients == 0 and not session.audience.clients

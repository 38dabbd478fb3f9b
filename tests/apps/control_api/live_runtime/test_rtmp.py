"""An RTMP push at a real server over a real socket: what it gets, and what happens when it fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import FRAME_SAMPLES, PACKET_SAMPLES, PACKETS, PacketFrame
from apps.control_api.live_runtime.outputs import RtmpSpec
from apps.control_api.live_runtime.transports import backoff, rtmp
from lipsync.mark import MarkSpec
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import bar_length
from tests.fakes.rtmp_server import KEY, ffmpeg_server, free_port, refusing_server, wire_to


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenacity import wait_fixed

    monkeypatch.setattr(backoff, "waits", lambda: wait_fixed(0.1))


def url(port: int) -> str:
    return f"rtmp://127.0.0.1:{port}/live"


def read(path: Path) -> tuple[list[float], list[NDArray[np.uint8]], NDArray[np.float32], float, dict[str, str]]:
    """Times and I420 pictures, sound at 48 kHz (mono) and its beginning, and the file's tags."""
    with av.open(str(path)) as container:
        times, pictures, sounds, first = [], [], [], None
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                times.append(float(frame.time or 0))
                pictures.append(frame.to_ndarray(format="yuv420p"))
            else:
                first = float(frame.time or 0) if first is None else first
                sounds.append(frame.to_ndarray().mean(0))
        return times, pictures, np.concatenate(sounds), first or 0.0, dict(container.metadata)


def offset_ms(times: list[float], bars: NDArray[np.float64], sound: NDArray[np.float32], first: float) -> float:
    """By how much the bars lag behind the sound they are drawn from."""
    level = np.sqrt(np.convolve(sound**2, np.ones(FRAME_SAMPLES) / FRAME_SAMPLES, "same"))[::48]
    at = first + np.arange(len(level)) / 1000
    lags = np.arange(-200, 201, 2) / 1000
    fits = [np.corrcoef(np.interp(np.array(times) + 0.02 - lag, at, level), bars)[0, 1] for lag in lags]
    assert max(fits) > 0.9
    return float(lags[int(np.argmax(fits))] * 1000)


async def test_the_server_gets_a_whole_stream_in_step(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    session = await world.manager.open(world.spec(mark=MarkSpec(language="en")))
    outputs, port, out = session.audience.outputs, free_port(), tmp_path / "got.flv"
    async with ffmpeg_server(port, out) as server:
        made = await outputs.add(RtmpSpec(url(port), KEY))
        assert KEY not in repr(made) + repr(world.events) + repr(RtmpSpec(url(port), KEY))
        await until(lambda: outputs.live, 15)
        assert session.state == "live", "a push keeps the session without any browser"
        lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.parent.name != str(server.pid)]
        assert not any(KEY.encode() in line for line in lines), "the key is in the list of processes"
        await session.say("aa  a   aaa a  aa    a")
        await until(lambda: world.told("turn_ended"), 15)
        await until(lambda: outputs.stats()[0].frames >= 50, 10)
        stats = outputs.stats()[0]
        assert stats.attempts == 1 and stats.last_error is None and stats.bytes > 0
        await outputs.remove(made.id)
        await asyncio.wait_for(server.wait(), 10)
    assert outputs.stats() == [] and world.told("output_state")[-1]["state"] == "ended"
    times, pictures, sound, first, tags = read(out)
    assert '"Label":"1"' in tags["AIGC"] and session.id in tags["AIGC"]
    # Whole pictures' times apart, to FLV's milliseconds; a machine with no time to spare may have dropped some.
    steps = np.diff(times) / 0.04
    assert np.allclose(steps, np.round(steps), atol=0.06) and np.round(np.median(steps)) == 1
    bars = np.array([bar_length(p, session.host.engine.base) for p in pictures])
    assert abs(offset_ms(times, bars, sound, first)) <= 22, "sound and picture are apart"
    corner = pictures[0][:40, :120].astype(int)
    assert corner.max() - corner.min() > 100, "no mark on the first picture"


async def test_a_server_that_comes_late_goes_and_comes_back(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs, port = session.audience.outputs, free_port()
    async with wire_to(port) as wire:
        await outputs.add(RtmpSpec(url(wire.port), KEY))
        await until(lambda: outputs.stats()[0].state == "retrying", 15)
        assert outputs.stats()[0].last_error.code in ("push_unreachable", "push_refused")
        for k in range(2):
            async with ffmpeg_server(port, tmp_path / f"{k}.flv") as server:
                await until(lambda: outputs.live, 15)
                frames = outputs.stats()[0].frames
                await until(lambda: outputs.stats()[0].frames > frames + 12, 15)  # noqa: B023
                wire.drop()
                await until(lambda: outputs.stats()[0].state == "retrying", 15)
                assert outputs.stats()[0].last_error.code == "push_lost"
                await asyncio.wait_for(server.wait(), 10)
            assert len(read(tmp_path / f"{k}.flv")[0]) > 10
    assert session.state == "ready"
    turn = await session.say("ok")
    await until(lambda: world.told("turn_ended"), 10)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "spoken"}]


async def test_a_stalled_server_is_left(make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp, "STALL_S", 1.5)
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs, port = session.audience.outputs, free_port()
    async with ffmpeg_server(port, tmp_path / "a.flv"), wire_to(port) as wire:
        await outputs.add(RtmpSpec(url(wire.port), KEY, video_bitrate=20_000_000))
        await until(lambda: outputs.live, 15)
        wire.open.clear()
        number = session.playout.number
        await until(lambda: outputs.stats()[0].last_error is not None, 30)
        assert outputs.stats()[0].last_error.code == "push_stalled"
        assert session.playout.number > number + 25 and session.clock.skipped == 0, "the clock stood still"
        await session.close()


async def test_a_refused_key_is_told_without_the_key(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    async with refusing_server(f"Stream {KEY} is not allowed") as port:
        await outputs.add(RtmpSpec(url(port), KEY))
        await until(lambda: outputs.stats()[0].state == "retrying", 15)
    error = outputs.stats()[0].last_error
    assert error.code == "push_refused" and "is not allowed" in error.said and KEY not in error.said
    assert "推流码" in error.remedy["zh-CN"] and KEY not in repr(world.events)


async def test_one_that_nobody_takes_is_given_up_and_the_session_may_end(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.control_api.live_runtime.spec import LiveLimits

    monkeypatch.setattr(backoff, "GIVE_UP_S", 0.5)
    world = make_world(LiveLimits(unload_after_s=0, linger_s=0.2))
    session = await world.manager.open(world.spec())
    await session.audience.outputs.add(RtmpSpec(url(free_port()), KEY))
    await until(lambda: world.told("output_state")[-1]["state"] == "failed", 15)
    assert world.told("output_state")[-1]["error"]["code"] == "push_gave_up"
    await until(lambda: not world.manager.list(), 10)


async def test_the_session_ends_quickly_while_a_push_connects(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    await session.audience.outputs.add(RtmpSpec(url(silent.sockets[0].getsockname()[1]), KEY))
    await asyncio.sleep(0.3)
    await asyncio.wait_for(session.close(), 8)
    silent.close()


def test_pictures_are_dropped_and_sound_is_not() -> None:
    pieces = rtmp.Pieces()
    pieces.start()
    sound, picture = np.zeros(PACKET_SAMPLES, np.int16), np.zeros((6, 4), np.uint8)
    for number in range(200):
        pieces.put(PacketFrame(0, number, sound, picture if number % PACKETS == 0 else None))
    assert pieces.dropped == 50 - 12
    got = [pieces.get() for _ in range(200)]
    assert [piece[0] for piece in got if piece] == list(range(200))
    assert [piece[0] for piece in got if piece and piece[2] is not None] == [*range(152, 200, 4)], "the newest stay"

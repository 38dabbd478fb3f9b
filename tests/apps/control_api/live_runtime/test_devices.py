"""A virtual camera and a sound device: what their drivers are given, in step, for hours, and when they fail."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
import pytest

from apps.control_api.live_runtime.outputs import CameraSpec, SoundSpec
from apps.control_api.live_runtime.transports import sound_out
from apps.control_api.live_runtime.transports.sound_out import TARGET, DeviceFeed, Drift
from lipsync.errors import UnavailableError
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import bar_length
from tests.fakes.devices import camera_driver, sound_system


async def test_programs_see_the_picture_upright_at_its_pace(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = camera_driver(monkeypatch)
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    made = await outputs.add(CameraSpec())
    assert made.state == "live" and made.target == "/dev/video9" and session.state == "live"
    (camera,) = driver.opened
    assert (camera.width, camera.height, camera.fps) == (256, 256, 25)
    began = session.playout.number
    await until(lambda: len(camera.frames) >= 50, 20)
    # Each picture once, at our clock's pace: as many as were played, but for those just on their way.
    assert abs(len(camera.frames) - (session.playout.number - began)) <= 4
    await session.say("aaaa")
    await until(lambda: world.told("turn_ended"), 10)
    seen = [frame.reshape(384, 256) for _, frame in camera.frames]
    rgb = cv2.cvtColor(max(seen, key=lambda frame: int(frame[:256].sum())), cv2.COLOR_YUV2RGB_I420)
    # Green screen around a grey disc, the bar white below the middle: not upside down, red and blue not changed.
    assert rgb[4, 4].argmax() == 1 and int(rgb[4, 4, 1]) - int(rgb[4, 4, 0]) > 60
    rows = (rgb.min(axis=2) > 200).sum(axis=1)
    assert 256 * 2 // 3 <= rows.argmax() < 256 * 2 // 3 + 26
    await outputs.remove(made.id)
    assert camera.closed


async def test_the_sound_reaches_programs_in_step_with_the_picture(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, streams = camera_driver(monkeypatch), sound_system(monkeypatch)
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    made = await outputs.add(CameraSpec(sound_device="CABLE Input"))
    (camera,), (stream,) = driver.opened, streams.opened
    assert stream.rate == 44_100 and stream.channels == 2
    await until(lambda: len(camera.frames) >= 30, 20)
    await session.say("aa  a   aaa a  aa    a aaaa  a a")
    await until(lambda: world.told("turn_ended"), 15)
    count = len(camera.frames)
    await until(lambda: len(camera.frames) > count + 8, 5)
    delay = outputs.stats()[0].delay_ms
    assert delay is not None and 40 <= delay <= 160
    await outputs.remove(made.id)
    base = session.host.engine.base
    seen = np.array([at for at, _ in camera.frames])
    bars = np.array([bar_length(p.reshape(384, 256), base) for _, p in camera.frames])
    at = np.concatenate([t + stream.latency + np.arange(len(s)) / stream.rate for t, s in stream.heard])
    sound = np.concatenate([s for _, s in stream.heard])
    level = np.sqrt(np.convolve(sound**2, np.ones(1764) / 1764, "same"))[::44]
    lags = np.arange(-200, 201, 5) / 1000
    fits = [np.corrcoef(np.interp(seen + 0.02 - lag, at[::44], level), bars)[0, 1] for lag in lags]
    assert max(fits) > 0.85
    # A loaded machine hands pictures over late by what its threads wait; the clocks themselves agree.
    assert abs(lags[int(np.argmax(fits))]) <= 0.06


@pytest.mark.parametrize("ppm", [200, -1000])
def test_for_eight_hours_the_wait_stays_within_thirty_milliseconds(ppm: int) -> None:
    drift, waiting, step = Drift(), float(TARGET), 9600
    rng = np.random.default_rng(1)
    worst = []
    for k in range(8 * 3600 * 5):
        # What is seen jitters by the device's blocks; what is true does not.
        ratio = drift.update(waiting + rng.uniform(-256, 256) if k % 7 == 0 else waiting, step)
        waiting += step - step * (1 + ppm * 1e-6) * ratio
        worst.append(waiting)
    apart = (np.array(worst) - TARGET) / 48
    assert np.abs(apart).max() <= 30
    assert np.abs(apart[-18_000:]).mean() <= 1.0
    assert drift.ratio * (1 + ppm * 1e-6) == pytest.approx(1.0, abs=5e-5)


@pytest.mark.parametrize(("rate", "ppm"), [(48_000, 200), (44_100, -200)])
def test_marks_in_the_sound_come_out_in_time_though_the_device_runs_off(rate: int, ppm: int) -> None:
    feed, block, seconds = DeviceFeed(rate), 512, 120
    device = rate * (1 + ppm * 1e-6)
    heard, number, put_at, take_at = [], 0, 0.0, 0.0
    while put_at < seconds:
        if put_at <= take_at:
            feed.put(np.full(480, 10_000 if number % 100 == 0 else 0, np.int16))
            number, put_at = number + 1, (number + 1) * 0.01
        else:
            heard.append(feed.take(block))
            take_at += block / device
    sound = np.abs(np.concatenate(heard))
    onsets = np.flatnonzero((sound[1:] > 0.15) & (sound[:-1] <= 0.15)) / device
    onsets = onsets[np.concatenate([[True], np.diff(onsets) > 0.5])]
    late = (onsets - np.round(onsets - 0.06)) * 1000
    assert feed.starved == feed.overrun == 0 and len(onsets) == seconds
    assert np.ptp(late) <= 30, f"without correction it would be {abs(ppm) * seconds / 1000 + 0.0:.0f} ms and growing"
    assert 30 <= late.mean() <= 90


def test_a_device_that_stood_still_catches_up_and_one_that_starves_begins_anew() -> None:
    feed = DeviceFeed()
    packet = np.full(480, 1000, np.int16)
    assert not feed.take(480).any(), "nothing is heard before enough waits"
    for _ in range(100):
        feed.put(packet)
    assert feed.overrun > 0 and feed.waiting <= sound_out.MOST
    while feed.starved == 0:
        feed.take(480)
    assert not feed.take(480).any()
    for _ in range(8):
        feed.put(packet)
    assert feed.take(480).any()


async def test_a_camera_without_driver_says_what_to_install(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = camera_driver(monkeypatch)
    driver.absent = True
    world = make_world()
    session = await world.manager.open(world.spec())
    with pytest.raises(UnavailableError) as caught:
        await session.audience.outputs.add(CameraSpec())
    assert caught.value.detail["reason"] == "camera_missing"
    assert "v4l2loopback" in caught.value.remedy and "OBS" in caught.value.detail["remedy"]["zh-CN"]
    assert session.audience.outputs.stats() == [] and session.clock.sinks == []


async def test_a_camera_that_goes_away_ends_alone(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = camera_driver(monkeypatch)
    driver.fail_after = 5
    world = make_world()
    session = await world.manager.open(world.spec())
    await session.audience.outputs.add(CameraSpec())
    await until(lambda: world.told("output_state")[-1]["state"] == "failed", 15)
    assert world.told("output_state")[-1]["error"]["code"] == "camera_failed"
    assert session.state == "ready" and session.clock.sinks == []


async def test_sound_alone_and_a_device_that_is_unplugged(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = sound_system(monkeypatch)
    world = make_world()
    session = await world.manager.open(world.spec())
    outputs = session.audience.outputs
    with pytest.raises(UnavailableError) as caught:
        await outputs.add(SoundSpec("no such thing"))
    assert caught.value.detail["reason"] == "sound_missing"
    made = await outputs.add(SoundSpec(0))
    assert made.target == "Speakers"
    await session.say("aaaa")
    (stream,) = streams.opened
    await until(lambda: any(np.abs(s).max() > 0.2 for _, s in stream.heard), 10)
    stream.unplug()
    await until(lambda: world.told("output_state")[-1]["state"] == "failed", 5)
    assert world.told("output_state")[-1]["error"]["code"] == "sound_failed"


async def test_without_portaudio_the_remedy_names_it(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    world = make_world()
    session = await world.manager.open(world.spec())
    with pytest.raises(UnavailableError) as caught:
        await session.audience.outputs.add(SoundSpec())
    assert "libportaudio2" in caught.value.remedy

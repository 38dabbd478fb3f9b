"""Pace and step on a counted clock: engines of every speed, hours of talk, and not one real second waited."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder

from apps.control_api.live_runtime.clock import STANDSTILL_S, Clock
from apps.control_api.live_runtime.frames import FRAME_SAMPLES, DrivenFrame, MediaFrame, PacketFrame
from apps.control_api.live_runtime.painter import FIRST_BATCH, Painter
from apps.control_api.live_runtime.playout import MAX_START, Playout
from apps.control_api.live_runtime.times import StageTimes
from apps.control_api.live_runtime.transports.encode import PictureEncoder, SoundEncoder
from tests.apps.control_api.live_runtime.simulated import Oversleeper, SlowLook, StraightWalk, simulate

STILL = np.zeros((3, 2), np.uint8)


def labelled(turn: int, k: int) -> DrivenFrame:
    """A frame that carries its number in its sound and, through the drawing, in its picture."""
    return DrivenFrame(turn, np.full(FRAME_SAMPLES, 1000 + k % 251, np.int16), k % 251, engine=None)


class Watcher:
    def __init__(self) -> None:
        self.packets: list[PacketFrame] = []

    def take(self, packet: PacketFrame) -> None:
        self.packets.append(packet)

    def spoken(self) -> list[int]:
        return [int(p.sound[0]) - 1000 for p in self.packets if p.turn and p.number % 4 == 0]

    def shown(self) -> list[tuple[int, int]]:
        """(label heard, label seen) of frames whose picture is their own; a turn's first may be a dissolve."""
        return [
            (int(p.sound[0]) - 1000, int(p.picture[0, 0]))
            for p in self.packets
            if p.turn and p.picture is not None and not p.held and int(p.sound[0]) > 1000
        ]


async def play(look: SlowLook, feed: Callable[[Playout], Any], seconds: float) -> tuple[Playout, Watcher]:
    playout = Playout(STILL)
    watcher = Watcher()

    def failed(stage: str, turn: int, error: Exception) -> None:
        raise AssertionError(stage) from error

    painter = Painter(
        StraightWalk(look), playout, quiet=lambda: True, on_painted=lambda turn: None, on_error=failed,
        on_broken=lambda error: None,
    )  # fmt: skip
    clock = Clock(playout, lambda frame: None)
    clock.add(watcher)
    tasks = [asyncio.create_task(work) for work in (painter.run(), clock.run(), feed(playout))]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return playout, watcher


async def talk(playout: Playout, turn: int, frames: int) -> None:
    for k in range(frames):
        await playout.room.wait()
        playout.add(labelled(turn, k))
    playout.end(turn)


@pytest.mark.parametrize("ms", [5, 25, 38])
def test_an_engine_that_keeps_up_shows_every_picture(ms: float) -> None:
    playout, watcher = simulate(play(SlowLook(lambda n: n * ms / 1000), lambda p: talk(p, 1, 200), 12))
    assert watcher.spoken() == list(range(200)) and playout.gaps == 0
    assert len(watcher.shown()) >= 190 and all(heard == seen for heard, seen in watcher.shown())


@pytest.mark.parametrize("ms", [60, 100, 250])
def test_an_engine_slower_than_real_time_never_stalls_the_sound(ms: float) -> None:
    look = SlowLook(lambda n: n * ms / 1000)
    playout, watcher = simulate(play(look, lambda p: talk(p, 1, 500), 24))
    assert watcher.spoken() == [k % 251 for k in range(500)], "every frame of sound, in order, without a gap"
    numbers = [p.number for p in watcher.packets if p.turn]
    assert numbers == list(range(numbers[0], numbers[0] + 2000)) and playout.gaps == 0
    assert all(heard == seen for heard, seen in watcher.shown()), "a picture is shown with its own sound or not at all"
    # It draws 25 x 40 / ms pictures a second; nearly all of them are seen.
    possible = 500 * 40 / ms
    assert len(watcher.shown()) >= 0.65 * possible


def test_an_engine_of_varying_speed_recovers_and_teaches_the_buffer() -> None:
    chance = random.Random(3)

    def cost(count: int) -> float:
        return count * (0.005 + 0.03 * chance.random()) + (0.25 if chance.random() < 0.05 else 0.0)

    async def feed(playout: Playout) -> None:
        for turn in range(1, 30):
            await talk(playout, turn, 50)
            await asyncio.sleep(3.5)

    playout, watcher = simulate(play(SlowLook(cost), feed, 110))
    assert watcher.spoken() == list(range(50)) * 29 and playout.gaps == 0
    assert all(heard == seen for heard, seen in watcher.shown())
    assert 2 < playout.start_frames <= MAX_START and playout.jitter >= 1
    late = [p.number for p in watcher.packets if p.turn and p.held]
    first, second = sum(n < 5500 for n in late), sum(n >= 5500 for n in late)
    assert len(late) < 0.08 * 29 * 50 and second <= first + 5


def test_a_steady_engine_starts_after_two_frames_and_the_first_batch_is_small() -> None:
    counts: list[int] = []

    def cost(count: int) -> float:
        counts.append(count)
        return count * 0.012

    async def feed(playout: Playout) -> None:
        await asyncio.sleep(1.0)
        counts.clear()
        await talk(playout, 1, 100)

    playout, watcher = simulate(play(SlowLook(cost), feed, 8))
    first = next(p.number for p in watcher.packets if p.turn)
    assert first * 0.01 <= 1.0 + 2 * 0.012 + 0.04 + 1e-6, "speech begins as soon as two pictures are drawn"
    # A resting picture may be under way when speech comes; then batches begin small and grow.
    speech = [n for n in counts if n > 1] or counts
    assert speech[0] == FIRST_BATCH and max(counts) == 4 and playout.jitter == 0


class DayIsOverError(Exception):
    pass


@pytest.mark.parametrize("hours", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_hours_do_not_drift(hours: int) -> None:
    chance = random.Random(1)
    timer = Oversleeper()
    playout = Playout(STILL)
    playout.watched = True
    wall: list[float] = []
    offsets: list[int] = []
    spoken = labels = 0
    turn = 0

    def put_more(frame: MediaFrame) -> None:
        nonlocal turn, labels
        # Somebody talks for most of the time; pictures are ready at once, but for one in a hundred, which is lost.
        if not playout.buffered and chance.random() < 0.05:
            turn += 1
            for _ in range(chance.randrange(20, 400)):
                playout.add(DrivenFrame(turn, np.full(FRAME_SAMPLES, 1 + labels % 250, np.int16), labels))
                labels += 1
            playout.end(turn)
        for entry in playout.take_speech(6, 0.0):
            picture = np.full((3, 2), 1 + entry.frame.drive % 250, np.uint8)  # type: ignore[union-attr]
            playout.draw_done(entry, None if chance.random() < 0.01 else picture)
        playout.take_ended()
        if timer.now > hours * 3600:
            raise DayIsOverError

    class Stamps:
        """What a client gets: stamps of sound (1/48,000 s) and of pictures (1/90,000 s)."""

        speaking = False

        def take(self, packet: PacketFrame) -> None:
            nonlocal spoken
            if packet.number % 4 == 0:
                wall.append(timer.now - packet.number * 480 / 48_000)
                if packet.turn and self.speaking and not packet.held and packet.picture is not None:
                    spoken += 1
                    # The picture of a piece of sound bears the same time as the sound.
                    offsets.append(int(packet.sound[0]) - int(packet.picture[0, 0]))
                # The first picture of speech may be dissolved into the resting one before it.
                self.speaking = bool(packet.turn)

    clock = Clock(playout, put_more, timer)
    clock.sinks.append(Stamps())
    coroutine = clock.run()
    with pytest.raises(DayIsOverError):
        coroutine.send(None)
    # What is missing is what the machine slept through, and not one picture more.
    assert abs(len(wall) + clock.skipped - hours * 3600 * 25) <= 1 and spoken > 25_000 * hours
    assert clock.skipped <= sum(slept * 25 for slept in timer.standstills if slept > STANDSTILL_S)
    assert not any(offsets), "a picture is shown with another piece of sound"
    late = np.array(wall)
    assert abs(late.mean()) <= 0.015 and np.percentile(np.abs(late), 95) <= 0.030
    times = np.arange(len(late)) / (25 * 3600)
    drift = np.polyfit(times, late, 1)[0]
    assert abs(drift) < 0.0001, f"{drift * 1000:.3f} ms an hour"


def test_stamps_hold_after_eight_hours_in_the_encoders_themselves() -> None:
    picture = np.full((96, 64), 128, np.uint8)
    pictures, sounds = PictureEncoder("vp8", 64, 64, 200_000), SoundEncoder()
    for number in (0, 1, 90_000, 8 * 3600 * 25, 24 * 3600 * 25):
        packet = pictures.encode(picture, number)[0]
        assert packet.pts * packet.time_base * 25 == number
        _, stamp = Vp8Encoder().pack(packet)
        assert stamp == number * 3600
        made = sounds.encode(np.zeros(480, np.int16), number * 4)[0]
        assert made.pts * made.time_base * 25 == number
        _, stamp = OpusEncoder().pack(made)
        assert stamp == number * 4 * 480


def test_stage_times_are_shares_of_the_last_turns() -> None:
    times = StageTimes()
    for k in range(1, 301):
        times.add("speak", float(k))
    times.add("capture", 20.0)
    capture, speak = times.summary()
    assert (capture.stage, capture.turns, capture.p95_ms) == ("capture", 1, 20.0)
    assert (speak.turns, speak.p50_ms, speak.p95_ms) == (100, 251.0, 296.0)

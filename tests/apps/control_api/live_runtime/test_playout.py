"""The playout buffer by itself: no loop time, no threads; every tick is a call."""

from __future__ import annotations

import numpy as np
import pytest

from apps.control_api.live_runtime.frames import DrivenFrame, MediaFrame
from apps.control_api.live_runtime.playout import AHEAD, IDLE_AHEAD, MAX_START, WAITING, Playout


def picture(value: int) -> np.ndarray:
    return np.full((6, 4), value % 250, np.uint8)


def speech(turn: int, k: int, weight: float = 1.0) -> DrivenFrame:
    return DrivenFrame(turn, np.full(1920, 1000 + k, np.int16), k, weight)


class Desk:
    """Plays painter and clock."""

    def __init__(self, watched: bool = True) -> None:
        self.playout = Playout(picture(0))
        self.playout.watched = watched
        self.poses: list[int] = []

    def paint(self) -> None:
        while entries := self.playout.take_speech(4, 0.01):
            for entry in entries:
                self.playout.draw_done(entry, picture(100 + entry.pose))
        while (pose := self.playout.take_idle()) is not None:
            self.playout.idle_done(pose, picture(pose))

    def tick(self, paint: bool = True) -> MediaFrame:
        if paint:
            self.paint()
        frame = self.playout.next()
        self.poses.append(self.playout.pose)
        return frame

    def say(self, turn: int, frames: int, end: bool = True) -> None:
        for k in range(frames):
            self.playout.add(speech(turn, k))
        if end:
            self.playout.end(turn)


def test_idle_flows_and_is_silent() -> None:
    desk = Desk()
    frames = [desk.tick() for _ in range(20)]
    assert all(not f.sound.any() and f.turn == 0 and not f.held for f in frames)
    assert [int(f.picture[0, 0]) for f in frames] == list(range(1, 21))
    assert [f.number for f in frames] == list(range(20))


def test_every_frame_of_speech_is_played_once_in_order_with_its_own_picture() -> None:
    desk = Desk()
    for _ in range(5):
        desk.tick()
    desk.say(1, 20)
    frames = [desk.tick() for _ in range(30)]
    spoken = [f for f in frames if f.turn == 1]
    assert [int(f.sound[0]) - 1000 for f in spoken] == list(range(20))
    assert [f.first for f in spoken] == [True] + [False] * 19
    assert [f.last for f in spoken] == [False] * 19 + [True]
    assert not any(f.held for f in frames)
    assert desk.playout.take_ended() == [1]
    assert set(np.diff(desk.poses)) <= {1, 2}, "the head jumps"
    assert desk.playout.gaps == 0


def test_speech_waits_for_enough_pictures_but_not_for_more_than_there_will_be() -> None:
    desk = Desk()
    desk.tick()
    desk.playout.add(speech(1, 0))
    assert desk.tick().turn == 0
    desk.playout.end(1)
    assert desk.tick().turn == 1


def test_sound_goes_on_when_pictures_fall_behind() -> None:
    desk = Desk()
    desk.tick()
    desk.say(1, 30)
    frames = [desk.tick()] + [desk.tick(paint=False) for _ in range(AHEAD + 3)]
    assert [int(f.sound[0]) - 1000 for f in frames if f.turn] == list(range(len([f for f in frames if f.turn])))
    held = [f for f in frames if f.held]
    assert 0 < len(held) <= 5 and all((f.picture == held[0].picture).all() for f in held)
    assert desk.playout.start_frames > 2, "the buffer learns from it"
    after = [desk.tick() for _ in range(30)]
    spoken = [f for f in after if f.turn]
    assert spoken and not any(f.held for f in spoken[1:])


def test_a_voice_that_dries_up_leaves_idle_and_comes_back() -> None:
    desk = Desk()
    desk.tick()
    desk.say(1, 6, end=False)
    gap = [desk.tick() for _ in range(12)]
    assert [f.turn for f in gap].count(1) == 6 and gap[-1].turn == 0 and not gap[-1].sound.any()
    assert desk.playout.gaps == 1
    for k in range(6, 12):
        desk.playout.add(speech(1, k))
    desk.playout.end(1)
    rest = [desk.tick() for _ in range(10)]
    assert [int(f.sound[0]) - 1000 for f in rest if f.turn] == list(range(6, 12))
    assert not any(f.first for f in rest)
    assert desk.playout.take_ended() == [1]


@pytest.mark.parametrize("spoken", [0, 3])
def test_a_cut_is_silent_at_once_and_does_not_click(spoken: int) -> None:
    desk = Desk()
    desk.tick()
    desk.say(1, 40)
    while [f.turn for f in [desk.tick()]] != [1]:
        pass
    for _ in range(spoken):
        desk.tick()
    desk.playout.cut()
    frame = desk.tick()
    assert frame.turn == 0 and not frame.sound[240:].any()
    assert frame.sound[0] > 900 and (np.diff(frame.sound[:240].astype(int)) <= 0).all()
    assert not desk.tick().sound.any()
    assert desk.playout.buffered == 0


def test_pictures_drawn_for_cut_speech_are_not_shown() -> None:
    desk = Desk()
    desk.tick()
    desk.say(1, 10)
    entries = desk.playout.take_speech(4, 0.01)
    desk.playout.cut()
    for entry in entries:
        desk.playout.draw_done(entry, picture(200))
    shown = [desk.tick() for _ in range(6)]
    assert all(int(f.picture[0, 0]) < 100 for f in shown)


def test_back_pressure() -> None:
    playout = Playout(picture(0))
    for k in range(WAITING):
        playout.add(speech(1, k))
    assert not playout.room.is_set()
    playout.next()
    assert playout.room.is_set()


def test_unwatched_speech_is_heard_without_pictures() -> None:
    desk = Desk(watched=False)
    desk.say(1, 5)
    frames = [desk.tick(paint=False) for _ in range(6)]
    assert [f.turn for f in frames] == [1] * 5 + [0]
    assert all(f.picture is None and not f.held for f in frames)


def test_turns_follow_each_other_and_an_empty_one_ends() -> None:
    desk = Desk()
    desk.say(1, 4)
    desk.playout.end(2)
    desk.say(3, 4)
    frames = [desk.tick() for _ in range(14)]
    assert [f.turn for f in frames if f.turn] == [1] * 4 + [3] * 4
    assert desk.playout.take_ended() == [1, 2, 3]
    assert desk.playout.gaps == 0


def test_ahead_is_bounded() -> None:
    desk = Desk()
    desk.say(1, 40)
    count = 0
    while entries := desk.playout.take_speech(6, 0.01):
        count += len(entries)
    assert count == AHEAD
    quiet = Playout(picture(0))
    poses = []
    while (pose := quiet.take_idle()) is not None:
        poses.append(pose)
    assert poses == list(range(1, IDLE_AHEAD + 1))


def test_the_start_grows_with_trouble_and_shrinks_again() -> None:
    desk = Desk()
    for turn in range(1, 8):
        desk.say(turn, 3, end=False)
        for _ in range(12):
            desk.tick()
        desk.playout.cut()
    grown = desk.playout.start_frames
    assert 2 < grown <= MAX_START
    for turn in range(10, 40):
        desk.say(turn, 8)
        for _ in range(20):
            desk.tick()
    assert desk.playout.start_frames == 2


def test_the_head_stands_rather_than_going_back_when_speech_is_late_to_begin() -> None:
    desk = Desk()
    for _ in range(5):
        desk.tick()
    desk.say(1, 20)
    entries = desk.playout.take_speech(4, 0.01)
    late = [desk.tick(paint=False) for _ in range(3)]
    assert not any(frame.turn for frame in late) and not any(frame.held for frame in late)
    for entry in entries:
        desk.playout.draw_done(entry, picture(100 + entry.pose))
    frames = [desk.tick() for _ in range(22)]
    assert frames[0].turn == 1 and min(np.diff(desk.poses)) >= 0 and max(np.diff(desk.poses)) <= 1
    shown = [int(frame.picture[0, 0]) for frame in frames if frame.turn]
    assert shown == [100 + pose for pose in range(desk.poses[7] + 1, desk.poses[7] + 21)], "no picture is a mixture"


def test_frames_no_picture_can_be_ready_for_are_left_to_the_sound() -> None:
    desk = Desk()
    desk.tick()
    desk.say(1, 30)
    while desk.tick().turn == 0:
        pass
    for _ in range(AHEAD):
        desk.tick(paint=False)
    slow = desk.playout.take_speech(4, 0.1)
    spoken = 30 - sum(1 for e in desk.playout._entries if e.frame is not None)
    assert [entry.frame.drive for entry in slow] == [spoken + 3], "drawn in 100 ms, it is ready for the fourth frame"

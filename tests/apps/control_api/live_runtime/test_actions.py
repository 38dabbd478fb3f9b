"""Clips cut into the walk: where they begin and end, what the mouth does, and how they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from apps.control_api.live_runtime.actions import ActionBook, ActionSpec
from apps.control_api.live_runtime.footage import Footage
from apps.control_api.live_runtime.walk import FADE, SEEK, SHORTEST, Walk
from lipsync.errors import BundleError, NotFoundError, TooManyError
from lipsync.frame_cycle import MATTE, POINTS, VIDEO, BaseClip
from lipsync.media.audio import save_wav
from lipsync.media.video import VideoWriter
from tests.apps.control_api.live_runtime.fakes import tone, until
from tests.fakes.bar_engine import BarEngine, drawn_clip

GROUND, CLIP_GROUND = 150, 90


async def nothing(*args: Any) -> Any:
    raise AssertionError("the walk draws nothing")


def footage(places: list[float], mirror: bool = True) -> Footage:
    """A clip whose head stands at ``places`` (pixels across)."""
    points = np.zeros((len(places), 478, 2), np.float32)
    points += np.random.default_rng(1).uniform(0, 60, (1, 478, 2)).astype(np.float32)
    points[..., 0] += np.asarray(places, np.float32)[:, None]
    frames = np.zeros((len(places), 24, 16), np.uint8)
    return Footage(BarEngine(BaseClip(frames, points, None, mirror), 1.0), nothing, nothing)


class Shown:
    """As much of a look as the walk needs."""

    def __init__(self, base: Footage) -> None:
        self.footage, self.engine = base, base.engine


def test_a_clip_begins_and_ends_where_heads_meet() -> None:
    base = footage([float(k) for k in range(40)])
    clip = footage([20.0 + 0.5 * k for k in range(21)] + [30.0 - 0.5 * k for k in range(30)])
    walk = Walk(Shown(base))
    start, end = walk.play(clip, 5)
    assert base.base.cycle(start) == 20 and end == start + clip.base.n and 5 <= start < 5 + SEEK
    heads = []
    for pose in range(end + 20):
        step = walk.at(pose)
        weights = (1 - step.share, step.share) if len(step.shots) == 2 else (1.0,)
        heads.append(sum(w * f.base.landmarks[i, 0, 0] for w, (f, i) in zip(weights, step.shots, strict=True)))
    assert np.abs(np.diff(heads)).max() <= 2.0, "the head jumps"
    shown = [walk.at(pose).shots[-1][0] is clip for pose in range(end + 5)]
    assert shown.index(True) == start and not any(shown[end - FADE :])
    joins = [pose for pose in range(end + 5) if len(walk.at(pose).shots) == 2]
    assert joins == [*range(start, start + FADE), *range(end - FADE, end)]
    assert walk.playing(start + 3) and not walk.playing(end)
    after = walk.at(end).shots[0][1]
    assert base.base.cycle(0) == 0 and abs(base.base.landmarks[after, 0, 0] - clip.base.landmarks[-1, 0, 0]) <= 5


def test_two_heads_far_apart_are_never_laid_over_each_other() -> None:
    base = footage([float(k) for k in range(200)], mirror=False)
    walk = Walk(Shown(base))
    near = footage([45.0] * 20)
    start, end = walk.play(near, 5)
    assert base.base.cycle(start) == 45, "sought further where nothing near will do"
    assert len(walk.at(start).shots) == 2 and len(walk.at(end - 1).shots) == 2
    strange = footage([400.0] * 20)
    start, end = walk.play(strange, end + 10)
    shown = [walk.at(pose) for pose in range(start - 1, end + 5)]
    assert all(len(step.shots) == 1 for step in shown), "it comes and goes with a cut"
    assert shown[0].shots[0][0] is base and shown[1].shots[0][0] is strange


def test_a_plan_goes_on_after_another_and_is_forgotten_when_passed() -> None:
    base, clip = footage([float(k) for k in range(40)]), footage([10.0] * SHORTEST)
    walk = Walk(Shown(base))
    _, end = walk.play(clip, 0)
    later, _ = walk.play(clip, 1)
    assert later >= end, "two clips do not lie over each other"
    assert walk.passed(end + 100) == [] and len(walk._parts) == 1
    other = Shown(footage([0.0] * 10))
    gone = walk.look
    walk.change(other, end + 120)
    assert len(walk.at(end + 120).shots) == 1, "two people are never laid over each other"
    assert walk.at(end + 119).look is gone and walk.at(end + 120).look is other
    assert walk.passed(end + 121) == [] and walk.passed(end + 130) == [gone]


def test_keywords_are_heard_across_pieces_once_a_turn() -> None:
    wave = ActionSpec("wave", Path("x"), keywords=("hello", "你好"))
    book = ActionBook([wave, ActionSpec("nod", Path("y"), keywords=("Yes",))])
    assert book.heard(1, "he") == [] and book.heard(1, "llo there") == [wave] and book.heard(1, "hello") == []
    assert [s.name for s in book.heard(2, "YES, 你好")] == ["wave", "nod"]
    with pytest.raises(NotFoundError) as refused:
        book.get("jump")
    assert refused.value.detail == {"actions": ["wave", "nod"]}


def write_clip(folder: Path, frames: int = 20, width: int = 256, height: int = 256) -> Path:
    folder.mkdir(parents=True)
    pictures, mattes = drawn_clip(frames, width, height)
    pictures[:, :height] -= GROUND - CLIP_GROUND
    with VideoWriter(folder / VIDEO, width, height, pix="yuv420p") as writer:
        for picture in pictures:
            writer.write(picture)
    with VideoWriter(folder / MATTE, width, height, pix="gray") as writer:
        for matte in mattes:
            writer.write(matte)
    points = np.full((frames, 478, 2), 128, np.float32)
    save_file({"landmarks": points, "mirror": np.array([1], np.uint8)}, str(folder / POINTS))
    return folder


class Eye:
    """A sink that keeps the ground's luma, the bar and the turn of every picture."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float, int]] = []
        self.loud: list[tuple[int, bool]] = []

    def take(self, packet: Any) -> None:
        self.loud.append((packet.turn, bool(np.abs(packet.sound).mean() > 4000)))
        if packet.picture is not None:
            luma = packet.picture[:256].astype(int)
            self.seen.append((int(luma[128, 4]), float((luma > 220).mean()), packet.turn))

    def clip(self) -> list[tuple[int, float, int]]:
        return [s for s in self.seen if abs(s[0] - CLIP_GROUND) < 4]


async def test_an_action_plays_and_leads_back(make_world: Any, tmp_path: Path) -> None:
    wave = ActionSpec("wave", write_clip(tmp_path / "wave"))
    world = make_world()
    session = await world.manager.open(world.spec(actions=(wave,)))
    eye = Eye()
    session.attach(eye)
    await until(lambda: len(eye.seen) > 3)
    assert await session.action("wave") is None
    await until(lambda: eye.clip())
    await until(lambda: abs(eye.seen[-1][0] - GROUND) < 4)
    grounds = [s[0] for s in eye.seen]
    assert np.abs(np.diff(grounds)).max() <= 15, "the join is a dissolve"
    assert len(eye.clip()) == 20 - 2 * FADE or len(eye.clip()) == 20 - 2 * FADE + 1
    assert max(s[1] for s in eye.seen) < 0.001, "the lips move in silence"
    assert world.told("action") == [{"name": "wave"}]
    with pytest.raises(NotFoundError):
        await session.action("jump")


async def test_a_keyword_in_what_is_said_begins_it_and_speech_drives_the_mouth(make_world: Any, tmp_path: Path) -> None:
    wave = ActionSpec("wave", write_clip(tmp_path / "wave", 16), keywords=("hello",))
    world = make_world()
    session = await world.manager.open(world.spec(actions=(wave,)))
    eye = Eye()
    session.attach(eye)
    turn = await session.say("hello" + "a" * 16)
    await until(lambda: world.told("turn_ended"), 10)
    clip = eye.clip()
    assert clip and all(t == turn for _, _, t in clip) and max(bar for _, bar, _ in clip) > 0.01
    assert session.stats().gaps == 0


@pytest.mark.parametrize("policy", ["hold", "wait"])
async def test_speech_beside_an_action_by_policy(make_world: Any, tmp_path: Path, policy: Any) -> None:
    wave = ActionSpec("wave", write_clip(tmp_path / "wave", 24), speech=policy)
    world = make_world()
    session = await world.manager.open(world.spec(actions=(wave,)))
    eye = Eye()
    session.attach(eye)
    await until(lambda: len(eye.seen) > 3)
    await session.action("wave")
    await until(lambda: world.told("action"))
    await session.say("a" * 10)
    await until(lambda: world.told("turn_ended"), 15)
    clip = eye.clip()
    assert clip and max(bar for _, bar, _ in clip) < 0.001
    if policy == "wait":
        assert not any(t for _, _, t in clip), "speech waits until the clip is over"
    else:
        assert any(t for _, _, t in clip), "speech is heard while the mouth stays as filmed"
    assert sum(loud for _, loud in eye.loud) == pytest.approx(100, abs=4)
    assert max(bar for ground, bar, _ in eye.seen if abs(ground - GROUND) < 4) > 0.01 or policy == "hold"


async def test_an_action_with_sound_is_a_turn_in_step_with_its_pictures(make_world: Any, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "laugh", 30)
    save_wav(folder / "sound.wav", tone(1.2, 48_000, 0.3), 48_000)
    laugh = ActionSpec("laugh", folder, sound=folder / "sound.wav")
    world = make_world()
    session = await world.manager.open(world.spec(actions=(laugh,)))
    eye = Eye()
    session.attach(eye)
    await until(lambda: len(eye.seen) > 3)
    turn = await session.action("laugh")
    await until(lambda: world.told("turn_ended"), 10)
    first = next(k for k, s in enumerate(eye.seen) if s[2] == turn)
    # The clip's first picture comes with its sound's first frame: the dissolve is under way in that very picture.
    assert GROUND - 15 <= eye.seen[first][0] < GROUND - 3 and eye.seen[first - 1][0] == pytest.approx(GROUND, abs=2)
    assert max(s[1] for s in eye.seen) < 0.001, "the mouth is as it was filmed"
    assert sum(loud for t, loud in eye.loud if t == turn) == pytest.approx(120, abs=3)


async def test_a_clip_that_does_not_fit_and_too_many_at_once(make_world: Any, tmp_path: Path) -> None:
    small = ActionSpec("small", write_clip(tmp_path / "small", 20, 128, 128))
    short = ActionSpec("short", write_clip(tmp_path / "short", 6))
    gone = ActionSpec("gone", tmp_path / "gone", keywords=("poof",))
    wave = ActionSpec("wave", write_clip(tmp_path / "wave"))
    world = make_world()
    session = await world.manager.open(world.spec(actions=(small, short, gone, wave)))
    for name in ("small", "short", "gone"):
        with pytest.raises(BundleError):
            await session.action(name)
    for _ in range(4):
        await session.action("wave")
    with pytest.raises(TooManyError):
        await session.action("wave")
    session.scene.painter.cues.clear()
    await session.say("poof")
    await until(lambda: world.told("turn_ended"))
    assert world.told("warning")[0]["stage"] == "action" and world.told("turn_ended")[0]["outcome"] == "spoken"

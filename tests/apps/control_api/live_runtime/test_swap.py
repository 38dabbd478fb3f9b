"""Another avatar, voice or background while a session talks: nobody's mouth on another's face, no sound lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from apps.control_api.live_runtime.look import Fit
from apps.control_api.live_runtime.spec import LiveLimits
from apps.control_api.live_runtime.swap import Swap
from lipsync.compositor import Background
from lipsync.engine import DriveStream, Patch
from lipsync.errors import BundleError, ConflictError, InvalidInputError
from lipsync.frame_cycle import BaseClip
from lipsync.mark import MarkSpec, planes
from speech.tts.base import Voice
from tests.apps.control_api.live_runtime.fakes import Client, ToneVoice, until
from tests.fakes.bar_engine import BarEngine, write_bar_bundle

ONE_GROUND, OTHER_GROUND = 150, 70
ONE_BAR, OTHER_BAR = 235, 200


@dataclass(frozen=True)
class Level:
    """A drive of the other engine, of which the first can make nothing."""

    level: float


class OtherStream(DriveStream):
    def __init__(self, inner: DriveStream) -> None:
        self._inner = inner

    def push(self, pcm: Any) -> list[Any]:
        return [Level(d) for d in self._inner.push(pcm)]

    def flush(self) -> list[Any]:
        return [Level(d) for d in self._inner.flush()]

    def reset(self) -> None:
        self._inner.reset()


class OtherEngine(BarEngine):
    """Another person: darker pictures, a darker bar, drives of its own kind."""

    name: ClassVar[str] = "bar"

    @classmethod
    def load(cls, bundle: Path, device: str = "auto") -> OtherEngine:
        clip = BaseClip.load(bundle)
        frames = clip._frames.copy()
        frames[:, : clip.height] -= ONE_GROUND - OTHER_GROUND
        mattes = [clip.alpha(k) for k in range(clip.n)] if clip.keyed else None
        return cls(BaseClip(frames, clip.landmarks, mattes, clip.mirror), 1.0)

    def open_stream(self) -> Any:
        return OtherStream(super().open_stream())

    @property
    def rest(self) -> Any:
        return Level(0.0)

    def infer(self, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        patches = super().infer([(index, drive.level) for index, drive in items])
        for patch in patches:
            patch.i420[patch.i420 == ONE_BAR] = OTHER_BAR
        return patches


def load(path: Path) -> BarEngine:
    return OtherEngine.load(path) if "other" in path.name else BarEngine.load(path)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bar_bundle(tmp_path_factory.mktemp("other") / "other", frames=30, width=192, height=128, keyed=False)


class Watcher:
    """A sink that judges every picture: whose it is, and how long the bar."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, float]] = []
        self.sound: list[np.ndarray] = []
        self.mixed = 0
        self.sizes: set[tuple[int, ...]] = set()

    def take(self, packet: Any) -> None:
        if packet.turn:
            self.sound.append(packet.sound)
        if packet.picture is None:
            return
        self.sizes.add(packet.picture.shape)
        height = packet.picture.shape[0] * 2 // 3
        luma = packet.picture[:height].astype(int)
        ground = int(luma[height // 2, 4])
        one, other = (np.abs(luma - bar) < 8 for bar in (ONE_BAR, OTHER_BAR))
        whose = {True: "one", False: "other"}[abs(ground - ONE_GROUND) < abs(ground - OTHER_GROUND)]
        near = min(abs(ground - ONE_GROUND), abs(ground - OTHER_GROUND))
        wrong, right = (other, one) if whose == "one" else (one, other)
        self.mixed += int(near > 12 or wrong.sum() > 20)
        self.seen.append((whose, packet.turn, float(right.mean())))

    def whose(self) -> list[str]:
        return [whose for whose, _, _ in self.seen]


async def test_another_avatar_in_mid_speech(make_world: Any, other: Path) -> None:
    world = make_world(load=load)
    session = await world.manager.open(world.spec())
    watcher = Watcher()
    session.attach(watcher)
    await until(lambda: len(watcher.seen) > 3)
    turn = await session.say("a" * 40)
    await until(lambda: session.speaking)
    assert len(world.engines) == 1
    await world.manager.swap(session.id, Swap(avatar=other))
    await until(lambda: "other" in watcher.whose())
    assert session.speaking, "the speech goes on through the swap"
    await until(lambda: world.told("turn_ended"), 10)
    await until(lambda: world.engines[0].closed, 5, "for the old avatar to be let go")
    whose = watcher.whose()
    first = whose.index("other")
    assert set(whose[first:]) == {"other"} and set(whose[:first]) == {"one"}
    assert watcher.mixed == 0, "a picture of two people"
    spoken = [(w, bar) for w, t, bar in watcher.seen if t == turn]
    assert max(bar for w, bar in spoken if w == "one") > 0.01 and max(bar for w, bar in spoken if w == "other") > 0.01
    # 40 characters of 100 ms, not one sample lost or said twice: the tone's zero crossings go on evenly.
    sound = np.concatenate(watcher.sound).astype(float)
    loud = np.abs(sound.reshape(-1, 480)).mean(1) > 5000
    assert loud.sum() == pytest.approx(400, abs=4)
    assert watcher.sizes == {(384, 256)}, "the size of the session's pictures stays"
    assert world.told("swapped") and session.stats().gaps == 0 and not world.told("error") + world.told("warning")


async def test_another_avatar_in_quiet_and_unwatched(make_world: Any, other: Path) -> None:
    world = make_world(LiveLimits(unload_after_s=0, max_sessions=2), load=load)
    session = await world.manager.open(world.spec())
    await world.manager.swap(session.id, Swap(avatar=other))
    assert session.host.bundle.name == "other"
    watcher = Watcher()
    session.attach(watcher)
    await until(lambda: "other" in watcher.whose())
    back = world.bundle
    await world.manager.swap(session.id, Swap(avatar=back))
    await until(lambda: watcher.seen[-1][0] == "one")
    await session.say("aaa")
    await until(lambda: world.told("turn_ended"))
    assert watcher.mixed == 0 and world.told("turn_ended")[0]["outcome"] == "spoken"
    assert max(bar for w, _, bar in watcher.seen if w == "one") > 0.01


async def test_what_cannot_be_loaded_leaves_the_old_running(make_world: Any, tmp_path: Path, other: Path) -> None:
    world = make_world(load=load)
    session = await world.manager.open(world.spec())
    watcher = Watcher()
    session.attach(watcher)
    before = session.spec
    with pytest.raises(BundleError):
        await world.manager.swap(session.id, Swap(avatar=tmp_path))
    with pytest.raises(InvalidInputError):  # the other one was not filmed before a screen
        await world.manager.swap(session.id, Swap(avatar=other, background=Background("colour", "#102030")))
    assert session.spec == before and world.manager.hosts.loaded == 1
    await session.say("aaa")
    await until(lambda: world.told("turn_ended"))
    assert set(watcher.whose()) == {"one"} and not world.told("swapped")


async def test_two_swaps_at_once_and_a_session_closed_meanwhile(make_world: Any, other: Path) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    world = make_world(load=load)
    session = await world.manager.open(world.spec())

    async def slowly() -> Any:
        begun.set()
        await go.wait()
        from apps.control_api.live_runtime.swap import load_swap

        return await load_swap(session.spec, Swap(avatar=other), (256, 256), world.manager.hosts, lambda n, s: None)

    swapping = asyncio.create_task(session.swap(slowly))
    await begun.wait()
    with pytest.raises(ConflictError):
        await world.manager.swap(session.id, Swap(avatar=other))
    closing = asyncio.create_task(session.close())
    await closing
    go.set()
    with pytest.raises(ConflictError):
        await swapping
    assert world.manager.hosts.loaded == 0 and all(engine.closed for engine in world.engines)


async def test_a_swap_waits_for_what_the_old_voice_still_says(make_world: Any, other: Path) -> None:
    old = ToneVoice(pace=0.02)
    new = ToneVoice(pace=0.02)
    world = make_world(load=load, voice=old)
    session = await world.manager.open(world.spec())
    watcher = Watcher()
    session.attach(watcher)
    await session.say("We have many here. And others come.")
    await until(lambda: session.speaking)
    world.manager._make_voice = lambda name, settings: new
    await world.manager.swap(session.id, Swap(avatar=other, voice=Voice("tone")))
    await until(lambda: world.told("turn_ended"), 15)
    assert len(old.spoken) == 1 and len(new.spoken) == 1 and old.closed == 1 and new.closed == 0
    first = watcher.whose().index("other")
    # The new face comes with the new voice's first sound, 1.8 s into the speech, neither before nor after.
    said = sum(1 for w, t, _ in watcher.seen[:first] if t)
    assert said == pytest.approx(len(old.spoken[0]) * 2.5, abs=2) and watcher.mixed == 0


async def test_another_background_keeps_the_walk(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    colours: list[int] = []

    class Corner:
        def take(self, packet: Any) -> None:
            if packet.picture is not None:
                colours.append(int(packet.picture[2, 2]))

    session.attach(Corner())
    await until(lambda: len(colours) > 3)
    await world.manager.swap(session.id, Swap(background=Background("colour", "#ffffff")))
    await until(lambda: colours[-1] > 225)
    step = next(k for k, c in enumerate(colours) if c > 225)
    assert max(colours[:step]) < 170 and min(colours[step:]) > 225, "no picture between the two"
    assert len(world.engines) == 1 and not world.engines[0].closed
    pose = session.playout.pose
    assert session.scene.walk.at(pose + 1).shots[0][1] == session.host.engine.base.cycle(pose + 1)


async def test_a_client_sees_the_swap(make_world: Any, other: Path) -> None:
    world = make_world(load=load)
    session = await world.manager.open(world.spec())
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 3, 10)
    await world.manager.swap(session.id, Swap(avatar=other))
    await until(lambda: abs(int(client.pictures[-1].i420[128, 4]) - OTHER_GROUND) < 15, 5)
    assert client.pictures[-1].i420.shape == (384, 256) and session.stats().clients == 1
    await client.close()


def test_a_smaller_or_wider_avatar_fits_with_bars_and_a_full_label() -> None:
    fit = Fit((192, 128), (256, 256), MarkSpec("en"))
    picture = np.full((192, 192), 128, np.uint8)
    picture[:128] = 200
    out = fit.apply(picture)
    assert out.shape == (384, 256)
    top, bottom = 42, 42 + 170
    assert (out[top + 2 : bottom - 4, 100:] == 200).all() and (out[bottom + 4 : 250] == 16).all()
    assert all((plane[-4:] == 128).all() for plane in planes(out, 256))
    assert (out[:top] > 150).sum() > 20, "the label is laid on the session's picture, at its size"
    same = Fit((100, 100), (50, 50), None).apply(np.full((150, 100), 77, np.uint8))
    assert same.shape == (75, 50) and (same[:50] == 77).all()


async def test_no_full_collection_holds_the_loop_up_while_somebody_talks(
    make_world: Any, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc

    world = make_world(LiveLimits(unload_after_s=0, max_sessions=2), load=load)
    collected: list[int] = []
    inner = gc.collect
    monkeypatch.setattr(gc, "collect", lambda *args: collected.append(1) or inner(*args))
    session = await world.manager.open(world.spec())
    assert collected, "the first engine comes in quiet"
    collected.clear()
    await session.say("a" * 20)
    await world.manager.swap(session.id, Swap(avatar=other))
    await until(lambda: world.manager.hosts.loaded == 1, 5)
    assert not collected

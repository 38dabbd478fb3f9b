"""An engine that takes work and does not come back: a warning, then an end by name, and another engine instead."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from apps.control_api.live_runtime.spec import LiveLimits
from lipsync.engine import Patch
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import BarEngine, BarStream


class Stuck(BarEngine):
    """Draws or drives nothing while ``free`` is not set."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.free, self.driving = threading.Event(), threading.Event()
        self.free.set()
        self.driving.set()

    def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
        assert self.free.wait(30)
        return super().infer(items)

    def open_stream(self) -> BarStream:
        engine = self

        class Stream(BarStream):
            def push(self, pcm: Any) -> list[float]:
                assert engine.driving.wait(30)
                return super().push(pcm)

        return Stream(delay=1)


class Eye:
    def __init__(self) -> None:
        self.pictures = 0
        self.held = 0

    def take(self, packet: Any) -> None:
        self.pictures += packet.picture is not None
        self.held += packet.held


async def test_a_slow_batch_is_warned_of_once_and_pictures_are_held(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0, slow_after_s=0.3), load=Stuck.load)
    session = await world.manager.open(world.spec())
    eye = Eye()
    session.attach(eye)
    await until(lambda: eye.pictures > 3)
    world.engines[0].free.clear()
    await session.say("a" * 10)
    await until(lambda: world.told("warning"))
    shown = eye.pictures
    await until(lambda: eye.pictures > shown + 3 and eye.held)
    world.engines[0].free.set()
    await until(lambda: world.told("turn_ended"))
    assert [w["code"] for w in world.told("warning")] == ["engine_slow"] and not world.told("error")
    assert world.told("turn_ended")[0]["outcome"] == "spoken", "the sound went on"


@pytest.mark.parametrize("where", ["free", "driving"])
async def test_an_engine_that_hangs_ends_its_sessions_and_is_replaced(make_world: Any, where: str) -> None:
    limits = LiveLimits(unload_after_s=60, max_sessions=3, slow_after_s=0.1, hung_after_s=0.6)
    world = make_world(limits, load=Stuck.load)
    one, two = await world.manager.open(world.spec()), await world.manager.open(world.spec())
    eye = Eye()
    one.attach(eye)
    two.attach(Eye())
    await until(lambda: eye.pictures > 3)
    hung = world.engines[0]
    getattr(hung, where).clear()
    try:
        await one.say("a" * 20)
        await two.say("b" * 20)
        await until(lambda: not world.manager.list(), 15)
        ends = [e for e in world.told("session_state") if e["state"] == "failed"]
        assert len(ends) == 2 and all("not come back" in e["reason"] for e in ends)
        assert {e["code"] for e in world.told("error")} == {"engine_hung"} and world.told("error")[0]["remedy"]
        assert world.manager.hosts.loaded == 0
        again = await world.manager.open(world.spec())
        again.attach(Eye())
        await again.say("aaa")
        await until(lambda: world.told("turn_ended")[-1]["outcome"] == "spoken", 10)
        assert len(world.engines) == 2 and again.host.engine is world.engines[1]
        assert not hung.closed, "an engine at work is not closed under its thread"
    finally:
        getattr(hung, where).set()
    await until(lambda: hung.closed)

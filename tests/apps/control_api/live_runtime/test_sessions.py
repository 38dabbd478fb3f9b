"""Sessions and their manager: caps, states, faults, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec, SessionSpec
from lipsync.engine import Patch
from lipsync.errors import BundleError, ConflictError, InvalidInputError, NotFoundError, TooManyError
from tests.apps.control_api.live_runtime.fakes import Client, ToneVoice, until
from tests.fakes.bar_engine import BarEngine


class Keeper:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.packets: list[Any] = []

    def take(self, packet: Any) -> None:
        self.packets.append(packet)

    def spoken(self, turn: int) -> int:
        return sum(1 for p in self.packets if p.turn == turn)


class Flaky(BarEngine):
    """Fails to draw while told to; counts and sizes its batches."""

    broken = False

    def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
        if self.broken:
            raise RuntimeError("the device is gone")
        return super().infer(items)


async def test_caps_unknown_ended_and_twice(make_world: Any) -> None:
    world = make_world(LiveLimits(max_sessions=2, unload_after_s=0))
    manager = world.manager
    one = await manager.open(world.spec())
    await manager.open(world.spec())
    with pytest.raises(TooManyError) as refused:
        await manager.open(world.spec())
    assert refused.value.detail == {"open": 2, "max_sessions": 2}
    assert len(world.engines) == 1, "sessions share one engine"
    await asyncio.gather(manager.close(one.id), manager.close(one.id), one.close())
    await manager.close(one.id)
    with pytest.raises(ConflictError):
        manager.get(one.id)
    with pytest.raises(ConflictError):
        await one.say("hello")
    with pytest.raises(ConflictError):
        one.interrupt()
    with pytest.raises(ConflictError):
        await one.offer("", "offer")
    with pytest.raises(NotFoundError):
        manager.get(str(uuid.uuid4()))
    with pytest.raises(NotFoundError):
        await manager.close("no")
    third = await manager.open(world.spec())
    with pytest.raises(ConflictError):
        await manager.open(world.spec(id=third.id))
    assert [s.id for s in manager.list()][-1] == third.id
    states = [(e.session_id, e.data["state"]) for e in world.events if e.kind == "session_state"]
    assert states.count((one.id, "closed")) == 1


async def test_opening_many_at_once_keeps_the_cap(make_world: Any) -> None:
    world = make_world(LiveLimits(max_sessions=3, unload_after_s=0))
    results = await asyncio.gather(*(world.manager.open(world.spec()) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(r, TooManyError) for r in results) == 5 and len(world.manager.list()) == 3
    assert len(world.engines) == 1


async def test_a_bad_avatar_or_voice_leaves_nothing(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    with pytest.raises(BundleError):
        await world.manager.open(world.spec(avatar=tmp_path))
    assert world.manager.list() == [] and world.manager.hosts.loaded == 0
    from lipsync.compositor import Background

    with pytest.raises(InvalidInputError):
        missing = tmp_path / "x.png"
        missing.write_bytes(b"no picture")
        await world.manager.open(world.spec(background=Background("image", path=missing)))
    assert world.manager.hosts.loaded == 0 and world.voice.open == 0


@pytest.mark.parametrize("changes", [{"id": "1"}, {"transport": "smoke"}, {"video_codec": "gif"}, {"video_bitrate": 5}])
def test_a_spec_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        SessionSpec(avatar=Path("x"), **changes)


async def test_say_queues_by_default_and_interrupts_on_request(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    first = await session.say("aaaaa")
    second = await session.say("bbbbb")
    await until(lambda: len(world.told("turn_ended")) == 2)
    turns = [p.turn for p in keeper.packets if p.turn]
    assert turns == sorted(turns) and set(turns) == {first, second}
    third = await session.say("c" * 50)
    await until(lambda: keeper.spoken(third) > 5)
    fourth = await session.say("ddd", interrupt=True)
    await until(lambda: len(world.told("turn_ended")) == 4)
    assert world.told("turn_ended")[2:] == [
        {"turn": third, "outcome": "interrupted"},
        {"turn": fourth, "outcome": "spoken"},
    ]
    assert world.told("turn_first_frame")[-1]["latency_ms"] < 1500
    stats = session.stats()
    passed = stats.turns[-1]
    order = [passed.reply, passed.speak, passed.animate, passed.paint, passed.playout]
    assert order == sorted(order) and passed.outcome == "spoken"


async def test_chat_echo_and_rules(make_world: Any) -> None:
    world = make_world(LiveLimits(max_sessions=4, unload_after_s=0))
    echo = await world.manager.open(world.spec())
    await echo.chat("what was said")
    await until(lambda: world.voice.spoken == ["what was said"])
    told = [event.data for event in world.events if event.kind == "turn_reply"]
    assert told[-1] == {"turn": 1, "text": "what was said", "final": True}
    knowledge = [{"question": "When do you open?", "answer": "We open at nine every morning."}]
    rules = await world.manager.open(world.spec(reply=ReplySpec("rules", {"knowledge": knowledge})))
    await rules.chat("When do you open?")
    await until(lambda: any("nine" in s for s in world.voice.spoken), 10)
    with pytest.raises(NotFoundError):
        await world.manager.open(world.spec(reply=ReplySpec("nobody")))
    assert len(world.manager.list()) == 2


async def test_sound_drives_the_mouth(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    pcm = (0.3 * np.sin(np.arange(44_100) * 0.05)).astype(np.float32)
    turn = await session.audio(pcm, 44_100)
    await until(lambda: world.told("turn_ended"))
    # A second of sound, brought to whole frames, and the closing tail of three.
    await until(lambda: keeper.packets[-1].turn == 0)
    assert keeper.spoken(turn) in (4 * 28, 4 * 29)
    for bad, rate in ((pcm, 100), (pcm[:0], 16_000), (np.zeros(9_000_000, np.float32), 8_000)):
        with pytest.raises(InvalidInputError):
            await session.audio(bad, rate)


async def test_limits_on_text_and_storms(make_world: Any) -> None:
    world = make_world(LiveLimits(max_pending_turns=5, max_text=20, unload_after_s=0))
    session = await world.manager.open(world.spec())
    for text in ("", "  \n", "x" * 21):
        with pytest.raises(InvalidInputError):
            await session.say(text)
    results = await asyncio.gather(*(session.say("hello there") for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(r, TooManyError) for r in results) == 95
    assert len(session.interrupt()) == 5
    await session.say("ok")
    await until(lambda: world.told("turn_ended")[-1]["outcome"] == "spoken")


async def test_a_voice_that_breaks_ends_its_turn_and_the_next_is_spoken(make_world: Any) -> None:
    voice = ToneVoice(fail_after=3)
    world = make_world(voice=voice)
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    turn = await session.say("aaaaaaaaa")
    await until(lambda: world.told("turn_ended"))
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "failed"}]
    assert world.told("error")[0]["code"] == "speech_failed"
    assert keeper.spoken(turn) >= 4 * 7, "what was made before the fault is heard"
    voice.fail_after = None
    await session.say("ok")
    await until(lambda: len(world.told("turn_ended")) == 2)
    assert world.told("turn_ended")[1]["outcome"] == "spoken"


async def test_a_slow_voice_gaps_but_loses_nothing(make_world: Any) -> None:
    world = make_world(voice=ToneVoice(pace=0.15))
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    turn = await session.say("aaaaaaaa")
    await until(lambda: world.told("turn_ended"), 10)
    loud = sum(1 for p in keeper.packets if p.turn == turn and np.abs(p.sound).mean() > 5000)
    assert loud == pytest.approx(80, abs=4) and session.stats().gaps > 0


async def test_an_engine_that_fails_for_a_while_never_stops_the_sound(make_world: Any) -> None:
    world = make_world(load=Flaky.load)
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    await until(lambda: len(keeper.packets) > 10)
    engine = world.engines[0]
    turn = await session.say("a" * 12)
    await until(lambda: keeper.spoken(turn) > 6)
    engine.broken = True
    await asyncio.sleep(0.2)
    engine.broken = False
    await until(lambda: world.told("turn_ended"))
    loud = sum(1 for p in keeper.packets if p.turn == turn and np.abs(p.sound).mean() > 5000)
    assert loud == pytest.approx(120, abs=4) and session.state == "ready"
    assert world.told("warning")[0]["stage"] == "paint"


async def test_an_engine_that_stays_broken_ends_the_session_by_name(make_world: Any) -> None:
    world = make_world(load=Flaky.load)
    session = await world.manager.open(world.spec())
    session.attach(Keeper())
    world.engines[0].broken = True
    await session.say("a" * 60)
    await until(lambda: not world.manager.list(), 10)
    await until(lambda: world.told("session_state")[-1]["state"] == "failed")
    assert session.state == "failed" and "the device is gone" in session.reason
    assert world.told("session_state")[-1]["state"] == "failed"
    assert world.engines[0].closed


async def test_nobody_comes(make_world: Any) -> None:
    world = make_world(LiveLimits(connect_timeout_s=0.5, unload_after_s=0))
    session = await world.manager.open(world.spec())
    await until(lambda: not world.manager.list(), 5)
    assert session.reason == "nobody_came"


async def test_two_sessions_do_not_mix(make_world: Any) -> None:
    world = make_world()
    one, two = await world.manager.open(world.spec()), await world.manager.open(world.spec())
    a, b = Keeper(), Keeper()
    one.attach(a)
    two.attach(b)
    await one.say("aaaaaaaa")
    await until(lambda: world.told("turn_ended"))
    assert not any(p.sound.any() for p in b.packets)
    assert {p.turn for p in b.packets} == {0}
    one.interrupt()
    await two.say("bb")
    await until(lambda: any(p.turn for p in b.packets))


async def test_an_engine_outlives_its_last_user_for_a_while(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0.4))
    session = await world.manager.open(world.spec())
    await session.close()
    again = await world.manager.open(world.spec())
    assert len(world.engines) == 1
    await again.close()
    await until(lambda: world.manager.hosts.loaded == 0, 5)
    assert world.engines[0].closed
    await world.manager.open(world.spec())
    assert len(world.engines) == 2


async def test_shutdown_ends_all(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    client = Client()
    await client.connect(session)
    await until(lambda: client.pictures, 10)
    await session.say("a" * 50)
    await world.manager.shutdown()
    await world.manager.shutdown()
    assert world.engines[0].closed and session.state == "closed"
    with pytest.raises(ConflictError):
        await world.manager.open(world.spec())
    await client.close()
    left = [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("live-")]
    assert not left


async def test_connecting_and_leaving_leaves_nothing(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0, linger_s=0.0))

    async def visit() -> None:
        session = await world.manager.open(world.spec())
        client = Client()
        await client.connect(session)
        await until(lambda: client.pictures and client.sounds, 10)
        await client.close()
        await session.close()

    await visit()
    gc.collect()
    await asyncio.sleep(0.3)
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await visit()
    gc.collect()
    await asyncio.sleep(0.5)
    assert len(asyncio.all_tasks()) <= tasks
    assert threading.active_count() <= threads + 1
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1
    assert len(world.engines) == 6 and all(engine.closed for engine in world.engines)

"""The order in which turns are made: urgent before queued, never torn apart, nothing left of what was cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from apps.control_api.live_runtime.agenda import URGENT, Agenda
from tests.apps.control_api.live_runtime.fakes import until


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_urgent_go_before_what_waits_and_never_into_what_is_made() -> None:
    agenda, begun = Agenda(), []

    def feed(turn: int) -> Callable[[], Awaitable[None]]:
        async def put() -> None:
            begun.append(turn)

        return put

    running = asyncio.create_task(agenda.run())
    for turn in (1, 2, 3):
        agenda.add(turn, feed(turn))
    await settle()
    assert begun == [1], "one after the other"
    agenda.add(4, feed(4), 2)
    agenda.add(5, feed(5), URGENT)
    agenda.add(6, feed(6), URGENT)
    agenda.made(3)
    await settle()
    assert begun == [1], "the end of another turn is not this one's"
    for _ in range(6):
        agenda.made(begun[-1])
        await settle()
    assert begun == [1, 5, 6, 2, 3, 4]
    agenda.add(7, feed(7))
    agenda.add(8, feed(8))
    await settle()
    agenda.cut()
    agenda.add(9, feed(9))
    await settle()
    assert begun[6:] == [7, 9], "what was cut is gone, what comes after is made"
    running.cancel()
    await asyncio.wait({running})
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "live-agenda-turn"]


async def test_an_urgent_reply_is_heard_before_queued_ones_and_stops_nobody(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    heard: list[int] = []

    class Ear:
        def take(self, packet: Any) -> None:
            if packet.turn and packet.turn not in heard:
                heard.append(packet.turn)

    session.attach(Ear())
    # 2.6 s: the second turn is not yet taken up when the fourth comes.
    one = await session.say("a" * 26)
    two, three = await session.say("bb"), await session.say("cc")
    await until(lambda: session.speaking)
    four = await session.chat("dd", interrupt=False, urgency=URGENT)
    await until(lambda: len(world.told("turn_ended")) == 4, 10)
    assert heard == [one, four, two, three] and world.voice.spoken == ["a" * 26, "dd", "bb", "cc"]
    assert {e["outcome"] for e in world.told("turn_ended")} == {"spoken"} and session.stats().gaps == 0


async def test_sound_that_still_comes_is_not_torn_apart_by_what_is_said_meanwhile(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    turns: list[int] = []

    class Ear:
        def take(self, packet: Any) -> None:
            if packet.turn and np.abs(packet.sound).mean() > 2000:
                turns.append(packet.turn)

    session.attach(Ear())
    stream = session.stream_sound(16_000)
    piece = (0.3 * np.sin(np.arange(3200) * 0.2)).astype(np.float32)
    await stream.put(piece)
    await until(lambda: turns)
    after = await session.say("aa", urgency=URGENT)
    for _ in range(3):
        await stream.put(piece)
    await stream.end()
    await until(lambda: len(world.told("turn_ended")) == 2, 10)
    assert turns == sorted(turns) and {*turns} == {stream.turn, after} and world.voice.spoken == ["aa"]
    assert abs(turns.count(stream.turn) - 80) <= 4

"""Scripts while nobody asks: no pause between sentences, answers in between, weights, and an end."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from apps.control_api.live_runtime.programme import PAUSE, Item, Programme
from lipsync.errors import InvalidInputError
from tests.apps.control_api.live_runtime.fakes import until

ONE = Item("one", "First this. Then that. And so on.")
TWO = Item("two", "Another script begins here. It ends there.")


class Keeper:
    def __init__(self) -> None:
        self.turns: list[int] = []

    def take(self, packet: Any) -> None:
        if packet.number % 4 == 0:
            self.turns.append(packet.turn)


async def test_sentences_follow_each_other_and_an_answer_slips_in_between(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    await session.play([ONE], "loop")
    await until(lambda: len(world.voice.spoken) >= 2, 15)
    between = keeper.turns[keeper.turns.index(1) :]
    asked = len(world.voice.spoken)
    turn = await session.chat("How much?", interrupt=False)
    await until(lambda: "How much?" in world.voice.spoken, 10)
    assert world.voice.spoken.index("How much?") - asked <= 1, "at most one sentence waits before an answer"
    await until(lambda: len(world.voice.spoken) >= asked + 4, 25)
    said = [s for s in world.voice.spoken if s != "How much?"]
    wanted = ["First this.", "Then that.", "And so on."] * 3
    assert said == wanted[: len(said)], "the programme goes on where it was"
    answered = keeper.turns[keeper.turns.index(turn) :]
    after = answered[answered.index(turn) + answered.count(turn) :]
    assert after[:PAUSE].count(0) >= PAUSE - 2, "after an answer there is a breath"
    assert all(e["outcome"] == "spoken" for e in world.told("turn_ended"))
    assert between and session.stats().gaps == 0
    await session.stop_playing()
    count = len(world.voice.spoken)
    await until(lambda: not session.waiting(), 10)
    assert len(world.voice.spoken) == count


async def test_one_sentence_leads_into_the_next_without_a_pause(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    keeper = Keeper()
    session.attach(keeper)
    await session.play([ONE], "once")
    await until(lambda: world.told("programme") and world.told("programme")[-1]["script_id"] == "", 20)
    await until(lambda: not session.waiting(), 10)
    spoken = keeper.turns[keeper.turns.index(1) : len(keeper.turns) - keeper.turns[::-1].index(3)]
    assert [t for t in (1, 2, 3) if t in spoken] == [1, 2, 3]
    assert spoken.count(0) <= 6, "pauses between the sentences of a script"


async def test_an_interrupt_is_a_pause_and_not_the_end(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    session.attach(Keeper())
    await session.play([ONE], "loop")
    await until(lambda: session.speaking, 10)
    session.interrupt()
    assert not session.speaking
    await until(lambda: session.speaking, 10)


class Ears:
    """As much of a session as a programme needs, at once."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def say(self, text: str, interrupt: bool = False) -> int:
        self.said.append(text)
        return len(self.said)

    def waiting(self) -> list[int]:
        return []

    def nearly_over(self, frames: int) -> bool:
        return True


async def test_weights_decide_how_often_and_never_twice_running() -> None:
    ears, items = Ears(), []
    scripts = [Item("a", "a", 8.0), Item("b", "b", 1.0), Item("c", "c", 1.0)]
    programme = Programme(ears, scripts, "random", items.append, random.Random(5))
    for _ in range(300):
        await programme._next()
    assert all(x != y for x, y in pairwise(items))
    assert items.count("a") > 1.5 * max(items.count("b"), items.count("c")) and ears.said == items
    with pytest.raises(InvalidInputError):
        Programme(ears, [Item("x", "  ")], "loop", items.append)

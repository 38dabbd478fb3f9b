"""What goes wrong around a session that talks: networks, model servers, voices, engines. It goes on, or says why."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec
from lipsync.engine import Patch
from tests.apps.control_api.live_runtime.fakes import Client, ToneVoice, until
from tests.fakes.bar_engine import BarEngine, bar_length
from tests.fakes.http_server import Answer, Request, serving
from tests.speech.llm.test_chat import sse


class Weather:
    """A bad network between two peers: every datagram of a client, either way, may be lost or come late."""

    def __init__(self, client: Client, seed: int = 1) -> None:
        self.loss, self.jitter_s = 0.0, 0.0
        self.passed = self.lost = 0
        self._chance = random.Random(seed)
        transport = client.connection.getTransceivers()[0].sender.transport.transport
        for protocol in transport._connection._protocols:
            protocol.datagram_received = self._under(protocol.datagram_received)
            protocol.transport.sendto = self._under(protocol.transport.sendto)

    def _under(self, inner: Callable[..., None]) -> Callable[..., None]:
        def passing(data: bytes, addr: Any) -> None:
            if self._chance.random() < self.loss:
                self.lost += 1
                return
            self.passed += 1
            late = self._chance.random() * self.jitter_s
            if late:
                asyncio.get_running_loop().call_later(late, inner, data, addr)
            else:
                inner(data, addr)

        return passing


async def watched(world: Any, **spec: Any) -> tuple[Any, Client, Weather]:
    session = await world.manager.open(world.spec(**spec))
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 5 and client.sounds, 10)
    return session, client, Weather(client)


@pytest.mark.parametrize(("loss", "jitter_s"), [(0.05, 0.0), (0.0, 0.3), (0.05, 0.3)])
async def test_a_bad_network_ends_nothing_and_good_weather_brings_all_back(
    make_world: Any, loss: float, jitter_s: float
) -> None:
    world = make_world()
    session, client, weather = await watched(world)
    base = session.host.engine.base
    weather.loss, weather.jitter_s = loss, jitter_s
    turn = await session.say("aaaa aaaa aaaa aaaa")
    await until(lambda: world.told("turn_ended"), 10)
    assert weather.passed and (weather.lost or not loss)
    weather.loss = weather.jitter_s = 0.0
    await asyncio.sleep(0.5)
    heard, seen = len(client.sounds), len(client.pictures)
    await session.say("aaaaaaaaaa")
    await until(lambda: len(world.told("turn_ended")) == 2, 10)
    await until(lambda: any(bar_length(p.i420, base) > 0.5 for p in client.pictures[seen:]), 5)
    await until(
        lambda: sum(np.abs(s.astype(float)).mean() > 4000 for _, _, s in client.sounds[heard:]) >= 90,
        5,
        "for the sound",
    )
    assert session.state == "live" and world.told("turn_ended")[0] == {"turn": turn, "outcome": "spoken"}
    assert not world.told("error") and session.stats().gaps == 0
    await client.close()


async def test_a_network_that_is_gone_for_a_while_comes_back(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0, lost_after_s=6.0))
    session, client, weather = await watched(world)
    weather.loss = 1.0
    await session.say("a" * 10)
    await until(lambda: world.told("turn_ended"), 10)
    seen = len(client.pictures)
    weather.loss = 0.0
    await until(lambda: len(client.pictures) >= seen + 10, 10, "for pictures after the gap")
    assert session.state == "live" and not world.told("warning")
    await client.close()


async def test_a_network_that_stays_gone_frees_the_client_and_the_session_says_so(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0, lost_after_s=1.0, linger_s=0.2))
    session, client, weather = await watched(world)
    weather.loss = 1.0
    await until(lambda: not world.manager.list(), 10, "for the lost client to be noticed")
    assert [w["code"] for w in world.told("warning")] == ["client_lost"] and session.reason == "nobody_watches"
    await client.close()


@pytest.mark.parametrize("fault", ["500", "hang", "garbage", "drop"])
async def test_a_model_server_that_fails_costs_one_answer(make_world: Any, fault: str) -> None:
    faulty = True

    async def handler(request: Request, answer: Answer) -> None:
        if not faulty:
            await answer.start(kind="text/event-stream")
            await answer.send(sse(["aaa."]))
            await answer.end()
        elif fault == "500":
            await answer.whole('{"error": "out of memory"}', 500)
        elif fault == "garbage":
            await answer.whole(b"\x00\xff<html>nonsense", 200, "text/event-stream")
        elif fault == "drop":
            await answer.start(kind="text/event-stream")
            await answer.send(sse(["aaa. Half a"], done=False))
            answer.drop()
        else:
            await answer.stall()

    async with serving(handler) as server:
        world = make_world()
        settings = {
            "base_url": server.url, "model": "m", "attempts": 1,
            "timeouts": {"connect_s": 1.0, "first_s": 0.4, "stall_s": 0.4},
        }  # fmt: skip
        session = await world.manager.open(world.spec(reply=ReplySpec("openai", settings)))
        turn = await session.chat("hello")
        await until(lambda: world.told("turn_ended"), 15)
        assert world.told("turn_ended") == [{"turn": turn, "outcome": "failed"}]
        assert world.told("error")[0]["stage"] == "reply" and world.told("error")[0]["remedy"]
        faulty = False
        await session.chat("hello again")
        await until(lambda: len(world.told("turn_ended")) == 2, 15)
        assert world.told("turn_ended")[1]["outcome"] == "spoken" and world.voice.spoken[-1] == "aaa."
        assert await server.all_closed()


async def test_a_voice_that_stalls_in_mid_sentence_costs_one_turn(make_world: Any) -> None:
    voice = ToneVoice(stall_after=5)
    world = make_world(voice=voice)
    session = await world.manager.open(world.spec())
    session.line.speak_stage._stall_s = 0.3
    heard = []

    class Ear:
        def take(self, packet: Any) -> None:
            heard.append(bool(np.abs(packet.sound).mean() > 4000))

    session.attach(Ear())
    turn = await session.say("aaaaaaaaaaaa")
    await until(lambda: world.told("turn_ended"), 10)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "failed"}] and voice.open == 0
    assert world.told("error")[0]["stage"] == "speak"
    assert sum(heard) == pytest.approx(50, abs=4), "what was said before the stall is heard"
    voice.stall_after = None
    await session.say("bbb")
    await until(lambda: len(world.told("turn_ended")) == 2, 10)
    assert world.told("turn_ended")[1]["outcome"] == "spoken"


class Full(BarEngine):
    """A device whose memory is full for a while."""

    full = False

    def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
        if self.full:
            raise MemoryError("out of memory on the device")
        return super().infer(items)


async def test_a_device_whose_memory_is_full_ends_one_session_by_name_and_not_the_others(make_world: Any) -> None:
    world = make_world(LiveLimits(unload_after_s=0, max_sessions=2), load=Full.load)
    session = await world.manager.open(world.spec())

    class Nobody:
        def take(self, packet: Any) -> None:
            pass

    session.attach(Nobody())
    await until(lambda: session.playout.number > 3)
    world.engines[0].full = True
    await session.say("a" * 60)
    await until(lambda: session.state == "failed", 10)
    assert "out of memory" in session.reason
    await until(lambda: not world.manager.list(), 5)
    again = await world.manager.open(world.spec())
    again.attach(Nobody())
    await again.say("aaa")
    await until(lambda: world.told("turn_ended")[-1]["outcome"] == "spoken", 10)


async def test_two_sessions_share_batches_and_nothing_else(make_world: Any) -> None:
    """Different texts in two sessions at once: each client gets its own sound and its own mouth."""
    sizes: list[int] = []

    class Counted(BarEngine):
        def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
            sizes.append(len(items))
            return super().infer(items)

    world = make_world(LiveLimits(unload_after_s=0, max_sessions=2), load=Counted.load)
    one, two = await world.manager.open(world.spec()), await world.manager.open(world.spec())
    base = one.host.engine.base
    rows: dict[int, list[tuple[bool, bool]]] = {1: [], 2: []}

    class Eye:
        def __init__(self, number: int) -> None:
            self.number, self.sound = number, []

        def take(self, packet: Any) -> None:
            self.sound.append(float(np.abs(packet.sound).mean()))
            if packet.picture is not None:
                self.picture = packet.picture
            if len(self.sound) % 4 == 0 and packet.turn and not packet.held:
                loud = min(self.sound[-4:]) > 4000, max(self.sound[-4:]) < 50
                if any(loud):
                    rows[self.number].append((loud[0], bar_length(self.picture, base) > 0.4))

    one.attach(Eye(1))
    two.attach(Eye(2))
    await asyncio.gather(one.say("aaa   aaa   aaa   aaa"), two.say("   aaa   aaa   aaa   a"))
    await until(lambda: len(world.told("turn_ended")) == 2, 15)
    for number in (1, 2):
        agree = np.mean([loud == open_ for loud, open_ in rows[number]])
        assert len(rows[number]) > 20 and agree > 0.85, f"session {number} moves its mouth to another's words"
    assert len(world.engines) == 1 and max(sizes) > 2, "requests of both were drawn together"

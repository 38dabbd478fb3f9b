"""Talking to a live session through a real WebRTC microphone: turns, barge-in, echo, and what must not be heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.ear import ListenSpec
from speech.tts.base import Voice
from tests.apps.control_api.live_runtime.fakes import until
from tests.apps.control_api.live_runtime.talking import Loudspeaker, Talker, spoken

ASKED = "What can you do?"
PHRASES = (ASKED, "How long does the battery last?", "Tell me about the warranty.")


@pytest.fixture
def open_talk(make_world: Callable[..., Any]) -> Callable[..., Any]:
    async def opened(voice: Any = None, **listen: Any) -> tuple[Any, Any, Talker]:
        world = make_world(voice=voice)
        spec = ListenSpec(**{"language": "en", "phrases": PHRASES, **listen})
        session = await world.manager.open(world.spec(listen=spec, voice=Voice("local", "female", "en")))
        talker = Talker()
        await talker.connect(session)
        await until(lambda: len(talker.pictures) >= 3 and len(talker.sounds) >= 5, 20)
        return world, session, talker

    return opened


async def settled(talker: Talker, packets: int = 40) -> None:
    """Wait until everything put into the microphone was sent, and a while more of room noise."""
    await until(lambda: talker.microphone.quiet, 30)
    sent = talker.microphone.sent
    await until(lambda: talker.microphone.sent > sent + packets, 30)


async def test_noise_does_nothing_and_a_question_becomes_a_turn(open_talk: Any) -> None:
    world, session, talker = await open_talk()
    random, rate = np.random.default_rng(1), 48_000
    click = np.zeros(rate // 3)
    click[1000:1100] = 0.9
    typing = np.concatenate([np.r_[random.normal(0, 0.3, 900) * np.exp(-np.arange(900) / 200), np.zeros(4000)]] * 3)
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(rate // 2) / rate)
    for sound in (random.normal(0, 0.1, rate // 2), click, typing, hum):
        talker.microphone.speak(sound.astype(np.float32))
    await settled(talker)
    assert not world.told("user_speech_started")
    assert not world.told("turn_started")

    talker.microphone.speak(spoken(ASKED))
    await until(lambda: world.told("turn_first_frame"), 20)
    words = world.told("transcript")
    assert words[-1]["text"] == ASKED
    assert [w["final"] for w in words] == [False] * (len(words) - 1) + [True]
    assert len(words) > 1, "guesses come while one speaks"
    kinds = [e.kind for e in world.events]
    assert kinds.index("user_speech_started") < kinds.index("transcript") < kinds.index("user_speech_ended")
    assert kinds.index("user_speech_ended") < kinds.index("turn_started")
    await until(lambda: world.told("turn_ended"), 20)
    assert world.told("turn_ended")[0]["outcome"] == "spoken"
    assert world.voice.spoken == [ASKED], "the echo replier says what it heard"
    [turn] = session.stats().turns
    assert turn.capture is not None and turn.capture >= 100
    assert turn.recognise is not None and turn.recognise >= 0
    await talker.close()


async def test_speaking_over_the_avatar_stops_it_and_a_recogniser_that_dies_costs_one_utterance(open_talk: Any) -> None:
    world, session, talker = await open_talk()
    turn = await session.say("a" * 80)
    await until(lambda: talker.sounds and np.abs(talker.sounds[-1][2]).mean() > 4000, 10)
    talker.microphone.speak(spoken(ASKED))
    await until(lambda: world.told("turn_ended"), 20)
    assert world.told("turn_ended")[0] == {"turn": turn, "outcome": "interrupted"}
    started = world.told("user_speech_started")[0]
    assert started == {"utterance": 1, "interrupts": True}
    await until(lambda: world.voice.open == 0, 5, "the voice still speaks")
    await until(lambda: np.abs(talker.sounds[-1][2]).mean() < 300, 5)
    await until(lambda: any(w["final"] for w in world.told("transcript")), 20)
    assert world.told("transcript")[-1]["text"] == ASKED
    await until(lambda: len(world.told("turn_ended")) == 2, 20)

    talker.microphone.speak(spoken(ASKED))
    await until(lambda: world.told("transcript")[-1]["utterance"] == 2, 20)
    session.listener._recogniser._process.kill()
    await until(lambda: world.told("warning"), 20)
    warning = world.told("warning")[0]
    assert warning["stage"] == "recognise"
    assert warning["code"] == "speech_failed"
    assert warning["remedy"]
    assert session.state == "live"
    await settled(talker, 20)
    talker.microphone.speak(spoken(ASKED))
    await until(lambda: len(world.told("turn_first_frame")) == 3, 30)
    assert len(world.told("warning")) == 1
    await talker.close()


async def test_without_barge_in_it_is_deaf_while_it_speaks_and_push_to_talk_while_the_key_is_up(open_talk: Any) -> None:
    world, session, talker = await open_talk(barge_in=False)
    turn = await session.say("a" * 25)
    await until(lambda: talker.sounds and np.abs(talker.sounds[-1][2]).mean() > 4000, 10)
    talker.microphone.speak(spoken(ASKED))
    await until(lambda: world.told("turn_ended"), 20)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "spoken"}]
    assert not world.told("user_speech_started")

    session.listener.enable(False)
    talker.microphone.speak(spoken(ASKED))
    await settled(talker, 20)
    assert not world.told("user_speech_started")
    session.listener.enable(True)
    talker.microphone.speak(np.tile(spoken(ASKED), 4))
    await until(lambda: world.told("transcript"), 20)
    assert not talker.microphone.quiet, "the key is let go in mid-sentence"
    session.listener.enable(False)
    await until(lambda: any(w["final"] for w in world.told("transcript")), 20)
    assert len(world.told("user_speech_ended")) == 1
    await talker.close()


async def test_the_avatar_does_not_hear_itself_but_hears_who_speaks_over_it(open_talk: Any) -> None:
    from speech.tts.local import LocalSpeech

    world, session, talker = await open_talk(voice=LocalSpeech())
    talker.microphone.echo = Loudspeaker(talker, 0.12)
    turn = await session.say("Our new headphones are light, and they last for thirty hours.")
    await until(lambda: world.told("turn_ended"), 30)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "spoken"}]
    assert not world.told("user_speech_started"), "the avatar heard itself"
    await settled(talker, 25)
    assert not world.told("user_speech_started")
    second = await session.say("Welcome to the show! Today I have three things for you, and the last one is free. " * 2)
    await until(lambda: len(world.told("turn_first_frame")) == 2, 10)
    talker.microphone.speak(spoken(ASKED))
    await until(lambda: len(world.told("turn_ended")) == 2, 30)
    assert world.told("turn_ended")[1] == {"turn": second, "outcome": "interrupted"}
    await talker.close()


async def test_a_recogniser_that_cannot_start_is_told_and_the_session_goes_on(open_talk: Any) -> None:
    world, session, talker = await open_talk(backend="whisper", settings={"model": "/nowhere"})
    [warning] = world.told("warning")
    assert "whisper" in warning["message"]
    assert "model" in warning["remedy"]
    turn = await session.say("aaa")
    await until(lambda: world.told("turn_ended"), 10)
    assert world.told("turn_ended") == [{"turn": turn, "outcome": "spoken"}]
    await talker.close()


async def test_a_client_that_leaves_ends_its_utterance_and_closing_leaves_nothing(
    open_talk: Any,
) -> None:
    world, session, talker = await open_talk(act="tell")
    talker.microphone.speak(np.tile(spoken(ASKED), 4))
    await until(lambda: world.told("user_speech_started"), 20)
    await talker.close()
    await until(lambda: world.told("user_speech_ended"), 20)

    again = Talker()
    await again.connect(session)
    again.microphone.speak(np.tile(spoken(ASKED), 4))
    await until(lambda: len(world.told("user_speech_started")) == 2, 20)
    process = session.listener._recogniser._process
    await world.manager.close(session.id)
    assert process.returncode is not None
    assert not [t for t in asyncio.all_tasks() if t.get_name() in ("live-listen", "live-recognise", "live-microphone")]
    await again.close()


async def test_a_client_without_a_microphone_is_not_heard_and_a_session_without_ears_declines(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    talker = Talker()
    await talker.connect(session)
    await until(lambda: len(talker.pictures) >= 3, 20)
    [audio] = [t for t in talker.connection.getTransceivers() if t.kind == "audio"]
    assert audio.currentDirection == "recvonly"
    talker.microphone.speak(spoken(ASKED))
    assert session.listener is None
    await talker.close()


async def test_an_unknown_recogniser_is_refused(make_world: Any) -> None:
    from lipsync.errors import NotFoundError

    world = make_world()
    with pytest.raises(NotFoundError):
        await world.manager.open(world.spec(listen=ListenSpec(backend="nobody")))
    assert not world.manager.list()


async def test_sound_that_still_comes_drives_the_mouth(make_world: Any) -> None:
    from tests.apps.control_api.live_runtime.fakes import Client, tone
    from tests.fakes.bar_engine import bar_length

    world = make_world()
    session = await world.manager.open(world.spec())
    base = session.host.engine.base
    client = Client()
    await client.connect(session)
    await until(lambda: len(client.pictures) >= 3, 20)
    stream = session.stream_sound(16_000)
    for _ in range(10):
        assert await stream.put(tone(0.1, 16_000, 0.35))
    await until(lambda: any(bar_length(p.i420, base) > 0.5 for p in client.pictures), 10)
    assert not world.told("turn_ended"), "the turn is open while sound may come"
    await stream.end()
    await until(lambda: world.told("turn_ended"), 10)
    assert world.told("turn_ended") == [{"turn": stream.turn, "outcome": "spoken"}]
    await client.close()


async def test_a_sound_stream_waits_for_the_mouth_and_ends_with_an_interrupt(make_world: Any) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    stream = session.stream_sound(16_000)
    put = 0

    async def flood() -> None:
        nonlocal put
        while await stream.put(np.full(16_000, 0.1, np.float32)):
            put += 1

    flooding = asyncio.create_task(flood())
    await until(lambda: session.playout.buffered >= 50, 10)
    before = -1
    while before != put:
        before = put
        for _ in range(20):
            await asyncio.sleep(0)
    assert put < 150, "a sender must not fill the memory"
    session.interrupt()
    async with asyncio.timeout(5):
        await flooding
    await stream.end()
    assert world.told("turn_ended")[-1]["outcome"] == "interrupted"

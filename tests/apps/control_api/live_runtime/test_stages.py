"""Each stage as a function of frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.frames import (
    ChatFrame,
    DrivenFrame,
    Frame,
    PcmFrame,
    SoundEndFrame,
    SoundFrame,
    TextEndFrame,
    TextFrame,
    TurnEndFrame,
)
from apps.control_api.live_runtime.stage import Stage, StageRunner
from apps.control_api.live_runtime.stages.animate import TAIL, AnimateStage
from apps.control_api.live_runtime.stages.reply import EchoReplier, ReplyStage
from apps.control_api.live_runtime.stages.speak import SpeakStage
from apps.control_api.live_runtime.turns import Turns
from speech.errors import SpeechTimeoutError
from speech.tts.base import Voice
from tests.apps.control_api.live_runtime.fakes import Streams, ToneVoice, tone, until
from tests.fakes.bar_engine import BarStream


async def run(stage: Stage, *frames: Frame) -> list[Frame]:
    return [out for frame in frames async for out in stage.handle(frame)]


def token(turn: int) -> asyncio.Event:
    return asyncio.Event()


async def here(call: Any, *args: Any) -> Any:
    return call(*args)


async def test_reply_answers_chat_and_passes_the_rest() -> None:
    stage = ReplyStage(EchoReplier(), token)
    out = await run(stage, ChatFrame(1, "hello"), TextFrame(2, "as it is"))
    assert [type(f) for f in out] == [TextFrame, TextEndFrame, TextFrame]
    assert out[0].text == "hello" and [f.turn for f in out] == [1, 1, 2]


class _Slow:
    """Answers word by word, each when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def reply(self, text: str, cancel: asyncio.Event) -> AsyncIterator[str]:
        yield "Good "
        yield "day"
        await self.go.wait()
        yield ", dear guest."

    async def warm_up(self) -> None:
        """Nothing is slow."""

    async def close(self) -> None:
        """Nothing is held."""


async def test_the_answer_is_told_as_it_comes_and_once_it_is_whole_or_cut_off() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    stage = ReplyStage(_Slow(), token, lambda kind, **data: told.append((kind, data)))
    await run(stage, TextFrame(1, "as it is"))
    assert told == []
    answer = stage.handle(ChatFrame(2, "hello"))
    await anext(answer)
    assert told == [("turn_reply", {"turn": 2, "text": "Good ", "final": False})]
    await anext(answer)
    await answer.aclose()
    assert told[-1] == ("turn_reply", {"turn": 2, "text": "Good day", "final": True}) and len(told) == 2
    whole = _Slow()
    whole.go.set()
    stage = ReplyStage(whole, token, lambda kind, **data: told.append((kind, data)))
    await run(stage, ChatFrame(3, "hello"))
    assert told[-1] == ("turn_reply", {"turn": 3, "text": "Good day, dear guest.", "final": True})


async def test_speak_cuts_sentences_and_loses_no_sample() -> None:
    voice = ToneVoice()
    stage = SpeakStage(voice, Voice("tone"), token)
    out = await run(stage, TextFrame(1, "One two. Thr"), TextFrame(1, "ee four."), TextEndFrame(1))
    assert voice.spoken == ["One two.", "Three four."]
    sound = [f for f in out if isinstance(f, SoundFrame)]
    assert isinstance(out[-1], SoundEndFrame) and len(sound) == len(out) - 1
    seconds = 0.1 * len("One two.Three four.")
    assert sum(len(f.heard) for f in sound) == pytest.approx(seconds * 48_000, abs=2)
    assert sum(len(f.driving) for f in sound) == pytest.approx(seconds * 16_000, abs=2)
    assert max(len(f.heard) for f in sound) <= 48_000 * 0.15


async def test_joins_between_chunks_are_not_heard() -> None:
    stage = SpeakStage(ToneVoice(), Voice("tone"), token)
    whole = tone(2.0, 22_050, 0.3, 220.0)
    pieces = [PcmFrame(1, part, 22_050) for part in np.array_split(whole, 37)]
    out = await run(stage, *pieces, TextEndFrame(1))
    heard = np.concatenate([f.heard for f in out if isinstance(f, SoundFrame)])
    want = tone(2.0, 48_000, 0.3, 220.0)
    inner = slice(2000, -2000)
    assert np.abs(heard[: len(want)][inner] - want[inner]).max() < 2e-3


async def test_a_silent_voice_is_an_error_after_its_time() -> None:
    voice = ToneVoice(stall_after=1)
    stage = SpeakStage(voice, Voice("tone"), token, stall_s=0.1)
    with pytest.raises(SpeechTimeoutError):
        await run(stage, TextFrame(1, "Hello there."), TextEndFrame(1))
    assert voice.open == 0


@pytest.mark.parametrize("samples", [1, 22_050, 30_001])
async def test_animate_pairs_each_40_ms_with_its_own_drive(samples: int) -> None:
    stage = AnimateStage(Streams(lambda: BarStream(delay=2)), here)
    loud = tone(samples / 22_050, 22_050, 0.4)
    speak = SpeakStage(ToneVoice(), Voice("tone"), token)
    sound = await run(speak, PcmFrame(1, loud, 22_050), TextEndFrame(1))
    out = await run(stage, *sound)
    driven = [f for f in out if isinstance(f, DrivenFrame)]
    assert isinstance(out[-1], TurnEndFrame)
    frames = -(-samples * 25 // 22_050)
    assert len(driven) in (frames + TAIL, frames + TAIL + 1)
    for frame in driven[: samples * 25 // 22_050]:
        level = np.sqrt(np.mean((frame.sound / 32767.0) ** 2))
        assert frame.drive == pytest.approx(min(1.0, level / 0.3), abs=0.1)
    assert [f.weight for f in driven[-TAIL:]] == [0.75, 0.5, 0.25]
    assert not driven[-1].sound.any()


async def test_animate_begins_anew_after_an_interrupt() -> None:
    stage = AnimateStage(Streams(lambda: BarStream(delay=2)), here)
    speak = SpeakStage(ToneVoice(), Voice("tone"), token)
    await run(stage, *(await run(speak, PcmFrame(1, tone(0.5, 48_000, 0.4), 48_000)))[:3])
    sound = await run(speak, PcmFrame(2, tone(0.2, 48_000, 0.0), 48_000), TextEndFrame(2))
    out = [f for f in await run(stage, *sound) if isinstance(f, DrivenFrame)]
    assert out and max(f.drive for f in out) == 0 and not any(f.sound.any() for f in out)


async def test_an_empty_turn_ends() -> None:
    speak, animate = SpeakStage(ToneVoice(), Voice("tone"), token), AnimateStage(Streams(lambda: BarStream(2)), here)
    out = await run(animate, *(await run(speak, TextEndFrame(1))))
    assert [type(f) for f in out] == [TurnEndFrame]


class Slow(Stage):
    name = "slow"

    async def handle(self, frame: Frame) -> Any:
        if getattr(frame, "text", "") == "bad":
            raise ValueError("broken")
        yield frame
        await asyncio.sleep(30)
        yield frame

    def ending(self, turn: int) -> Frame:
        return TextEndFrame(turn)


async def test_a_runner_drops_stale_frames_cuts_work_and_outlives_errors() -> None:
    turns, got, errors = Turns(), [], []

    async def put(frame: Frame) -> None:
        got.append(frame)

    runner = StageRunner(Slow(), turns, put, lambda stage, turn, error: errors.append((stage, turn, str(error))))
    task = asyncio.create_task(runner.run())
    one, two = turns.begin().number, turns.begin().number
    await runner.put(TextFrame(one, "x"))
    await runner.put(TextFrame(two, "never"))
    await until(lambda: got)
    turns.interrupt()
    runner.cut()
    three = turns.begin().number
    await runner.put(TextFrame(three, "bad"))
    await until(lambda: errors)
    four = turns.begin().number
    await runner.put(TextFrame(four, "x"))
    await until(lambda: len(got) == 3)
    assert [(type(f), f.turn) for f in got] == [(TextFrame, one), (TextEndFrame, three), (TextFrame, four)]
    assert errors == [("slow", three, "broken")]
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()

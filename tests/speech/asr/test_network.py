"""Recognisers behind a network against local servers that speak their protocols over real sockets, with faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from speech.asr.base import RATE, Hints, Pcm, Recogniser, Transcript
from speech.asr.registry import create
from speech.errors import SpeechAuthError, SpeechError, SpeechProtocolError, SpeechTimeoutError
from tests.fakes import asr_services
from tests.fakes.asr_services import SECRET, Plan

TIMEOUTS = {"connect_s": 1.0, "first_s": 0.4, "stall_s": 0.4}
SOUND = (0.3 * np.sin(np.arange(RATE * 2) / 9)).astype(np.float32)
both = pytest.mark.parametrize("name", ["openai", "funasr"])


@asynccontextmanager
async def service(name: str, plan: Plan, **settings: Any) -> AsyncIterator[Recogniser]:
    async with getattr(asr_services, name)(plan) as served:
        url = served if isinstance(served, str) else f"{served.url}/v1"
        more = {"quiet_s": 0.3} if name == "funasr" else {}
        recogniser = create(name, {"base_url": url, "api_key": SECRET, "timeouts": TIMEOUTS, **more, **settings})
        try:
            yield recogniser
        finally:
            await recogniser.close()


async def pieces(sound: Pcm = SOUND) -> AsyncIterator[Pcm]:
    for start in range(0, len(sound), 512):
        yield sound[start : start + 512]
        await asyncio.sleep(0)


CHINESE = Hints("zh")


async def heard(recogniser: Recogniser, hints: Hints = CHINESE) -> list[Transcript]:
    return [t async for t in recogniser.recognise(pieces(), hints, asyncio.Event())]


@both
async def test_the_words_come_and_the_sound_arrives_whole(name: str) -> None:
    plan = Plan()
    async with service(name, plan) as recogniser:
        got = await heard(recogniser, Hints("zh", ("续航有多久", "多少钱")))
    assert [t.final for t in got] == [False] * (len(got) - 1) + [True]
    assert got[-1] == Transcript("续航有多久", True, "zh")
    assert len(plan.sound) == len(SOUND)
    assert np.abs(plan.sound / 32767 - SOUND).max() < 1e-3
    if name == "openai":
        assert plan.settings["language"] == "zh"
        assert "多少钱" in plan.settings["prompt"]
    else:
        assert (plan.settings["mode"], plan.settings["chunk_size"]) == ("2pass", [5, 10, 5])
        assert "多少钱" in plan.settings["hotwords"]
        assert set(plan.sizes[:-1]) == {1920}, "60 ms a message"
        assert [t.text for t in got[:-1]][:2] == ["续", "续航"]


@pytest.mark.parametrize("ending", ["is_end", "offline", "nothing"])
async def test_every_way_a_funasr_service_ends(ending: str) -> None:
    async with service("funasr", Plan(ending=ending)) as recogniser:
        assert (await heard(recogniser))[-1] == Transcript("续航有多久", True, "zh")


@both
async def test_wrong_credentials_are_named_and_never_shown(name: str) -> None:
    async with service(name, Plan(fault="unauthorised")) as recogniser:
        with pytest.raises(SpeechAuthError) as caught:
            await heard(recogniser)
        result = await recogniser.check()
        assert SECRET not in f"{caught.value}{caught.value.detail}{result}{recogniser.settings!r}"
    assert not result.ok
    assert result.remedy


@both
async def test_a_failing_server_is_an_error(name: str) -> None:
    async with service(name, Plan(fault="500")) as recogniser:
        with pytest.raises(SpeechError, match="500") as caught:
            await heard(recogniser)
        assert caught.value.may_retry
        assert "<" not in caught.value.message


@both
@pytest.mark.parametrize("fault", ["error_in_200", "page"])
async def test_words_of_an_error_are_never_taken_for_speech(name: str, fault: str) -> None:
    async with service(name, Plan(fault=fault)) as recogniser:
        with pytest.raises(SpeechError) as caught:
            await heard(recogniser)
    assert ("out of memory" if fault == "error_in_200" else "log in") in caught.value.message


@both
@pytest.mark.parametrize("fault", ["stall", "silent"])
async def test_silence_of_the_service_ends_in_time(name: str, fault: str) -> None:
    plan = Plan(fault=fault)
    async with service(name, plan) as recogniser:
        with pytest.raises(SpeechTimeoutError):
            await heard(recogniser)
        if name == "funasr":
            await asyncio.wait_for(plan.left.wait(), 2)


@both
async def test_a_dropped_connection_is_an_error(name: str) -> None:
    async with service(name, Plan(fault="drop")) as recogniser:
        with pytest.raises(SpeechError):
            await heard(recogniser)


@both
async def test_an_empty_answer_is_an_error(name: str) -> None:
    async with service(name, Plan(fault="empty")) as recogniser:
        with pytest.raises(SpeechProtocolError):
            await heard(recogniser)


@both
async def test_nobody_there(name: str) -> None:
    address = "ws://127.0.0.1:9" if name == "funasr" else "http://127.0.0.1:9/v1"
    recogniser = create(name, {"base_url": address, "timeouts": TIMEOUTS})
    with pytest.raises(SpeechError, match="cannot be reached") as caught:
        await heard(recogniser)
    assert caught.value.remedy
    await recogniser.close()


@both
async def test_a_cancel_ends_it_at_once_and_closes_the_socket(name: str) -> None:
    plan, cancel, more = Plan(fault="silent"), asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[Pcm]:
        yield SOUND
        cancel.set()
        await more.wait()

    async with service(name, plan) as recogniser:
        async with asyncio.timeout(2):
            assert [t async for t in recogniser.recognise(endless(), Hints(), cancel)] == []
        if name == "funasr":
            await asyncio.wait_for(plan.left.wait(), 2)


async def test_a_cough_is_not_sent() -> None:
    plan = Plan()
    async with service("openai", plan) as recogniser:
        got = [t async for t in recogniser.recognise(pieces(SOUND[:2000]), Hints(), asyncio.Event())]
    assert got == [Transcript("", True)]
    assert not plan.sound.size

"""The local recogniser: English by pocketsphinx in a process of its own, and phrases found by their sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from lipsync.media.audio import resample
from speech.asr.base import RATE, Hints, Pcm, Transcript
from speech.asr.local import LocalRecogniser, LocalSettings
from speech.asr.phrases import Phrases, phones
from speech.errors import SpeechError
from speech.tts.espeak import Prosody, library

PHRASES = (
    "What can you do?",
    "How long does the battery last?",
    "Tell me about the warranty.",
    "Is there a discount for students?",
    "多少钱？",
)


def spoken(text: str, voice: str = "en-us+m3") -> np.ndarray:
    pcm, _ = library().render(text, Prosody(voice, 160))
    sound = resample(pcm.astype(np.float32) / 32768, library().sample_rate, RATE)
    sound = np.pad(sound * (0.4 / np.abs(sound).max()), (3200, 3200))
    return (sound + np.random.default_rng(0).normal(0, 0.0005, len(sound))).astype(np.float32)


async def pieces(sound: np.ndarray) -> AsyncIterator[Pcm]:
    for start in range(0, len(sound), 512):
        yield sound[start : start + 512]


async def heard(recogniser: LocalRecogniser, sound: np.ndarray, *phrases: str) -> list[Transcript]:
    return [t async for t in recogniser.recognise(pieces(sound), Hints("en", phrases), asyncio.Event())]


async def test_it_hears_english_and_takes_what_sounds_like_a_phrase_for_it() -> None:
    recogniser = LocalRecogniser()
    await recogniser.warm_up(Hints("en", PHRASES))
    right = 0
    for phrase, voice in zip(PHRASES[:4], ("en-us+m3", "en-us+m1", "en-us+m1", "en-us+m3"), strict=True):
        got = await heard(recogniser, spoken(phrase, voice), *PHRASES)
        right += got[-1].text == phrase
        assert got[-1].final
        assert len(got) > 1, "guesses come before the end"
    assert right >= 3, f"{right} of 4"
    other = (await heard(recogniser, spoken("How are you today?"), *PHRASES))[-1]
    assert other.text not in PHRASES
    assert len({"how", "are", "you", "today"} & set(other.text.split())) >= 3
    silent = (await heard(recogniser, np.zeros(RATE // 2, np.float32)))[-1]
    assert silent.final
    await recogniser.close()


async def test_a_process_that_dies_or_is_cancelled_is_followed_by_another() -> None:
    recogniser, sound = LocalRecogniser(), spoken(PHRASES[0])
    cancel = asyncio.Event()

    async def endless() -> AsyncIterator[Pcm]:
        yield sound
        cancel.set()
        await asyncio.Event().wait()

    assert not [t async for t in recogniser.recognise(endless(), Hints(), cancel) if t.final]

    async def cut() -> AsyncIterator[Pcm]:
        yield sound[:8000]
        assert recogniser._process is not None
        recogniser._process.kill()
        yield sound[8000:]

    with pytest.raises(SpeechError) as caught:
        [t async for t in recogniser.recognise(cut(), Hints("en"), asyncio.Event())]
    assert caught.value.may_retry
    assert (await heard(recogniser, sound, *PHRASES))[-1].text == PHRASES[0]
    await recogniser.close()
    with pytest.raises(SpeechError):
        await heard(recogniser, sound)


async def test_of_chinese_it_knows_the_phrases_it_is_given_and_says_so_of_the_rest() -> None:
    recogniser = LocalRecogniser(LocalSettings(patience_s=30))
    known = ("电池能用多久？", "怎么退货？", "有没有优惠？", "你是谁？", *PHRASES[:1])

    await recogniser.warm_up(Hints("zh", known))

    async def said(text: str, language: str, voice: str) -> Transcript:
        sound = pieces(spoken(text, voice))
        return [t async for t in recogniser.recognise(sound, Hints(language, known), asyncio.Event())][-1]

    for text, voice in zip(known[:4], ("cmn+m1", "cmn+linda", "cmn+f5", "cmn+m7"), strict=True):
        got = await said(text, "zh", voice)
        assert (got.text, got.language, got.final) == (text, "zh", True)
        assert got.confidence is not None and got.confidence > 0.5
    other = await said("周末我们打算去山里爬山", "zh", "cmn+m1")
    assert (other.text, other.final) == ("", True)
    assert other.limit is not None and "funasr" in other.limit[1]
    assert (await said(known[0], "auto", "cmn+f5")).text == known[0], "either language"
    assert (await said(PHRASES[0], "auto", "en-us+m3")).text == PHRASES[0]
    await recogniser.close()


def test_phrases_are_told_apart_by_sound() -> None:
    phrases = Phrases(PHRASES)
    for text, wanted in (
        ("how long does the battery last", PHRASES[1]),
        ("how long does a battery lust", PHRASES[1]),
        ("tell me about the war on tea", PHRASES[2]),
        ("is there it is count for students", PHRASES[3]),
    ):
        found = phrases.nearest(text, 0.6)
        assert found is not None
        assert found.text == wanted
    for text in ("the sky is blue", "", "students", "how long"):
        assert phrases.nearest(text, 0.6) is None
    assert phrases.nearest(PHRASES[1], 1.0) is None, "switched off"
    assert phrases.nearest("how long does the battery last", 0.6).likeness > 0.99  # type: ignore[union-attr]
    assert Phrases(()).nearest("what", 0.5) is None


def test_of_two_that_sound_alike_none_is_taken() -> None:
    assert Phrases(("Is it light?", "Is it right?")).nearest("is it tight", 0.6) is None


def test_phones_are_those_of_the_words() -> None:
    assert phones("see") == phones("sea")
    assert phones("Battery!") == phones("battery")
    assert phones("") == ()

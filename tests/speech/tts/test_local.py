"""The local voice: latency, timings, cancel, both languages, and what the sound is like."""

import asyncio
import threading
from itertools import pairwise

import numpy as np
import pytest

from lipsync.errors import InvalidInputError
from speech.tts import Voice, collect, create
from speech.tts.base import SpeechChunk
from speech.tts.espeak import Prosody, library
from speech.tts.local import SAMPLE_RATE, SPEECH_LEVEL, VOICES, LocalSpeech, _Shaper, soft_limit


@pytest.fixture
async def local() -> LocalSpeech:
    backend = create("local")
    assert isinstance(backend, LocalSpeech)
    await backend.warm_up()
    return backend


async def heard(backend: LocalSpeech, text: str, **how: object) -> tuple[np.ndarray, list]:
    chunks: list[SpeechChunk] = [c async for c in backend.stream_marked(text, Voice(**how), asyncio.Event())]  # type: ignore[arg-type]
    return np.concatenate([c.pcm for c in chunks]), [mark for c in chunks for mark in c.marks]


@pytest.mark.parametrize("text", ["Hello there, how are you today?", "你好，今天天气很好。"])
async def test_the_first_sound_is_there_before_the_last(local: LocalSpeech, text: str) -> None:
    stream = local.stream(text, Voice(), asyncio.Event())
    first = await anext(stream)
    rest = [chunk async for chunk in stream]
    assert first.dtype == np.float32
    assert len(rest) > 5


@pytest.mark.parametrize("voice", list(VOICES))
@pytest.mark.parametrize("text", ["This is a sentence to be heard.", "我们明天去学校的图书馆看书。"])
async def test_level_and_ends(local: LocalSpeech, voice: str, text: str) -> None:
    pcm, _ = await heard(local, text, voice=voice)
    assert 1.0 < len(pcm) / SAMPLE_RATE < 6.0
    assert np.abs(pcm).max() < 1.0
    active = pcm[np.abs(pcm) > 0.02 * np.abs(pcm).max()]
    assert 20 * abs(np.log10(np.sqrt(np.mean(active**2)) / SPEECH_LEVEL)) < 3.0
    assert np.abs(pcm[:4]).max() < 0.01
    assert np.abs(pcm[-4:]).max() < 0.001


async def test_words_and_phones_lie_in_order_inside_the_sound(local: LocalSpeech) -> None:
    pcm, marks = await heard(local, "Hello big world. 你好，很好。")
    words = [mark for mark in marks if mark.kind == "word"]
    assert [mark.text for mark in words] == ["Hello", "big", "world", "你好", "很好"]
    phones = [mark for mark in marks if mark.kind == "phoneme"]
    assert len(phones) > 12
    for run in (words, phones):
        assert all(a.end <= b.start for a, b in pairwise(run))
        assert all(0 <= mark.start < mark.end <= len(pcm) for mark in run)
    # The marks point at the sound: loud inside words, quiet in the pause between the sentences.
    level = lambda a, b: float(np.sqrt(np.mean(pcm[a:b] ** 2)))  # noqa: E731
    assert min(level(mark.start, mark.end) for mark in words) > 5 * level(words[2].end + 800, words[3].start - 800)


@pytest.mark.parametrize("size", [1, 7, 400, 5000])
def test_no_sample_is_lost_however_the_sound_is_chopped(size: int) -> None:
    rng = np.random.default_rng(0)
    speech = (rng.normal(size=6000) * 4000).clip(-32768, 32767).astype(np.int16)
    sound = np.concatenate((speech, np.zeros(2000, np.int16), speech, np.zeros(3000, np.int16)))
    shaper = _Shaper(end_pause=500)
    parts = [shaper.push(sound[i : i + size], 1 / 40_000) for i in range(0, len(sound), size)]
    pcm = np.concatenate([*parts, shaper.finish()])
    assert len(pcm) == 14_000 + 500
    np.testing.assert_allclose(pcm[200:13_800], soft_limit(sound[200:13_800] / np.float32(40_000)), atol=1e-6)


async def test_cancel_ends_within_one_chunk(local: LocalSpeech) -> None:
    cancel, after = asyncio.Event(), 0
    async for _ in local.stream("a very long sentence without any end " * 100, Voice(), cancel):
        after += cancel.is_set()
        cancel.set()
    assert after == 0
    assert (await collect(local.stream("Next.", Voice(), asyncio.Event()))).size


async def test_leaving_early_frees_the_synthesiser(local: LocalSpeech) -> None:
    for _ in range(20):
        stream = local.stream("a sentence that nobody hears to its end " * 20, Voice(), asyncio.Event())
        await anext(stream)
        await stream.aclose()
    assert sum(thread.name.startswith("espeak") for thread in threading.enumerate()) == 1
    assert (await collect(local.stream("Still here.", Voice(), asyncio.Event()))).size


async def test_sessions_do_not_mix(local: LocalSpeech) -> None:
    texts = [("One two three four five.", "female"), ("今天天气很好。", "male"), ("Another sentence.", "male_deep")]
    alone = [await heard(local, text, voice=voice) for text, voice in texts]
    together = await asyncio.gather(*(heard(local, text, voice=voice) for text, voice in texts * 4))
    for index, (pcm, marks) in enumerate(together):
        before, wanted = alone[index % 3]
        assert [mark.text for mark in marks] == [mark.text for mark in wanted]
        # The synthesiser's breath is random: two renderings differ by a few samples.
        assert abs(len(pcm) - len(before)) < 0.02 * len(before)


async def test_the_event_loop_is_not_held(local: LocalSpeech) -> None:
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watcher = asyncio.create_task(watch())
    chunks = [
        turns
        async for _ in local.stream(
            "A sentence of some length, said while the loop goes on. " * 8, Voice(), asyncio.Event()
        )
    ]
    watcher.cancel()
    assert len(set(chunks)) > len(chunks) // 2, "the loop does not turn between chunks"


@pytest.mark.parametrize("text", ["", "   ", "😀🎉", "```\ncode\n```", "\x00\x07", "...", "<break/>"])
async def test_nothing_to_say_is_silence_of_no_length(local: LocalSpeech, text: str) -> None:
    assert [chunk async for chunk in local.stream(text, Voice(), asyncio.Event())] == []


async def test_ten_thousand_characters(local: LocalSpeech) -> None:
    pcm = await collect(local.stream("字" * 10_000, Voice(speed=2.0), asyncio.Event()))
    assert len(pcm) / SAMPLE_RATE > 600


async def test_an_unknown_voice_is_refused(local: LocalSpeech) -> None:
    with pytest.raises(InvalidInputError, match="no local voice"):
        await collect(local.stream("Hello", Voice(voice="nobody"), asyncio.Event()))


async def test_speed_is_heard(local: LocalSpeech) -> None:
    text = "This is a sentence of some length, to be timed."
    slow, fast = [len(await collect(local.stream(text, Voice(speed=speed), asyncio.Event()))) for speed in (0.8, 1.6)]
    assert slow / fast > 1.5


def pitch(pcm: np.ndarray) -> np.ndarray:
    import pyworld

    sound = pcm.astype(np.float64)
    f0, times = pyworld.harvest(sound, SAMPLE_RATE)
    level = np.array([np.abs(sound[max(int(t * SAMPLE_RATE) - 200, 0) :][:400]).max() for t in times])
    return np.where(level > 0.25 * level.max(), f0, 0.0)  # the fading end of a syllable has no certain pitch


async def test_female_and_male_differ_in_pitch(local: LocalSpeech) -> None:
    for text in ("The weather is fine today.", "今天天气很好。"):
        female, male = [pitch((await heard(local, text, voice=voice))[0]) for voice in ("female", "male")]
        assert np.median(female[female > 0]) > 160 > 150 > np.median(male[male > 0])


async def test_tones_are_spoken(local: LocalSpeech) -> None:
    """Tone 1 is level and high, tone 2 rises, tone 3 dips, tone 4 falls."""
    curves = {}
    for tone, sign in {1: "妈", 2: "麻", 3: "马", 4: "骂"}.items():
        pcm, _ = await heard(local, sign, language="zh")
        f0 = pitch(pcm)
        curves[tone] = np.log2(f0[f0 > 0])
    end = lambda c: float(np.median(c[-len(c) // 4 :]))  # noqa: E731
    begin = lambda c: float(np.median(c[: len(c) // 4]))  # noqa: E731
    assert abs(end(curves[1]) - begin(curves[1])) < 0.15
    assert end(curves[2]) - begin(curves[2]) > 0.15
    assert begin(curves[4]) - float(curves[4].min()) > 0.25
    assert float(np.median(curves[3])) < float(np.median(curves[1])) - 0.2


async def test_english_inside_chinese_is_read_as_english(local: LocalSpeech) -> None:
    _, marks = await heard(local, "我们用 world 训练模型。")
    phones = "".join(mark.text for mark in marks if mark.kind == "phoneme")
    assert "wˈɜːld" in phones


def test_the_library_refuses_a_voice_it_does_not_have() -> None:
    from speech.errors import SpeechError

    with pytest.raises(SpeechError, match="does not exist"):
        library().render("x", Prosody("no-such-voice"))
    assert len(library().render("fine", Prosody("en-us"))[0]) > 1000

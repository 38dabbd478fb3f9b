"""Every network voice against a local server that speaks its protocol over a real socket, with the six faults."""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync.errors import StudioError
from speech.errors import SpeechAuthError, SpeechError, SpeechProtocolError, SpeechSettingsError, SpeechTimeoutError
from speech.tts import Voice, collect, create
from speech.tts.base import TextToSpeech
from speech.tts.decode import Mp3Decoder, RawDecoder, WavDecoder
from speech.tts.fallback import FallbackNotice, FallbackSpeech
from speech.tts.tencent import speed_of
from tests.fakes.tts_services import SECRET, Plan, edge_refuse_at, edge_session, service, serving_socket, wav

TEXT = "你好，世界。"


@dataclass
class Case:
    name: str
    wire_rate: int
    path: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    needs_reference: bool = False
    slack: int = 0
    """Samples by which the sound may be longer or shorter (an MP3 encoder pads)."""
    streaming: bool = True
    credentials: bool = False

    def create(self, url: str, reference: Path, **more: Any) -> TextToSpeech:
        settings = {**self.settings, "base_url": url + self.path, **more}
        settings["timeouts"] = {"connect_s": 1.0, "first_s": 0.4, "stall_s": 0.4}
        if self.needs_reference:
            settings["reference_wav"] = str(reference)
        return create(self.name, settings)


CASES = {
    case.name: case
    for case in (
        Case("edge", 24_000, slack=4000),
        Case(
            "fish",
            44_100,
            settings={"api_key": SECRET, "reference_text": "hi"},
            needs_reference=True,
            credentials=False,
        ),
        Case("gpt_sovits", 32_000, settings={"reference_path": "/srv/a.wav"}),
        Case("cosyvoice", 22_050, settings={"wire_rate": 22_050, "reference_text": "hi"}, needs_reference=True),
        Case("tencent", 16_000, settings={"app_id": 7, "secret_id": "id", "secret_key": SECRET}, credentials=True),
        Case("doubao", 24_000, settings={"app_id": "7", "token": SECRET}, credentials=True),
        Case("indextts2", 22_050, needs_reference=True, streaming=False),
        Case("xtts", 24_000, needs_reference=True),
        Case("azure", 24_000, settings={"key": SECRET}, credentials=True),
        Case("openai_speech", 16_000, path="/v1", settings={"api_key": SECRET, "wire_rate": 16_000}),
    )
}
each = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.wav"
    path.write_bytes(wav(np.zeros(1600, np.int16), 16_000, streamed=False))
    return path


def chirp(rate: int, seconds: float = 0.8) -> np.ndarray:
    """A tone that rises from 200 to 1500 Hz: a lost, doubled or shifted sample shows."""
    t = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * (200 * t + 1300 * t * t / (2 * seconds))) * 12_000).astype(np.int16)


def plan_of(case: Case, **how: Any) -> Plan:
    return Plan(chirp(case.wire_rate), case.wire_rate, **how)


async def heard(backend: TextToSpeech, text: str = TEXT, cancel: asyncio.Event | None = None) -> np.ndarray:
    try:
        return await collect(backend.stream(text, Voice(backend.name), cancel or asyncio.Event()))
    finally:
        await backend.close()


@each
@pytest.mark.parametrize("sizes", [(1, 3, 4097), (7, 1023), (1 << 20,)], ids=str)
async def test_every_sample_comes_through_odd_splits(case: Case, sizes: tuple[int, ...], reference: Path) -> None:
    plan = plan_of(case, sizes=sizes)
    async with service(case.name, plan) as server:
        backend = case.create(server.url, reference)
        pcm = await heard(backend)
        assert await server.all_closed()
    assert pcm.dtype == np.float32
    wanted = chirp(backend.sample_rate).astype(np.float32) / 32768
    assert abs(len(pcm) - len(wanted)) <= max(case.slack, backend.sample_rate // 50)
    # The same sound at the same place: a header played as sound, or a lost byte, would break the likeness.
    shift = int(np.argmax(np.correlate(np.pad(pcm, (0, 4000)), wanted[2000:6000], "valid"))) - 2000 if case.slack else 0
    length = min(len(pcm) - max(shift, 0), len(wanted)) - 400
    part = pcm[max(shift, 0) :][100:length]
    assert np.corrcoef(part, wanted[100 : 100 + len(part)])[0, 1] > 0.98
    assert np.abs(pcm[: 50 if not case.slack else 0]).max(initial=0) < 0.5


@each
async def test_the_first_sound_comes_before_the_answer_ends(case: Case, reference: Path) -> None:
    if not case.streaming:
        pytest.skip("this service makes whole sentences")
    gate = asyncio.Event()
    async with service(case.name, plan_of(case, gate=gate)) as server:
        backend = case.create(server.url, reference)
        stream = backend.stream(TEXT, Voice(case.name), asyncio.Event())
        first = await asyncio.wait_for(anext(stream), 2)
        assert first.size
        assert not gate.is_set()
        gate.set()
        assert sum([chunk.size async for chunk in stream]) > 0
        await backend.close()


@each
async def test_wrong_credentials_are_named(case: Case, reference: Path) -> None:
    async with service(case.name, plan_of(case, fault="unauthorised")) as server:
        backend = case.create(server.url, reference)
        with pytest.raises(SpeechAuthError):
            await heard(backend)
        result = await backend.check()
        await backend.close()
    assert not result.ok
    assert "credentials" in result.message
    assert result.remedy
    assert SECRET not in f"{result}{backend.settings!r}"


@each
async def test_a_failing_server_is_asked_twice(case: Case, reference: Path) -> None:
    plan = plan_of(case, fault="500")
    async with service(case.name, plan) as server:
        with pytest.raises(SpeechError, match="500") as caught:
            await heard(case.create(server.url, reference))
        assert "<" not in caught.value.message
    plan = plan_of(case, fail_first=1)
    async with service(case.name, plan) as server:
        assert (await heard(case.create(server.url, reference))).size


@each
@pytest.mark.parametrize("fault", ["error_in_200", "page"])
async def test_words_inside_200_are_an_error_and_never_played(case: Case, fault: str, reference: Path) -> None:
    async with service(case.name, plan_of(case, fault=fault)) as server:
        with pytest.raises(SpeechError) as caught:
            await heard(case.create(server.url, reference, attempts=1))
    if fault == "error_in_200":
        assert "out of memory" in caught.value.message


@each
@pytest.mark.parametrize("fault", ["stall", "silent"])
async def test_silence_ends_in_time_and_closes_the_socket(case: Case, fault: str, reference: Path) -> None:
    async with service(case.name, plan_of(case, fault=fault)) as server:
        backend, size = case.create(server.url, reference, attempts=1), 0
        with pytest.raises(SpeechTimeoutError):
            async for chunk in backend.stream(TEXT, Voice(case.name), asyncio.Event()):
                size += chunk.size
        assert bool(size) == (fault == "stall")
        await backend.close()
        assert await server.all_closed()


@each
async def test_a_dropped_connection_is_an_error_and_nothing_is_said_twice(case: Case, reference: Path) -> None:
    async with service(case.name, plan_of(case, fault="drop")) as server:
        backend, chunks = case.create(server.url, reference), []
        with pytest.raises(SpeechError):
            async for chunk in backend.stream(TEXT, Voice(case.name), asyncio.Event()):
                chunks.append(chunk)
        await backend.close()
    assert 0 < sum(len(c) for c in chunks) < 0.7 * len(chirp(backend.sample_rate)) + case.slack


@each
async def test_no_sound_is_an_error(case: Case, reference: Path) -> None:
    async with service(case.name, plan_of(case, fault="empty")) as server:
        with pytest.raises(SpeechProtocolError, match="no sound"):
            await heard(case.create(server.url, reference, attempts=1))


@each
@pytest.mark.parametrize("fault", ["stall", "silent"])
async def test_cancel_ends_at_once_and_closes_the_socket(case: Case, fault: str, reference: Path) -> None:
    cancel = asyncio.Event()
    async with service(case.name, plan_of(case, fault=fault)) as server:
        backend = case.create(server.url, reference)
        hearing = asyncio.create_task(heard(backend, cancel=cancel))
        # Only when the service has begun to answer: the first call of a back-end also loads its library.
        while not (server.requests or server.open_connections):
            assert not hearing.done()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        cancel.set()
        await hearing
        assert await server.all_closed()
        assert server.left_early == 1


@each
async def test_cancel_between_chunks_lets_none_through(case: Case, reference: Path) -> None:
    cancel, after = asyncio.Event(), 0
    async with service(case.name, plan_of(case, sizes=(600,))) as server:
        backend = case.create(server.url, reference)
        async for _ in backend.stream(TEXT, Voice(case.name), cancel):
            after += cancel.is_set()
            cancel.set()
        assert after == 0
        await backend.close()
        assert await server.all_closed()


@each
async def test_nobody_there(case: Case, reference: Path) -> None:
    scheme = "ws" if case.name in {"edge", "doubao"} else "http"
    result = await case.create(f"{scheme}://127.0.0.1:9", reference, attempts=1).check()
    assert not result.ok
    assert "cannot be reached" in result.message
    assert "127.0.0.1:9" in result.message


@each
async def test_check_of_a_service_that_speaks(case: Case, reference: Path) -> None:
    async with service(case.name, plan_of(case)) as server:
        backend = case.create(server.url, reference)
        assert (await backend.check()).ok
        await backend.close()


@each
@pytest.mark.parametrize("text", ["", "😀🎉", "```\ncode\n```", "\x00"])
async def test_nothing_to_say_asks_nobody(case: Case, text: str, reference: Path) -> None:
    async with service(case.name, plan_of(case)) as server:
        assert (await heard(case.create(server.url, reference), text)).size == 0
        assert not server.requests


@each
async def test_credentials_are_not_logged(case: Case, reference: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with service(case.name, plan_of(case, fault="500")) as server:
            backend = case.create(server.url, reference, attempts=1)
            with pytest.raises(SpeechError) as caught:
                await heard(backend)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith(("websockets.server", "asyncio"))]
    assert SECRET not in "".join(ours) + repr(caught.value) + str(caught.value.detail) + repr(backend.settings)


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.credentials], ids=lambda c: c.name)
async def test_missing_credentials_are_named_before_asking(case: Case, reference: Path) -> None:
    async with service(case.name, plan_of(case)) as server:
        backend = create(case.name, {"base_url": server.url})
        with pytest.raises(SpeechAuthError, match="No credentials are set"):
            await heard(backend)
        assert not server.requests


async def test_a_missing_reference_is_named(reference: Path) -> None:
    for name in ("cosyvoice", "indextts2", "xtts", "gpt_sovits"):
        with pytest.raises(SpeechSettingsError, match="reference"):
            await heard(create(name, {"base_url": "http://127.0.0.1:9"}))
    with pytest.raises(SpeechSettingsError, match="cannot be read"):
        await heard(CASES["xtts"].create("http://127.0.0.1:9", reference.with_name("missing.wav")))


async def test_cosyvoice_of_the_kind_that_streams_floats(reference: Path) -> None:
    case = CASES["cosyvoice"]
    async with service("cosyvoice_float", Plan(chirp(16_000), 16_000)) as server:
        pcm = await heard(case.create(server.url, reference))
    assert abs(len(pcm) - 0.8 * 24_000) < 480
    assert 0.3 < np.abs(pcm).max() < 0.45


async def test_markup_in_a_sentence_does_not_break_out_of_ssml(reference: Path) -> None:
    for name in ("azure", "edge"):
        plan = plan_of(CASES[name])
        async with service(name, plan) as server:
            assert (await heard(CASES[name].create(server.url, reference), 'A & B < C "quoted"')).size
        assert plan.seen == ['A & B < C "quoted"']


async def test_edge_takes_the_services_clock_when_ours_is_wrong(reference: Path) -> None:
    theirs = time.time() + 4 * 3600
    plan = plan_of(CASES["edge"])
    plan.seen.append(theirs)
    async with serving_socket(edge_session, plan, edge_refuse_at(lambda: theirs)) as server:
        assert (await heard(CASES["edge"].create(server.url, reference))).size
        assert len(server.requests) == 2


async def test_a_long_text_is_cut_to_what_the_service_takes(reference: Path) -> None:
    plan = plan_of(CASES["indextts2"])
    async with service("indextts2", plan) as server:
        pcm = await heard(CASES["indextts2"].create(server.url, reference), "这是一个句子，" * 100)
    assert len(plan.seen) >= 3
    assert all(len(text) <= 300 for text in plan.seen)
    assert len(pcm) == len(plan.seen) * len(chirp(22_050))


def test_tencents_scale_of_speed() -> None:
    assert [speed_of(s) for s in (0.1, 0.6, 0.8, 1.0, 1.1, 1.2, 1.5, 3.0)] == [-2, -2, -1, 0, 0.5, 1, 2, 2]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 44, 45, 10_000])
def test_wav_of_two_channels_with_chunks_around_the_sound(size: int) -> None:
    import io

    import soundfile

    sound = np.stack([chirp(8000), chirp(8000)[::-1]], 1)
    for subtype, slack in (("PCM_16", 1e-4), ("PCM_24", 1e-4), ("FLOAT", 1e-4)):
        out = io.BytesIO()
        soundfile.write(out, sound.astype(np.float64) / 32768, 8000, subtype, format="WAV")
        data = out.getvalue() + b"LIST\x04\0\0\0junk"
        decoder = WavDecoder("x", 8000)
        parts = [decoder.push(data[i : i + size]) for i in range(0, len(data), size)] + [decoder.finish()]
        np.testing.assert_allclose(np.concatenate(parts), sound.mean(1) / 32768, atol=slack)


@pytest.mark.parametrize("data", [b"not a wav at all", b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"RIFF" + b"\0" * 70_000])
def test_what_is_no_wav_is_refused(data: bytes) -> None:
    decoder = WavDecoder("x", 8000)
    with pytest.raises(SpeechProtocolError):
        decoder.push(data)
        decoder.finish()


def test_what_is_no_mp3_is_no_sound() -> None:
    decoder = Mp3Decoder("x", 24_000)
    assert decoder.push(b"nothing like sound" * 100).size + decoder.finish().size == 0


def test_resampling_in_pieces_is_resampling_the_whole() -> None:
    data = chirp(16_000).astype("<i2").tobytes()
    whole = RawDecoder(16_000, 24_000)
    expected = np.concatenate([whole.push(data), whole.finish()])
    pieces = RawDecoder(16_000, 24_000)
    got = np.concatenate([*(pieces.push(data[i : i + 333]) for i in range(0, len(data), 333)), pieces.finish()])
    assert abs(len(got) - 0.8 * 24_000) <= 2
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("fault", ["500", "unauthorised", "drop", "stall", "empty", "error_in_200"])
async def test_the_fallback_takes_over_within_the_sentence_and_says_so(fault: str, reference: Path) -> None:
    case, notices = CASES["openai_speech"], list[FallbackNotice]()
    text = "One two three four five six seven eight nine ten eleven twelve."
    local = create("local")
    await local.warm_up()
    async with service(case.name, plan_of(case, fault=fault)) as server:
        voice = FallbackSpeech(case.create(server.url, reference, attempts=1), local, notices.append)
        pcm = await collect(voice.stream(text, Voice(case.name), asyncio.Event()))
        asked = len(server.requests)
        again = await collect(voice.stream(text, Voice(case.name), asyncio.Event()))
        assert len(server.requests) == asked, "a resting service is not asked again"
        await voice.close()
    [notice] = notices
    assert (notice.backend, notice.instead) == ("openai_speech", "local")
    assert notice.message
    assert (notice.heard_s > 0) == (fault in {"drop", "stall"})
    alone = len(await collect(local.stream(text, Voice(), asyncio.Event()))) / local.sample_rate
    assert voice.resting
    assert abs(len(again) / voice.sample_rate - alone) < 0.1
    # Taken up at the word that was being said: neither from the start nor at the end.
    assert alone - 0.1 < len(pcm) / voice.sample_rate < alone + 0.7


async def test_the_fallback_is_silent_about_a_voice_that_works(reference: Path) -> None:
    case, notices = CASES["openai_speech"], list[FallbackNotice]()
    async with service(case.name, plan_of(case)) as server:
        voice = FallbackSpeech(case.create(server.url, reference), create("local"), notices.append)
        pcm = await collect(voice.stream(TEXT, Voice(case.name), asyncio.Event()))
        await voice.close()
    assert not notices
    assert abs(len(pcm) - 0.8 * voice.sample_rate) < 500


async def test_both_voices_failing_is_an_error(reference: Path) -> None:
    one = CASES["openai_speech"].create("http://127.0.0.1:9", reference, attempts=1)
    two = CASES["azure"].create("http://127.0.0.1:9", reference, attempts=1)
    voice = FallbackSpeech(one, two, lambda notice: None)
    with pytest.raises(StudioError):
        await collect(voice.stream(TEXT, Voice("x"), asyncio.Event()))


async def test_a_listener_waits_no_longer_than_the_fallbacks_patience(reference: Path) -> None:
    case, notices = CASES["openai_speech"], list[FallbackNotice]()
    for fault, patience in (("silent", (0.2, 0.2)), ("stall", (5.0, 0.3))):
        async with service(case.name, plan_of(case, fault=fault)) as server:
            slow = create(
                case.name, {**case.settings, "base_url": server.url + case.path}
            )  # its own limits: 20 and 8 s
            voice = FallbackSpeech(slow, create("local"), notices.append, patience_s=patience)
            assert (await collect(voice.stream("One two three four.", Voice(case.name), asyncio.Event()))).size
            await voice.close()
            assert await server.all_closed()
    assert [notice.code for notice in notices] == ["speech_timeout"] * 2
    assert [notice.heard_s > 0 for notice in notices] == [False, True]

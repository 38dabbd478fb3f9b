"""The clone: its filter, its tables, what it refuses, and a whole training with a synthetic person."""

import asyncio
import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lipsync.bundle import read_manifest
from lipsync.errors import BundleError, InvalidInputError
from speech.clone import judge
from speech.clone.base_speech import PAUSE, BaseVoice, Phone, fitted, flite_program, render
from speech.clone.converter import Converter, features, frames_of, inventory_of
from speech.clone.features import HOP, ORDER, RATE, analyse, convert, cosines, filtered, log_gain
from speech.clone.recording import Utterance, distribute, judge_input, load, measure, words_of
from speech.clone.training import VoiceOptions, train_voice
from speech.clone.voice import ClonedVoice
from speech.tts import Voice, collect, create

ESPEAK = BaseVoice("espeak", "en", "en-us+m3", pitch=50)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return render(ESPEAK, "The weather is fine and we go to the park.")[0]


def test_no_difference_changes_nothing(speech: np.ndarray) -> None:
    out = convert(speech, np.zeros((len(speech) // HOP + 1, ORDER + 1)))
    assert len(out) == len(speech)
    np.testing.assert_allclose(out, speech, atol=3e-3)  # windows that overlap by 6.4 ripple by 0.3 %


@pytest.mark.parametrize("block", [1, 7, 60])
def test_blocks_joined_are_the_whole(speech: np.ndarray, block: int) -> None:
    difference = np.random.default_rng(0).normal(size=(len(speech) // HOP + 1, ORDER + 1)) * 0.1
    whole = convert(speech, difference)
    blocks = list(filtered(speech, difference, block, 3))
    assert sum(map(len, blocks)) == len(speech)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_the_filter_does_what_the_cepstra_say(speech: np.ndarray) -> None:
    """A known difference of spectra comes out of the analysis of the filtered sound."""
    difference = np.zeros((len(speech) // HOP + 1, ORDER + 1))
    difference[:, 1], difference[:, 4] = 0.4, -0.3
    before, after = analyse(speech), analyse(convert(speech, difference))
    change = (after.cepstra - before.cepstra)[before.speech].mean(0)
    assert abs(change[1] - 0.4) < 0.1
    assert abs(change[4] + 0.3) < 0.1
    assert np.abs(np.delete(change, [1, 4])).max() < 0.12


def test_the_gain_is_bounded() -> None:
    gain = log_gain(np.full((3, ORDER + 1), 10.0))
    assert gain.max() <= 3.0
    assert gain.min() >= -4.0
    assert cosines().shape == (ORDER + 1, 513)


@pytest.mark.parametrize(
    "base",
    [ESPEAK, BaseVoice("espeak", "zh", "cmn+f3"), BaseVoice("flite", "en", "slt")],
    ids=lambda b: b.kind + b.language,
)
def test_phones_cover_the_sound_without_gaps(base: BaseVoice) -> None:
    if base.kind == "flite" and flite_program() is None:
        pytest.skip("flite is not installed")
    sound, phones = render(base, "今天天气很好。" if base.language == "zh" else "The weather is fine, and we go.")
    assert phones[0].start == 0
    assert abs(phones[-1].end - len(sound) / RATE) < 0.02
    assert all(abs(a.end - b.start) < 1e-3 for a, b in pairwise(phones))
    assert sum(p.label != PAUSE for p in phones) >= 12
    said = np.concatenate([sound[int(p.start * RATE) : int(p.end * RATE)] for p in phones if p.label != PAUSE])
    assert 0.02 < np.sqrt(np.mean(said**2)) < 0.2


def test_frames_know_phone_place_and_neighbours() -> None:
    phones = [Phone(PAUSE, 0, 0.05), Phone("a", 0.05, 0.1), Phone("b", 0.1, 0.2), Phone("new", 0.2, 0.25)]
    frames = frames_of(phones, {PAUSE: 0, "a": 1, "b": 2}, 50)
    assert frames.phone[12] == 1
    assert (frames.before[25], frames.phone[25], frames.after[25]) == (1, 2, 0)
    assert not frames.phone[40:].any()  # a phone never met is left as it is
    assert frames.weights[20, 0] > 0.9 > 0.1 > frames.weights[20, 2]
    assert features(frames, 3).shape == (50, 24)
    assert inventory_of([phones]) == {PAUSE: 0, "a": 1, "b": 2, "new": 3}


def test_pauses_stay_untouched_and_likeness_scales() -> None:
    inventory = {PAUSE: 0, "a": 1}
    size = len(inventory)
    rng = np.random.default_rng(0)
    converter = Converter(
        ESPEAK,
        inventory,
        rng.normal(size=ORDER + 1),
        np.zeros((8 * size, ORDER + 1)),
        np.ones(ORDER),
        np.zeros((size, ORDER)),
    )
    phones = [Phone(PAUSE, 0, 0.5), Phone("a", 0.5, 1.0), Phone(PAUSE, 1.0, 1.5)]
    none, half, whole = [converter.difference(phones, 300, likeness) for likeness in (0, 0.5, 1)]
    assert np.abs(whole[:60, 1:]).max() < 0.02
    np.testing.assert_allclose(half, (none + whole) / 2, atol=1e-9)
    np.testing.assert_allclose((whole - none)[150, 1:], 1.0, atol=0.05)


def facts(**changes: float) -> dict[str, float]:
    good = {"seconds": 60.0, "speech_s": 50.0, "clipped": 0.0, "snr_db": 30.0, "above_4k_db": -20.0}
    return {**good, **changes}


@pytest.mark.parametrize(
    ("code", "changes", "alike"),
    [
        ("no_speech", {"speech_s": 0.0}, 1.0),
        ("too_short", {"speech_s": 3.0}, 1.0),
        ("not_speech", {"speech_s": 12.0, "snr_db": 5.0}, 1.0),
        ("clipped", {"clipped": 0.02}, 1.0),
        ("noisy", {"snr_db": 4.0}, 1.0),
        ("telephone", {"above_4k_db": -70.0}, 1.0),
        ("two_speakers", {}, 0.6),
    ],
)
def test_what_cannot_be_trained_on_is_named(code: str, changes: dict[str, float], alike: float) -> None:
    reasons = judge_input(facts(**changes), alike)
    assert code in [reason["code"] for reason in reasons]
    assert all(reason["message"] and reason["remedy"] for reason in reasons)
    assert judge_input(facts(), 1.0) == []


def test_measuring_clipping_telephone_and_noise(speech: np.ndarray) -> None:
    parts = [(0, len(speech))]
    loud = np.clip(speech * 40, -1, 1)
    assert measure(loud, parts)["clipped"] > 0.01
    assert measure(speech, parts)["clipped"] < 0.001
    spectrum = np.fft.rfft(speech)
    spectrum[len(spectrum) // 2 - 200 :] = 0
    assert measure(np.fft.irfft(spectrum).astype(np.float32), parts)["above_4k_db"] < -55
    quiet = np.concatenate((np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.05, speech))
    assert measure(quiet, [(RATE, len(quiet))])["snr_db"] < 8


@pytest.mark.parametrize("content", [b"", b"not sound", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="not a sound file"):
        load(path)


@pytest.mark.parametrize("kind", ["silence", "tone", "short"])
def test_silence_tones_and_moments_are_refused(tmp_path: Path, kind: str, speech: np.ndarray) -> None:
    t = np.arange(20 * RATE) / RATE
    sound = {"silence": np.zeros_like(t), "tone": 0.3 * np.sin(440 * 2 * np.pi * t), "short": speech}[kind]
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    with pytest.raises(InvalidInputError) as caught:
        train_voice(tmp_path / "a.wav", tmp_path / "out")
    assert {r["code"] for r in caught.value.detail["reasons"]} & {"no_speech", "too_short"}
    assert not (tmp_path / "out").exists()


def test_a_transcript_is_laid_over_what_was_heard() -> None:
    heard = ["the cat sat on a hat", "and the dog ran of", "it was late"]
    utterances = [Utterance(np.zeros(1, np.float32), 0, 1, text) for text in heard]
    agreed = distribute(utterances, "The cat sat on the mat, and the dog ran off. It was late.")
    assert agreed > 0.6
    assert [u.text for u in utterances][::2] == ["the cat sat on the mat", "it was late"]
    assert utterances[1].text.startswith("and the dog ran")


@pytest.mark.parametrize("text", ["今天天气很好", "completely other words stand here", ""])
def test_a_transcript_of_something_else_is_refused(text: str) -> None:
    utterances = [Utterance(np.zeros(1, np.float32), 0, 1, "the cat sat on a hat and purred")]
    with pytest.raises(InvalidInputError, match="transcript"):
        distribute(utterances, text)


def test_word_errors() -> None:
    assert judge.word_errors(["a b c d"], ["a b c d"]) == 0
    assert judge.word_errors(["a b c d"], ["a x c"]) == 0.5
    assert judge.word_errors(["a b"], [""]) == 1
    assert words_of("It's 5 o'clock, Bob!") == ["it's", "o'clock", "bob"]


def test_a_base_voice_is_tuned_to_the_persons_pitch() -> None:
    for language in ("en", "zh"):
        for wanted in (110.0, 210.0):
            base = fitted(language, np.full(100, wanted), allow_flite=False)
            f0 = analyse(render(base, "We go home now." if language == "en" else "我们现在回家。")[0]).f0
            assert abs(np.log2(np.median(f0[f0 > 0]) / wanted)) < 0.35


PERSON = [
    "我们明天去学校的图书馆看书，然后一起去吃饭。",
    "他的哥哥是一名医生，住在北京，很少回家。",
    "这家饭店的菜很便宜，也很好吃，大家都喜欢。",
    "昨天下了一场大雨，路上都是水，车开得很慢。",
    "孩子们在操场上高兴地唱歌跳舞，声音很大。",
    "公司决定从下个月开始使用新的系统和设备。",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A voice of a synthetic person: espeak-ng with another timbre and a filter of its own."""
    folder = tmp_path_factory.mktemp("voice")
    base = BaseVoice("espeak", "zh", "cmn+m7", pitch=60)
    tilt = np.zeros(ORDER + 1)
    tilt[1:6] = (-0.25, 0.3, -0.2, 0.2, 0.15)
    sounds = []
    for text in PERSON:
        sound = render(base, text)[0]
        sounds += [convert(sound, np.tile(tilt, (len(sound) // HOP + 1, 1))), np.zeros(RATE // 2, np.float32)]
    sound = np.concatenate(sounds)
    noisy = sound + np.random.default_rng(0).normal(size=len(sound)).astype(np.float32) * 3e-4
    soundfile.write(folder / "person.wav", noisy, RATE)
    options = VoiceOptions(languages=("en", "zh"), recorded_language="zh", steps=8, sentences=2, allow_flite=False)
    train_voice(folder / "person.wav", folder / "bundle", name="P", options=options, takes=("t1",), consent_id="c1")
    return folder / "bundle", folder / "person.wav"


@pytest.mark.slow
def test_training_brings_the_base_nearer_the_person(trained: tuple[Path, Path]) -> None:
    manifest = read_manifest(trained[0])
    metrics = manifest.metrics
    assert (manifest.kind, manifest.takes, manifest.consent_id) == ("voice", ("t1",), "c1")
    assert metrics["similarity_zh"] > metrics["similarity_base_zh"] + 0.05
    assert metrics["llr_zh"] > metrics["llr_base_zh"]  # the referee, which nothing optimises
    assert metrics["train_minutes"] < 2


@pytest.mark.slow
def test_tones_are_kept(trained: tuple[Path, Path]) -> None:
    voice = ClonedVoice.load(trained[0])
    for text in judge.NEW_SENTENCES["zh"][:3]:
        base = render(voice.converters["zh"].base, text)[0]
        assert judge.tone_kept(base, voice.say(text, "zh")) > 0.9


@pytest.mark.slow
async def test_the_trained_voice_streams_in_both_languages(trained: tuple[Path, Path]) -> None:
    backend = create("clone", {"bundle": trained[0]})
    await backend.warm_up()
    for text in ("你好，今天天气很好。", "Hello there, it is a fine day.", "我们用 world 训练模型。"):
        stream = backend.stream(text, Voice("clone"), asyncio.Event())
        first = await anext(stream)
        rest = [chunk async for chunk in stream]
        pcm = np.concatenate([first, *rest])
        assert len(rest) > 1
        assert 1.0 < len(pcm) / RATE < 6.0
        assert np.abs(pcm).max() < 1.0
    marks = [m async for c in backend.stream_marked("你好。", Voice("clone"), asyncio.Event()) for m in c.marks]
    assert [m.text for m in marks][:2] == ["n", "i"]


@pytest.mark.slow
async def test_cancel_and_nothing_to_say(trained: tuple[Path, Path]) -> None:
    backend, cancel, after = create("clone", {"bundle": trained[0]}), asyncio.Event(), 0
    async for _ in backend.stream("this goes on and on " * 30, Voice("clone"), cancel):
        after += cancel.is_set()
        cancel.set()
    assert after == 0
    assert (await collect(backend.stream("😀", Voice("clone"), asyncio.Event()))).size == 0


@pytest.mark.slow
async def test_a_tampered_or_foreign_bundle_is_refused(trained: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(trained[0], broken)
    weights = broken / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleError):
        ClonedVoice.load(broken)
    result = await create("clone", {"bundle": broken}).check()
    assert not result.ok
    other = tmp_path / "other"
    shutil.copytree(trained[0], other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "kind": "avatar"}))
    with pytest.raises(BundleError):
        ClonedVoice.load(other)


@pytest.mark.slow
def test_a_voice_on_a_missing_program_says_so(trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from speech.clone import voice as module

    voice = ClonedVoice.load(trained[0])
    english = voice.converters["en"]
    flite = replace(voice, converters={"en": replace(english, base=replace(english.base, kind="flite"))})
    monkeypatch.setattr(module, "flite_program", lambda: None)
    assert module.missing_program(flite) == "flite"
    assert module.missing_program(voice) is None


def test_the_script_says_why_it_cannot_train(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE * 5), RATE)
    root = Path(__file__).parents[3]
    command = ["bash", "scripts/train_voice.sh", "--voice", str(tmp_path / "a.wav"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == "invalid_input"
    assert "No speech" in said["message"]


@pytest.mark.slow
@pytest.mark.skipif(flite_program() is None, reason="flite is not installed")
def test_words_are_heard_and_aligned_phone_by_phone() -> None:
    from speech.clone.recording import align, recognise

    text = "the weather is cold and we stay at home today"
    sound, phones = render(BaseVoice("flite", "en", "slt"), text)
    assert judge.word_errors([text], [recognise(sound)]) < 0.25
    found = align(sound, [p.label for p in phones])
    assert found is not None
    wanted = [p for p in phones if p.label != PAUSE]
    got = [p for p in found if p.label != PAUSE]
    errors = [abs(a.start - b.start) for a, b in zip(wanted, got, strict=False)]
    assert float(np.median(errors)) < 0.03

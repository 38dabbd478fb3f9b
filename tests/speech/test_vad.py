"""Where somebody speaks: speech of several voices, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.media.audio import resample
from speech.tts.espeak import Prosody, library
from speech.vad import RATE, WINDOW, Edge, GateSettings, SpeechGate, VoiceActivity


def spoken(text: str, voice: str, level: float = 0.4) -> np.ndarray:
    pcm, _ = library().render(text, Prosody(voice, 160))
    sound = resample(pcm.astype(np.float32) / 32768, library().sample_rate, RATE)
    return sound * np.float32(level / np.abs(sound).max())


def padded(sound: np.ndarray, before: float = 0.5, after: float = 1.0, noise: float = 0.0005) -> np.ndarray:
    out = np.concatenate([np.zeros(round(before * RATE)), sound, np.zeros(round(after * RATE))])
    return (out + np.random.default_rng(0).normal(0, noise, len(out))).astype(np.float32)


def edges(sound: np.ndarray, **settings: float) -> list[Edge]:
    gate = SpeechGate(GateSettings(**settings))
    return [edge for edge in map(gate.push, VoiceActivity().push(sound)) if edge]


@pytest.mark.parametrize(
    ("voice", "text"), [("en-us+m3", "How long does it last?"), ("cmn+f3", "今天天气很好，我们走吧。")]
)
@pytest.mark.parametrize("level", [0.5, 0.02])
def test_speech_is_found_where_it_is(voice: str, text: str, level: float) -> None:
    sound = spoken(text, voice, level)
    loud = np.flatnonzero(np.abs(sound) > 0.05 * level)
    begin, end = 0.5 + loud[0] / RATE, 0.5 + loud[-1] / RATE
    started, ended = edges(padded(sound, noise=0.002 * level))
    assert (started.kind, ended.kind) == ("started", "ended")
    assert abs(started.sample / RATE - begin) < 0.15
    assert abs(ended.sample / RATE - end) < 0.2
    assert 0.12 <= (started.known - started.sample) / RATE < 0.25, "believed after start_ms"
    assert 0.3 <= (ended.known - ended.sample) / RATE < 0.36, "ended after end_ms"


def _not_speech() -> dict[str, np.ndarray]:
    random, t = np.random.default_rng(1), np.arange(3 * RATE) / RATE
    brown = np.cumsum(random.normal(0, 1, len(t)))
    click = np.zeros(len(t))
    click[RATE : RATE + 60] = random.normal(0, 0.5, 60)
    tune = [np.sin(2 * np.pi * f * 2 ** (np.floor(t * 4) % 7 / 12) * t) for f in (220, 440, 660, 880)]
    return {
        "silence": np.zeros(len(t)),
        "white": random.normal(0, 0.2, len(t)),
        "brown": 0.5 * (brown - brown.mean()) / np.abs(brown).max(),
        "click": click,
        "hum": 0.3 * np.sin(2 * np.pi * 50 * t),
        "music": np.sum(tune, 0) * np.exp(-((t * 4) % 1) * 3) / 6,
    }


@pytest.mark.parametrize("name", sorted(_not_speech()))
def test_what_is_no_speech_opens_nothing(name: str) -> None:
    assert edges(_not_speech()[name].astype(np.float32)) == []


def test_speech_is_found_in_noise() -> None:
    sound = spoken("How long does the battery last?", "en-us+m3")
    noise = float(np.sqrt((sound**2).mean()) / 10 ** (5 / 20))
    assert [e.kind for e in edges(padded(sound, noise=noise))] == ["started", "ended"]


def test_pieces_of_any_size_give_what_the_whole_gives() -> None:
    sound = padded(spoken("Tell me about the warranty.", "en-us+m3"))
    whole, sizes, parts = VoiceActivity().push(sound), np.random.default_rng(2), []
    activity, at = VoiceActivity(), 0
    while at < len(sound):
        size = int(sizes.integers(1, 2000))
        parts += activity.push(sound[at : at + size])
        at += size
    assert parts == whole
    assert len(whole) == len(sound) // WINDOW
    activity.reset()
    assert activity.push(sound) == whole


def run(gate: SpeechGate, chances: list[float], **limits: float) -> list[Edge]:
    return [edge for edge in (gate.push(chance, **limits) for chance in chances) if edge]


def test_the_gate_has_hysteresis_and_bridges() -> None:
    settings = GateSettings(start_ms=96, end_ms=96)
    assert run(SpeechGate(settings), [0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9]) == [], "never three together"
    assert [e.kind for e in run(SpeechGate(settings), [0.9, 0.4, 0.9, 0.9])] == ["started"], "a doubt is bridged"
    gate = SpeechGate(settings)
    assert run(gate, [0.9] * 3 + [0.4] * 20) == [Edge("started", 0, 3 * WINDOW)], "0.4 goes on but does not begin"
    assert run(gate, [0.1] * 3) == [Edge("ended", 23 * WINDOW, 26 * WINDOW)]
    assert not gate.speaking


def test_the_gate_takes_other_times_from_its_caller_and_ends_on_demand() -> None:
    gate = SpeechGate(GateSettings(start_ms=96, end_ms=320))
    assert run(gate, [0.9] * 5, start_ms=200) == []
    assert run(gate, [0.9] * 2, start_ms=200)[0].sample == 0
    assert run(gate, [0.0, 0.0], end_ms=64)[0].kind == "ended"
    assert gate.end() is None
    run(gate, [0.9] * 3)
    edge = gate.end()
    assert edge is not None
    assert edge.kind == "ended"


def test_nobody_speaks_for_ever() -> None:
    made = run(SpeechGate(GateSettings(longest_s=2.0)), [0.9] * 200)
    assert [e.kind for e in made][:4] == ["started", "ended", "started", "ended"]

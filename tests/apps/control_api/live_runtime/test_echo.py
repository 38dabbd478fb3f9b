"""The guard against echo, in rooms of several sizes, and the ear that asks it."""

from __future__ import annotations

import numpy as np
import pytest

from apps.control_api.live_runtime.ear import Ear, Heard, ListenSpec
from apps.control_api.live_runtime.echo import EchoGuard, Played
from lipsync.errors import InvalidInputError
from lipsync.media.audio import resample
from tests.apps.control_api.live_runtime.talking import spoken

RATE = 16_000
AVATAR = "Our new headphones are light, they last for thirty hours, and they fold into a pocket."


def avatar() -> np.ndarray:
    return spoken(AVATAR, RATE, "en-us+f3")


def room(sound: np.ndarray, delay: float, gain: float, reverberation: float = 0.0) -> np.ndarray:
    """``sound`` as it comes back; ``reverberation`` is the time to fall by 60 dB."""
    random = np.random.default_rng(0)
    answer = np.zeros(round(0.4 * RATE))
    if reverberation:
        answer = random.normal(0, 1, len(answer)) * 10 ** (-3 * np.arange(len(answer)) / RATE / reverberation)
        answer *= 0.8 / np.sqrt((answer**2).sum())
    answer[:80] = 0
    answer[0] = 1
    late = np.concatenate([np.zeros(round(delay * RATE)), np.convolve(sound, answer)[: len(sound)] * gain])[
        : len(sound)
    ]
    return (late + random.normal(0, 0.001, len(sound))).astype(np.float32)


def heard(microphone: np.ndarray, played: np.ndarray, **spec: object) -> list[Heard]:
    """What an ear makes of it, 40 ms at a time, while the avatar speaks."""
    known = Played()
    ear = Ear(ListenSpec(**spec), known)  # type: ignore[arg-type]
    loud = (np.clip(resample(played, RATE, 48_000), -1, 1) * 32767).astype(np.int16)
    made = []
    for at in range(0, min(len(microphone), len(played)) - 640, 640):
        known.put(loud[at * 3 : at * 3 + 1920])
        made += ear.push(microphone[at : at + 640], RATE, True)
    return made


def kinds(made: list[Heard]) -> list[str]:
    return [h.edge.kind for h in made if h.edge]


@pytest.mark.parametrize(
    ("delay", "gain", "reverberation"), [(0.25, 0.3, 0.0), (0.18, 0.3, 0.3), (0.7, 0.1, 0.3), (1.0, 0.5, 0.4)]
)
def test_its_own_voice_is_not_heard(delay: float, gain: float, reverberation: float) -> None:
    sound = avatar()
    assert kinds(heard(room(sound, delay, gain, reverberation), sound)) == []


@pytest.mark.parametrize("level", [0.6, 0.3, 0.2])
def test_somebody_who_speaks_over_it_is_heard(level: float) -> None:
    sound = avatar()
    person = spoken("How long does the battery last?", RATE, "en-us+m3", level)
    both = room(sound, 0.25, 0.3, 0.3)
    begin = 2 * RATE
    both[begin : begin + len(person)] += person[: len(both) - begin]
    [first, *_] = [h.edge for h in heard(both, sound) if h.edge]
    assert first.kind == "started"
    assert begin - 0.1 * RATE < first.sample < begin + 0.6 * RATE


def test_a_person_with_headphones_is_heard_as_without_an_avatar() -> None:
    sound = avatar()
    person = np.zeros(len(sound), np.float32)
    said = spoken("How long does the battery last?", RATE)
    person[RATE : RATE + len(said)] = said
    person += np.random.default_rng(1).normal(0, 0.0005, len(person)).astype(np.float32)
    assert kinds(heard(person, sound)) == ["started", "ended"]
    assert kinds(heard(person, sound, barge_in=False)) == []


def test_how_much_is_explained() -> None:
    played = Played()
    guard = EchoGuard(played)
    assert guard.explained() == 0.0, "nothing was played"
    sound = avatar()[: 3 * RATE]
    loud = (np.clip(resample(sound, RATE, 48_000), -1, 1) * 32767).astype(np.int16)
    late = room(sound, 0.3, 0.2)
    for at in range(0, len(sound) - 640, 640):
        played.put(loud[at * 3 : at * 3 + 1920])
        guard.push(late[at : at + 640])
    assert guard.explained() > 0.9
    guard.push(spoken("How long does the battery last?", RATE)[: round(0.64 * RATE)])
    assert guard.explained() < 0.5


def test_speech_comes_with_what_led_to_it_and_nothing_is_lost() -> None:
    said = spoken("Students.", RATE)
    sound = np.concatenate([np.zeros(RATE, np.float32), said, np.zeros(RATE, np.float32)])
    ear = Ear(ListenSpec(lead_ms=300), Played())
    made = [h for at in range(0, len(sound), 320) for h in ear.push(sound[at : at + 320], RATE, False)]
    start = next(i for i, h in enumerate(made) if h.edge and h.edge.kind == "started")
    end = next(i for i, h in enumerate(made) if h.edge and h.edge.kind == "ended")
    edge = made[start].edge
    assert edge is not None
    begun = edge.sample - round(0.3 * RATE)
    got = np.concatenate([h.pcm for h in made[start : end + 1]])
    assert np.array_equal(got, sound[begun : begun + len(got)])
    assert begun < RATE < len(sound) - RATE <= begun + len(got)


@pytest.mark.parametrize("wrong", [{"end_silence_ms": 50}, {"start_ms": 5}, {"barge_in_ms": 5000}, {"lead_ms": -1}])
def test_times_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        ListenSpec(**wrong)  # type: ignore[arg-type]


def test_how_long_to_wait_for_more() -> None:
    from apps.control_api.live_runtime.stages.recognise import bare_phrases, patience

    known = bare_phrases(("How much is it?", "多少钱？"))
    for text in ("how much is it", "How much is it?", "多少钱", "你好吗", "That is all."):
        assert patience(text, known) < 1, text
    for text in ("I would like to", "how much is the", "我想要的"):
        assert patience(text, known) > 1, text
    assert patience("show me the blue one", known) == 1

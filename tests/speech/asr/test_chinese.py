"""Chinese phrases by their sound: voices it never learned, another pace, noise; and what is no phrase."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync.media.audio import resample
from speech.asr.chinese import RATE, SpokenPhrases
from speech.tts.espeak import Prosody, library

KNOWN = ("电池能用多久", "怎么退货", "有没有优惠", "可以开发票吗", "这款耳机防水吗", "能送到北京吗", "再见")
OTHERS = ("妹妹正在房间里画一只小猫", "火车站离这里很远", "我想喝一杯热咖啡", "手机没电了", "你吃饭了吗", "好的")


def spoken(text: str, voice: str, rate: int, pitch: int = 50, noise_db: float = 60.0) -> np.ndarray:
    """As the synthesiser says it, gaps and all, in a room with noise."""
    pcm, _ = library().render(text, Prosody(voice, rate, pitch))
    sound = resample(pcm.astype(np.float32) / 32768, library().sample_rate, RATE)
    level = float(np.sqrt(np.mean(sound[np.abs(sound) > 0.02] ** 2)))
    sound = np.pad(sound, RATE // 4)
    noise = np.random.default_rng(1).normal(0, level * 10 ** (-noise_db / 20), len(sound))
    return (sound + noise).astype(np.float32)


@pytest.fixture(scope="module")
def phrases() -> SpokenPhrases:
    return SpokenPhrases(KNOWN)


@pytest.mark.parametrize(
    ("voice", "rate", "pitch", "noise_db"),
    [("cmn+m1", 140, 40, 60), ("cmn+linda", 210, 60, 60), ("cmn+f5", 165, 70, 10)],
)
def test_phrases_are_heard_in_other_voices(
    phrases: SpokenPhrases, voice: str, rate: int, pitch: int, noise_db: float
) -> None:
    found = [phrases.nearest(spoken(text, voice, rate, pitch, noise_db)) for text in KNOWN]
    assert [f.text for f in found if f is not None] == list(KNOWN)
    assert sum(f is not None and f.taken for f in found) >= len(KNOWN) - 1


def test_what_is_no_phrase_is_not_taken(phrases: SpokenPhrases) -> None:
    voices = (("cmn+m1", 150), ("cmn+f5", 180))
    found = [phrases.nearest(spoken(text, voice, rate)) for text in OTHERS for voice, rate in voices]
    assert sum(f is not None and f.taken for f in found) <= 1
    english = phrases.nearest(spoken("How long does the battery last?", "en-us+m3", 160))
    assert english is None or not english.taken
    noise = np.random.default_rng(2).normal(0, 0.1, RATE).astype(np.float32)
    for sound in (noise, np.zeros(RATE, np.float32), np.zeros(100, np.float32)):
        nothing = phrases.nearest(sound)
        assert nothing is None or not nothing.taken


def test_without_phrases_nothing_is_found() -> None:
    assert SpokenPhrases(()).nearest(spoken("再见", "cmn", 160)) is None

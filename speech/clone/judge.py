"""How good a voice is: likeness by a speaker encoder, an independent likeness by mixtures, clarity by recognition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.clone.features import HOP, RATE, analyse, levelled

Sound = NDArray[np.float32]

NEW_SENTENCES = {
    "en": (
        "My neighbor grows tomatoes and beans behind the house.",
        "Could you show me the way to the old market square?",
        "We watched the boats come home before it got dark.",
        "Please close the door and turn off the light.",
        "The teacher gave us two weeks to write the paper.",
        "They found a quiet table next to the kitchen.",
        "I will send you the photos as soon as I am home.",
        "The road to the village was covered with snow.",
        "She has worked in this hospital for nine years.",
        "It was the best meal that we had in a long time.",
    ),
    "zh": (
        "周末我们打算去山里爬山。",
        "请问附近有没有好吃的面馆？",
        "妹妹正在房间里画一只小猫。",
        "会议改到星期四下午三点。",
        "这条河的水非常干净。",
    ),
}
"""Sentences nothing is learned from and no setting is chosen by."""


@cache
def encoder() -> Any:
    """The speaker encoder of Resemblyzer (GE2E), whose weights ship in its package."""
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def embed(sound: Sound) -> NDArray[np.float32]:
    """Unit vector (256,) of the voice in ``sound`` at RATE."""
    from resemblyzer import preprocess_wav

    return np.asarray(encoder().embed_utterance(preprocess_wav(levelled(sound), RATE)), np.float32)


def similarity(one: Sound, two: Sound) -> float:
    """Cosine of two voices: two halves of one speaker score 0.98, other people 0.54 to 0.63."""
    return float(embed(one) @ embed(two))


def word_errors(said: Sequence[str], heard: Sequence[str]) -> float:
    """Word error rate over all sentences."""
    from speech.clone.recording import words_of

    wrong = total = 0
    for text, other in zip(said, heard, strict=True):
        a, b = words_of(text), words_of(other)
        row = list(range(len(b) + 1))
        for i, word in enumerate(a, 1):
            diagonal, row[0] = row[0], i
            for j, guess in enumerate(b, 1):
                diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != guess))
        wrong, total = wrong + row[-1], total + len(a)
    return wrong / max(total, 1)


def _timbre(sound: Sound) -> NDArray[np.float64]:
    import librosa

    m = librosa.feature.mfcc(y=levelled(sound), sr=RATE, n_mfcc=20, n_fft=512, hop_length=160, n_mels=40, fmax=7600).T
    return np.asarray(m[m[:, 0] > np.percentile(m[:, 0], 95) - 180][:, 1:], np.float64)


@dataclass
class Referee:
    """Log-likelihood ratio of the person's mixture to that of other voices; nothing optimises it."""

    person: Any
    others: Any

    @classmethod
    def learn(cls, person: Sequence[Sound], others: Sequence[Sound]) -> Referee:
        """Fit both mixtures (diagonal, 16 or 32 components by length)."""
        from sklearn.mixture import GaussianMixture

        def fit(sounds: Sequence[Sound]) -> Any:
            frames = np.concatenate([_timbre(s) for s in sounds])
            count = 32 if len(frames) > 6000 else 16
            return GaussianMixture(count, covariance_type="diag", random_state=0, max_iter=40).fit(frames)

        return cls(fit(person), fit(others))

    def score(self, sounds: Sequence[Sound]) -> float:
        """Mean log-likelihood ratio a frame, in nats; above 0 it is nearer the person."""
        frames = np.concatenate([_timbre(s) for s in sounds])
        return float(self.person.score(frames) - self.others.score(frames))


def other_voices() -> list[Sound]:
    """Voices that are not the person's, for the referee: espeak-ng's and flite's."""
    from speech.clone.base_speech import BaseVoice, flite_program, render

    bases = [BaseVoice("espeak", "en", f"en-us+{v}") for v in ("f3", "m3", "f2", "m1", "f4", "m7")]
    if flite_program():
        bases += [BaseVoice("flite", "en", v) for v in ("slt", "rms", "awb", "kal16")]
    return [render(base, sentence)[0] for base in bases for sentence in NEW_SENTENCES["en"][:3]]


def mcd(one: Sound, two: Sound) -> float:
    """Mel-cepstral distortion in dB between two renderings of one text, aligned by dynamic time warping."""
    import librosa

    a, b = analyse(one), analyse(two)
    x, y = a.cepstra[a.speech, 1:25], b.cepstra[b.speech, 1:25]
    # Aligned on shapes freed from each voice's own mean, measured on the values themselves.
    spread = (x.std(0) + y.std(0)) / 2
    _, path = librosa.sequence.dtw(((x - x.mean(0)) / spread).T[:, ::2], ((y - y.mean(0)) / spread).T[:, ::2])
    difference = x[::2][path[:, 0]] - y[::2][path[:, 1]]
    return float(10 / np.log(10) * np.sqrt(2) * np.linalg.norm(difference, axis=1).mean())


def dnsmos(sounds: Sequence[Sound]) -> float | None:
    """Overall quality, 1 to 5, by DNSMOS; None where its package (speechmos) is not installed."""
    try:
        from speechmos import dnsmos as model
    except ImportError:
        return None
    return float(np.mean([model.run(levelled(s, 0.7), RATE)["ovrl_mos"] for s in sounds]))


def tone_kept(base: Sound, changed: Sound) -> float:
    """Correlation of the two pitch contours where both are voiced: 1 if every tone is kept."""
    a, b = analyse(base).f0, analyse(changed).f0
    n = min(len(a), len(b))
    both = (a[:n] > 0) & (b[:n] > 0)
    if both.sum() < RATE // HOP // 10:
        return 0.0
    return float(np.corrcoef(np.log(a[:n][both]), np.log(b[:n][both]))[0, 1])


Say = Callable[[str], Sound]

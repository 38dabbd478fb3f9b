"""Chinese phrases told apart by their sound, without a recogniser of Chinese: what the local back-end knows of it.

Each phrase is spoken beforehand by the studio's own synthesiser in three voices. Utterance and phrases are heard by an
English ear (``lipsync.audio.phones``): how likely each of 40 phones is in every frame, which depends little on who
speaks. An utterance is laid over every phrase by dynamic programming (Sakoe and Chiba 1978; a phrase's frames are
stayed on, stepped or skipped), and over anything at all: pieces of the phrases and of some ordinary sentences in any
order (a filler, as in Rose and Paul 1990). A phrase is taken where it fits hardly worse than anything at all and
clearly better than the next. Tones are not heard.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync.audio.phones import SphinxMel, cosines, load_phones, state_scores, with_differences
from lipsync.media.audio import resample
from speech.tts.espeak import Prosody, library

Array = NDArray[np.float32]
RATE = 16_000
MOST = 100
"""Phrases known at most, the first ones; each takes about 50 ms to learn."""
_VOICES = ("cmn+m3", "cmn+f3", "cmn")
_FILLER_VOICES = _VOICES[:2]
_ORDINARY = (
    "我们去公园散步吧",
    "这个菜很好吃",
    "老师让学生写作业",
    "北方冬天非常冷",
    "请给我两张票",
    "那只猫跑得很快",
    "他昨天买了新衣服",
    "春天花都开了",
    "我哥哥在银行工作",
    "飞机晚上九点起飞",
    "桌子上放着一杯茶",
    "先生您需要帮助吗",
    "图书馆里人特别多",
    "雨停了我们就出发",
    "他姐姐会说日语",
    "女儿想学弹钢琴",
)
_RANGE = 4.6
"""Of each band only what lies less than this (log power; 20 dB) below its loudest is heard, in noise or without."""
_SOFTEN = 0.4
_LEAST_SHARE = 1e-4
_STAY, _SKIP, _EDGE, _JUMP = 0.05, 0.15, 0.3, 1.0
"""What it costs to stay on a frame, to skip one, to leave one out at an end, and to go on anywhere (filler)."""
_LOOSE = 4
"""Frames at a phrase's ends that may be missing."""
_NEXT = 0.2
"""How much it weighs that the next phrase fits nearly as well."""
LIMIT = 0.235
"""The greatest ``Match.cost`` that is taken: one in twenty-five sentences that are no phrase passes."""
_NEVER = np.float32(1e9)
_GAP_MS, _KEPT_MS = 60.0, 12.0
"""espeak-ng leaves 40 ms between Chinese syllables; nobody does. Silences under the first are cut to the second."""
_SHORTEST_S = 0.25


@dataclass(frozen=True)
class Match:
    """The phrase that fits best.

    Attributes:
        text: It.
        cost: How much worse it fits than anything at all, and how near the next is; 0 is best.
    """

    text: str
    cost: float

    @property
    def taken(self) -> bool:
        """Whether it was meant."""
        return self.cost <= LIMIT

    @property
    def confidence(self) -> float:
        """0 to 1; 0.5 at the limit."""
        return round(float(np.clip(1.0 - 0.5 * self.cost / LIMIT, 0.0, 1.0)), 3)


class SpokenPhrases:
    """Chinese phrases and how they sound. Making it is CPU work (50 ms a phrase); ``nearest`` takes about 0.1 s.

    Args:
        texts: Chinese; the first ``MOST`` are known.

    Raises:
        FileNotFoundError: the acoustic model is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        model = load_phones()
        if model is None:
            raise FileNotFoundError("The acoustic model of the package pocketsphinx is not installed.")
        self._model = model
        self.texts = tuple(dict.fromkeys(texts))[:MOST]
        bare = {_bare(text) for text in self.texts}
        ordinary = [text for text in _ORDINARY if _bare(text) not in bare]
        spoken = [(k, self._hear(say(text, voice))) for k, text in enumerate(self.texts) for voice in _VOICES]
        spoken += [
            (len(self.texts) + k, self._hear(say(text, voice)))
            for k, text in enumerate(ordinary)
            for voice in _FILLER_VOICES
        ]
        self._owner = np.array([k for k, _ in spoken])
        self._all = np.concatenate([heard for _, heard in spoken])
        self._lengths = np.array([len(heard) for _, heard in spoken])
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._ends = self._starts + self._lengths - 1
        self._first = np.zeros(len(self._all), bool)
        self._first[self._starts] = True
        self._second = np.zeros(len(self._all), bool)
        self._second[np.minimum(self._starts + 1, self._ends)] = True

    def nearest(self, pcm: Array) -> Match | None:
        """What was said, float32 mono at 16 kHz; None where there are no phrases, or hardly any sound."""
        if not self.texts or len(pcm) < _SHORTEST_S * RATE:
            return None
        heard = self._hear(pcm)
        distance = -np.log(np.maximum(heard @ self._all.T, _LEAST_SHARE)).astype(np.float32)
        anything = self._anything(distance)
        costs = self._phrases(distance)
        by_text = np.full(int(self._owner.max()) + 1, np.inf)
        np.minimum.at(by_text, self._owner, costs)
        best = int(np.argmin(by_text))
        if best >= len(self.texts):
            return None
        second = float(np.min(np.delete(by_text, best)))
        cost = float(by_text[best]) - anything + _NEXT * float(by_text[best]) / max(second, 1e-6)
        return Match(self.texts[best], cost)

    def _phrases(self, distance: Array) -> NDArray[np.float64]:
        """What it costs, a frame, to lay the utterance over each of what was spoken beforehand."""
        cost = np.full(distance.shape[1], _NEVER, np.float32)
        for late in range(_LOOSE):
            at = np.minimum(self._starts + late, self._ends)
            cost[at] = np.minimum(cost[at], distance[0][at] + _EDGE * late)
        for now in distance[1:]:
            cost = np.minimum(np.minimum(cost + _STAY, self._stepped(cost)), self._skipped(cost)) + now
        ends = [cost[np.maximum(self._ends - early, self._starts)] + _EDGE * early for early in range(_LOOSE)]
        return np.asarray(np.min(ends, axis=0) / len(distance), np.float64)

    def _anything(self, distance: Array) -> float:
        cost = distance[0].copy()
        for now in distance[1:]:
            on = np.minimum(np.minimum(cost + _STAY, self._stepped(cost)), self._skipped(cost))
            cost = np.minimum(on, cost.min() + _JUMP) + now
        return float(cost.min()) / len(distance)

    def _stepped(self, cost: Array) -> Array:
        out = np.empty_like(cost)
        out[1:] = cost[:-1]
        out[self._first] = _NEVER
        return out

    def _skipped(self, cost: Array) -> Array:
        out = np.full_like(cost, _NEVER)
        out[2:] = cost[:-2] + _SKIP
        out[self._first | self._second] = _NEVER
        return out

    def _hear(self, pcm: Array) -> Array:
        """Square roots of the phones' shares (n, 40) in each frame of the speech in ``pcm``."""
        stream = SphinxMel()
        mel = np.concatenate([stream.push(np.asarray(pcm, np.float32)), stream.flush()])
        mel = np.maximum(mel, np.percentile(mel, 95, axis=0) - _RANGE)
        loudness = np.convolve(np.pad(mel.mean(1), 2, mode="edge"), np.full(5, 0.2), "valid")
        low, high = np.percentile(loudness, [5, 95])
        active = loudness > low + 0.35 * (high - low)
        if not active.any():
            active[:] = True
        cepstra = (mel @ cosines()).astype(np.float32)
        cepstra -= cepstra[active].mean(0)
        cepstra[:, 0] += 1.0
        known = np.concatenate([np.repeat(cepstra[:1], 3, 0), cepstra, np.repeat(cepstra[-1:], 3, 0)])
        model = self._model
        scores = state_scores(with_differences(known), model["matrix"], model["constant"], model["weight"])
        scores -= scores.max(axis=(0, 2), keepdims=True)
        shares = np.exp(_SOFTEN * scores).sum(2).T
        spoken = np.flatnonzero(active)
        shares = shares[max(0, spoken[0] - 4) : spoken[-1] + 5]
        return np.asarray(np.sqrt(shares / shares.sum(1, keepdims=True)), np.float32)


def say(text: str, voice: str) -> Array:
    """Chinese text in a voice of espeak-ng, float32 at 16 kHz, without its gaps between syllables."""
    engine = library()
    pcm, starts = engine.render(text, Prosody(voice, 185))
    begun = [(s.text.strip("ˈˌ"), s.sample) for s in starts if s.kind == "phoneme"]
    kept, at = [], 0
    for (name, start), (_, stop) in itertools.pairwise(begun):
        length = (stop - start) * 1000 / engine.sample_rate
        if not name and start > 0 and _KEPT_MS < length < _GAP_MS:
            kept.append(pcm[at : start + round(_KEPT_MS / 2 * engine.sample_rate / 1000)])
            at = stop - round(_KEPT_MS / 2 * engine.sample_rate / 1000)
    kept.append(pcm[at:])
    sound = resample(np.concatenate(kept).astype(np.float32) / 32768, engine.sample_rate, RATE)
    sound = np.pad(sound * np.float32(0.4 / max(float(np.abs(sound).max()), 1e-6)), RATE // 4)
    return (sound + np.random.default_rng(0).normal(0, 0.0005, len(sound))).astype(np.float32)


def _bare(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())

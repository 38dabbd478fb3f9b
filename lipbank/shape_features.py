"""Sound as the shape model hears it: log-mel freed from whose voice, microphone and level it is.

Every band is measured from its running mean over speech. On the take that mean is the person's own; when another voice
drives, the mean moves to that voice within seconds, which is worth more than any other single step against foreign
voices. The running mean looks only back, so a stream and a file give the same features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from lipbank.shape_phones import THROATS, PhoneStream
from lipbank.shape_states import COMPONENTS, StateStream
from lipsync.audio.mel import BANDS, MelStream, log_mel

Features = NDArray[np.float32]

SCALE = 2.5
"""Natural-log units to one feature unit: about the spread of a band over speech."""
LOW, HIGH = -3.0, 3.0
"""Features are held in here, so that digital silence is no stranger than a quiet room."""
ACTIVE_UNDER_LEVEL = 4.0
"""A frame is speech if its mean log-energy is within this (natural log of power) of the voice's level."""
_LEVEL_RISE, _LEVEL_FALL = 0.3, 0.005
_LEVEL_REACH, _LEVEL_RANGE = 6.5, 7.0
_CLEAN_DEPTH, _NOISY_DEPTH, _FLOOR_RISE = 2.5, 1.9, 0.01  # the quietest of the last seconds, under the voice's level
_PRIOR_FRAMES = 150.0
_OWN, _FOREIGN = 0.35, 0.65  # distance of the running mean from the take's; its own voice stays under 0.45
_MEMORY_FRAMES = 2000.0
_JUDGED_EVERY = 8000  # samples
_JUDGED_AT = (100, 200, 400, 800)  # frames of speech
_GATHER, _JUDGED_ON = 4, 64
_FOREIGN_ENOUGH = 0.5
_USUAL_THROATS, _DOUBT_FRAMES = 4.0, 50.0  # semitones; frames of speech that weigh as much as the doubt


@dataclass(frozen=True)
class VoiceStats:
    """A voice's ordinary spectrum.

    Attributes:
        mean: float32 (40,), mean log-mel over speech.
        level: Mean log-energy of its louder frames.
    """

    mean: NDArray[np.float32]
    level: float


def voice_stats(mel: NDArray[np.float32]) -> VoiceStats:
    """The ordinary spectrum of a voice, from log-mel frames (n, 40) of a whole recording."""
    if not len(mel):
        return VoiceStats(np.zeros(BANDS, np.float32), 0.0)
    energy = mel.mean(1)
    level = float(np.percentile(energy, 95))
    active = energy > level - ACTIVE_UNDER_LEVEL
    return VoiceStats(mel[active].mean(0).astype(np.float32), level)


def normalise(mel: NDArray[np.float32], stats: VoiceStats) -> Features:
    """Features (n, 40) of log-mel frames against a known spectrum."""
    return np.clip((mel - stats.mean) / SCALE, LOW, HIGH).astype(np.float32)


@dataclass(frozen=True)
class Heard:
    """What m frames of sound are.

    Attributes:
        features: float32 (m, 40): the spectrum; then, where there are any, 40 phones and 48 states.
        activity: (m,), how far the frame's energy stands above (negative: below) the voice's level, in feature units.
        gain: (m,), energy of the take's voice over this one's.
        foreign: (m,), 0 for the take's own voice to 1 for another, by its running mean spectrum; 0 too where there are
            no quiet moments between the syllables, because then it is noise that moved the mean.
        rate: (m,), how far the frame moved the running mean; 0 where nobody spoke.
    """

    features: Features
    activity: NDArray[np.float32]
    gain: NDArray[np.float32]
    foreign: NDArray[np.float32]
    rate: NDArray[np.float32]


class FeatureStream:
    """Features and speech activity of one sound that arrives in pieces.

    Args:
        stats: The take's voice, which the running mean begins at.
    """

    def __init__(self, stats: VoiceStats) -> None:
        self._stats = stats
        self._mel = MelStream()
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far, and the voice that made it."""
        self._mel.reset()
        self._mel.listen_as(1.0)
        self._mean = self._stats.mean.astype(np.float64)
        self._level = self._stats.level
        self._weight = _PRIOR_FRAMES
        self._floor = self._level - _CLEAN_DEPTH - 0.5

    def get_used_to(self, voice: VoiceStats) -> None:
        """Begin with this voice's ordinary spectrum instead of the take's."""
        self._mean = voice.mean.astype(np.float64)
        self._level = voice.level

    def listen_as(self, semitones: float, power: NDArray[np.float32]) -> None:
        """Hear what comes as from a throat so much higher than the take's, whose speech so far had these spectra."""
        ratio = 2 ** (semitones / 12)
        self._mel.listen_as(ratio)
        self._mean = self._mel.of_power(power).mean(0).astype(np.float64)

    def push(self, pcm: NDArray[np.float32]) -> Heard:
        """Take sound; return what became certain."""
        mel = self._mel.push(pcm)
        features = np.empty_like(mel)
        energy = mel.mean(1)
        activity, gain, foreign, rate = (np.zeros(len(mel), np.float32) for _ in range(4))
        for i, frame in enumerate(mel):
            loud = float(energy[i])
            if loud > self._level:
                self._level += _LEVEL_RISE * (loud - self._level)
            elif loud > self._level - _LEVEL_REACH:  # a quieter voice, not a pause
                self._level = max(self._level - _LEVEL_FALL, self._stats.level - _LEVEL_RANGE)
            if loud > self._level - ACTIVE_UNDER_LEVEL:
                self._weight = min(self._weight + 1, _MEMORY_FRAMES)
                rate[i] = 1 / self._weight
                self._mean += (frame - self._mean) * rate[i]
            features[i] = (frame - self._mean) / SCALE
            activity[i] = (loud - self._level) / SCALE
            if loud < self._floor:
                self._floor += _LEVEL_RISE * (loud - self._floor)
            else:
                self._floor = min(self._floor + _FLOOR_RISE, self._level)
            clean = (self._level - self._floor - _NOISY_DEPTH) / (_CLEAN_DEPTH - _NOISY_DEPTH)
            apart = self._stats.mean - self._mean
            gain[i] = np.exp(np.clip(apart.mean(), -6, 6))
            foreign[i] = np.clip((apart.std() - _OWN) / (_FOREIGN - _OWN), 0, 1) * min(max(clean, 0.0), 1.0)
        return Heard(np.clip(features, LOW, HIGH), activity, gain, foreign, rate)


class EarStream:
    """All that a shape model hears of one sound: spectrum, phones and states, as far as it has them.

    When another voice speaks, the length of its throat is estimated from its first seconds (which of ``THROATS`` makes
    its sounds likeliest), and from then on it is heard as if it had the take's.

    Args:
        stats: The take's voice.
        states: Tensors of a ``StateStream`` with its reduction, or None.
        phones: Tensors of a ``PhoneStream``, or None.
        throats: Whether to listen for another throat, which needs phones.

    Attributes:
        pad: What is heard before a sound begins, one frame.
        throat: Semitones by which the voice's throat is taken to be higher than the take's.
    """

    def __init__(
        self,
        stats: VoiceStats,
        states: Mapping[str, NDArray[np.floating]] | None,
        phones: Mapping[str, NDArray[np.floating]] | None = None,
        *,
        throats: bool = True,
    ) -> None:
        self._features = FeatureStream(stats)
        self._phones = PhoneStream(phones) if phones else None
        self._states = StateStream(states) if states else None
        self._throats = throats and self._phones is not None
        parts = [np.full(BANDS, LOW, np.float32)]
        if self._phones is not None:
            parts.append(self._phones.pad)
        if self._states is not None:
            parts.append(np.zeros(COMPONENTS, np.float32))
        self.pad = np.concatenate(parts)
        self._begin()

    def get_used_to(self, pcm: NDArray[np.float32]) -> None:
        """Begin with the voice of this sound as the ordinary one instead of the take's."""
        mel = log_mel(pcm)
        voice = voice_stats(mel)
        self._features.get_used_to(voice)
        if self._phones is not None:
            self._phones.get_used_to(pcm, mel.mean(1) > voice.level - ACTIVE_UNDER_LEVEL)

    def reset(self) -> None:
        """Forget the sound so far, but not another throat that was found: who spoke last most likely speaks next."""
        self._features.reset()
        if self._phones is not None:
            self._phones.reset()
        if self._states is not None:
            self._states.reset()
        last, power = self.throat, self._power
        self._begin()
        if last:
            self._last = last
            self._listen_as(last, power)

    def _listen_as(self, throat: float, power: NDArray[np.float32]) -> None:
        """Hear what comes as from this throat, whose speech so far had these spectra (n, 257)."""
        self.throat, self._power = throat, power
        self._features.listen_as(throat, power)
        if self._phones is not None:
            self._phones.listen_as(throat, power)
        if self._states is not None:
            self._states.listen_as(throat)

    def _begin(self) -> None:
        self.throat = self._last = 0.0
        self._power = np.empty((0, 0), np.float32)
        self._samples = 0
        self._spoken: list[NDArray[np.float32]] = []
        self._frames = 0
        self._due = 0
        self._foreign = 0.0

    def push(self, pcm: NDArray[np.float32]) -> Heard:
        """Take sound; return what became certain."""
        if not self._throats:
            return self._listen(pcm)
        out, at = [], 0
        while True:  # throats are judged at fixed samples, so that pieces of any length give the same
            stop = min(len(pcm), at + _JUDGED_EVERY - self._samples % _JUDGED_EVERY)
            heard = self._listen(pcm[at:stop])
            self._samples += stop - at
            self._gather(heard)
            out.append(heard)
            at = stop
            if at and self._samples % _JUDGED_EVERY == 0:
                self._judge()
            if at == len(pcm):
                break
        if len(out) == 1:
            return out[0]
        return Heard(*(np.concatenate([getattr(part, field.name) for part in out]) for field in fields(Heard)))

    def _listen(self, pcm: NDArray[np.float32]) -> Heard:
        heard = self._features.push(pcm)
        parts = [heard.features]
        if self._phones is not None:
            parts.append(self._phones.push(pcm, heard.rate))
        if self._states is not None:
            parts.append(self._states.push(pcm, heard.gain))
        return replace(heard, features=np.concatenate(parts, axis=1)) if len(parts) > 1 else heard

    def _gather(self, heard: Heard) -> None:
        """Keep every fourth frame of speech, until enough is known of the voice."""
        if self._phones is None or self._frames > _JUDGED_AT[-1]:
            return
        for k in np.flatnonzero(heard.rate > 0):
            if self._frames % _GATHER == 0:
                self._spoken.append(self._phones.power[k])
            self._frames += 1
        if len(heard.foreign):
            self._foreign = float(heard.foreign[-1])

    def _judge(self) -> None:
        """Once so many frames of another voice have been heard, find its throat."""
        if self._phones is None or self._due >= len(_JUDGED_AT) or self._frames < _JUDGED_AT[self._due]:
            return
        while self._due < len(_JUDGED_AT) and self._frames >= _JUDGED_AT[self._due]:
            self._due += 1
        if self._foreign < _FOREIGN_ENOUGH and self.throat == 0:
            return
        power = np.stack(self._spoken[:: max(1, len(self._spoken) // _JUDGED_ON)])
        doubt = ((THROATS - self._last) / _USUAL_THROATS) ** 2 * _DOUBT_FRAMES / self._frames
        throat = float(THROATS[(self._phones.throat_of(power) - doubt).argmax()])
        if throat != self.throat:
            self._listen_as(throat, power)

"""One microphone, heard in a thread: brought to 16 kHz, freed of the avatar's own voice, cut into speech and rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.echo import EchoGuard, Played
from apps.control_api.live_runtime.level import SpeechLevel
from lipsync.errors import InvalidInputError
from lipsync.media.audio import Resampler
from speech.vad import RATE, WINDOW, Edge, GateSettings, SpeechGate, VoiceActivity

ECHO = 0.7
"""From this share of a microphone's power on, what it hears is the avatar."""
Pcm = NDArray[np.float32]


@dataclass(frozen=True)
class ListenSpec:
    """How a session listens.

    Attributes:
        backend: A name of ``speech.asr.registry``.
        settings: The recogniser's own (credentials included; never logged, never shown).
        language: "zh", "en" or "auto".
        phrases: What people are likely to say.
        act: What becomes of the words: they are answered ("chat"), spoken ("say"), or only told ("tell").
        barge_in: Whether speaking over the avatar stops it; if not, it hears nothing while it speaks.
        enabled: Whether the microphone is open at first.
        end_silence_ms: Silence after which a person has finished. Shorter answers sooner and cuts in more often.
            Sentences that sound whole get two thirds of it, those that cannot be whole twice as much.
        start_ms: Speech this long is believed while the avatar is silent.
        barge_in_ms: Speech this long over the avatar stops it.
        lead_ms: Sound before the beginning that belongs to it: the first consonant is quieter than the vowel.
    """

    backend: str = "local"
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    language: str = "auto"
    phrases: tuple[str, ...] = ()
    act: Literal["chat", "say", "tell"] = "chat"
    barge_in: bool = True
    enabled: bool = True
    end_silence_ms: float = 300.0
    start_ms: float = 120.0
    barge_in_ms: float = 180.0
    lead_ms: float = 300.0

    def __post_init__(self) -> None:
        if not 100 <= self.end_silence_ms <= 3000:
            raise InvalidInputError("The silence that ends speech is out of range.", "Choose 100 to 3,000 ms.")
        if not (32 <= self.start_ms <= 1000 and 32 <= self.barge_in_ms <= 1000 and 0 <= self.lead_ms <= 1000):
            raise InvalidInputError("The times of listening are out of range.", "Choose 32 to 1,000 ms.")


@dataclass(frozen=True, eq=False)
class Heard:
    """32 ms of a microphone.

    Attributes:
        pcm: float32 (512,) at 16 kHz; where speech begins, with the sound that led to it.
        edge: Speech began or ended with this.
        speaking: Somebody speaks (a beginning included, an end not).
    """

    pcm: Pcm
    edge: Edge | None
    speaking: bool


class Ear:
    """Makes ``Heard`` of what a microphone sends. Blocking; one thread at a time.

    Args:
        spec: How to listen.
        played: What people hear of the avatar.
    """

    def __init__(self, spec: ListenSpec, played: Played) -> None:
        self.end_ms = spec.end_silence_ms
        """Silence that ends speech now; whoever knows what was said so far may set it."""
        self._spec = spec
        self._guard = EchoGuard(played)
        self._activity = VoiceActivity()
        self._level = SpeechLevel()
        self._gate = SpeechGate(GateSettings(start_ms=spec.start_ms, end_ms=spec.end_silence_ms))
        self._rates: Resampler | None = None
        self._rest = np.zeros(0, np.float32)
        windows = max(1, round((spec.lead_ms + max(spec.start_ms, spec.barge_in_ms) + 100) / 1000 * RATE / WINDOW))
        self._lead: deque[Pcm] = deque(maxlen=windows)

    def push(self, pcm: Pcm, rate: int, over: bool) -> list[Heard]:
        """Take float32 mono at ``rate``; ``over``: the avatar speaks or has just spoken."""
        if self._rates is None or self._rates.source != rate:
            self._rates = Resampler(rate, RATE)
        sound = np.concatenate([self._rest, self._rates.push(pcm)])
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:]
        return [self._window(sound[at : at + WINDOW], over) for at in range(0, whole, WINDOW)]

    def end(self) -> Heard | None:
        """End speech now, where somebody speaks."""
        edge = self._gate.end()
        self._lead.clear()
        self._level.ended()
        return None if edge is None else Heard(np.zeros(0, np.float32), edge, False)

    def _window(self, pcm: Pcm, over: bool) -> Heard:
        self._guard.push(pcm)
        chance = self._activity.push(pcm)[0]
        voiced, speaking = chance >= self._gate.settings.threshold, self._gate.speaking
        loud = self._level.push(pcm, voiced, speaking)
        if voiced and not speaking and (not loud or (over and self._deaf())):
            chance = 0.0
        start = self._spec.barge_in_ms if over else self._spec.start_ms
        self._lead.append(pcm)
        edge = self._gate.push(chance, start, self.end_ms)
        if edge is not None and edge.kind == "started":
            return Heard(self._led(edge), edge, True)
        if edge is not None:
            self._level.ended()
        return Heard(pcm, edge, self._gate.speaking)

    def _deaf(self) -> bool:
        return not self._spec.barge_in or self._guard.explained() >= ECHO

    def _led(self, edge: Edge) -> Pcm:
        """Everything from a little before the beginning until now."""
        length = edge.known - edge.sample + round(self._spec.lead_ms / 1000 * RATE)
        return np.concatenate(list(self._lead))[-length:]

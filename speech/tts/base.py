"""The contract of every voice back-end, and the rules it keeps for them.

A back-end writes ``speak``; callers use ``stream``, which adds what holds for all: a cancel ends it within one chunk
even while the back-end waits for its service, no empty chunk is passed on, and whatever the back-end holds open is
closed before the call returns.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from speech.streams import until_cancelled

Pcm = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """Which voice speaks, and how.

    Attributes:
        backend: A name of ``speech.tts.registry``.
        voice: The back-end's own name of the voice; empty for its default.
        language: "zh", "en", or "auto" to follow the text; services may know more.
        speed: 1.0 is the voice's natural pace; 0.5 to 2.0.
        params: Settings only this back-end knows (pitch, style, reference text...).
    """

    backend: str = "local"
    voice: str = ""
    language: str = "auto"
    speed: float = 1.0
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Capabilities:
    """What a back-end can do, as data."""

    languages: tuple[str, ...]
    streaming: bool
    """The first sound reaches the caller before the last is made."""
    cloning: bool = False
    needs_network: bool = False
    word_timings: bool = False
    phoneme_timings: bool = False
    max_chars: int = 1000
    """A sentence longer than this is cut before it is sent."""


@dataclass(frozen=True)
class Mark:
    """Where a word or a phone lies in the sound.

    Attributes:
        kind: "word" or "phoneme".
        text: The word as spoken, or the phone in IPA.
        start, end: Samples at the back-end's rate, counted from the first sample of the sentence.
    """

    kind: Literal["word", "phoneme"]
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class SpeechChunk:
    """A piece of speech, float32 (n,) mono in -1..1, with the marks that became certain with it."""

    pcm: Pcm
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class VoiceInfo:
    """A voice a back-end offers."""

    voice: str
    name: dict[str, str]
    gender: Literal["female", "male", "neutral"]
    languages: tuple[str, ...]


@dataclass(frozen=True)
class CheckResult:
    """What ``check`` found: ``ok``, or a message and what to do about it. Never holds a credential."""

    ok: bool
    message: str
    remedy: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class BackendSettings(BaseModel):
    """Settings of one back-end; unknown keys are refused and credentials are ``SecretStr``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextToSpeech(ABC):
    """A voice back-end. One object serves many sessions; all its methods belong to one event loop."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    Settings: ClassVar[type[BackendSettings]] = BackendSettings

    def __init__(self, settings: BackendSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Samples a second of everything this back-end yields."""

    @abstractmethod
    def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield the sentence as sound. Raises ``SpeechError``; a sentence with nothing to say yields nothing."""

    async def stream_marked(
        self, sentence: str, voice: Voice, cancel: asyncio.Event
    ) -> AsyncGenerator[SpeechChunk, None]:
        """Yield the sentence as chunks with timings. Ends within one chunk of ``cancel``."""
        async with aclosing(until_cancelled(self.speak(sentence, voice, cancel), cancel)) as chunks:
            async for chunk in chunks:
                if chunk.pcm.size or chunk.marks:
                    yield chunk

    async def stream(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[Pcm, None]:
        """Yield the sentence as float32 mono at ``sample_rate``. Ends within one chunk of ``cancel``."""
        async with aclosing(until_cancelled(self.speak(sentence, voice, cancel), cancel)) as chunks:
            async for chunk in chunks:
                if chunk.pcm.size:
                    yield chunk.pcm

    async def voices(self) -> list[VoiceInfo]:
        """The voices this back-end offers, the default first; empty where the service does not say."""
        return []

    def missing(self) -> list[str]:
        """Names of settings without which it cannot speak and that are not set; asks nobody."""
        return []

    async def check(self) -> CheckResult:
        """Say whether this back-end can speak now, and if not, what is wrong and what to do."""
        return CheckResult(True, f"{self.name} is ready.")

    async def warm_up(self) -> None:  # noqa: B027  (optional: most services have nothing to warm)
        """Do once what would make the first sentence slow."""

    async def close(self) -> None:  # noqa: B027  (optional: most services keep nothing between sentences)
        """Free connections and threads. Safe to call twice."""


async def collect(chunks: AsyncIterator[Pcm]) -> Pcm:
    """Everything of a stream in one array, float32 (n,)."""
    parts = [chunk async for chunk in chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)

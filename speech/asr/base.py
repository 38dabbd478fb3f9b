"""The contract of every recogniser, and the rules it keeps for them.

A back-end writes ``hear``; callers use ``recognise``, which adds what holds for all: a cancel ends it at once even
while the back-end waits for its service, a guess that changes nothing is not repeated, and an utterance ends with
exactly one final transcript, which is empty where no word was heard.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from speech.streams import until_cancelled

RATE = 16_000
"""Samples a second of everything a recogniser is given."""
Pcm = NDArray[np.float32]


@dataclass(frozen=True)
class Hints:
    """What helps a recogniser.

    Attributes:
        language: "zh", "en", or "auto".
        phrases: What people are likely to say: the knowledge base's questions. A hint, not a limit.
    """

    language: str = "auto"
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """What was heard.

    Attributes:
        text: The words so far, of the whole utterance.
        final: Nothing will change any more.
        language: As the recogniser found it; None where it does not say.
        confidence: 0 to 1; None where it does not say.
        limit: Why nothing was understood, and what would understand it, where that is the recogniser's own limit.
    """

    text: str
    final: bool
    language: str | None = None
    confidence: float | None = None
    limit: tuple[str, str] | None = None


@dataclass(frozen=True)
class AsrCapabilities:
    """What a recogniser can do, as data.

    Attributes:
        languages: Any speech in these is understood.
        phrase_languages: In these only the phrases of the hints are told apart.
        streaming: Guesses come while somebody still speaks.
        needs_network: It asks a service.
        needs_download: Its weights are not part of the studio.
    """

    languages: tuple[str, ...]
    streaming: bool
    phrase_languages: tuple[str, ...] = ()
    needs_network: bool = False
    needs_download: bool = False


@dataclass(frozen=True)
class AsrCheck:
    """What ``check`` found: ``ok``, or a message and what to do about it. Never holds a credential."""

    ok: bool
    message: str
    remedy: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class AsrSettings(BaseModel):
    """Settings of one recogniser; unknown keys are refused and credentials are ``SecretStr``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Recogniser(ABC):
    """Understands speech, one utterance after another. All its methods belong to one event loop."""

    name: ClassVar[str]
    capabilities: ClassVar[AsrCapabilities]
    Settings: ClassVar[type[AsrSettings]] = AsrSettings

    def __init__(self, settings: AsrSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @abstractmethod
    def hear(self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event) -> AsyncGenerator[Transcript, None]:
        """Yield guesses while ``sound`` comes, and a final transcript after it ended. Raises ``SpeechError``.

        Callers use ``recognise``.
        """

    async def recognise(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        """Understand one utterance.

        Args:
            sound: float32 mono in -1..1 at 16 kHz, in pieces of any length; it ends where the utterance does.
            hints: See there.
            cancel: Ends the recognition at once, without a final transcript.

        Raises:
            SpeechError: The back-end failed; ``remedy`` says what to do.
        """
        last: Transcript | None = None
        async with aclosing(until_cancelled(self.hear(sound, hints, cancel), cancel)) as heard:
            async for transcript in heard:
                if transcript.final or last is None or transcript.text != last.text:
                    last = transcript
                    yield transcript
                if transcript.final:
                    return
        if not cancel.is_set():
            yield Transcript(last.text if last else "", True)

    async def check(self) -> AsrCheck:
        """Say whether this recogniser can hear now, and if not, what is wrong and what to do."""
        return AsrCheck(True, f"{self.name} is ready.")

    async def warm_up(self, hints: Hints) -> None:  # noqa: B027  (optional)
        """Do once what would make the first utterance slow."""

    async def close(self) -> None:  # noqa: B027  (optional)
        """Free connections, threads and processes. Safe to call twice."""


async def whole(sound: AsyncIterator[Pcm]) -> Pcm:
    """All of a sound in one array, float32 (n,): for services that take an utterance at once."""
    parts = [piece async for piece in sound]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def int16(pcm: Pcm) -> bytes:
    """Little-endian 16-bit samples; values beyond -1..1 are clipped."""
    return bytes((np.clip(pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes())

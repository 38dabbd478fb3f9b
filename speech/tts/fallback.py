"""A second voice that takes over within the sentence when the first fails, and says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lipsync.errors import StudioError
from speech.errors import SpeechTimeoutError
from speech.tts.base import Capabilities, CheckResult, Mark, Pcm, SpeechChunk, TextToSpeech, Voice, VoiceInfo
from speech.tts.decode import Resample

_FADE_MS = 5


@dataclass(frozen=True)
class FallbackNotice:
    """What the listener of a fallback is told.

    Attributes:
        backend: The voice that failed.
        instead: The voice that speaks now.
        code, message, remedy: The error's.
        heard_s: Seconds of the sentence the first voice had spoken.
        retry_in_s: When the first voice is tried again.
    """

    backend: str
    instead: str
    code: str
    message: str
    remedy: str
    heard_s: float
    retry_in_s: float


class FallbackSpeech(TextToSpeech):
    """Speaks with ``primary``; on its error goes on with ``secondary`` from the word it had reached.

    After a failure the first voice rests for ``cooldown_s``, so that a service that is down costs one sentence's wait,
    not every one's.

    Args:
        primary: The voice wanted.
        secondary: The voice that always works; its word timings tell where to go on.
        notify: Called once for each failure, on the event loop; may be named later by ``listen``.
        substitute: Makes the second voice's settings from the first's; by default its own voice of the same language
            and the gender named in ``voice.params["gender"]``.
        cooldown_s: How long the first voice rests after a failure.
        patience_s: How long a voice behind a network may be silent before its first sound, and after it; a listener
            waits no longer, whatever the service's own limits are.
    """

    name = "fallback"

    def __init__(
        self,
        primary: TextToSpeech,
        secondary: TextToSpeech,
        notify: Callable[[FallbackNotice], None] | None = None,
        *,
        substitute: Callable[[Voice], Voice] | None = None,
        cooldown_s: float = 20.0,
        patience_s: tuple[float, float] = (5.0, 3.0),
    ) -> None:
        self.primary, self.secondary = primary, secondary
        self._listener, self._cooldown = notify, cooldown_s
        self._untold: list[FallbackNotice] = []
        self._patience: tuple[float | None, float | None] = (
            patience_s if primary.capabilities.needs_network else (None, None)
        )
        self._substitute = substitute or self._default_substitute
        self._rests_until = 0.0
        self.capabilities: Capabilities = replace(primary.capabilities, needs_network=False)  # type: ignore[misc]

    def listen(self, notify: Callable[[FallbackNotice], None]) -> None:
        """Tell ``notify`` of failures from now on, and of those that nobody was told of."""
        self._listener = notify
        for notice in self._untold:
            notify(notice)
        self._untold.clear()

    def _notify(self, notice: FallbackNotice) -> None:
        if self._listener is None:
            self._untold = [*self._untold[-9:], notice]
        else:
            self._listener(notice)

    @property
    def sample_rate(self) -> int:
        """The first voice's; the second is brought to it."""
        return self.primary.sample_rate

    @property
    def resting(self) -> bool:
        """Whether the second voice speaks at present."""
        return time.monotonic() < self._rests_until

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield the sentence, whichever voice speaks it. Raises only if both fail."""
        heard = 0
        if not self.resting:
            try:
                async with aclosing(self._in_time(self.primary.speak(sentence, voice, cancel))) as chunks:
                    async for chunk in chunks:
                        heard += len(chunk.pcm)
                        yield chunk
                return
            except StudioError as error:
                self._rests_until = time.monotonic() + self._cooldown
                self._notify(
                    FallbackNotice(
                        self.primary.name,
                        self.secondary.name,
                        error.code,
                        error.message,
                        error.remedy,
                        heard / self.sample_rate,
                        self._cooldown,
                    )
                )
        async with aclosing(self._go_on(sentence, self._substitute(voice), cancel, heard)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _in_time(self, chunks: AsyncGenerator[SpeechChunk, None]) -> AsyncGenerator[SpeechChunk, None]:
        """Pass chunks on; raise ``SpeechTimeoutError`` once it is silent for longer than a listener waits."""
        limit, after = self._patience
        async with aclosing(chunks):
            while True:
                try:
                    async with asyncio.timeout(limit) as waiting:
                        chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    if not waiting.expired():
                        raise
                    raise SpeechTimeoutError(
                        self.primary.name, "The service is too slow.", "Try again later."
                    ) from error
                if chunk.pcm.size:
                    limit = after
                yield chunk

    async def _go_on(
        self, sentence: str, voice: Voice, cancel: asyncio.Event, heard: int
    ) -> AsyncGenerator[SpeechChunk, None]:
        """Speak the sentence from the word that comes after ``heard`` samples of the first voice.

        The pace of two voices differs little, so the time spoken tells the word reached; it is said once more whole
        rather than cut.
        """
        rate = self.secondary.sample_rate
        skip = heard * rate // self.sample_rate
        resample = Resample(rate, self.sample_rate)
        position, begin = 0, 0 if skip == 0 else None
        held: list[Pcm] = []
        words: list[Mark] = []
        fade = int(rate * _FADE_MS / 1000)
        async with aclosing(self.secondary.speak(sentence, voice, cancel)) as chunks:
            async for chunk in chunks:
                words += [mark for mark in chunk.marks if mark.kind == "word"]
                if begin is None:
                    held.append(chunk.pcm)
                    begin = next((mark.start for mark in words if mark.start <= skip < mark.end), None)
                    if begin is None:
                        begin = next((mark.start for mark in words if mark.start > skip), None)
                    if begin is None:
                        continue
                    whole = np.concatenate(held)
                    pcm = whole[begin:].copy()
                    length = min(fade, len(pcm))
                    pcm[:length] *= np.linspace(0, 1, length, dtype=np.float32)
                else:
                    pcm = chunk.pcm
                position += len(pcm)
                yield SpeechChunk(resample.push(pcm), self._moved(chunk.marks, begin, heard))
        yield SpeechChunk(resample.finish())

    def _moved(self, marks: tuple[Mark, ...], begin: int, heard: int) -> tuple[Mark, ...]:
        """Marks of the second voice as samples of the whole sentence heard."""
        rate = self.secondary.sample_rate

        def place(sample: int) -> int:
            return heard + (sample - begin) * self.sample_rate // rate

        return tuple(replace(m, start=place(m.start), end=place(m.end)) for m in marks if m.start >= begin)

    def _default_substitute(self, voice: Voice) -> Voice:
        gender = str(voice.params.get("gender", ""))
        return Voice(self.secondary.name, gender if gender in {"female", "male"} else "", voice.language, voice.speed)

    async def voices(self) -> list[VoiceInfo]:
        """The first voice's."""
        return await self.primary.voices()

    async def check(self) -> CheckResult:
        """The first voice's state; the second's only decides whether anything can be heard."""
        result: Any = await self.primary.check()
        if result.ok:
            self._rests_until = 0.0
        return result

    async def warm_up(self) -> None:
        """Warm both; a first voice that cannot be warmed is found out by the first sentence."""
        await self.secondary.warm_up()
        try:
            await self.primary.warm_up()
        except StudioError as error:
            self._rests_until = time.monotonic() + self._cooldown
            self._notify(
                FallbackNotice(
                    self.primary.name,
                    self.secondary.name,
                    error.code,
                    error.message,
                    error.remedy,
                    0.0,
                    self._cooldown,
                )
            )

    async def close(self) -> None:
        """Close both."""
        await self.primary.close()
        await self.secondary.close()

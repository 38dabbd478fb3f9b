"""The voice of a person, trained on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync.errors import StudioError
from speech.clone.base_speech import PAUSE, Phone
from speech.clone.features import RATE
from speech.clone.voice import ClonedVoice, missing_program
from speech.errors import SpeechError
from speech.text import speakable
from speech.tts.base import (
    BackendSettings,
    Capabilities,
    CheckResult,
    Mark,
    SpeechChunk,
    TextToSpeech,
    Voice,
    VoiceInfo,
)

FIRST_CHARS, CLAUSE_CHARS = 24, 60
"""A clause at least this long is spoken by itself, so that the first sound need not wait for a long sentence."""


@cache
def _worker() -> ThreadPoolExecutor:
    """Two threads of the process filter voices; they end with the interpreter."""
    return ThreadPoolExecutor(2, thread_name_prefix="clone")


class CloneSettings(BackendSettings):
    """Settings of a cloned voice.

    Attributes:
        bundle: Folder of the voice's version.
        likeness: The slider "like me / clear": 0 is clearest, 1 most alike; ``voice.params["likeness"]`` overrides it.
        end_pause_ms: Silence kept after each sentence.
    """

    bundle: Path
    likeness: float = 1.0
    end_pause_ms: int = 160


class CloneSpeech(TextToSpeech):
    """Base speech filtered towards the person; the bundle is loaded once and shared by all sessions."""

    name = "clone"
    capabilities = Capabilities(
        languages=("zh", "en"), streaming=True, cloning=True, phoneme_timings=True, max_chars=10_000
    )
    Settings = CloneSettings
    settings: CloneSettings

    def __init__(self, settings: BackendSettings) -> None:
        super().__init__(settings)
        self._voice: ClonedVoice | None = None
        self._loading = asyncio.Lock()

    @property
    def sample_rate(self) -> int:
        """16000: what the person's filter was learnt at."""
        return RATE

    async def voice(self) -> ClonedVoice:
        """The voice, loaded on first use. Raises ``BundleError``; ``SpeechError`` where its base cannot speak here."""
        async with self._loading:
            if self._voice is None:
                voice = await asyncio.to_thread(ClonedVoice.load, self.settings.bundle)
                if missing := missing_program(voice):
                    raise SpeechError(
                        self.name,
                        f"This voice was trained on {missing}, which is not installed here.",
                        f"Install {missing}, or train the voice again.",
                        retryable=False,
                    )
                self._voice = voice
            return self._voice

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield blocks of 100 to 300 ms as they are filtered."""
        cloned = await self.voice()
        likeness = float(voice.params.get("likeness", self.settings.likeness))
        loop, begun = asyncio.get_running_loop(), 0
        for segment in speakable(sentence, voice.language):
            for clause in _clauses(segment.text):
                blocks, phones = await loop.run_in_executor(
                    _worker(), cloned.speak, clause, segment.language, voice.speed, likeness
                )
                marks = _marks(phones, begun)
                limit = self._end(phones)
                made = 0
                while (block := await loop.run_in_executor(_worker(), _next, blocks)) is not None and made < limit:
                    block = block[: limit - made]
                    made += len(block)
                    ready = tuple(m for m in marks if m.end <= begun + made)
                    marks = marks[len(ready) :]
                    yield SpeechChunk(block, ready)
                begun += made

    def _end(self, phones: list[Phone]) -> int:
        """Where the sound of a clause is cut: the pause of the synthesiser after its last phone is longer than ours."""
        said = max((phone.end for phone in phones if phone.label != PAUSE), default=0.0)
        return int(said * RATE) + RATE * self.settings.end_pause_ms // 1000

    async def voices(self) -> list[VoiceInfo]:
        """The one voice of the bundle."""
        name = (await self.voice()).manifest.name
        return [VoiceInfo("", {"zh-CN": name, "en": name}, "neutral", tuple((await self.voice()).converters))]

    async def check(self) -> CheckResult:
        """Load the bundle and say a word."""
        try:
            async for _ in self.stream("好。", Voice(self.name), asyncio.Event()):
                return CheckResult(True, "The cloned voice speaks.")
        except StudioError as error:
            return CheckResult(False, error.message, error.remedy, {"code": error.code})
        return CheckResult(False, "The cloned voice made no sound.", "Train it again.")

    async def warm_up(self) -> None:
        """Load the bundle and what the filter needs."""
        for sentence in ("Ready.", "好。"):
            async for _ in self.stream(sentence, Voice(self.name), asyncio.Event()):
                pass


def _next(blocks: Iterator[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    return next(blocks, None)


def _marks(phones: list[Phone], begun: int) -> list[Mark]:
    return [
        Mark("phoneme", p.label, begun + int(p.start * RATE), begun + int(p.end * RATE))
        for p in phones
        if p.label != PAUSE and p.end > p.start
    ]


def _clauses(text: str) -> list[str]:
    """Cut where a sentence ends, and at commas of long ones, the first sooner, so that sound begins early."""
    clauses: list[str] = []
    start = 0
    for index, char in enumerate(text):
        wide = ord(char) > 0x2000
        least = (FIRST_CHARS if not clauses else CLAUSE_CHARS) // (3 if wide else 1)
        follows = wide or text[index + 1 : index + 2].isspace()
        length = index - start
        if follows and ((char in "。！？!?；" and length >= 4) or (char in "，、：,;:—" and length >= least)):
            clauses.append(text[start : index + 1])
            start = index + 1
    return [clause for clause in [*clauses, text[start:]] if any(c.isalnum() for c in clause)]

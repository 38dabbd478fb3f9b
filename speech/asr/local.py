"""The recogniser every machine has, offline, in a process of its own: English by pocketsphinx, words while one speaks.

Of Chinese it knows the phrases of its hints and nothing else (``chinese``): which of them was said, or none.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from speech.asr.base import (
    AsrCapabilities,
    AsrCheck,
    AsrSettings,
    Hints,
    Pcm,
    Recogniser,
    Transcript,
    int16,
)
from speech.asr.phrases import Phrases
from speech.errors import SpeechError, SpeechTimeoutError
from speech.text import HAN

_HEAD = struct.Struct("<cI")
_LIMIT = (
    "The local recogniser knows of Chinese only the questions of the knowledge base and other phrases it was given.",
    "Say one of them, or for free Chinese speech choose the recogniser funasr (a FunASR service), openai (a server of "
    "transcriptions) or whisper (weights on this machine).",
)
_LEARNING_S = 60.0
_SURE = 0.68
"""Where English may be meant too, a Chinese phrase must be as sure as this: no English sentence measured was."""
_ROOT = Path(__file__).resolve().parents[2]


class LocalSettings(AsrSettings):
    """Settings of the local recogniser.

    Attributes:
        likeness: How like one of the phrases what was heard must sound to be taken for it, 0 to 1. 1 switches it off.
        patience_s: How long the process may take for the last words after the sound ended.
    """

    likeness: float = Field(default=0.6, ge=0.3, le=1.0)
    patience_s: float = Field(default=5.0, gt=0)


class LocalRecogniser(Recogniser):
    """English by pocketsphinx, whose model its package carries, and Chinese phrases by their sound.

    Where what was heard sounds nearly like one of the hints' phrases, the phrase is meant: its dictionary knows twenty
    thousand words and mishears some, but seldom all sounds of them.
    """

    name = "local"
    capabilities = AsrCapabilities(languages=("en",), streaming=True, phrase_languages=("zh",))
    Settings = LocalSettings
    settings: LocalSettings

    def __init__(self, settings: AsrSettings | None = None) -> None:
        super().__init__(settings)
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._phrases: Phrases | None = None
        self._closed = False
        self._told: bytes | None = None
        self._learning = False

    async def hear(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        """Yield guesses as the words come, and the words about 10 ms after the sound ended."""
        async with self._turn:
            await self._prepare(hints)
            process = await self._running()
            await self._teach(process, hints)
            await self._learned(process)
            feeding = asyncio.create_task(self._feed(process, sound), name="asr-feed")
            whole = False
            try:
                while not whole:
                    said = await self._said(process, feeding)
                    whole = bool(said["final"])
                    yield self._meant(said, hints)
            finally:
                if not feeding.done():
                    feeding.cancel()
                await asyncio.wait({feeding})
                if not whole:
                    # What the process still has to say belongs to nobody: the next utterance gets a new one.
                    await self._end()

    async def check(self) -> AsrCheck:
        """Start the process."""
        try:
            await self._running()
        except SpeechError as error:
            return AsrCheck(False, error.message, error.remedy, {"code": error.code})
        return AsrCheck(True, "The local recogniser hears English, and of Chinese the phrases it is given.")

    async def warm_up(self, hints: Hints) -> None:
        """Start the process and learn how the phrases sound (Chinese ones while nobody waits)."""
        async with self._turn:
            await self._prepare(hints)
            await self._teach(await self._running(), hints)

    async def close(self) -> None:
        """End the process."""
        self._closed = True
        await self._end()

    async def _prepare(self, hints: Hints) -> None:
        if self._phrases is None or self._phrases.texts != hints.phrases:
            self._phrases = await asyncio.to_thread(Phrases, hints.phrases)

    async def _teach(self, process: Process, hints: Hints) -> None:
        """Tell the process which Chinese phrases there are, where it does not know; it learns by itself."""
        texts = [text for text in hints.phrases if re.search(f"[{HAN}]", text)] if hints.language != "en" else []
        wanted = json.dumps({"phrases": texts, "english": hints.language != "zh"}).encode()
        if wanted == self._told:
            return
        await self._learned(process)
        try:
            await _write(process, b"P", wanted)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SpeechError(self.name, "The local recogniser ended by itself.", "Say it again.") from error
        self._told, self._learning = wanted, True

    async def _learned(self, process: Process) -> None:
        """Wait until it has learned what it was told."""
        if not self._learning:
            return
        try:
            async with asyncio.timeout(_LEARNING_S):
                line = await _reader(process).readline()
        except TimeoutError as error:
            await self._end()
            raise SpeechTimeoutError(self.name, "The phrases are not learned.", "Give it fewer.") from error
        except BaseException:
            # Its answer would be taken for words.
            await self._end()
            raise
        if b"learned" not in line:
            await self._end()
            raise SpeechError(self.name, "The local recogniser ended by itself.", "Say it again.")
        self._learning = False

    def _meant(self, said: dict[str, object], hints: Hints) -> Transcript:
        text, final = str(said["text"]), bool(said["final"])
        chinese = said.get("chinese")
        if isinstance(chinese, dict):
            sure = float(chinese["confidence"])
            if hints.language == "zh" or sure >= _SURE:
                return Transcript(str(chinese["text"]), final, "zh", sure)
        if hints.language == "zh":
            return Transcript("", final, limit=_LIMIT)
        chance = said.get("confidence")
        found = self._phrases.nearest(text, self.settings.likeness) if self._phrases is not None else None
        if found is not None and (final or found.likeness > 0.9):
            return Transcript(found.text, final, "en", round(found.likeness, 3))
        return Transcript(text, final, "en", float(chance) if isinstance(chance, float | int) else None)

    async def _running(self) -> Process:
        if self._closed:
            raise SpeechError(self.name, "The recogniser is closed.", retryable=False)
        if self._process is not None and self._process.returncode is None:
            return self._process
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "speech.asr._sphinx",
            cwd=_ROOT,
            stdin=PIPE,
            stdout=PIPE,
            # Its threads would fight with those that draw.
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._process, self._told, self._learning = process, None, False
        try:
            async with asyncio.timeout(30):
                line = await _reader(process).readline()
        except TimeoutError as error:
            await self._end()
            raise SpeechTimeoutError(self.name, "The local recogniser does not start.", "See the log.") from error
        except BaseException:
            await self._end()
            raise
        if b"ready" not in line:
            await self._end()
            raise SpeechError(
                self.name,
                "The local recogniser does not start.",
                "Install the package pocketsphinx 5.",
                retryable=False,
            )
        return process

    async def _feed(self, process: Process, sound: AsyncIterator[Pcm]) -> None:
        await _write(process, b"B", b"")
        async for piece in sound:
            await _write(process, b"S", int16(piece))
        await _write(process, b"E", b"")

    async def _said(self, process: Process, feeding: asyncio.Task[None]) -> dict[str, object]:
        """The next thing the process says; it may be silent for as long as sound still comes."""
        reading = asyncio.ensure_future(_reader(process).readline())
        try:
            await asyncio.wait({reading, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                feeding.result()
                await asyncio.wait({reading}, timeout=self.settings.patience_s)
            if not reading.done():
                raise SpeechTimeoutError(self.name, "The local recogniser went silent.", "Say it again.")
            line = reading.result()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SpeechError(self.name, "The local recogniser ended by itself.", "Say it again.") from error
        finally:
            reading.cancel()
        if not line:
            raise SpeechError(self.name, "The local recogniser ended by itself.", "Say it again.")
        said: dict[str, object] = json.loads(line)
        return said

    async def _end(self) -> None:
        process, self._process = self._process, None
        self._told, self._learning = None, False
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _write(process: Process, what: bytes, data: bytes) -> None:
    pipe = process.stdin
    if pipe is None:
        raise BrokenPipeError("no standard input")
    pipe.write(_HEAD.pack(what, len(data)) + data)
    await pipe.drain()


def _reader(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise BrokenPipeError("no standard output")
    return process.stdout

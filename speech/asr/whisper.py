"""Whisper on this machine by faster-whisper, with weights the user got for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import Field

from lipsync.errors import UnavailableError
from speech.asr.base import RATE, AsrCapabilities, AsrCheck, AsrSettings, Hints, Pcm, Recogniser, Transcript, whole
from speech.errors import SpeechError

_FILES = ("model.bin", "config.json", "tokenizer.json")
_REMEDY = (
    "Get a converted model, such as Systran/faster-whisper-small, put its files into a folder such as "
    "models/base/whisper-small, and name that folder in the setting `model`."
)


class WhisperSettings(AsrSettings):
    """Settings of whisper on this machine.

    Attributes:
        model: The folder of a converted model; nothing is downloaded.
        device: "auto", "cpu" or "cuda".
        compute_type: Kind of numbers; "int8" is twice as fast on a CPU and as good to the ear.
        threads: Threads on a CPU.
        beam: Hypotheses kept; 1 is fastest.
        least_s: An utterance shorter than this is not tried: whisper makes words up for a cough.
    """

    model: Path
    device: str = "auto"
    compute_type: str = "default"
    threads: int = Field(default=2, ge=1, le=64)
    beam: int = Field(default=1, ge=1, le=10)
    least_s: float = Field(default=0.2, ge=0)


class WhisperRecogniser(Recogniser):
    """``faster_whisper.WhisperModel`` in a thread; the words come at the utterance's end."""

    name = "whisper"
    capabilities = AsrCapabilities(languages=("zh", "en"), streaming=False, needs_download=True)
    Settings = WhisperSettings
    settings: WhisperSettings

    def __init__(self, settings: AsrSettings | None = None) -> None:
        super().__init__(settings)
        self._thread: ThreadPoolExecutor | None = None
        self._model: Any = None

    async def hear(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        """Yield the final transcript. A cancel is noticed between two segments."""
        pcm = await whole(sound)
        if len(pcm) < self.settings.least_s * RATE:
            yield Transcript("", True)
            return
        stop = threading.Event()
        job = asyncio.get_running_loop().run_in_executor(self._worker(), self._transcribe, pcm, hints, stop)
        try:
            yield await asyncio.shield(job)
        finally:
            stop.set()

    async def check(self) -> AsrCheck:
        """Load the model."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker(), self._loaded)
        except (SpeechError, UnavailableError) as error:
            return AsrCheck(False, error.message, error.remedy, {"code": error.code})
        return AsrCheck(True, "Whisper is loaded.")

    async def warm_up(self, hints: Hints) -> None:
        """Load the model."""
        await asyncio.get_running_loop().run_in_executor(self._worker(), self._loaded)

    async def close(self) -> None:
        """Let the model go."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown, True, cancel_futures=True)
        self._model = None

    def _worker(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "asr-whisper")
        return self._thread

    def _loaded(self) -> Any:
        if self._model is None:
            folder = self.settings.model
            missing = [name for name in _FILES if not (folder / name).is_file()]
            if missing:
                raise SpeechError(
                    self.name, f"There is no whisper model: {', '.join(missing)} not found.", _REMEDY,
                    {"missing": missing}, retryable=False,
                )  # fmt: skip
            try:
                from faster_whisper import WhisperModel
            except ImportError as error:
                raise SpeechError(
                    self.name, "The package faster-whisper is not installed.",
                    "Install the studio's extra named 'whisper'.", retryable=False,
                ) from error  # fmt: skip
            try:
                self._model = WhisperModel(
                    str(folder),
                    device=self.settings.device,
                    compute_type=self.settings.compute_type,
                    cpu_threads=self.settings.threads,
                    local_files_only=True,
                )
            except (RuntimeError, ValueError, OSError) as error:
                raise SpeechError(
                    self.name, f"The whisper model cannot be loaded: {error}", _REMEDY, retryable=False
                ) from error
        return self._model

    def _transcribe(self, pcm: Pcm, hints: Hints, stop: threading.Event) -> Transcript:
        model = self._loaded()
        try:
            segments, about = model.transcribe(
                pcm,
                language=None if hints.language == "auto" else hints.language,
                beam_size=self.settings.beam,
                initial_prompt=" ".join(hints.phrases)[:600] or None,
                condition_on_previous_text=False,
                without_timestamps=True,
            )
            parts = []
            for segment in segments:
                if stop.is_set():
                    break
                parts.append(segment.text)
        except (RuntimeError, ValueError) as error:
            raise SpeechError(self.name, f"Whisper failed: {error}", "Try a smaller model.") from error
        return Transcript("".join(parts).strip(), True, about.language, round(float(about.language_probability), 3))

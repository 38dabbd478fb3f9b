"""XTTS behind its streaming server: a speaker is cloned once, then sentences stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from speech.errors import SpeechError, SpeechProtocolError, SpeechSettingsError
from speech.tts.base import BackendSettings, Capabilities, Pcm, Voice
from speech.tts.network import NetworkSettings, NetworkSpeech, language_of


class XttsServerSettings(NetworkSettings):
    """Settings of an XTTS streaming server.

    Attributes:
        reference_wav: The recording to imitate (6 to 30 s).
        stream_chunk_size: Tokens to a piece of sound; smaller begins earlier and sounds rougher.
    """

    base_url: str = "http://127.0.0.1:8000"
    reference_wav: Path | None = None
    stream_chunk_size: int = 20


class XttsServer(NetworkSpeech):
    """``POST /clone_speaker`` on first use (never when the session starts), ``POST /tts_stream`` for each sentence."""

    name = "xtts"
    capabilities = Capabilities(
        languages=("en", "zh", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "hu", "ko", "ja"),
        streaming=True,
        cloning=True,
        needs_network=True,
        max_chars=200,
    )
    Settings = XttsServerSettings
    settings: XttsServerSettings

    def __init__(self, settings: BackendSettings | None = None) -> None:
        super().__init__(settings)
        self._speakers: dict[str, dict[str, Any]] = {}
        self._cloning = asyncio.Lock()
        self._chinese = "zh-cn"

    async def warm_up(self) -> None:
        """Clone the speaker, so that the first sentence need not wait for it."""
        await self.clone_speaker(self._path(Voice()))

    async def clone_speaker(self, path: Path) -> dict[str, Any]:
        """The latents of a recording, asked for once: ``gpt_cond_latent`` and ``speaker_embedding``."""
        async with self._cloning:
            key = str(path)
            if key not in self._speakers:
                sound = {"wav_file": (path.name, await self.reference(path), "audio/wav")}
                async with self.service.stream("POST", self.url("clone_speaker"), files=sound) as response:
                    body = b"".join([chunk async for chunk in self.service.chunks(response)])
                try:
                    speaker = json.loads(body)
                    self._speakers[key] = {name: speaker[name] for name in ("gpt_cond_latent", "speaker_embedding")}
                except (ValueError, KeyError, TypeError) as error:
                    raise SpeechProtocolError(self.name, "The server did not clone the speaker.") from error
            return self._speakers[key]

    def missing(self) -> list[str]:
        """The reference recording, where none is set."""
        return [] if self.settings.reference_wav else ["reference_wav"]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the sound as it comes; servers disagree whether Chinese is "zh-cn" or "zh", so both are tried."""
        speaker = await self.clone_speaker(self._path(voice))
        language = language_of(voice, text)
        if not language.startswith("zh"):
            async for pcm in self._say(text, speaker, language):
                yield pcm
            return
        try:
            async for pcm in self._say(text, speaker, self._chinese):
                yield pcm
            return
        except SpeechError as error:
            if error.detail.get("status") != 422:
                raise
        self._chinese = "zh" if self._chinese == "zh-cn" else "zh-cn"
        async for pcm in self._say(text, speaker, self._chinese):
            yield pcm

    def _path(self, voice: Voice) -> Path:
        path = voice.params.get("reference_wav") or self.settings.reference_wav
        if not path:
            raise SpeechSettingsError("XTTS needs a reference recording.", "Set reference_wav to 6 to 30 s of speech.")
        return Path(path)

    async def _say(self, text: str, speaker: dict[str, Any], language: str) -> AsyncGenerator[Pcm, None]:
        body = {
            **speaker,
            "text": text,
            "language": language,
            "stream_chunk_size": str(self.settings.stream_chunk_size),
            "add_wav_header": True,
        }
        async with self.service.stream("POST", self.url("tts_stream"), json=body) as response:
            async for pcm in self.decoded(response, self.wav_decoder()):
                yield pcm

"""Any server that speaks OpenAI's ``/v1/audio/speech``: OpenAI, vLLM-Omni, Kokoro, LocalAI..."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pydantic import Field, SecretStr

from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.decode import RawDecoder, SoundOrText
from speech.tts.network import NetworkSettings, NetworkSpeech, language_of, secret


class OpenAISpeechSettings(NetworkSettings):
    """Settings of an OpenAI-style voice server.

    Attributes:
        base_url: Address up to and with ``/v1``.
        api_key: Bearer token; local servers need none.
        model, default_voice: Names the server knows.
        wire_rate: Rate of its raw samples, by model: 24000 for most, 44100 or 16000 for some.
        instructions: How to speak, where the model heeds it.
        extra: More fields of the request's body.
    """

    base_url: str = "https://api.openai.com/v1"
    api_key: SecretStr | None = None
    model: str = "gpt-4o-mini-tts"
    default_voice: str = "alloy"
    wire_rate: int = Field(default=24_000, ge=8000, le=48_000)
    instructions: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)


class OpenAISpeech(NetworkSpeech):
    """Raw 16-bit samples, streamed."""

    name = "openai_speech"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True, max_chars=2000)
    Settings = OpenAISpeechSettings
    settings: OpenAISpeechSettings

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the samples as they come."""
        body: dict[str, Any] = {
            "model": self.settings.model,
            "input": text,
            "voice": voice.voice or self.settings.default_voice,
            "response_format": "pcm",
            "speed": voice.speed,
            "stream": True,
        }
        if instructions := str(voice.params.get("instructions", self.settings.instructions)):
            body["instructions"] = instructions
        if "language" in self.settings.extra:
            body["language"] = language_of(voice, text)
        body = {**self.settings.extra, **body}
        key = secret(self.settings.api_key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self.service.stream("POST", self.url("audio/speech"), json=body, headers=headers) as response:
            decoder = SoundOrText(self.name, RawDecoder(self.settings.wire_rate, self.sample_rate))
            async for pcm in self.decoded(response, decoder):
                yield pcm

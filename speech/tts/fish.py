"""Fish Speech: a server of one's own, or api.fish.audio with a key."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.network import NetworkSettings, NetworkSpeech, chosen_params, secret

_PARAMS = ("top_p", "temperature", "repetition_penalty", "seed", "normalize", "use_memory_cache")


class FishSettings(NetworkSettings):
    """Settings of Fish Speech.

    Attributes:
        api_key: For api.fish.audio; a server of one's own needs none.
        reference_id: A voice kept on the server; ``voice.voice`` overrides it.
        reference_wav, reference_text: A recording to imitate and what is said in it.
        chunk_length: How much text the server speaks at a time, 100 to 1000; smaller begins earlier.
    """

    base_url: str = "http://127.0.0.1:8080"
    api_key: SecretStr | None = None
    reference_id: str = ""
    reference_wav: Path | None = None
    reference_text: str = ""
    chunk_length: int = Field(default=200, ge=100, le=1000)


class FishSpeech(NetworkSpeech):
    """``POST /v1/tts``; streams only as WAV: a header, then 44.1 kHz samples."""

    name = "fish"
    capabilities = Capabilities(languages=("zh", "en", "ja"), streaming=True, cloning=True, needs_network=True)
    Settings = FishSettings
    settings: FishSettings
    rate = 44_100

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the sound behind the header as it comes."""
        body: dict[str, Any] = {
            "text": text,
            "reference_id": voice.voice or self.settings.reference_id or None,
            "references": [],
            "format": "wav",
            "streaming": True,
            "chunk_length": self.settings.chunk_length,
            "use_memory_cache": "on",
            **chosen_params(voice, _PARAMS),
        }
        if self.settings.reference_wav and not body["reference_id"]:
            sound = base64.b64encode(await self.reference(self.settings.reference_wav)).decode()
            body["references"] = [{"audio": sound, "text": self.settings.reference_text}]
        key = secret(self.settings.api_key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self.service.stream("POST", self.url("v1/tts"), json=body, headers=headers) as response:
            async for pcm in self.decoded(response, self.wav_decoder()):
                yield pcm

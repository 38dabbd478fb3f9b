"""Tencent Cloud's streaming text to speech (TextToStreamAudio)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncGenerator
from itertools import pairwise
from urllib.parse import urlsplit

from pydantic import SecretStr

from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.decode import RawDecoder, SoundOrText
from speech.tts.network import NetworkSettings, NetworkSpeech, secret


class TencentSettings(NetworkSettings):
    """Settings of Tencent Cloud.

    Attributes:
        app_id, secret_id, secret_key: From the console of the account.
        voice_type: Number of the voice; ``voice.voice`` overrides it.
    """

    base_url: str = "https://tts.cloud.tencent.com"
    app_id: int = 0
    secret_id: SecretStr | None = None
    secret_key: SecretStr | None = None
    voice_type: int = 101001


def signature(secret_key: str, host: str, path: str, fields: dict[str, object]) -> str:
    """HMAC-SHA1 over ``POST``, host, path and the sorted fields as they are (not URL-encoded), in Base64."""
    query = "&".join(f"{key}={fields[key]}" for key in sorted(fields))
    digest = hmac.new(secret_key.encode(), f"POST{host}{path}?{query}".encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def speed_of(speed: float) -> float:
    """A factor as Tencent's scale, on which -2, -1, 0, 1, 2 mean 0.6, 0.8, 1, 1.2, 1.5."""
    known = ((0.6, -2.0), (0.8, -1.0), (1.0, 0.0), (1.2, 1.0), (1.5, 2.0))
    speed = min(max(speed, 0.6), 1.5)
    for (low, a), (high, b) in pairwise(known):
        if speed <= high:
            return round(a + (b - a) * (speed - low) / (high - low), 2)
    return 2.0


class TencentSpeech(NetworkSpeech):
    """``POST /stream``: 16 kHz samples, or an error in JSON with status 200."""

    name = "tencent"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True, max_chars=500)
    Settings = TencentSettings
    settings: TencentSettings
    rate = 16_000

    def credentials(self) -> dict[str, SecretStr | str | None]:
        """All three are needed."""
        app_id = str(self.settings.app_id) if self.settings.app_id else None
        return {"app_id": app_id, "secret_id": self.settings.secret_id, "secret_key": self.settings.secret_key}

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the samples as they come."""
        now = int(time.time())
        fields: dict[str, object] = {
            "Action": "TextToStreamAudio",
            "AppId": self.settings.app_id,
            "SecretId": secret(self.settings.secret_id),
            "ModelType": 1,
            "VoiceType": int(voice.voice) if voice.voice.isdigit() else self.settings.voice_type,
            "Codec": "pcm",
            "SampleRate": self.rate,
            "Speed": speed_of(voice.speed),
            "Volume": 0,
            "SessionId": str(uuid.uuid4()),
            "Text": text,
            "Timestamp": now,
            "Expired": now + 3600,
        }
        address = self.url("stream")
        parts = urlsplit(address)
        # The signed host is the service's, also where base_url leads through a gateway on this machine.
        host = parts.hostname if parts.hostname and parts.hostname.endswith("tencent.com") else "tts.cloud.tencent.com"
        headers = {"Authorization": signature(secret(self.settings.secret_key), host, "/stream", fields)}
        async with self.service.stream("POST", address, json=fields, headers=headers) as response:
            decoder = SoundOrText(self.name, RawDecoder(self.rate, self.sample_rate))
            async for pcm in self.decoded(response, decoder):
                yield pcm

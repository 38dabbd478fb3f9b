"""Azure's voices over REST: the same voices as its SDK, without the SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pydantic import SecretStr

from speech.tts.base import Capabilities, Pcm, Voice, VoiceInfo
from speech.tts.decode import RawDecoder, SoundOrText
from speech.tts.edge import percent, ssml
from speech.tts.network import NetworkSettings, NetworkSpeech, language_of, secret

DEFAULTS = {"zh": "zh-CN-XiaoxiaoNeural", "en": "en-US-AvaMultilingualNeural"}


class AzureSettings(NetworkSettings):
    """Settings of Azure speech.

    Attributes:
        key: Key of the speech resource.
        region: Its region ("eastasia"); makes the address where ``base_url`` is empty.
    """

    base_url: str = ""
    key: SecretStr | None = None
    region: str = "eastasia"


class AzureSpeech(NetworkSpeech):
    """``POST /cognitiveservices/v1`` with SSML; raw 24 kHz samples come back."""

    name = "azure"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True)
    Settings = AzureSettings
    settings: AzureSettings

    def credentials(self) -> dict[str, SecretStr | str | None]:
        """The key is needed."""
        return {"key": self.settings.key}

    async def voices(self) -> list[VoiceInfo]:
        """A few of the service's voices; any of its names may be used."""
        return [
            VoiceInfo("zh-CN-XiaoxiaoNeural", {"zh-CN": "晓晓", "en": "Xiaoxiao"}, "female", ("zh",)),
            VoiceInfo("zh-CN-YunxiNeural", {"zh-CN": "云希", "en": "Yunxi"}, "male", ("zh",)),
            VoiceInfo("en-US-AvaMultilingualNeural", {"zh-CN": "Ava", "en": "Ava"}, "female", ("en", "zh")),
            VoiceInfo("en-US-AndrewMultilingualNeural", {"zh-CN": "Andrew", "en": "Andrew"}, "male", ("en", "zh")),
        ]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the samples as they come."""
        name = voice.voice or DEFAULTS.get(language_of(voice, text)[:2], DEFAULTS["en"])
        base = self.settings.base_url or f"https://{self.settings.region}.tts.speech.microsoft.com"
        headers = {
            "Ocp-Apim-Subscription-Key": secret(self.settings.key),
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": "raw-24khz-16bit-mono-pcm",
            "User-Agent": "livetalking-studio",
        }
        markup = ssml(text, name, percent(voice.speed)).encode()
        address = f"{base.rstrip('/')}/cognitiveservices/v1"
        async with self.service.stream("POST", address, content=markup, headers=headers) as response:
            async for pcm in self.decoded(response, SoundOrText(self.name, RawDecoder(24_000, self.sample_rate))):
                yield pcm

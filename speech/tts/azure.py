"""Azure's voices over REST: the same voices as its SDK, without the SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pydantic import Field, SecretStr

from speech.tts.base import Capabilities, CheckResult, Pcm, Voice, VoiceInfo
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
    region: str = Field(default="eastasia", pattern=r"^[a-z0-9-]{1,40}$")


class AzureSpeech(NetworkSpeech):
    """``POST /cognitiveservices/v1`` with SSML; raw 24 kHz samples come back."""

    name = "azure"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True)
    Settings = AzureSettings
    settings: AzureSettings

    def url(self, path: str) -> str:
        """An address of the region, or under ``base_url`` where one is set."""
        base = self.settings.base_url or f"https://{self.settings.region}.tts.speech.microsoft.com"
        return f"{base.rstrip('/')}/{path}"

    def credentials(self) -> dict[str, SecretStr | str | None]:
        """The key is needed."""
        return {"key": self.settings.key}

    async def check(self) -> CheckResult:
        """As every service; a key counts in its own region alone, and a region that is not there has no address."""
        result = await super().check()
        if result.ok or self.settings.base_url:
            return result
        region = self.settings.region
        if "cannot be reached" in result.message:
            detail = {**result.detail, "problem": "wrong_place"}
            return CheckResult(
                False, result.message, f"Check the network and that there is a region named {region!r}.", detail
            )
        if result.detail.get("status") in {401, 403}:
            remedy = f"Check the key, and that its resource lies in the region {region!r}."
            return CheckResult(False, result.message, remedy, result.detail)
        return result

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
        headers = {
            "Ocp-Apim-Subscription-Key": secret(self.settings.key),
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": "raw-24khz-16bit-mono-pcm",
            "User-Agent": "livetalking-studio",
        }
        markup = ssml(text, name, percent(voice.speed)).encode()
        async with self.service.stream(
            "POST", self.url("cognitiveservices/v1"), content=markup, headers=headers
        ) as response:
            async for pcm in self.decoded(response, SoundOrText(self.name, RawDecoder(24_000, self.sample_rate))):
                yield pcm

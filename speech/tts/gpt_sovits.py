"""GPT-SoVITS through its ``api_v2`` server."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from speech.errors import SpeechSettingsError
from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.network import NetworkSettings, NetworkSpeech, chosen_params, language_of

_PARAMS = ("top_k", "top_p", "temperature", "batch_size", "seed", "text_split_method", "repetition_penalty")
_LANGUAGES = ("zh", "en", "ja", "ko", "yue")


class GptSovitsSettings(NetworkSettings):
    """Settings of GPT-SoVITS.

    Attributes:
        reference_path: Path of the recording to imitate, on the server's machine (3 to 10 s).
        reference_text: What is said in it.
        reference_language: Its language.
    """

    base_url: str = "http://127.0.0.1:9880"
    reference_path: str = ""
    reference_text: str = ""
    reference_language: str = "zh"


class GptSovits(NetworkSpeech):
    """``POST /tts`` with ``media_type`` wav: one header, whose rate is read (it differs by model), then samples."""

    name = "gpt_sovits"
    capabilities = Capabilities(languages=_LANGUAGES, streaming=True, cloning=True, needs_network=True, max_chars=500)
    Settings = GptSovitsSettings
    settings: GptSovitsSettings
    rate = 32_000

    def missing(self) -> list[str]:
        """The reference recording, where none is set."""
        return [] if self.settings.reference_path else ["reference_path"]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the sound behind the header as it comes."""
        reference = str(voice.params.get("reference_path") or self.settings.reference_path)
        if not reference:
            raise SpeechSettingsError(
                "GPT-SoVITS needs a reference recording.", "Set reference_path to a file on the server's machine."
            )
        language = language_of(voice, text)
        body = {
            "text": text,
            "text_lang": language if language in _LANGUAGES else "auto",
            "ref_audio_path": reference,
            "prompt_text": str(voice.params.get("reference_text", self.settings.reference_text)),
            "prompt_lang": self.settings.reference_language,
            "media_type": "wav",
            "streaming_mode": True,
            "speed_factor": voice.speed,
            "text_split_method": "cut5",
            **chosen_params(voice, _PARAMS),
        }
        async with self.service.stream("POST", self.url("tts"), json=body) as response:
            async for pcm in self.decoded(response, self.wav_decoder()):
                yield pcm

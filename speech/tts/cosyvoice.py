"""CosyVoice through its FastAPI server, and the variant of it that streams 32-bit samples."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

from speech.errors import SpeechSettingsError
from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.decode import RawDecoder, SoundOrText
from speech.tts.network import NetworkSettings, NetworkSpeech

_RATE_HEADER = "x-custom-header-samplerate"


class CosyVoiceSettings(NetworkSettings):
    """Settings of CosyVoice.

    Attributes:
        mode: "zero_shot" imitates a recording whose text is known, "cross_lingual" one whose text is not, "sft" and
            "instruct" speak with a voice of the model (``voice.voice``).
        wire_rate: Rate of the server's samples: 24000 for CosyVoice 2 and 3, 22050 for CosyVoice-300M.
        reference_wav, reference_text: The recording to imitate (16 kHz, 3 to 15 s) and what is said in it.
        instruction: How to speak, for "instruct".
    """

    base_url: str = "http://127.0.0.1:50000"
    mode: Literal["zero_shot", "cross_lingual", "sft", "instruct"] = "zero_shot"
    wire_rate: int = 24_000
    reference_wav: Path | None = None
    reference_text: str = ""
    instruction: str = ""


class CosyVoice(NetworkSpeech):
    """``POST /inference_*`` as a multipart form; raw 16-bit samples come back, without a header."""

    name = "cosyvoice"
    capabilities = Capabilities(
        languages=("zh", "en", "ja", "ko", "yue"), streaming=True, cloning=True, needs_network=True
    )
    Settings = CosyVoiceSettings
    settings: CosyVoiceSettings

    def missing(self) -> list[str]:
        """The reference recording and its words, where the mode imitates one and they are not set."""
        wanted = {"zero_shot": ("reference_wav", "reference_text"), "cross_lingual": ("reference_wav",)}
        return [name for name in wanted.get(self.settings.mode, ()) if not getattr(self.settings, name)]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the samples as they come; a header naming their rate marks the 32-bit variant."""
        mode = self.settings.mode
        form: dict[str, Any] = {"tts_text": text}
        files: dict[str, Any] = {}
        if mode in {"sft", "instruct"}:
            form["spk_id"] = voice.voice or "中文女"
        if mode == "instruct":
            form["instruct_text"] = str(voice.params.get("instruction", self.settings.instruction))
        if mode in {"zero_shot", "cross_lingual"}:
            path = self.settings.reference_wav
            if path is None:
                raise SpeechSettingsError(
                    "CosyVoice needs a reference recording.", "Set reference_wav, or mode to 'sft'."
                )
            files["prompt_wav"] = (path.name, await self.reference(path), "audio/wav")
        if mode == "zero_shot":
            form["prompt_text"] = self.settings.reference_text
        # Always multipart, so that the form arrives in a body (a GET's would be dropped by many proxies).
        fields = {key: (None, value.encode()) for key, value in form.items()}
        address = self.url(f"inference_{mode}")
        async with self.service.stream("POST", address, files={**fields, **files}) as response:
            rate, kind = self.settings.wire_rate, "int16"
            if _RATE_HEADER in response.headers:
                rate, kind = _rate(response.headers[_RATE_HEADER], rate), "float32"
            decoder = SoundOrText(self.name, RawDecoder(rate, self.sample_rate, kind))
            async for pcm in self.decoded(response, decoder):
                yield pcm


def _rate(said: str, otherwise: int) -> int:
    return int(said) if said.isdigit() and 4000 <= int(said) <= 384_000 else otherwise

"""Any server with OpenAI's transcription route: OpenAI, faster-whisper-server, whisper.cpp, vLLM, LocalAI..."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pydantic import Field

from speech.asr.base import RATE, AsrCapabilities, AsrSettings, Hints, Pcm, Transcript, whole
from speech.asr.network import NetworkAsrSettings, NetworkRecogniser, wav
from speech.errors import SpeechProtocolError
from speech.http import HttpService, error_of, said

_MOST = 1 << 20
_PROMPT_CHARS = 600


class TranscriptionSettings(NetworkAsrSettings):
    """Settings of an OpenAI-style server; ``base_url`` ends in ``/v1`` for most.

    Attributes:
        model: As the server names it.
        least_s: An utterance shorter than this is not sent: such models make words up for a cough.
    """

    base_url: str = "https://api.openai.com/v1"
    model: str = "whisper-1"
    least_s: float = Field(default=0.2, ge=0)


class OpenAITranscriptions(NetworkRecogniser):
    """``POST {base_url}/audio/transcriptions`` with the whole utterance as a WAV; the words come at its end."""

    name = "openai"
    capabilities = AsrCapabilities(languages=("zh", "en"), streaming=False, needs_network=True)
    Settings = TranscriptionSettings
    settings: TranscriptionSettings

    def __init__(self, settings: AsrSettings | None = None) -> None:
        super().__init__(settings)
        self.service = HttpService(self.name, self.settings.timeouts, self.settings.proxy)

    async def hear(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        """Yield the final transcript."""
        pcm = await whole(sound)
        if len(pcm) < self.settings.least_s * RATE:
            yield Transcript("", True)
            return
        fields = {"model": self.settings.model, "response_format": "json", "temperature": "0"}
        if hints.language != "auto":
            fields["language"] = hints.language
        if hints.phrases:
            fields["prompt"] = " ".join(hints.phrases)[:_PROMPT_CHARS]
        url = f"{self.settings.base_url.rstrip('/')}/audio/transcriptions"
        files = {"file": ("speech.wav", await asyncio.to_thread(wav, pcm), "audio/wav")}
        body = b""
        async with self.service.stream("POST", url, data=fields, files=files, headers=self.headers()) as response:
            async for chunk in self.service.chunks(response):
                body += chunk
                if len(body) > _MOST:
                    raise SpeechProtocolError(self.name, "The service's answer has no end.")
        answer = self._read(body)
        language = answer.get("language")
        yield Transcript(str(answer["text"]).strip(), True, str(language) if language else None)

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise SpeechProtocolError(
                self.name, f"The service answers with something else than JSON: {said(body)}", "Check its address."
            ) from error
        if isinstance(answer, dict) and isinstance(answer.get("text"), str):
            return answer
        if isinstance(answer, dict) and answer.get("error"):
            raise error_of(self.name, 500, body)
        raise SpeechProtocolError(self.name, f"The service's answer holds no text: {said(body)}", "Check its address.")

    async def close(self) -> None:
        """Close every connection."""
        await self.service.close()

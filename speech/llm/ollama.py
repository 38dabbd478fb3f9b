"""A model served by Ollama on this machine or another."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from speech.errors import SpeechProtocolError
from speech.http import error_of, said
from speech.llm.base import ReplyCapabilities
from speech.llm.chat import ChatBackend, ChatSettings


class OllamaSettings(ChatSettings):
    """Settings of an Ollama server."""

    base_url: str = "http://127.0.0.1:11434"
    model: str = "qwen2.5:3b"
    keep_alive: str = "10m"
    """How long the model stays in memory after an answer."""


class Ollama(ChatBackend):
    """``POST {base_url}/api/chat``, one JSON object a line."""

    name = "ollama"
    capabilities = ReplyCapabilities(streaming=True, needs_network=True)
    Settings = OllamaSettings
    settings: OllamaSettings

    async def tokens(self, messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        """Yield the messages' contents until a line says ``done``."""
        body = {
            "model": self.settings.model,
            "messages": messages,
            "stream": True,
            "keep_alive": self.settings.keep_alive,
            "options": {"num_predict": self.settings.max_tokens, "temperature": self.settings.temperature},
            **self.settings.extra,
        }
        async with self.service.stream("POST", self.url("api/chat"), json=body, headers=self.headers()) as response:
            async for line in self.service.lines(response):
                if not line.strip():
                    continue
                try:
                    event = json.loads(line)
                except ValueError as error:
                    raise SpeechProtocolError(
                        self.name, f"The service sends what is not JSON: {said(line)}", "Check its address."
                    ) from error
                if not isinstance(event, dict):
                    raise SpeechProtocolError(self.name, "The service sends JSON of a foreign shape.")
                if event.get("error"):
                    missing = "not found" in str(event["error"])
                    raise error_of(self.name, 404 if missing else 502, str(event["error"]))
                content = (event.get("message") or {}).get("content")
                if content:
                    yield str(content)
                if event.get("done"):
                    return
        raise SpeechProtocolError(self.name, "The answer broke off before its end.", "Ask again.")

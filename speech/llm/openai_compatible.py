"""Any server that speaks OpenAI's chat completions: OpenAI, DeepSeek, Qwen, vLLM, llama.cpp, LM Studio..."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

from speech.errors import SpeechError, SpeechProtocolError
from speech.http import error_of, message_of, said
from speech.llm.base import ReplyCapabilities
from speech.llm.chat import ChatBackend, ChatSettings


class OpenAISettings(ChatSettings):
    """Settings of an OpenAI-compatible server; ``base_url`` ends in ``/v1`` for most."""

    base_url: str = "https://api.openai.com/v1"
    model: str = "gpt-4o-mini"


class OpenAICompatible(ChatBackend):
    """``POST {base_url}/chat/completions`` with ``stream: true``, read as server-sent events."""

    name = "openai"
    capabilities = ReplyCapabilities(streaming=True, needs_network=True)
    Settings = OpenAISettings

    async def tokens(self, messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        """Yield the deltas' contents; the answer has ended well once a finish reason or ``[DONE]`` was read."""
        body = {
            "model": self.settings.model,
            "messages": messages,
            "stream": True,
            "max_tokens": self.settings.max_tokens,
            "temperature": self.settings.temperature,
            **self.settings.extra,
        }
        address = self.url("chat/completions")
        ended = False
        async with self.service.stream("POST", address, json=body, headers=self.headers()) as response:
            async for line in self.service.lines(response):
                if line.startswith("data:"):
                    data = line[5:].strip()
                    if data == "[DONE]":
                        return
                    event = self._event(data)
                    for choice in event.get("choices") or []:
                        content = (choice.get("delta") or choice.get("message") or {}).get("content")
                        if content:
                            yield str(content)
                        ended = ended or bool(choice.get("finish_reason"))
                elif line.strip() and not line.startswith((":", "event:", "id:", "retry:")):
                    raise self._foreign(line)
        if not ended:
            raise SpeechProtocolError(self.name, "The answer broke off before its end.", "Ask again.")

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise SpeechProtocolError(
                self.name, f"The service sends what is not JSON: {said(data)}", "Check its address."
            ) from error
        if not isinstance(event, dict):
            raise SpeechProtocolError(self.name, "The service sends JSON of a foreign shape.", "Check its address.")
        if event.get("error"):
            code = event["error"].get("code") if isinstance(event["error"], dict) else None
            status = code if isinstance(code, int) else 502
            raise error_of(self.name, status, message_of(event))
        return event

    def _foreign(self, line: str) -> SpeechError:
        """An error body inside an answer that claims to be fine."""
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        if isinstance(data, dict) and message_of(data):
            return error_of(self.name, 502, message_of(data))
        return SpeechProtocolError(
            self.name,
            f"The service answers with something else: {said(line)}",
            "Check its address (often it ends in /v1).",
        )

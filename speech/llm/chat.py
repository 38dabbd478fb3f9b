"""What the chat back-ends behind HTTP share: settings, the messages sent, thoughts left out, retries."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import Field, SecretStr

from speech.errors import SpeechError, SpeechProtocolError
from speech.http import HttpService, Timeouts
from speech.llm.base import ChatMessage, ReplyBackend, ReplyCheck, ReplySettings
from speech.streams import retried_until_first

SYSTEM_PROMPT = (
    "You are a friendly person who talks with people in a live video. Answer in the language you are asked in, in one "
    "to three short spoken sentences, without lists, headings, links or emoji."
)


class ChatSettings(ReplySettings):
    """Settings of a chat back-end.

    Attributes:
        base_url: Address of the server.
        model: Name of the model there.
        api_key: Bearer token; local servers need none.
        system_prompt: Who the avatar is and how it speaks.
        history_messages: How many earlier messages are sent; more remember longer and answer slower.
        max_tokens: An answer longer than this is cut by the server.
        temperature: 0 answers the same each time; 1 is lively.
        attempts: How often a failed request is made before the error is passed on.
        proxy: URL of a proxy, if the server is behind one.
        extra: More fields of the request's body, as the server knows them.
    """

    base_url: str
    model: str
    api_key: SecretStr | None = None
    system_prompt: str = SYSTEM_PROMPT
    history_messages: int = Field(default=12, ge=0, le=200)
    max_tokens: int = Field(default=300, ge=1)
    temperature: float = Field(default=0.7, ge=0, le=2)
    attempts: int = Field(default=3, ge=1, le=10)
    timeouts: Timeouts = Timeouts(first_s=30.0, stall_s=15.0)
    proxy: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class ThoughtFilter:
    """Leaves out what a reasoning model thinks aloud between ``<think>`` and ``</think>``, however it is cut up."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def push(self, piece: str) -> str:
        """Return what may be spoken of the text so far."""
        self._held += piece
        out = ""
        while self._held:
            tag = "</think>" if self._inside else "<think>"
            at = self._held.find(tag)
            if at >= 0:
                out += "" if self._inside else self._held[:at]
                self._held, self._inside = self._held[at + len(tag) :], not self._inside
                continue
            keep = next(
                (n for n in range(min(len(tag) - 1, len(self._held)), 0, -1) if self._held.endswith(tag[:n])), 0
            )
            out += "" if self._inside else self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]
            break
        return out

    def finish(self) -> str:
        """Return what was held back because it might have begun a tag."""
        rest = "" if self._inside else self._held
        self._held, self._inside = "", False
        return rest


class ChatBackend(ReplyBackend):
    """A model behind HTTP. Subclasses say how a request looks and how tokens are read from the answer."""

    Settings = ChatSettings
    settings: ChatSettings

    def __init__(self, settings: ReplySettings | None = None) -> None:
        super().__init__(settings)
        self.service = HttpService(self.name, self.settings.timeouts, self.settings.proxy)

    @abstractmethod
    def tokens(self, messages: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        """Make one request and yield the answer's pieces; raise ``SpeechError`` unless it ends as it should."""

    def messages(self, text: str, history: Sequence[ChatMessage]) -> list[dict[str, str]]:
        """What is sent: system prompt, the latest of the history, the question."""
        kept = list(history)[-self.settings.history_messages :] if self.settings.history_messages else []
        while kept and kept[0].role != "user":
            kept.pop(0)
        system = [{"role": "system", "content": self.settings.system_prompt}] if self.settings.system_prompt else []
        said = [{"role": message.role, "content": message.content} for message in kept]
        return [*system, *said, {"role": "user", "content": text}]

    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        key = self.settings.api_key
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key and key.get_secret_value() else {}

    def url(self, path: str) -> str:
        """An address under the server's own."""
        return f"{self.settings.base_url.rstrip('/')}/{path}"

    async def answer(
        self, text: str, history: Sequence[ChatMessage], cancel: asyncio.Event
    ) -> AsyncGenerator[str, None]:
        """Yield the answer as the model writes it, without its thoughts."""
        messages = self.messages(text, history)
        thoughts, spoken = ThoughtFilter(), False
        stream = retried_until_first(lambda: self.tokens(messages), self.settings.attempts)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                shown = thoughts.push(piece)
                if not spoken:
                    shown = shown.lstrip()
                spoken = spoken or bool(shown)
                yield shown
        rest = thoughts.finish()
        yield rest
        if not (spoken or rest.strip()):
            raise SpeechProtocolError(
                self.name, "The model gave an empty answer.", "Ask again, or choose another model."
            )

    async def check(self) -> ReplyCheck:
        """Ask the model for one word."""
        stream = self.tokens([{"role": "user", "content": "Say: ok"}])
        try:
            async with aclosing(stream) as pieces:
                async for _ in pieces:
                    return ReplyCheck(True, f"{self.settings.model} answers.")
        except SpeechError as error:
            return ReplyCheck(False, error.message, error.remedy)
        return ReplyCheck(False, "The model gave an empty answer.", "Choose another model.")

    async def close(self) -> None:
        """Close every connection."""
        await self.service.close()

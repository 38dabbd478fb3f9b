"""The contract of reply back-ends: text in, an answer out piece by piece, ended at once by a cancel."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from speech.streams import until_cancelled


@dataclass(frozen=True)
class ChatMessage:
    """One thing said in a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class ReplyCapabilities:
    """What a reply back-end can do, as data."""

    streaming: bool
    needs_network: bool
    languages: tuple[str, ...] = ("zh", "en")


@dataclass(frozen=True)
class ReplyCheck:
    """What ``check`` found. Never holds a credential."""

    ok: bool
    message: str
    remedy: str = ""


class ReplySettings(BaseModel):
    """Settings of one reply back-end; unknown keys are refused and credentials are ``SecretStr``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReplyBackend(ABC):
    """Answers people. One object serves many sessions; all its methods belong to one event loop."""

    name: ClassVar[str]
    capabilities: ClassVar[ReplyCapabilities]
    Settings: ClassVar[type[ReplySettings]] = ReplySettings

    def __init__(self, settings: ReplySettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @abstractmethod
    def answer(self, text: str, history: Sequence[ChatMessage], cancel: asyncio.Event) -> AsyncGenerator[str, None]:
        """Yield the answer in pieces of any size. Raises ``SpeechError``. Callers use ``reply``."""

    async def reply(
        self, text: str, history: Sequence[ChatMessage], cancel: asyncio.Event
    ) -> AsyncGenerator[str, None]:
        """Yield the answer to ``text`` after ``history`` (oldest first), ending at once when ``cancel`` is set."""
        async with aclosing(until_cancelled(self.answer(text, history, cancel), cancel)) as pieces:
            async for piece in pieces:
                if piece:
                    yield piece

    async def check(self) -> ReplyCheck:
        """Say whether this back-end can answer now, and if not, what is wrong and what to do."""
        return ReplyCheck(True, f"{self.name} is ready.")

    async def warm_up(self) -> None:  # noqa: B027  (optional)
        """Do once what would make the first answer slow."""

    async def close(self) -> None:  # noqa: B027  (optional)
        """Free connections. Safe to call twice."""

"""Chat to text: asks the reply back-end and hands its words on as they come."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, ClassVar, Protocol

from apps.control_api.live_runtime.events import EventKind
from apps.control_api.live_runtime.frames import ChatFrame, Frame, TextEndFrame, TextFrame
from apps.control_api.live_runtime.stage import Stage
from speech.llm.base import ChatMessage, ReplyBackend

_TELL_S = 0.25


class Tell(Protocol):
    """Says on the event loop what happens; does not block."""

    def __call__(self, kind: EventKind, /, **data: Any) -> None:
        """``kind`` happened."""


def _to_nobody(kind: EventKind, /, **data: Any) -> None:
    """Say nothing."""


class Replier(Protocol):
    """Answers one conversation."""

    def reply(self, text: str, cancel: asyncio.Event) -> AsyncIterator[str]:
        """Yield the answer in pieces; end soon after ``cancel``."""

    async def warm_up(self) -> None:
        """Do once what would make the first answer slow."""

    async def close(self) -> None:
        """Free connections."""


class EchoReplier:
    """Says what it heard."""

    async def reply(self, text: str, cancel: asyncio.Event) -> AsyncGenerator[str, None]:
        """Yield the text itself."""
        yield text

    async def warm_up(self) -> None:
        """Nothing is slow."""

    async def close(self) -> None:
        """Nothing is held."""


class Conversation:
    """A reply back-end with a memory: what was asked and what was answered so far.

    Args:
        backend: Who answers; closed with the conversation.
        most: Messages remembered.
    """

    def __init__(self, backend: ReplyBackend, most: int = 40) -> None:
        self._backend = backend
        self._history: deque[ChatMessage] = deque(maxlen=most)

    async def reply(self, text: str, cancel: asyncio.Event) -> AsyncGenerator[str, None]:
        """Answer, and remember the question with as much of the answer as was given."""
        said: list[str] = []
        try:
            async with aclosing(self._backend.reply(text, list(self._history), cancel)) as pieces:
                async for piece in pieces:
                    said.append(piece)
                    yield piece
        finally:
            if said:
                self._history.append(ChatMessage("user", text))
                self._history.append(ChatMessage("assistant", "".join(said)))

    async def warm_up(self) -> None:
        """Warm the back-end up."""
        await self._backend.warm_up()

    async def close(self) -> None:
        """Close the back-end."""
        await self._backend.close()


class ReplyStage(Stage):
    """ChatFrame -> TextFrame..., TextEndFrame; everything else passes.

    Args:
        replier: Who answers.
        token: The cancel token of a turn.
        tell: Told the answer so far as "turn_reply" with ``turn``, ``text`` and ``final``: with its first words, then
            at most a few times a second, and once more when nothing follows, be it that somebody interrupts.
    """

    name: ClassVar[str] = "reply"

    def __init__(self, replier: Replier, token: Callable[[int], asyncio.Event], tell: Tell | None = None) -> None:
        self._replier, self._token = replier, token
        self._tell: Tell = tell or _to_nobody

    async def handle(self, frame: Frame) -> AsyncGenerator[Frame, None]:
        """Answer a chat."""
        if not isinstance(frame, ChatFrame):
            yield frame
            return
        said, told_at = "", 0.0
        try:
            async with aclosing(_pieces(self._replier.reply(frame.text, self._token(frame.turn)))) as words:
                async for piece in words:
                    said += piece
                    now = time.monotonic()
                    if said.strip() and now - told_at >= _TELL_S:
                        told_at = now
                        self._tell("turn_reply", turn=frame.turn, text=said, final=False)
                    yield TextFrame(frame.turn, piece)
        finally:
            if said.strip():
                self._tell("turn_reply", turn=frame.turn, text=said, final=True)
        yield TextEndFrame(frame.turn)

    def ending(self, turn: int) -> Frame:
        """End the text of a turn whose answer failed."""
        return TextEndFrame(turn)

    async def close(self) -> None:
        """Close the replier."""
        await self._replier.close()


async def _pieces(words: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The words as a generator that ends what it reads from."""
    if isinstance(words, AsyncGenerator):
        async with aclosing(words):
            async for piece in words:
                yield piece
    else:
        async for piece in words:
            yield piece

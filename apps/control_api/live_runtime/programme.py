"""What an avatar says while nobody asks: scripts, sentence by sentence, so that answers slip in between.

Each sentence is a turn of its own and is asked for when the one before is nearly played, so there is no pause between
them and never more than one that somebody would have to wait for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lipsync.errors import InvalidInputError, StudioError
from speech.text import SentenceSplitter

Mode = Literal["once", "loop", "random"]
NEARLY = 15
"""Frames of speech left when the next sentence is asked for (0.6 s)."""
PAUSE = 25
"""Ticks of quiet after somebody else's words, or an interrupt, before the programme goes on (1 s)."""


@dataclass(frozen=True)
class Item:
    """A script.

    Attributes:
        id: Whose it is, for events.
        text: What is said.
        weight: In random order, how often it comes against the others.
    """

    id: str
    text: str
    weight: float = 1.0


class Stage(Protocol):
    """As much of a session as a programme needs."""

    async def say(self, text: str, interrupt: bool = False) -> int:
        """Speak."""

    def waiting(self) -> list[int]:
        """Turns that are not over."""

    def nearly_over(self, frames: int) -> bool:
        """Whether all that is to be said is made, and at most ``frames`` of it are still to be played."""


class Programme:
    """Says scripts in a session until ``stop``. Its ``tick`` is called with every frame played.

    Args:
        stage: The session.
        items: The scripts.
        mode: In order once, in order for ever, or by weight for ever (never the same twice running).
        on_item: Told the id of each script that begins, "" at the end.
        chance: For the random order.

    Raises:
        InvalidInputError: There is nothing to say.
    """

    def __init__(
        self,
        stage: Stage,
        items: Sequence[Item],
        mode: Mode,
        on_item: Callable[[str], None],
        chance: random.Random | None = None,
    ) -> None:
        self._stage, self._on_item = stage, on_item
        self._items = [item for item in items if item.text.strip()]
        if not self._items:
            raise InvalidInputError("The playlist has nothing to say.", "Add scripts with text to it.")
        self._sentences = self._walk(mode, chance or random.Random())
        self._own = 0
        self._quiet = PAUSE
        self._cut = False
        self._saying: asyncio.Task[None] | None = None
        self.over = False

    def tick(self) -> None:
        """Say the next sentence where its time has come."""
        if self.over or self._saying is not None:
            return
        others = [turn for turn in self._stage.waiting() if turn != self._own]
        if others or self._cut:
            self._quiet, self._cut = 0, False
            return
        self._quiet += 1
        if self._quiet > PAUSE and self._stage.nearly_over(NEARLY):
            self._saying = asyncio.create_task(self._next(), name="live-programme")

    def turn_over(self, turn: int, outcome: str | None) -> None:
        """Note how a turn ended: after an interrupt there is a pause."""
        if turn == self._own and outcome == "interrupted":
            self._cut = True

    async def stop(self) -> None:
        """Say nothing more; what is being said is said to its end."""
        self.over = True
        if self._saying is not None:
            await asyncio.wait({self._saying})

    async def _next(self) -> None:
        try:
            sentence = next(self._sentences, None)
            if sentence is None:
                self.over = True
                self._on_item("")
            else:
                self._own = await self._stage.say(sentence)
        except StudioError:  # closed meanwhile, or full: somebody talks; the sentence is left out
            self._quiet = 0
        finally:
            self._saying = None

    def _walk(self, mode: Mode, chance: random.Random) -> Iterator[str]:
        last: Item | None = None
        while True:
            if mode == "random":
                choice = [item for item in self._items if item is not last] or self._items
                order = chance.choices(choice, [item.weight for item in choice])
            else:
                order = self._items
            for item in order:
                last = item
                self._on_item(item.id)
                splitter = SentenceSplitter()
                yield from [*splitter.push(item.text), *splitter.flush()]
            if mode == "once":
                return

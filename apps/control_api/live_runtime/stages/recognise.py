"""Speech to words: one utterance on its way through a recogniser, and whether it sounds whole."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from speech.asr.base import Hints, Recogniser, Transcript

_MOST = 1024
"""Pieces of 32 ms an utterance may be ahead of its recogniser: a service that hangs must not eat the memory."""
_OPEN = re.compile(
    r"(?:\b(?:a|an|the|and|or|but|of|to|in|on|at|for|from|with|by|my|your|his|her|our|their|is|are|was|were|do|does|did"
    r"|can|could|will|would|should|if|because|that|which|i|we|they|um|uh|er)|[的和与或跟把被给对向从在是为因但而且么])\s*$",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"[.?!。？！]\s*$|[吗呢吧]\s*$")


def patience(text: str, phrases: frozenset[str]) -> float:
    """How long to wait for more after ``text``, against the usual: less where it is whole, more where it cannot be."""
    bare = " ".join(text.lower().strip(" .?!。？！").split())
    if bare and (bare in phrases or _CLOSED.search(text)):
        return 0.67
    return 2.0 if _OPEN.search(text) else 1.0


def bare_phrases(phrases: tuple[str, ...]) -> frozenset[str]:
    """Phrases as ``patience`` compares them."""
    return frozenset(" ".join(p.lower().strip(" .?!。？！").split()) for p in phrases)


class Utterance:
    """What somebody is saying: sound goes in from the ear, transcripts come out to ``on_heard``.

    Args:
        number: Counts a session's utterances from 1.
        recogniser: Who understands it; shared.
        hints: What helps.
        on_heard: Told each transcript, on the loop.
    """

    def __init__(
        self, number: int, recogniser: Recogniser, hints: Hints, on_heard: Callable[[Utterance, Transcript], None]
    ) -> None:
        self.number = number
        self.ended_at: float | None = None
        self.capture_ms = 0.0
        self.cancel = asyncio.Event()
        self._recogniser, self._hints, self._on_heard = recogniser, hints, on_heard
        self._sound: asyncio.Queue[NDArray[np.float32] | None] = asyncio.Queue()
        self._dropped = False

    def put(self, pcm: NDArray[np.float32]) -> bool:
        """Add sound; False where it was left out: the recogniser is too far behind, or nobody listens."""
        if self._dropped or self._sound.qsize() >= _MOST:
            return False
        self._sound.put_nowait(pcm)
        return True

    def end(self, capture_ms: float) -> None:
        """There is no more; ``capture_ms`` is how long that took to be sure."""
        self.ended_at, self.capture_ms = asyncio.get_running_loop().time(), capture_ms
        self._sound.put_nowait(None)

    def drop(self) -> None:
        """Nobody will understand it: keep no sound."""
        self._dropped = True

    async def run(self) -> Transcript | None:
        """Understand it; the final transcript, or None where it was cancelled. Raises ``SpeechError``."""
        async with aclosing(self._recogniser.recognise(self._pieces(), self._hints, self.cancel)) as heard:
            async for transcript in heard:
                if transcript.final:
                    return transcript
                self._on_heard(self, transcript)
        return None

    async def _pieces(self) -> AsyncIterator[NDArray[np.float32]]:
        while (piece := await self._sound.get()) is not None:
            yield piece

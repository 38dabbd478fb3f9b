"""Text to sound: cuts sentences, streams each through the voice, and resamples without a seam."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import (
    LIVE_RATE,
    Frame,
    PcmFrame,
    SoundEndFrame,
    SoundFrame,
    TextEndFrame,
    TextFrame,
)
from apps.control_api.live_runtime.stage import Stage
from lipsync.engine import SAMPLE_RATE
from lipsync.media.audio import Resampler
from speech.text import SentenceSplitter
from speech.tts.base import TextToSpeech, Voice

PIECE_S = 0.1
"""Sound is resampled in pieces of this length, so that a voice that answers in one lump cannot block the loop."""
EAGER_CHARS = 12
"""A first sentence this long may already end at a comma, so that speech begins early."""


class SpeakStage(Stage):
    """TextFrame, TextEndFrame, PcmFrame -> SoundFrame..., SoundEndFrame.

    Args:
        tts: The voice back-end; shared, not closed here.
        voice: Which voice.
        token: The cancel token of a turn.
        stall_s: A voice that yields nothing for this long has failed.
    """

    name: ClassVar[str] = "speak"

    def __init__(
        self, tts: TextToSpeech, voice: Voice, token: Callable[[int], asyncio.Event], stall_s: float = 10.0
    ) -> None:
        self.tts, self.voice = tts, voice
        self.number = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._token, self._stall_s = token, stall_s
        self._turn = 0
        self._splitter = SentenceSplitter(eager_chars=EAGER_CHARS)
        self._rates: _TwoRates | None = None

    def change(self, tts: TextToSpeech, voice: Voice) -> TextToSpeech:
        """Speak with another voice from the next sentence on; ``number`` counts up.

        Returns:
            The old back-end, to be closed by its owner after ``settled``.
        """
        old = self.tts
        self.tts, self.voice = tts, voice
        self.number += 1
        return old

    async def settled(self) -> None:
        """Wait until the sentence being spoken is over."""
        await self._idle.wait()

    async def handle(self, frame: Frame) -> AsyncGenerator[Frame, None]:
        """Speak."""
        if frame.turn != self._turn:
            self._turn = frame.turn
            self._splitter.reset()
            self._rates = None
        if isinstance(frame, TextFrame):
            for sentence in self._splitter.push(frame.text):
                async for out in self._say(frame.turn, sentence):
                    yield out
        elif isinstance(frame, PcmFrame):
            for out in self._sound(frame.turn, frame.pcm, frame.rate, self.number):
                yield out
        elif isinstance(frame, TextEndFrame):
            for sentence in self._splitter.flush():
                async for out in self._say(frame.turn, sentence):
                    yield out
            for out in self._finish(frame.turn):
                yield out
            yield SoundEndFrame(frame.turn)
        else:
            yield frame

    def ending(self, turn: int) -> Frame:
        """End the sound of a turn whose voice failed."""
        return SoundEndFrame(turn)

    async def _say(self, turn: int, sentence: str) -> AsyncGenerator[Frame, None]:
        self._idle.clear()
        try:
            async with aclosing(self._spoken(self.tts, turn, sentence)) as spoken:
                async for out in spoken:
                    yield out
        finally:
            self._idle.set()

    async def _spoken(self, tts: TextToSpeech, turn: int, sentence: str) -> AsyncGenerator[Frame, None]:
        number = self.number
        async with aclosing(tts.stream(sentence, self.voice, self._token(turn))) as chunks:
            while True:
                try:
                    async with asyncio.timeout(self._stall_s):
                        pcm = await anext(chunks)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    from speech.errors import SpeechTimeoutError

                    raise SpeechTimeoutError(
                        tts.name, f"The voice fell silent for {self._stall_s:g} s.", "Try again or choose another."
                    ) from None
                for out in self._sound(turn, pcm, tts.sample_rate, number):
                    yield out

    def _sound(self, turn: int, pcm: NDArray[np.float32], rate: int, number: int) -> list[Frame]:
        made: list[Frame] = []
        if self._rates is None or (self._rates.source, self._rates.voice) != (rate, number):
            made += self._finish(turn)
            self._rates = _TwoRates(rate, number)
        step = max(1, int(rate * PIECE_S))
        for start in range(0, len(pcm), step):
            heard, driving = self._rates.push(pcm[start : start + step])
            if heard.size or driving.size:
                made.append(SoundFrame(turn, heard, driving, number))
        return made

    def _finish(self, turn: int) -> list[Frame]:
        if self._rates is None:
            return []
        heard, driving = self._rates.flush()
        number, self._rates = self._rates.voice, None
        return [SoundFrame(turn, heard, driving, number)] if heard.size or driving.size else []


class _TwoRates:
    """One sound at the rates people and engines want."""

    def __init__(self, source: int, voice: int) -> None:
        self.source, self.voice = source, voice
        self._heard, self._driving = Resampler(source, LIVE_RATE), Resampler(source, SAMPLE_RATE)

    def push(self, pcm: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._heard.push(pcm), self._driving.push(pcm)

    def flush(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._heard.flush(), self._driving.flush()

"""What may be said in a session: words, questions and sound, within limits, each as a turn on the agenda."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.agenda import NORMAL
from apps.control_api.live_runtime.frames import ChatFrame, Frame, PcmFrame, TextEndFrame, TextFrame
from apps.control_api.live_runtime.sound_stream import SoundStream
from apps.control_api.live_runtime.spec import LiveLimits
from apps.control_api.live_runtime.speech_line import SpeechLine
from apps.control_api.live_runtime.turns import Turns
from lipsync.errors import InvalidInputError, TooManyError


class Intake:
    """Where turns begin.

    Args:
        turns: The session's.
        line: Makes them.
        limits: How long, and how many may wait.
        on_begun: Told each turn's number.
    """

    def __init__(self, turns: Turns, line: SpeechLine, limits: LiveLimits, on_begun: Callable[[int], None]) -> None:
        self._turns, self._line, self._limits, self._on_begun = turns, line, limits, on_begun

    def begin(self) -> int:
        """Open a turn that is still to be fed.

        Raises:
            TooManyError: Too many wait.
        """
        waiting = len(self._turns.open())
        if waiting >= self._limits.max_pending_turns:
            raise TooManyError(
                f"{waiting} utterances wait already.", "Wait, or interrupt.",
                {"max_pending_turns": self._limits.max_pending_turns},
            )  # fmt: skip
        turn = self._turns.begin().number
        self._on_begun(turn)
        return turn

    def say(self, turn: int, text: str, urgency: int = NORMAL) -> None:
        """Have text spoken."""
        self._add(turn, [TextFrame(turn, text), TextEndFrame(turn)], urgency)

    def chat(self, turn: int, text: str, urgency: int = NORMAL) -> None:
        """Have text answered."""
        self._add(turn, [ChatFrame(turn, text)], urgency)

    def sound(self, turn: int, pcm: NDArray[np.float32], rate: int) -> None:
        """Have ready sound spoken."""
        self._add(turn, [PcmFrame(turn, np.ascontiguousarray(pcm, np.float32), rate), TextEndFrame(turn)], NORMAL)

    def stream(self, turn: int, rate: int) -> SoundStream:
        """Have sound spoken that still comes."""
        stream = SoundStream(turn, rate, self._line.put, self._turns.cancel(turn))
        self._line.agenda.add(turn, stream.feed)
        return stream

    def check_text(self, text: str) -> None:
        """Raise InvalidInputError where there is nothing to say, or too much."""
        if not text.strip():
            raise InvalidInputError("There is nothing to say.", "Send some text.")
        if len(text) > self._limits.max_text:
            raise InvalidInputError(
                f"The text has {len(text)} characters; {self._limits.max_text} are allowed.", "Send it in parts.",
                {"length": len(text), "max": self._limits.max_text},
            )  # fmt: skip

    def check_sound(self, pcm: NDArray[np.float32], rate: int) -> None:
        """Raise InvalidInputError where there is no sound, or too much."""
        if not 8_000 <= rate <= 192_000:
            raise InvalidInputError(f"A sample rate of {rate} is out of range.", "Send 8,000 to 192,000 Hz.")
        if not len(pcm):
            raise InvalidInputError("The sound is empty.", "Send at least one sample.")
        if len(pcm) > self._limits.max_audio_s * rate:
            raise InvalidInputError(
                f"The sound is longer than {self._limits.max_audio_s:g} s.", "Send it in several pieces."
            )

    def _add(self, turn: int, frames: list[Frame], urgency: int) -> None:
        async def feed() -> None:
            for frame in frames:
                await self._line.put(frame)

        self._line.agenda.add(turn, feed, urgency)

"""What flows through a live session: frozen frames, each of one turn.

    TextFrame, ChatFrame, PcmFrame -> reply -> TextFrame, TextEndFrame -> speak -> SoundFrame, SoundEndFrame
    -> animate -> DrivenFrame, TurnEndFrame -> playout -> MediaFrame -> transport

A turn is one utterance, counted from 1; turn 0 is the idle cycle. An interrupt raises the lowest turn that still
counts, and frames below it fall wherever they are. Time is counted in samples: a DrivenFrame and a MediaFrame are
exactly 40 ms, sound and picture together, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIVE_RATE = 48_000
"""Samples a second of the sound people hear."""
FRAME_SAMPLES = 1920
"""Samples of that sound to a picture (40 ms)."""
PACKET_SAMPLES = 480
"""Samples to a sound packet (10 ms): an interrupt is heard at the next one."""
PACKETS = FRAME_SAMPLES // PACKET_SAMPLES
"""Sound packets to a picture."""
FRAME_S = 0.04


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of any kind; ``turn`` says which utterance it belongs to."""

    turn: int


@dataclass(frozen=True, eq=False)
class TextFrame(Frame):
    """Text to be spoken, a whole or a piece of a stream."""

    text: str


@dataclass(frozen=True, eq=False)
class ChatFrame(Frame):
    """What somebody said to the avatar; the reply stage answers it."""

    text: str


@dataclass(frozen=True, eq=False)
class PcmFrame(Frame):
    """Ready sound that drives the mouth instead of a voice: float32 mono in -1..1 at ``rate``."""

    pcm: NDArray[np.float32]
    rate: int


@dataclass(frozen=True, eq=False)
class TextEndFrame(Frame):
    """Nothing more will be said in this turn."""


@dataclass(frozen=True, eq=False)
class SoundFrame(Frame):
    """A piece of speech, float32 mono, at both rates.

    The two pieces need not cover the same time (each resampler lags in its own way); over a turn they do.
    """

    heard: NDArray[np.float32]
    """At 48 kHz, for people."""
    driving: NDArray[np.float32]
    """At 16 kHz, for the engine."""
    voice: int = 0
    """Which of the session's voices says it, counted from 0."""


@dataclass(frozen=True, eq=False)
class SoundEndFrame(Frame):
    """The turn's sound is whole."""


@dataclass(frozen=True, eq=False)
class DrivenFrame(Frame):
    """40 ms of sound and what the mouth does meanwhile.

    Attributes:
        sound: int16 (1920,), 48 kHz.
        drive: The engine's own; drawn later, on whichever base frame is then due.
        weight: How much of the driven mouth shows against the resting one, 0 to 1 (the turn's closing frames).
        engine: Whose drive it is; no other may draw it.
    """

    sound: NDArray[np.int16]
    drive: Any
    weight: float = 1.0
    engine: Any = None


@dataclass(frozen=True, eq=False)
class TurnEndFrame(Frame):
    """The turn's last DrivenFrame has passed."""


@dataclass(frozen=True, eq=False)
class MediaFrame(Frame):
    """40 ms as people get them.

    Attributes:
        number: Frames since the session began; its sound starts at sample ``number * 1920``.
        sound: int16 (1920,), 48 kHz.
        picture: uint8 (h * 3 // 2, w), I420; None while nobody watches.
        held: The picture repeats the one before because its own was not ready.
        first: The turn's first frame.
        last: The turn's last frame.
    """

    number: int
    sound: NDArray[np.int16]
    picture: NDArray[np.uint8] | None
    held: bool = False
    first: bool = False
    last: bool = False


@dataclass(frozen=True, eq=False)
class PacketFrame(Frame):
    """10 ms for the outputs: a quarter of a MediaFrame's sound, and with the first quarter its picture.

    Attributes:
        number: Packets since the session began; its sound starts at sample ``number * 480``.
        sound: int16 (480,), 48 kHz.
        picture: I420, with every fourth packet while somebody watches.
        held: As in MediaFrame.
    """

    number: int
    sound: NDArray[np.int16]
    picture: NDArray[np.uint8] | None
    held: bool = False

"""``turn --voice-in``: a person asks aloud through a WebRTC microphone; counted from the end of the question.

The questions are the knowledge base's, spoken by flite where the system has it, else by espeak-ng, in voices that are
not the avatar's. A packet is sent when its last sample would have been captured, so the end of the question is the
instant of its last audible sample.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from contextlib import suppress
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from scripts.benchmarks import _live

RATE = 48_000
STEP = 960
AUDIBLE = 0.01
PATIENCE_S = 6.0
KNOWLEDGE = [
    {"question": "How long does the battery last?", "answer": "It lasts thirty hours, and charging takes one."},
    {"question": "What can you do?", "answer": "I can tell you all about our headphones."},
    {"question": "Do you ship to Canada?", "answer": "Yes, we ship to Canada in five days."},
    {"question": "Tell me about the warranty.", "answer": "Two years, and we pay for the parcel."},
    {"question": "Which colors are available?", "answer": "Black, white, and a warm red."},
    {"question": "Is there a discount for students?", "answer": "Students pay ten percent less all year."},
]


class Microphone(MediaStreamTrack):
    """Sends a quiet room, and in it what ``say`` is given; ``ended`` is when its last audible sample was."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound = np.zeros(0, np.float32)
        self._noise = np.random.default_rng(7)
        self._sent = 0
        self._due: float | None = None
        self.ended: float | None = None

    def say(self, sound: NDArray[np.float32]) -> None:
        """Speak from now on."""
        self.ended = None
        self._sound = sound[: int(np.flatnonzero(np.abs(sound) > AUDIBLE)[-1]) + 1]

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are over."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._due = loop.time() if self._due is None else self._due + STEP / RATE
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        piece, self._sound = self._sound[:STEP], self._sound[STEP:]
        if piece.size and not self._sound.size:
            self.ended = time.monotonic() - (STEP - piece.size) / RATE
        sound = self._noise.normal(0, 0.0005, STEP)
        sound[: piece.size] += piece
        frame = av.AudioFrame.from_ndarray((np.clip(sound, -1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, fractions.Fraction(1, RATE)
        self._sent += STEP
        return frame


def questions() -> list[tuple[str, NDArray[np.float32]]]:
    """Each question with its sound at 48 kHz."""
    from lipsync.media.audio import resample
    from speech.clone.base_speech import BaseVoice, flite_program, render
    from speech.clone.features import RATE as MADE

    voices = [BaseVoice("flite", "en", v) for v in ("slt", "rms")] if flite_program() else []
    voices = voices or [BaseVoice("espeak", "en", "en-us+m3")]
    made = []
    for k, item in enumerate(KNOWLEDGE):
        sound = resample(render(voices[k % len(voices)], item["question"])[0], MADE, RATE)
        made.append((item["question"], (sound * (0.4 / np.abs(sound).max())).astype(np.float32)))
    return made


async def ask(server: _live.Server, peer: _live.Peer, microphone: Microphone, turns: int) -> dict[str, Any]:
    """Ask ``turns`` questions of a session whose client is ``peer``; when each ended, and what was made of it.

    The next one comes 1.2 s after the first frame of an answer, or after ``PATIENCE_S`` without one.
    """
    known = questions()
    heard: list[dict[str, Any]] = []
    ended: list[float] = []
    windows: list[tuple[int, int]] = []
    right = 0
    for k in range(turns):
        await asyncio.sleep(0.6 + 0.037 * (k % 9))
        text, sound = known[k % len(known)]
        before, told = len(peer.pictures), len(server.events)
        microphone.say(sound)
        await _live.wait_for(lambda: microphone.ended is not None, 30)
        ended.append(float(microphone.ended or 0.0))
        with suppress(TimeoutError):
            await _live.wait_for(lambda since=told: bool(_answers(server, since)), PATIENCE_S)  # type: ignore[misc]
        await asyncio.sleep(1.2)
        windows.append((max(0, before - 12), len(peer.pictures)))
        words = [e for e in server.events[told:] if e["event"] == "transcript" and e["final"]]
        right += bool(words) and words[-1]["text"] == text
        begun = _answers(server, told)
        heard.append({"asked": text, "heard": [w["text"] for w in words], "turn": begun[-1] if begun else None})
        for got in peer.pictures[windows[-1][1] : -15]:
            got.data = None
    return {"ended": ended, "windows": windows, "right": right, "heard": heard}


def _answers(server: _live.Server, since: int) -> list[int]:
    """Turns whose first frame was told from the event ``since`` on."""
    return [e["turn"] for e in server.events[since:] if e["event"] == "turn_first_frame"]

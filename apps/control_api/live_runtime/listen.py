"""A session's ears: microphones in, turns out. What people say becomes words, and words become turns.

The loop only hands sound on. Resampling, the guard against echo and the detector of speech run in one thread of the
listener's; the recogniser has its own process or service. Of several microphones the one that speaks first has the
floor until it is silent. A recogniser that fails costs the utterance and is told as a warning; the session goes on, and
one that fails again and again is asked less often, without a warning each time (``readiness``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from aiortc import MediaStreamTrack
from numpy.typing import NDArray

from apps.control_api.live_runtime.ear import Ear, Heard, ListenSpec
from apps.control_api.live_runtime.echo import Played
from apps.control_api.live_runtime.frames import MediaFrame
from apps.control_api.live_runtime.readiness import Readiness
from apps.control_api.live_runtime.stages.recognise import Utterance, bare_phrases, patience
from apps.control_api.live_runtime.transports.microphone import read
from apps.control_api.live_runtime.transports.sound_in import DeviceMicrophone
from apps.control_api.live_runtime.troubles import trouble
from apps.control_api.live_runtime.turns import Turns
from lipsync.errors import StudioError
from speech.asr.base import Hints, Recogniser, Transcript
from speech.errors import SpeechError
from speech.vad import RATE, VoiceActivity

_LOG = logging.getLogger(__name__)
_BACKLOG = 100
"""Pieces of 20 ms that wait for the thread at most; older ones are dropped."""
_AFTER = 25
"""Frames of 40 ms after the avatar's last word during which its echo may still come back."""
_LOST_S = 0.6
"""A microphone that sends nothing for this long within an utterance has ended it."""
_LATE_S = 30.0
"""A recogniser that has not finished this long after the end of an utterance is given up."""


class Speaker(Protocol):
    """What a listener needs of its session."""

    turns: Turns

    async def say(self, text: str, interrupt: bool = False) -> int:
        """Speak."""

    async def chat(self, text: str, interrupt: bool = True) -> int:
        """Answer."""

    def interrupt(self) -> list[int]:
        """Stop speaking."""


class Microphone:
    """One microphone of a listener: ``hear`` from the loop, ``close`` when it is gone."""

    def __init__(self, listener: Listener, ear: Ear) -> None:
        self._listener, self.ear = listener, ear

    def hear(self, pcm: NDArray[np.float32], rate: int) -> None:
        """Take float32 mono in -1..1; never blocks."""
        self._listener.hear(self, pcm, rate)

    def close(self) -> None:
        """It sends no more: what it was saying ends here."""
        self._listener.leave(self)


class EarStream:
    """A microphone as a stream: ``put`` what it hears, ``end`` when it is gone."""

    def __init__(self, microphone: Microphone, rate: int) -> None:
        self._microphone, self._rate = microphone, rate

    async def put(self, pcm: NDArray[np.float32]) -> bool:
        """Take float32 mono in -1..1."""
        self._microphone.hear(pcm, self._rate)
        return True

    async def end(self) -> None:
        """It sends no more."""
        self._microphone.close()


class Listener:
    """The ears of one session. Made by its manager; ``begin`` ties it to the session, ``close`` ends it.

    Args:
        spec: How to listen.
        recogniser: Closed with the listener.
    """

    def __init__(self, spec: ListenSpec, recogniser: Recogniser) -> None:
        self.spec, self._recogniser = spec, recogniser
        self.enabled = spec.enabled
        self.dropped = 0
        self._hints = Hints(spec.language, spec.phrases)
        self._known = bare_phrases(spec.phrases)
        self._played = Played()
        self._since_speech = _AFTER
        self._inbox: deque[tuple[Microphone, NDArray[np.float32], int]] = deque()
        self._more = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._serving: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._floor: Microphone | None = None
        self._utterance: Utterance | None = None
        self._count = 0
        self._failed: Exception | None = None
        self._ready = Readiness()
        self._limit_told = False
        self._device: tuple[DeviceMicrophone, Microphone] | None = None
        self._speaker: Speaker | None = None
        self._tell: Callable[..., None] = _nobody

    def begin(self, speaker: Speaker, tell: Callable[..., None]) -> None:
        """Serve this session from now on; ``tell(kind, **data)`` takes events."""
        self._speaker, self._tell = speaker, tell
        if self._failed is not None:
            self.warn(self._failed)

    async def warm_up(self) -> None:
        """Start the recogniser and load the detector; a recogniser that cannot start is told when the session begins.

        Raises:
            UnavailableError: The detector of speech is not installed.
        """
        await asyncio.to_thread(VoiceActivity)
        try:
            await self._recogniser.warm_up(self._hints)
        except SpeechError as error:
            self._failed = error
            self._ready.failed(error.may_retry)

    # -- in ----------------------------------------------------------------------------------------------------------

    def track(self, track: MediaStreamTrack) -> None:
        """Hear a client's sound until it ends."""
        task = asyncio.create_task(self._read(track), name="live-microphone")
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _read(self, track: MediaStreamTrack) -> None:
        microphone = await self.microphone()
        try:
            await read(track, microphone.hear)
        finally:
            microphone.close()

    async def microphone(self) -> Microphone:
        """Another microphone; loads the detector at the first."""
        ear = await asyncio.to_thread(Ear, self.spec, self._played)
        if self._serving is None:
            self._thread = ThreadPoolExecutor(1, "live-listen")
            self._serving = asyncio.create_task(self._serve(), name="live-listen")
        return Microphone(self, ear)

    async def use_device(self, device: str | int | None) -> str:
        """Hear a sound device of this machine too, instead of the one before; returns its name.

        Raises:
            UnavailableError: There is no such device, or no sound system.
        """
        microphone, loop = await self.microphone(), asyncio.get_running_loop()
        opened = await asyncio.to_thread(
            DeviceMicrophone, device, microphone.hear, lambda: self._device_ended(microphone), loop
        )
        await self.leave_device()
        self._device = opened, microphone
        return opened.name

    async def leave_device(self) -> None:
        """Let the sound device go."""
        device, self._device = self._device, None
        if device is not None:
            await asyncio.to_thread(device[0].close)
            device[1].close()

    def _device_ended(self, microphone: Microphone) -> None:
        microphone.close()
        self.warn(trouble("sound_failed").as_error())

    async def stream(self, rate: int) -> EarStream:
        """A microphone whose sound comes by another way than WebRTC."""
        return EarStream(await self.microphone(), rate)

    def hear(self, microphone: Microphone, pcm: NDArray[np.float32], rate: int) -> None:
        """Take sound; the oldest is dropped where the thread is too far behind."""
        if not self.enabled:
            return
        if len(self._inbox) >= _BACKLOG:
            self._inbox.popleft()
            self.dropped += 1
        self._inbox.append((microphone, pcm, rate))
        self._more.set()

    def leave(self, microphone: Microphone) -> None:
        """A microphone is gone."""
        if self._floor is microphone:
            self._finish(0.0)

    def played(self, frame: MediaFrame) -> None:
        """Note what people hear from now on (the clock tells every frame)."""
        self._since_speech = 0 if frame.turn else min(self._since_speech + 1, _AFTER)
        if self._serving is not None:
            self._played.put(frame.sound)

    def enable(self, enabled: bool) -> None:
        """Open or shut the microphones; what was being said when they are shut is finished (push to talk)."""
        self.enabled = enabled
        if not enabled:
            self._inbox.clear()
        self._more.set()

    async def close(self) -> None:
        """End everything. Safe to call twice."""
        self.enabled = False
        await self.leave_device()
        tasks = [*self._working, *([self._serving] if self._serving is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._recogniser.close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown, True)
            self._thread = None

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._floor is not None and not self.enabled:
                await loop.run_in_executor(self._thread, self._floor.ear.end)
                self._finish(0.0)
            if not self._inbox:
                self._more.clear()
                try:
                    async with asyncio.timeout(_LOST_S if self._utterance is not None else None):
                        await self._more.wait()
                except TimeoutError:
                    if self._floor is not None:
                        await loop.run_in_executor(self._thread, self._floor.ear.end)
                        self._finish(_LOST_S * 1000)
                    continue
            if not self._inbox:
                continue
            microphone, pcm, rate = self._inbox.popleft()
            over = self._since_speech < _AFTER
            for heard in await loop.run_in_executor(self._thread, microphone.ear.push, pcm, rate, over):
                self._take(microphone, heard)

    def _take(self, microphone: Microphone, heard: Heard) -> None:
        if not self.enabled or self._floor not in (None, microphone):
            return
        if heard.edge is not None and heard.edge.kind == "started":
            self._start(microphone)
        if self._utterance is None or self._floor is not microphone:
            return
        self._utterance.put(heard.pcm)
        if heard.edge is not None and heard.edge.kind == "ended":
            self._finish((heard.edge.known - heard.edge.sample) * 1000 / RATE)

    def _start(self, microphone: Microphone) -> None:
        speaker = self._here()
        self._count += 1
        self._floor = microphone
        microphone.ear.end_ms = self.spec.end_silence_ms
        utterance = self._utterance = Utterance(self._count, self._recogniser, self._hints, self._guessed)
        interrupts = self.spec.barge_in and bool(speaker.turns.open())
        self._tell("user_speech_started", utterance=self._count, interrupts=interrupts)
        if interrupts:
            speaker.interrupt()
        task = asyncio.create_task(self._understand(utterance), name="live-recognise")
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _finish(self, capture_ms: float) -> None:
        utterance, self._utterance, self._floor = self._utterance, None, None
        if utterance is not None:
            utterance.end(capture_ms)
            self._tell("user_speech_ended", utterance=utterance.number)

    def _guessed(self, utterance: Utterance, transcript: Transcript) -> None:
        if self._utterance is utterance and self._floor is not None:
            self._floor.ear.end_ms = self.spec.end_silence_ms * patience(transcript.text, self._known)
        self._tell_words(utterance, transcript)

    def _tell_words(self, utterance: Utterance, transcript: Transcript) -> None:
        self._tell(
            "transcript",
            utterance=utterance.number,
            text=transcript.text,
            final=transcript.final,
            language=transcript.language,
            confidence=transcript.confidence,
        )

    async def _understand(self, utterance: Utterance) -> None:
        speaker = self._here()
        if self._ready.waits:
            # Speaking over the avatar still stops it; nobody is there to understand the words.
            utterance.drop()
            self._tell_words(utterance, Transcript("", True))
            return
        try:
            transcript = await utterance.run()
            if transcript is None:
                return
            self._ready.answered()
            loop = asyncio.get_running_loop()
            spent = 0.0 if utterance.ended_at is None else (loop.time() - utterance.ended_at) * 1000
            self._tell_words(utterance, transcript)
            self._tell_limit(transcript, utterance.number)
            if not transcript.text or self.spec.act == "tell":
                return
            act = speaker.chat if self.spec.act == "chat" else speaker.say
            turn = await act(transcript.text, self.spec.barge_in)
            speaker.turns.asked_aloud(turn, utterance.capture_ms, spent)
        except Exception as error:
            # Whatever broke, only this utterance is lost.
            _LOG.warning("an utterance was not understood", exc_info=error)
            if self._utterance is utterance:
                self._utterance = self._floor = None
            if self._ready.failed(not isinstance(error, SpeechError) or error.may_retry):
                self.warn(error, utterance.number)
            self._tell_words(utterance, Transcript("", True))

    def _tell_limit(self, transcript: Transcript, number: int) -> None:
        """Tell once a session what the recogniser cannot do."""
        if transcript.limit is not None and not self._limit_told:
            self._limit_told = True
            message, remedy = transcript.limit
            self._tell(
                "warning", code="speech_limited", message=message, remedy=remedy, stage="recognise", utterance=number
            )

    def warn(self, error: Exception, utterance: int = 0) -> None:
        """Tell that listening failed."""
        code, message, remedy = "internal", f"{type(error).__name__}: {error}", "See the log."
        if isinstance(error, StudioError):
            code, message, remedy = error.code, error.message, error.remedy
        self._tell("warning", code=code, message=message, remedy=remedy, stage="recognise", utterance=utterance)

    def _here(self) -> Speaker:
        if self._speaker is None:
            raise RuntimeError("the listener has no session yet")
        return self._speaker


def _nobody(kind: str, **data: Any) -> None:
    """Nobody is told before the session begins."""

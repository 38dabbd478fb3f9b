"""One live talking avatar: its stages, its clock, its clients, and their common end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.agenda import NORMAL
from apps.control_api.live_runtime.audience import Audience
from apps.control_api.live_runtime.clock import Clock, Sink
from apps.control_api.live_runtime.events import OnEvent, SessionStats, State
from apps.control_api.live_runtime.frames import LIVE_RATE, MediaFrame
from apps.control_api.live_runtime.host import EngineHost
from apps.control_api.live_runtime.intake import Intake
from apps.control_api.live_runtime.listen import Listener
from apps.control_api.live_runtime.look import Look
from apps.control_api.live_runtime.pictures import Picture
from apps.control_api.live_runtime.playout import Playout
from apps.control_api.live_runtime.programme import Item, Mode, Programme
from apps.control_api.live_runtime.scene import Scene
from apps.control_api.live_runtime.session_stats import stats_of
from apps.control_api.live_runtime.sound_stream import SoundStream
from apps.control_api.live_runtime.spare_voice import tell_of_fallback
from apps.control_api.live_runtime.spec import LiveLimits, SessionSpec
from apps.control_api.live_runtime.speech_line import SpeechLine
from apps.control_api.live_runtime.stages.reply import Replier
from apps.control_api.live_runtime.swap import Ready
from apps.control_api.live_runtime.telling import Teller
from apps.control_api.live_runtime.turns import Turns
from apps.control_api.live_runtime.watchdog import EngineHungError
from lipsync.errors import ConflictError, StudioError
from lipsync.media.audio import load_audio
from speech.tts.base import TextToSpeech

OnClosed = Callable[["LiveSession"], Coroutine[Any, Any, None]]


class LiveSession:
    """An open session. Made by ``LiveManager.open``; every method belongs to the event loop it was made on.

    Args:
        spec: What it is made from.
        look: What it shows at first, and the size of its pictures for good; closed with the session.
        still: The first picture.
        tts: The voice back-end; closed with the session.
        replier: Answers chat; closed with the session.
        limits: Caps and patience.
        on_event: Told what happens.
        on_closed: Awaited once, at the very end.
        pool: Threads for encoding.
        listener: Hears people; closed with the session.
    """

    def __init__(
        self,
        spec: SessionSpec,
        *,
        look: Look,
        still: Picture,
        tts: TextToSpeech,
        replier: Replier,
        limits: LiveLimits,
        on_event: OnEvent,
        on_closed: OnClosed,
        pool: ThreadPoolExecutor,
        listener: Listener | None = None,
    ) -> None:
        self.spec, self.listener = spec, listener
        self.state: State = "ready"
        self.reason = ""
        self._on_closed = on_closed
        self.began = time.monotonic()
        self.turns = Turns()
        self.playout = Playout(still, id(look))
        self._teller = Teller(spec.id, self.turns, on_event)
        self._emit = self._teller.emit
        self.clock = Clock(self.playout, self._played)
        self.audience = Audience(
            spec,
            look.size[0],
            look.size[1],
            self.clock,
            limits=limits,
            pool=pool,
            on_sent=lambda turn: self.turns.passed(turn, "encode"),
            on_watched=self._watched,
            on_lost=self._teller.client_lost,
            on_recording_failed=self._teller.recording_failed,
            on_output=self._teller.output_changed,
            on_microphone=listener.track if listener is not None else None,
        )
        self._closing: asyncio.Task[None] | None = None
        self._swapping = asyncio.Lock()
        self.programme: Programme | None = None
        self.scene = Scene(
            look,
            spec.actions,
            self.playout,
            quiet=lambda: not self.turns.open(),
            on_painted=lambda turn: self.turns.passed(turn, "paint"),
            on_error=self._stage_failed,
            on_broken=lambda error: self._break("engine", error),
            on_action=lambda name: self._emit("action", name=name),
            on_action_failed=lambda error: self._stage_failed("action", 0, error),
            slow_after_s=limits.slow_after_s,
        )
        self.line = SpeechLine(
            self.turns,
            self.playout,
            replier=replier,
            tts=tts,
            voice=spec.voice,
            look=look,
            on_error=self._stage_failed,
            on_text=self.scene.heard,
            on_reply=self._emit,
        )
        self._intake = Intake(self.turns, self.line, limits, lambda turn: self._emit("turn_started", turn=turn))
        tell_of_fallback(tts, self._emit)
        work = {
            **self.line.work(), "paint": self.scene.painter.run(), "clock": self.clock.run(), "watch": self._watch(),
        }  # fmt: skip
        self._tasks = [asyncio.create_task(served, name=f"live-{name}") for name, served in work.items()]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)
        if listener is not None:
            listener.begin(self, self._emit)

    @property
    def id(self) -> str:
        """The session's UUID."""
        return self.spec.id

    @property
    def host(self) -> EngineHost:
        """The engine of what is shown."""
        return self.scene.look.host

    @property
    def speaking(self) -> bool:
        """Whether speech is heard right now."""
        return self.playout.speaking

    async def say(self, text: str, interrupt: bool = False, urgency: int = NORMAL) -> int:
        """Speak ``text`` after what is still to be said, or at once.

        Args:
            text: What.
            interrupt: Stop what is being said, and drop what waits.
            urgency: 0 goes before what waits and is less urgent, without stopping what is being said.

        Returns:
            The turn's number, without waiting for the speech.

        Raises:
            ConflictError: The session is closed.
            InvalidInputError: Nothing to say, or too much.
            TooManyError: Too many turns wait.
        """
        self._intake.check_text(text)
        turn = self._begin(interrupt)
        self._intake.say(turn, text, urgency)
        return turn

    async def chat(self, text: str, interrupt: bool = True, urgency: int = NORMAL) -> int:
        """Answer ``text``; as ``say``."""
        self._intake.check_text(text)
        turn = self._begin(interrupt)
        self.scene.heard(turn, text)
        self._intake.chat(turn, text, urgency)
        return turn

    async def audio(self, pcm: NDArray[np.float32], rate: int, interrupt: bool = False) -> int:
        """Let ready sound drive the mouth.

        Args:
            pcm: float32 mono in -1..1.
            rate: Samples a second, 8,000 to 192,000.
            interrupt: At once instead of after what is still to be said.

        Raises:
            As ``say``.
        """
        self._intake.check_sound(pcm, rate)
        turn = self._begin(interrupt)
        self._intake.sound(turn, pcm, rate)
        return turn

    def stream_sound(self, rate: int, interrupt: bool = False) -> SoundStream:
        """Let sound drive the mouth while it still comes; raises as ``say``."""
        return self._intake.stream(self._begin(interrupt), rate)

    def interrupt(self) -> list[int]:
        """Stop everything that is being said or waits to be; returns the turns cut off."""
        self._check_open()
        return self._cut()

    async def swap(self, ready: Callable[[], Coroutine[Any, Any, Ready]]) -> None:
        """Go on with another avatar, voice or background; nothing stops meanwhile.

        Args:
            ready: Loads it; what it raises is raised here, and all stays as it was.

        Raises:
            ConflictError: The session is closed, or another swap is at work.
        """
        self._check_open()
        if self._swapping.locked():
            raise ConflictError("Another swap is at work.", "Wait until it is over.", {"session_id": self.id})
        async with self._swapping:
            new = await ready()
            if self._closing is not None:
                await new.close()
                self._check_open()
            tell_of_fallback(new.tts, self._emit)
            old = self.line.change_voice(new.tts, new.spec.voice) if new.tts is not None else None
            if new.look is not None:
                self.line.change_engine(new.look, with_voice=old is not None)
                await self.scene.change(new.look, new.spec.actions)
                self.audience.request_key()
            self.spec = new.spec
            if old is not None:
                await self.line.settle(old)
        self._emit("swapped", engine=self.host.engine.name)

    async def action(self, name: str) -> int | None:
        """Play an action; it begins where the head stands as in its first picture, within about a second.

        Returns:
            The turn its sound is spoken in, None for an action without sound.

        Raises:
            ConflictError: The session is closed.
            NotFoundError: The avatar has no such action.
            TooManyError: Too many wait.
        """
        self._check_open()
        spec = self.scene.book.get(name)
        if spec.sound is None:
            await self.scene.act(spec)
            return None
        pcm = await asyncio.to_thread(load_audio, spec.sound, LIVE_RATE)
        turn = self._begin(False)
        try:
            await self.scene.act(spec, turn)
        except StudioError:
            self.turns.end(turn, "failed")
            self._emit("turn_ended", turn=turn, outcome="failed")
            raise
        self._intake.sound(turn, pcm, LIVE_RATE)
        return turn

    def waiting(self) -> list[int]:
        """Turns that are not over, oldest first."""
        return self.turns.open()

    def nearly_over(self, frames: int) -> bool:
        """Whether all that is to be said is made, and at most ``frames`` of it are still to be played."""
        waiting = len(self.turns.open())
        return waiting <= 1 and self.playout.nearly_over(frames) and (self.playout.buffered > 0 or not waiting)

    async def play(self, items: Sequence[Item], mode: Mode) -> None:
        """Say scripts while nobody asks, instead of what was played until now.

        Raises:
            ConflictError: The session is closed.
            InvalidInputError: There is nothing to say.
        """
        self._check_open()
        programme = Programme(self, items, mode, lambda item: self._emit("programme", script_id=item))
        await self.stop_playing()
        self.programme = programme

    async def stop_playing(self) -> None:
        """Say no more scripts; the sentence being said is said to its end."""
        if (programme := self.programme) is not None:
            self.programme = None
            await programme.stop()

    async def offer(self, sdp: str, kind: str = "offer") -> dict[str, str]:
        """Connect a WebRTC client; as ``Audience.offer``, and ConflictError where the session is closed."""
        self._check_open()
        return await self.audience.offer(sdp, kind)

    def attach(self, sink: Sink) -> None:
        """Feed another output (a recording, a camera) from the same clock."""
        self._check_open()
        self.audience.attach(sink)

    def detach(self, sink: Sink) -> None:
        """Stop feeding an output."""
        self.audience.detach(sink)

    async def record(self, path: Path) -> None:
        """Begin to record what people get; as ``Audience.record``, and ConflictError where the session is closed."""
        self._check_open()
        await self.audience.record(path)

    async def stop_recording(self) -> Path:
        """Finish the recording; as ``Audience.stop_recording``."""
        return await self.audience.stop_recording()

    def stats(self) -> SessionStats:
        """The session at a glance."""
        return stats_of(self)

    async def close(self, reason: str = "closed") -> None:
        """End the session and wait until nothing of it is left. Safe to call twice, from anywhere."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(reason), name="live-close")
        await asyncio.shield(self._closing)

    async def _close(self, reason: str) -> None:
        if self.state != "failed":
            self.state, self.reason = "closed", reason
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.listener is not None:
            await self.listener.close()
        await self.stop_playing()
        await self.audience.close()
        await self.scene.close()
        await self.line.close()
        await self._on_closed(self)
        self._emit("session_state", state=self.state, reason=self.reason)

    def _check_open(self) -> None:
        if self._closing is not None or self.state in ("closed", "failed"):
            raise ConflictError(f"The session has ended ({self.reason}).", "Open a new one.", {"session_id": self.id})

    def _begin(self, interrupt: bool) -> int:
        self._check_open()
        if interrupt:
            self._cut()
        return self._intake.begin()

    def _cut(self) -> list[int]:
        cut = self.turns.interrupt()
        self.line.cut()
        self.playout.cut()
        for turn in cut:
            self.scene.turn_over(turn)
            if self.programme is not None:
                self.programme.turn_over(turn, "interrupted")
            self._emit("turn_ended", turn=turn, outcome="interrupted")
        return cut

    def _played(self, frame: MediaFrame) -> None:
        if frame.first and self.turns.passed(frame.turn, "playout"):
            self._emit("turn_first_frame", turn=frame.turn, latency_ms=self.turns.latency_ms(frame.turn, "playout"))
        self.scene.passed(self.playout.pose)
        if self.programme is not None:
            self.programme.tick()
        if self.listener is not None:
            self.listener.played(frame)
        for turn in self.playout.take_ended():
            self.scene.turn_over(turn)
            if self.turns.end(turn, "spoken"):
                self._emit("turn_ended", turn=turn, outcome=self.turns.outcome(turn))

    def _stage_failed(self, stage: str, turn: int, error: Exception) -> None:
        if isinstance(error, EngineHungError):
            self._break("engine", error)
        else:
            self._teller.stage_failed(stage, turn, error)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._closing is None:
            self._break(task.get_name().removeprefix("live-"), task.exception())

    def _break(self, stage: str, error: BaseException | None) -> None:
        if self._closing is not None or self.state == "failed":
            return
        self.state = "failed"
        self.reason = self._teller.broken(stage, error)
        self._closing = asyncio.create_task(self._close("failed"), name="live-close")

    def _watched(self, watched: bool, reason: str) -> None:
        state: State = "live" if watched else "ready"
        if self.state in ("ready", "live") and self.state != state:
            self.state = state
            self._emit("session_state", state=state, reason=reason)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            if (reason := await self.audience.abandoned()) is not None:
                self._closing = self._closing or asyncio.create_task(self._close(reason), name="live-close")
                return

"""One live talking avatar: its stages, its clock, its clients, and their common end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.audience import Audience
from apps.control_api.live_runtime.clock import Clock, Sink
from apps.control_api.live_runtime.events import EventKind, LiveEvent, OnEvent, SessionStats, State
from apps.control_api.live_runtime.frames import (
    LIVE_RATE,
    ChatFrame,
    DrivenFrame,
    Frame,
    MediaFrame,
    PcmFrame,
    TextEndFrame,
    TextFrame,
    TurnEndFrame,
)
from apps.control_api.live_runtime.host import EngineHost
from apps.control_api.live_runtime.listen import Listener
from apps.control_api.live_runtime.look import Look
from apps.control_api.live_runtime.outputs import OutputStats
from apps.control_api.live_runtime.pictures import Picture
from apps.control_api.live_runtime.playout import Playout
from apps.control_api.live_runtime.programme import Item, Mode, Programme
from apps.control_api.live_runtime.scene import Scene
from apps.control_api.live_runtime.sound_stream import SoundStream
from apps.control_api.live_runtime.spare_voice import tell_of_fallback
from apps.control_api.live_runtime.spec import LiveLimits, SessionSpec
from apps.control_api.live_runtime.stage import Stage, StageRunner
from apps.control_api.live_runtime.stages.animate import AnimateStage
from apps.control_api.live_runtime.stages.reply import Replier, ReplyStage
from apps.control_api.live_runtime.stages.speak import SpeakStage
from apps.control_api.live_runtime.swap import Ready
from apps.control_api.live_runtime.troubles import Trouble
from apps.control_api.live_runtime.turns import Turns
from lipsync.errors import ConflictError, InvalidInputError, StudioError, TooManyError
from lipsync.media.audio import load_audio
from speech.tts.base import TextToSpeech

_LOG = logging.getLogger(__name__)
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
        self._limits, self._on_event, self._on_closed = limits, on_event, on_closed
        self._began = time.monotonic()
        self.turns = Turns()
        self.playout = Playout(still, id(look))
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
            on_lost=self._client_lost,
            on_recording_failed=self._recording_failed,
            on_output=self._output_changed,
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
            on_painted=self._painted,
            on_error=self._stage_failed,
            on_broken=lambda error: self._break("engine", error),
            on_action=lambda name: self._emit("action", name=name),
            on_action_failed=lambda error: self._stage_failed("action", 0, error),
        )
        self._animate_stage = AnimateStage(look.engine, look.host.drive)
        self._animate = self._runner(self._animate_stage, self._to_playout, 4)
        self._speak_stage = SpeakStage(tts, spec.voice, self.turns.cancel)
        tell_of_fallback(tts, self._emit)
        self._speak = self._runner(self._speak_stage, self._animate.put, 64)
        self._reply = self._runner(
            ReplyStage(replier, self.turns.cancel, self._emit), self._to_speak, limits.max_pending_turns * 4
        )
        self._tasks = [
            asyncio.create_task(work, name=f"live-{name}")
            for name, work in (
                ("reply", self._reply.run()),
                ("speak", self._speak.run()),
                ("animate", self._animate.run()),
                ("paint", self.scene.painter.run()),
                ("clock", self.clock.run()),
                ("watch", self._watch()),
            )
        ]
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

    # -- in ----------------------------------------------------------------------------------------------------------

    async def say(self, text: str, interrupt: bool = False) -> int:
        """Speak ``text`` after what is still to be said, or at once.

        Returns:
            The turn's number, without waiting for the speech.

        Raises:
            ConflictError: The session is closed.
            InvalidInputError: Nothing to say, or too much.
            TooManyError: Too many turns wait.
        """
        self._check_text(text)
        turn = self._begin(interrupt)
        await self._reply.put(TextFrame(turn, text))
        await self._reply.put(TextEndFrame(turn))
        return turn

    async def chat(self, text: str, interrupt: bool = True) -> int:
        """Answer ``text``; raises as ``say``."""
        self._check_text(text)
        turn = self._begin(interrupt)
        self.scene.heard(turn, text)
        await self._reply.put(ChatFrame(turn, text))
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
        if not 8_000 <= rate <= 192_000:
            raise InvalidInputError(f"A sample rate of {rate} is out of range.", "Send 8,000 to 192,000 Hz.")
        if not len(pcm):
            raise InvalidInputError("The sound is empty.", "Send at least one sample.")
        if len(pcm) > self._limits.max_audio_s * rate:
            raise InvalidInputError(
                f"The sound is longer than {self._limits.max_audio_s:g} s.", "Send it in several pieces."
            )
        turn = self._begin(interrupt)
        await self._reply.put(PcmFrame(turn, np.ascontiguousarray(pcm, np.float32), rate))
        await self._reply.put(TextEndFrame(turn))
        return turn

    def stream_sound(self, rate: int, interrupt: bool = False) -> SoundStream:
        """Let sound drive the mouth while it still comes; raises as ``say``."""
        turn = self._begin(interrupt)
        return SoundStream(turn, rate, self._reply.put, self.turns.cancel(turn))

    def interrupt(self) -> list[int]:
        """Stop everything that is being said or waits to be; returns the turns cut off."""
        self._check_open()
        return self._cut()

    # -- what is shown and who speaks ----------------------------------------------------------------------------------

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
                for part in (new.look, new.tts):
                    if part is not None:
                        await part.close()
                self._check_open()
            tell_of_fallback(new.tts, self._emit)
            old = self._speak_stage.change(new.tts, new.spec.voice) if new.tts is not None else None
            if new.look is not None:
                look, stage = new.look, self._animate_stage
                if look.engine is not stage.engine:
                    stage.change(look.engine, look.host.drive, self._speak_stage.number if old is not None else 0)
                await self.scene.change(look, new.spec.actions)
                self.audience.request_key()
            self.spec = new.spec
            if old is not None:
                await self._speak_stage.settled()
                await old.close()
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
        await self._reply.put(PcmFrame(turn, pcm, LIVE_RATE))
        await self._reply.put(TextEndFrame(turn))
        return turn

    def waiting(self) -> list[int]:
        """Turns that are not over, oldest first."""
        return self.turns.open()

    def nearly_over(self, frames: int) -> bool:
        """Whether all that is to be said is made, and at most ``frames`` of it are still to be played."""
        return (
            len(self.turns.open()) <= 1
            and self.playout.nearly_over(frames)
            and (self.playout.buffered > 0 or not self.turns.open())
        )

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
        programme, self.programme = self.programme, None
        if programme is not None:
            await programme.stop()

    # -- clients and outputs -----------------------------------------------------------------------------------------

    async def offer(self, sdp: str, kind: str = "offer") -> dict[str, str]:
        """Connect a WebRTC client.

        Returns:
            ``{"sdp", "type"}`` of the answer, candidates included.

        Raises:
            ConflictError: The session is closed.
            TooManyError: As many clients watch as may.
            InvalidInputError: The offer is not understood.
        """
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
        """Begin to record what people get to an MP4; nothing is at ``path`` until ``stop_recording``.

        Raises:
            ConflictError: The session is closed or records already.
        """
        self._check_open()
        await self.audience.record(path)

    async def stop_recording(self) -> Path:
        """Finish the recording and return its file.

        Raises:
            ConflictError: Nothing is being recorded.
            NoSpaceError: The disk filled up; the recording is lost.
        """
        return await self.audience.stop_recording()

    # -- state -------------------------------------------------------------------------------------------------------

    def stats(self) -> SessionStats:
        """The session at a glance."""
        audience, playout = self.audience, self.playout
        encode = [c.encode_ms for c in audience.watching]
        return SessionStats(
            id=self.id,
            state=self.state,
            speaking=self.speaking,
            turn=self.turns.last,
            pending_turns=len(self.turns.open()),
            uptime_s=round(time.monotonic() - self._began, 1),
            clients=len(encode),
            frames=playout.number,
            held=playout.held,
            skipped=self.clock.skipped,
            gaps=playout.gaps,
            buffered=playout.buffered,
            start_frames=playout.start_frames,
            paint_ms=round(self.scene.painter.paint_ms, 2),
            encode_ms=round(max(encode, default=0.0), 2),
            late_ms=round(self.clock.late_ms, 2),
            dropped_pictures=sum(c.dropped for c in audience.watching),
            width=audience.width,
            height=audience.height,
            engine=self.host.engine.name,
            jitter_frames=playout.jitter,
            stages=self.turns.times.summary(),
            turns=self.turns.stats(),
        )

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
        await self._speak_stage.tts.close()
        await self._on_closed(self)
        self._emit("session_state", state=self.state, reason=self.reason)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _runner(self, stage: Stage, put: Callable[[Frame], Coroutine[Any, Any, None]], size: int) -> StageRunner:
        return StageRunner(stage, self.turns, put, self._stage_failed, size)

    def _check_open(self) -> None:
        if self._closing is not None or self.state in ("closed", "failed"):
            raise ConflictError(f"The session has ended ({self.reason}).", "Open a new one.", {"session_id": self.id})

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise InvalidInputError("There is nothing to say.", "Send some text.")
        if len(text) > self._limits.max_text:
            raise InvalidInputError(
                f"The text has {len(text)} characters; {self._limits.max_text} are allowed.", "Send it in parts.",
                {"length": len(text), "max": self._limits.max_text},
            )  # fmt: skip

    def _begin(self, interrupt: bool) -> int:
        self._check_open()
        if interrupt:
            self._cut()
        waiting = len(self.turns.open())
        if waiting >= self._limits.max_pending_turns:
            raise TooManyError(
                f"{waiting} utterances wait already.", "Wait, or interrupt.",
                {"max_pending_turns": self._limits.max_pending_turns},
            )  # fmt: skip
        turn = self.turns.begin()
        self._emit("turn_started", turn=turn.number)
        return turn.number

    def _cut(self) -> list[int]:
        cut = self.turns.interrupt()
        for runner in (self._reply, self._speak, self._animate):
            runner.cut()
        self.playout.cut()
        for turn in cut:
            self.scene.turn_over(turn)
            if self.programme is not None:
                self.programme.turn_over(turn, "interrupted")
            self._emit("turn_ended", turn=turn, outcome="interrupted")
        return cut

    async def _to_speak(self, frame: Frame) -> None:
        if isinstance(frame, TextFrame):
            self.scene.heard(frame.turn, frame.text)
        await self._speak.put(frame)

    async def _to_playout(self, frame: Frame) -> None:
        if isinstance(frame, DrivenFrame):
            await self.playout.room.wait()
            if not self.turns.stale(frame.turn):
                self.playout.add(frame)
        elif isinstance(frame, TurnEndFrame):
            self.playout.end(frame.turn)

    def _painted(self, turn: int) -> None:
        self.turns.passed(turn, "paint")

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
        code, message, remedy = _facts(error)
        _LOG.warning("live session %s: %s failed in turn %d", self.id, stage, turn, exc_info=error)
        self.turns.fail(turn, code)
        kind: EventKind = "warning" if stage in ("paint", "action") else "error"
        self._emit(kind, code=code, message=message, remedy=remedy, stage=stage, turn=turn)

    def _recording_failed(self, error: Exception) -> None:
        code, message, remedy = _facts(error)
        _LOG.warning("live session %s: the recording failed", self.id, exc_info=error)
        self._emit("warning", code=code, message=message, remedy=remedy, stage="record")

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._closing is None:
            self._break(task.get_name().removeprefix("live-"), task.exception())

    def _break(self, stage: str, error: BaseException | None) -> None:
        if self._closing is not None or self.state == "failed":
            return
        code, message, remedy = _facts(error)
        _LOG.error("live session %s ends: %s", self.id, stage, exc_info=error)
        self.state, self.reason = "failed", f"{stage}: {message}"
        self._emit("error", code=code, message=message, remedy=remedy, stage=stage)
        self._closing = asyncio.create_task(self._close("failed"), name="live-close")

    def _watched(self, watched: bool, reason: str) -> None:
        state: State = "live" if watched else "ready"
        if self.state in ("ready", "live") and self.state != state:
            self.state = state
            self._emit("session_state", state=state, reason=reason)

    def _client_lost(self, reason: str, cause: Trouble | None) -> None:
        self._emit(
            "warning",
            code=reason,
            message="A client went without saying goodbye." if cause is None else cause.message["en"],
            remedy="Check its network." if cause is None else cause.remedy["en"],
            cause=asdict(cause) if cause is not None else None,
        )

    def _output_changed(self, output: OutputStats) -> None:
        self._emit("output_state", **output.told())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            reason = await self.audience.abandoned()
            if reason is not None:
                self._closing = self._closing or asyncio.create_task(self._close(reason), name="live-close")
                return

    def _emit(self, kind: EventKind, /, **data: Any) -> None:
        self._on_event(LiveEvent(kind, self.id, data))


def _facts(error: BaseException | None) -> tuple[str, str, str]:
    if isinstance(error, StudioError):
        return error.code, error.message, error.remedy
    return "internal", f"{type(error).__name__}: {error}", "See the log."

"""The way of speech in one session, from words to driven frames in the playout buffer, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from apps.control_api.live_runtime.agenda import Agenda
from apps.control_api.live_runtime.frames import DrivenFrame, Frame, TextFrame, TurnEndFrame
from apps.control_api.live_runtime.look import Look
from apps.control_api.live_runtime.playout import Playout
from apps.control_api.live_runtime.stage import OnError, Stage, StageRunner
from apps.control_api.live_runtime.stages.animate import AnimateStage
from apps.control_api.live_runtime.stages.reply import Replier, ReplyStage, Tell
from apps.control_api.live_runtime.stages.speak import SpeakStage
from apps.control_api.live_runtime.turns import Turns
from speech.tts.base import TextToSpeech, Voice


class SpeechLine:
    """reply -> speak -> animate -> playout, and the agenda before them.

    Args:
        turns: The session's.
        playout: Takes what was driven.
        replier: Answers chat; closed with the line.
        tts: The voice back-end; closed by ``close``.
        voice: Which voice.
        look: Its engine drives.
        on_error: Told (stage, turn, error).
        on_text: Told (turn, text) of everything that is about to be spoken.
        on_reply: Told the answers to questions as they come; see ``ReplyStage``.
    """

    def __init__(
        self,
        turns: Turns,
        playout: Playout,
        *,
        replier: Replier,
        tts: TextToSpeech,
        voice: Voice,
        look: Look,
        on_error: OnError,
        on_text: Callable[[int, str], None],
        on_reply: Tell,
    ) -> None:
        self._turns, self._playout, self._on_error, self._on_text = turns, playout, on_error, on_text
        self.agenda = Agenda()
        self.animate_stage = AnimateStage(look.engine, look.host.drive)
        self._animate = self._runner(self.animate_stage, self._to_playout, 4)
        self.speak_stage = SpeakStage(tts, voice, turns.cancel)
        self._speak = self._runner(self.speak_stage, self._animate.put, 64)
        self._reply = self._runner(ReplyStage(replier, turns.cancel, on_reply), self._to_speak, 4)

    def work(self) -> dict[str, Coroutine[None, None, None]]:
        """What is to run for as long as the session does, by name."""
        return {
            "agenda": self.agenda.run(),
            "reply": self._reply.run(),
            "speak": self._speak.run(),
            "animate": self._animate.run(),
        }

    async def put(self, frame: Frame) -> None:
        """Hand a frame of the turn whose time has come in; waits while the stages are busy."""
        await self._reply.put(frame)

    def cut(self) -> None:
        """Drop what is made of turns that no longer count."""
        self.agenda.cut()
        for runner in (self._reply, self._speak, self._animate):
            runner.cut()

    def change_voice(self, tts: TextToSpeech, voice: Voice) -> TextToSpeech:
        """Speak with another voice from the next sentence on; see ``SpeakStage.change``."""
        return self.speak_stage.change(tts, voice)

    def change_engine(self, look: Look, with_voice: bool) -> None:
        """Let another look's engine drive: from the next sound on, or from the new voice's first."""
        if look.engine is not self.animate_stage.engine:
            voice = self.speak_stage.number if with_voice else 0
            self.animate_stage.change(look.engine, look.host.drive, voice)

    async def settle(self, old: TextToSpeech) -> None:
        """Close a voice back-end once its last sentence is over."""
        await self.speak_stage.settled()
        await old.close()

    async def close(self) -> None:
        """Free the voice. What ``work`` gave must have ended."""
        await self.speak_stage.tts.close()

    def _runner(self, stage: Stage, put: Callable[[Frame], Coroutine[None, None, None]], size: int) -> StageRunner:
        return StageRunner(stage, self._turns, put, self._on_error, size)

    async def _to_speak(self, frame: Frame) -> None:
        if isinstance(frame, TextFrame):
            self._on_text(frame.turn, frame.text)
        await self._speak.put(frame)

    async def _to_playout(self, frame: Frame) -> None:
        if isinstance(frame, DrivenFrame):
            await self._playout.room.wait()
            if not self._turns.stale(frame.turn):
                self._playout.add(frame)
        elif isinstance(frame, TurnEndFrame):
            self._playout.end(frame.turn)
            self.agenda.made(frame.turn)

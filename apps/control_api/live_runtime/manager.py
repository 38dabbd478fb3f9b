"""All live sessions of a process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apps.control_api.live_runtime.events import LiveEvent, OnEvent
from apps.control_api.live_runtime.host import HostPool, Loader, load_engine, start_threads
from apps.control_api.live_runtime.listen import Listener
from apps.control_api.live_runtime.look import open_look
from apps.control_api.live_runtime.session import LiveSession
from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec, SessionSpec
from apps.control_api.live_runtime.stages.reply import Conversation, EchoReplier, Replier
from apps.control_api.live_runtime.swap import Swap, load_swap
from lipsync.errors import ConflictError, NotFoundError, TooManyError
from speech.asr.base import Recogniser
from speech.tts.base import TextToSpeech

_LOG = logging.getLogger(__name__)
_ENDED_KEPT = 1000
SWITCH_S = 0.001
MakeVoice = Callable[[str, Mapping[str, Any]], TextToSpeech]
MakeReplier = Callable[[ReplySpec], Replier]
MakeRecogniser = Callable[[str, Mapping[str, Any]], Recogniser]


def make_voice(backend: str, settings: Mapping[str, Any]) -> TextToSpeech:
    """The voice back-end a spec names; the studio's own takes over within the sentence where it fails."""
    from speech.tts.fallback import FallbackSpeech
    from speech.tts.registry import create

    voice = create(backend, settings)
    return voice if backend == "local" else FallbackSpeech(voice, create("local"))


def make_replier(spec: ReplySpec) -> Replier:
    """The reply back-end a spec names."""
    if spec.backend == "echo":
        return EchoReplier()
    from speech.llm.registry import DEFAULT, create, load_class

    name = DEFAULT if spec.backend == "rules" else spec.backend
    settings = dict(spec.settings)
    if name == DEFAULT and "knowledge" in settings:
        settings = {"documents": [{"title": q["question"], "text": q["answer"]} for q in settings["knowledge"]]}
    if spec.system_prompt and "system_prompt" in load_class(name).Settings.model_fields:
        settings["system_prompt"] = spec.system_prompt
    return Conversation(create(name, settings))


def make_recogniser(backend: str, settings: Mapping[str, Any]) -> Recogniser:
    """The recogniser a spec names."""
    from speech.asr.registry import create

    return create(backend, settings)


class LiveManager:
    """Opens, finds and closes sessions. All methods belong to one event loop.

    Args:
        limits: Caps and patience.
        on_event: Told what happens in any session; called on the loop, must not block or raise.
        load: Loads an engine; blocking. For tests and other engines.
        voice: Makes a voice back-end. For tests.
        replier: Makes a reply back-end. For tests.
        recogniser: Makes a recogniser. For tests.
    """

    def __init__(
        self,
        limits: LiveLimits | None = None,
        on_event: OnEvent | None = None,
        *,
        load: Loader = load_engine,
        voice: MakeVoice = make_voice,
        replier: MakeReplier = make_replier,
        recogniser: MakeRecogniser = make_recogniser,
    ) -> None:
        self.limits = limits or LiveLimits()
        self._on_event = on_event
        self._make_voice, self._make_replier, self._make_recogniser = voice, replier, recogniser
        self.hosts = HostPool(load, self.limits.unload_after_s, self.limits.hung_after_s)
        threads = max(2, os.cpu_count() or 2)
        self._pool = ThreadPoolExecutor(threads, "live-encode")
        start_threads(self._pool, threads)
        # The loop's thread asks for the interpreter up to a hundred times a second while others draw and encode; with
        # the default of 5 ms each of these waits could be that long.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._sessions: dict[str, LiveSession] = {}
        self._opening: set[str] = set()
        self._none_opening = asyncio.Event()
        self._none_opening.set()
        self._ended: dict[str, str] = {}
        self._down = False

    async def open(self, spec: SessionSpec) -> LiveSession:
        """Load what the session needs and start it; returns when it can be watched.

        Raises:
            TooManyError: As many sessions are open as may be.
            ConflictError: The id is in use, or the manager is shutting down.
            BundleError: The avatar cannot be loaded.
            InvalidInputError, NotFoundError, UnavailableError: The voice, reply or background cannot be had.
        """
        if self._down:
            raise ConflictError("The studio is shutting down.", "Start it again.")
        if spec.id in self._sessions or spec.id in self._opening:
            raise ConflictError("A session with this id is open.", "Leave the id out to have one made.")
        count = len(self._sessions) + len(self._opening)
        if count >= self.limits.max_sessions:
            raise TooManyError(
                f"{count} live sessions are open; {self.limits.max_sessions} are allowed.",
                "Close one, or raise the limit.",
                {"open": count, "max_sessions": self.limits.max_sessions},
            )
        self._opening.add(spec.id)
        self._none_opening.clear()
        try:
            session = await self._start(spec)
            self._sessions[spec.id] = session
        finally:
            self._opening.discard(spec.id)
            if not self._opening:
                self._none_opening.set()
        if self._down:
            await session.close("shutdown")
            raise ConflictError("The studio is shutting down.", "Start it again.")
        self._emit(LiveEvent("session_state", spec.id, {"state": session.state, "reason": "opened"}))
        return session

    def get(self, session_id: str) -> LiveSession:
        """An open session.

        Raises:
            ConflictError: It has ended.
            NotFoundError: There never was one.
        """
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        if session_id in self._ended:
            raise ConflictError(
                f"The session has ended ({self._ended[session_id]}).", "Open a new one.", {"session_id": session_id}
            )
        raise NotFoundError("There is no such session.", "List the sessions.", {"session_id": session_id})

    def list(self) -> list[LiveSession]:
        """Open sessions, oldest first."""
        return [*self._sessions.values()]

    async def close(self, session_id: str, reason: str = "closed") -> None:
        """End a session; one that has ended already is fine.

        Raises:
            NotFoundError: There never was one.
        """
        session = self._sessions.get(session_id)
        if session is not None:
            await session.close(reason)
        elif session_id not in self._ended:
            raise NotFoundError("There is no such session.", "List the sessions.", {"session_id": session_id})

    async def swap(self, session_id: str, swap: Swap) -> LiveSession:
        """Give a session another avatar, voice or background while it runs; returns when it shows.

        Raises:
            ConflictError: It has ended, or another swap is at work.
            NotFoundError: There never was one.
            BundleError, InvalidInputError, NotFoundError, UnavailableError: What is wanted cannot be had; the session
                goes on as it was.
        """
        session = self.get(session_id)
        size = session.audience.width, session.audience.height
        await session.swap(lambda: load_swap(session.spec, swap, size, self.hosts, self._make_voice))
        return session

    async def shutdown(self) -> None:
        """End everything. Safe to call twice."""
        self._down = True
        await self._none_opening.wait()
        await asyncio.gather(*(session.close("shutdown") for session in self.list()))
        await self.hosts.close()
        await asyncio.to_thread(self._pool.shutdown, True)

    async def _start(self, spec: SessionSpec) -> LiveSession:
        look = await open_look(self.hosts, spec.avatar, spec.background, spec.mark)
        tts: TextToSpeech | None = None
        listener: Listener | None = None
        try:
            if spec.listen is not None:
                heard = await asyncio.to_thread(self._make_recogniser, spec.listen.backend, spec.listen.settings)
                listener = Listener(spec.listen, heard)
                await listener.warm_up()
            tts = await asyncio.to_thread(self._make_voice, spec.voice.backend, spec.voice_settings)
            replier = await asyncio.to_thread(self._make_replier, spec.reply)
            await tts.warm_up()
            await replier.warm_up()
            still = await look.host.compose(look.still)
            return LiveSession(
                spec,
                look=look,
                still=still,
                tts=tts,
                replier=replier,
                limits=self.limits,
                on_event=self._emit,
                on_closed=self._closed,
                pool=self._pool,
                listener=listener,
            )
        except BaseException:
            if listener is not None:
                await listener.close()
            if tts is not None:
                await tts.close()
            await look.close()
            raise

    async def _closed(self, session: LiveSession) -> None:
        self._sessions.pop(session.id, None)
        self._ended[session.id] = session.reason
        while len(self._ended) > _ENDED_KEPT:
            self._ended.pop(next(iter(self._ended)))

    def _emit(self, event: LiveEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            _LOG.exception("the listener for live events failed")

"""Live sessions: what may go live, and the one manager that runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from apps.control_api import log
from apps.control_api.services import consents, live_cut_off
from apps.control_api.services.actions import Actions
from apps.control_api.services.audit import Audit
from apps.control_api.services.avatars import Avatars
from apps.control_api.services.listening import listen_spec
from apps.control_api.services.recordings import Recordings
from apps.control_api.services.room import Room
from apps.control_api.services.settings_store import SettingsStore
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voices import Voices
from apps.control_api.settings import Settings
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, MessageRow, RecordingRow, StateRow, VoiceRow
from lipsync.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, StudioError, TooManyError

_log = log.get(__name__)
LIVE_STATE = "live_sessions"
_KEPT = 1000


@dataclass
class Opened:
    """A session as the API shows it."""

    id: str
    avatar_id: str
    voice_id: str
    transport: str
    created_at: datetime
    state: str
    reason: str = ""


class Live:
    """Opens, lists and ends sessions. The runtime is imported at the first use: it is heavy."""

    def __init__(
        self,
        tools: Tools,
        avatars: Avatars,
        voices: Voices,
        uploads: Uploads,
        *,
        recordings: Recordings,
        actions: Actions,
        tell: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """``tell(type, data)`` hands an event to listeners and may be called from any thread."""
        self._tools, self._avatars, self._voices, self._uploads, self._tell = tools, avatars, voices, uploads, tell
        self._recordings, self._actions = recordings, actions
        self._manager: Any = None
        self._building = asyncio.Lock()
        self._opened: dict[str, Opened] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def open(self, wanted: dict[str, Any]) -> Opened:
        """Open a session. ``wanted``: avatar_id, voice_id, transport, reply, background, mark, video_bitrate.

        Raises:
            ConflictError: the avatar cannot be used yet.
            ForbiddenError: its consent does not cover going live.
            TooManyError: as many sessions as allowed are open.
        """
        avatar, folder = await asyncio.to_thread(self._avatars.usable, wanted["avatar_id"], "live")
        voice = await asyncio.to_thread(self._voices.usable, wanted["voice_id"], "live")
        manager = await self._ready()
        spec = replace(
            await asyncio.to_thread(self._spec, folder, voice, wanted),
            actions=await asyncio.to_thread(self._actions.specs, avatar.id),
        )
        in_force = await asyncio.to_thread(self._tools.owner.in_force)
        manager.limits = replace(manager.limits, max_sessions=in_force.max_sessions)
        session = await manager.open(spec)
        opened = Opened(session.id, avatar.id, voice.id, wanted["transport"], now(), str(session.state))
        self._remember(opened)
        await self._count()
        return opened

    def sweep(self, audit: Audit) -> None:
        """Tell of the sessions that a killed studio had open; they are listed as failed."""
        for was in live_cut_off.tell(self._tools.database, audit):
            began = datetime.fromisoformat(was["created_at"])
            ids = (was["id"], was["avatar_id"], was["voice_id"], was["transport"])
            self._remember(Opened(*ids, began, "failed", live_cut_off.REASON))

    def ended(self) -> list[Opened]:
        """Sessions that ended since the start, and those the studio's last end cut off, newest last."""
        open_ = {opened.id for opened in self.opened()}
        return [opened for opened in self._opened.values() if opened.id not in open_]

    def opened(self) -> list[Opened]:
        """Sessions open now."""
        if self._manager is None:
            return []
        alive = {session.id: session for session in self._manager.list()}
        for id_, session in alive.items():
            if id_ in self._opened:
                self._opened[id_].state = str(session.state)
        return [self._opened[id_] for id_ in alive if id_ in self._opened]

    def get(self, session_id: str) -> Opened:
        """One session, open or closed since the start."""
        if session_id not in self._opened:
            raise NotFoundError("There is no such session.", "Open one with POST /live/sessions.")
        opened = self._opened[session_id]
        alive = {session.id: session for session in self._manager.list()} if self._manager is not None else {}
        if session_id in alive:
            opened.state = str(alive[session_id].state)
        elif opened.state not in ("closed", "failed"):
            opened.state = "closed"
        return opened

    @property
    def manager(self) -> Any:
        """The runtime's own manager; there is one once a session was opened."""
        return self._manager

    def session(self, session_id: str) -> Any:
        """The runtime's own session.

        Raises:
            NotFoundError: there never was one.
            ConflictError: it is closed.
        """
        if self._manager is None or session_id not in self._opened:
            raise NotFoundError("There is no such session.", "Open one with POST /live/sessions.")
        return self._manager.get(session_id)

    async def close(self, session_id: str, reason: str = "asked") -> None:
        """End a session."""
        self.session(session_id)
        await self._manager.close(session_id, reason)
        await self._count()

    async def speak(self, session_id: str, what: str, text: str, interrupt: bool, urgency: int = 1) -> int:
        """Have the avatar say ``text`` (``what`` = "say"), or answer it ("chat"); returns the turn's number.

        Of what waits, the smallest ``urgency`` comes first.
        """
        return int(await getattr(self.session(session_id), what)(text, interrupt, urgency))

    async def offer(self, session_id: str, sdp: str, kind: str) -> dict[str, str]:
        """Connect a client; returns the answer's sdp and type."""
        answer: dict[str, str] = await self.session(session_id).offer(sdp, kind)
        return answer

    def interrupt(self, session_id: str) -> None:
        """Stop speaking now."""
        self.session(session_id).interrupt()

    def stats(self, session_id: str) -> dict[str, Any]:
        """Return the runtime's ``SessionStats`` as plain values."""
        return asdict(self.session(session_id).stats())

    async def ingest(
        self, room: Room, items: list[dict[str, Any]], session_id: str | None
    ) -> tuple[list[MessageRow], int]:
        """Keep messages that are new and have the session, if one is named, answer them, most urgent first.

        Returns:
            The new messages, and how many were known already. One the session has no room for is kept as skipped.
        """
        if session_id is not None:
            self.session(session_id)
        kept, known = await asyncio.to_thread(room.ingest, items, session_id)
        if session_id is not None:
            for row in sorted(kept, key=lambda message: message.priority):
                try:
                    row.turn = str(await self.speak(session_id, "chat", row.text, False, row.priority))
                    row.state = "answering"
                except (TooManyError, ConflictError):
                    row.state = "skipped"
                await asyncio.to_thread(room.mark, row.id, row.state, row.turn)
        return kept, known

    async def audio(self, session_id: str, data: bytes, interrupt: bool) -> int:
        """Have the avatar speak a ready sound (any file libsndfile reads); returns the turn's number."""
        session = self.session(session_id)
        pcm, rate = await asyncio.to_thread(_decoded, data)
        return int(await session.audio(pcm, rate, interrupt))

    async def start_recording(self, session_id: str) -> RecordingRow:
        """Begin to record what people get.

        Raises:
            ConflictError: the session is closed or records already.
            ForbiddenError: the avatar's consent was withdrawn meanwhile.
            NoSpaceError: the disk is nearly full.
        """
        session = self.session(session_id)
        avatar_id = self._opened[session_id].avatar_id
        await asyncio.to_thread(self.require_consent, session_id)
        row = await asyncio.to_thread(self._recordings.begin, session_id, avatar_id)
        try:
            await session.record(self._recordings.path(row.id))
        except StudioError as error:
            await asyncio.to_thread(self._recordings.end, row.id, error.message)
            raise
        return row

    def require_consent(self, session_id: str) -> None:
        """Raise ForbiddenError where the avatar's consent was withdrawn since the session began; blocking."""
        self._avatars.usable(self._opened[session_id].avatar_id, "live")

    async def stop_recording(self, session_id: str) -> RecordingRow:
        """Finish the recording of a session; the row tells whether there is a film.

        Raises:
            ConflictError: nothing is being recorded.
            NoSpaceError: the disk filled up; the recording is lost.
        """
        session = self.session(session_id)
        row = await asyncio.to_thread(self._recordings.running, session_id)
        if row is None:
            raise ConflictError("Nothing is being recorded.", "Begin a recording first.")
        try:
            await session.stop_recording()
        except StudioError as error:
            await asyncio.to_thread(self._recordings.end, row.id, error.message)
            raise
        except FileNotFoundError:  # not one picture came between start and stop; the row says so
            _log.info("nothing was recorded", session_id=session_id)
        return await asyncio.to_thread(self._recordings.end, row.id)

    async def refresh(self) -> None:
        """Refresh the count that workers read, from time to time; one that is old counts as left behind by a crash.

        Sessions whose consent has ended meanwhile are closed.
        """
        if self._manager is not None and self._manager.list():
            await self.end_forbidden()
            await self._count()

    async def end_forbidden(self) -> None:
        """Close the sessions whose avatar or voice may no longer go live; their reason says why."""
        for opened in self.opened():
            why = await asyncio.to_thread(self._forbidden, opened)
            if why is not None:
                await self._manager.close(opened.id, why)

    def _forbidden(self, opened: Opened) -> str | None:
        """Why the consents no longer allow this session, None where they do."""
        with self._tools.database.read() as session:
            for row in (session.get(AvatarRow, opened.avatar_id), session.get(VoiceRow, opened.voice_id)):
                try:
                    consents.require(session, row.consent_id if row is not None else None, "live")
                except ForbiddenError as error:
                    return error.message.rstrip(".")
        return None

    async def shutdown(self) -> None:
        """End every session and let the engines go."""
        if self._manager is not None:
            await self._manager.shutdown()
            await asyncio.gather(*self._noting)
            await self._count()

    async def _ready(self) -> Any:
        async with self._building:
            if self._manager is None:
                self._manager = await asyncio.to_thread(self._build)
        return self._manager

    def _build(self) -> Any:
        from apps.control_api.live_runtime.manager import LiveManager
        from apps.control_api.live_runtime.spec import LiveLimits

        return LiveManager(LiveLimits(max_sessions=self._tools.settings.max_sessions), self._on_event)

    def _on_event(self, event: Any) -> None:
        data = {"session_id": event.session_id, "name": event.kind, "data": event.data}
        self._tell("live", data)
        if event.kind == "session_state":
            ended = event.data["state"] in ("closed", "failed")
            if ended and event.session_id in self._opened:
                opened = self._opened[event.session_id]
                opened.state, opened.reason = event.data["state"], event.data["reason"]
            task = asyncio.get_running_loop().create_task(self._note(event.session_id if ended else None))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)

    async def _note(self, ended: str | None) -> None:
        """Note that a session changed, and what became of the recording of one that ended: it was finished then."""
        await self._count()
        row = await asyncio.to_thread(self._recordings.running, ended) if ended else None
        if row is not None:
            await asyncio.to_thread(self._recordings.end, row.id)

    def _spec(self, folder: Path, voice: Any, wanted: dict[str, Any]) -> Any:
        return session_spec(
            folder,
            self._voices,
            voice,
            wanted,
            self._uploads,
            owner=self._tools.owner,
            id_=str(uuid4()),
        )

    def _remember(self, opened: Opened) -> None:
        self._opened[opened.id] = opened
        while len(self._opened) > _KEPT:
            self._opened.pop(next(iter(self._opened)))

    async def _count(self) -> None:
        """Tell workers how many are live, so that training makes way."""
        watched = sum(session.state == "live" for session in self._manager.list())
        await asyncio.to_thread(self._write_count, watched)

    def _write_count(self, sessions: int) -> None:
        with self._tools.database.write() as session:
            value = {"sessions": sessions, "machine": self._tools.settings.place}
            session.merge(StateRow(name=LIVE_STATE, value=value, at=now()))
        live_cut_off.write_down(
            self._tools.database, [{**asdict(o), "created_at": o.created_at.isoformat()} for o in self.opened()]
        )


def session_spec(
    folder: Path,
    voices: Voices,
    voice: VoiceRow,
    wanted: dict[str, Any],
    uploads: Uploads,
    *,
    owner: SettingsStore,
    id_: str | None = None,
) -> Any:
    """Return the runtime's ``SessionSpec`` of what a caller asked for; also used for films.

    Args:
        folder: The avatar's bundle.
        voices: The voices, for how this one is spoken.
        voice: The voice.
        wanted: background, mark, and for live sessions reply and video_bitrate, as the wire types give them.
        uploads: Where an uploaded background is found.
        owner: The settings in force, for services and for STUN and TURN.
        id_: The session's id; made if not given.
    """
    from apps.control_api.live_runtime.spec import ReplySpec, SessionSpec
    from lipsync.mark import MarkSpec

    settings = owner.in_force()
    reply = wanted.get("reply") or {}
    backend = reply.get("backend", "rules")
    named = {k: reply[k] for k in ("base_url", "model", "knowledge") if reply.get(k)}
    if "base_url" in named:
        _require_allowed(named["base_url"], settings.allowed_services)
    more: dict[str, Any] = {}
    if wanted.get("listen"):
        more["listen"] = listen_spec(wanted["listen"], reply.get("knowledge") or [], settings)
    for name in ("video_bitrate", "video_codec"):
        if wanted.get(name):
            more[name] = wanted[name]
    return SessionSpec(
        avatar=folder,
        id=id_ or str(uuid4()),
        voice=voices.spoken(voice),
        voice_settings=voices.backend_settings(voice),
        reply=ReplySpec(backend, {**owner.service("reply", backend), **named}, reply.get("system_prompt", "")),
        background=background(wanted["background"], uploads),
        mark=MarkSpec(**wanted["mark"]) if wanted.get("mark") else None,
        ice_servers=ice_servers(settings),
        relay_only=settings.ice_relay_only,
        **more,
    )


def ice_servers(settings: Settings) -> tuple[Any, ...]:
    """Return the runtime's ``IceServer``s of the settings."""
    from apps.control_api.live_runtime.spec import IceServer

    if not settings.ice_servers:
        return ()
    secret = settings.turn_credential.get_secret_value() if settings.turn_credential is not None else None
    return (IceServer(tuple(settings.ice_servers), settings.turn_username, secret),)


def background(wanted: dict[str, Any], uploads: Uploads) -> Any:
    """Return the ``Background`` of what a caller asked for: kind, colour, upload_id."""
    from lipsync.compositor import Background

    path = uploads.finished(wanted["upload_id"]).path if wanted.get("upload_id") else None
    return Background(wanted["kind"], wanted["colour"], path)


def _require_allowed(url: str, hosts: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise InvalidInputError("This is not an http address.", "Send one such as http://127.0.0.1:11434.")
    if parts.hostname not in ("127.0.0.1", "localhost", "::1", *hosts):
        raise ForbiddenError(
            f"The studio may not call {parts.hostname}.", "Add the host to `allowed_services` in the settings."
        )


def _decoded(data: bytes) -> tuple[Any, int]:
    import io

    import soundfile

    try:
        pcm, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InvalidInputError("This is not a sound we can read.", "Send a WAV, FLAC, OGG or MP3 file.") from error
    if not pcm.size:
        raise InvalidInputError("The sound is empty.", "Send one that holds something.")
    return pcm.mean(axis=1), int(rate)

"""The addresses LiveTalking's own clients call, without prefix and without token: opened by a setting, loopback only.

Their answers carry ``code``, ``msg`` and ``data``; ours differ from theirs in that an error also has its HTTP status.
Their session ids are six-digit numbers; each stands for one of our sessions.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from apps.control_api.api.deps import Studio, note_object
from apps.control_api.api.multipart import read_form
from apps.control_api.api.wire.live import SessionCreate
from apps.control_api.container import Container
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError

PATHS = ("/offer", "/human", "/humanaudio", "/interrupt_talk", "/is_speaking", "/set_audiotype", "/record")
_MOST = 1000
_FIRST_ACTION = 2
_SOUND_LIMIT = 64 << 20

SessionId = int | str


class CompatOffer(BaseModel):
    """A browser's offer; ``avatar`` names an avatar by id or name, the newest usable one if not given."""

    sdp: Annotated[str, Field(min_length=1, max_length=200_000)]
    type: Literal["offer"] = "offer"
    avatar: Annotated[str | None, Field(max_length=120)] = None


class CompatHuman(BaseModel):
    """Words to read aloud (``echo``) or to answer (``chat``)."""

    sessionid: SessionId
    text: Annotated[str, Field(max_length=10_000)] = ""
    type: Literal["echo", "chat"] = "echo"
    interrupt: bool = False


class CompatSession(BaseModel):
    """Names a session."""

    sessionid: SessionId


class CompatAction(BaseModel):
    """Asks for an action: 0 and 1 are plain talking and rest, from 2 on the avatar's actions, oldest first."""

    sessionid: SessionId
    audiotype: Annotated[int, Field(ge=0, le=1000)]
    reinit: bool = True


class CompatRecord(BaseModel):
    """Begins or ends the recording of a session."""

    sessionid: SessionId
    type: Literal["start_record", "end_record"]


class _Numbers:
    """Six-digit numbers for our session ids."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def give(self, session_id: str) -> int:
        """Return a number that no other session has."""
        while (number := str(100_000 + secrets.randbelow(900_000))) in self._ids:
            continue
        self._ids[number] = session_id
        if len(self._ids) > _MOST:
            self._ids.pop(next(iter(self._ids)))
        return int(number)

    def of(self, number: SessionId) -> str:
        """Return our id; our ids are taken as they are."""
        return self._ids.get(str(number), str(number))


def compatibility_router() -> APIRouter:
    """Return the routes, with a table of numbers of their own."""
    router = APIRouter(tags=["compatibility"])
    numbers = _Numbers()

    @router.post("/offer")
    async def compat_offer(wanted: CompatOffer, request: Request, studio: Studio) -> dict[str, Any]:
        avatar_id = await asyncio.to_thread(_avatar, studio, wanted.avatar)
        opened = await studio.live.open(SessionCreate(avatar_id=avatar_id).model_dump())
        note_object(request, opened.id)
        try:
            answer = await studio.live.offer(opened.id, wanted.sdp, wanted.type)
        except BaseException:
            await studio.live.close(opened.id, "offer failed")
            raise
        return {**answer, "sessionid": numbers.give(opened.id)}

    @router.post("/human")
    async def compat_human(wanted: CompatHuman, studio: Studio) -> dict[str, Any]:
        what = "say" if wanted.type == "echo" else "chat"
        session_id = numbers.of(wanted.sessionid)
        if not wanted.text.strip():
            raise InvalidInputError("There is nothing to say.", "Send `text`.")
        await studio.live.speak(session_id, what, wanted.text, wanted.interrupt)
        return _ok()

    @router.post("/humanaudio")
    async def compat_human_audio(request: Request, studio: Studio) -> dict[str, Any]:
        folder = await asyncio.to_thread(studio.tools.files.new_incoming)
        try:
            form = await read_form(request, folder, {"file": _SOUND_LIMIT})
            if "file" not in form.files or "sessionid" not in form.fields:
                raise InvalidInputError("`file` and `sessionid` are needed.", "Send both.")
            data = await asyncio.to_thread(form.files["file"].path.read_bytes)
            await studio.live.audio(numbers.of(form.fields["sessionid"]), data, False)
        finally:
            await asyncio.to_thread(studio.tools.files.remove, folder)
        return _ok()

    @router.post("/interrupt_talk")
    async def compat_interrupt(wanted: CompatSession, studio: Studio) -> dict[str, Any]:
        studio.live.interrupt(numbers.of(wanted.sessionid))
        return _ok()

    @router.post("/is_speaking")
    async def compat_is_speaking(wanted: CompatSession, studio: Studio) -> dict[str, Any]:
        return _ok(bool(studio.live.stats(numbers.of(wanted.sessionid))["speaking"]))

    @router.post("/set_audiotype")
    async def compat_set_audiotype(wanted: CompatAction, studio: Studio) -> dict[str, Any]:
        session_id = numbers.of(wanted.sessionid)
        if wanted.audiotype < _FIRST_ACTION:
            studio.live.session(session_id)
        else:
            await studio.scene.act_nth(session_id, wanted.audiotype - _FIRST_ACTION)
        return _ok()

    @router.post("/record")
    async def compat_record(wanted: CompatRecord, request: Request, studio: Studio) -> dict[str, Any]:
        session_id = numbers.of(wanted.sessionid)
        start = wanted.type == "start_record"
        row = await (studio.live.start_recording if start else studio.live.stop_recording)(session_id)
        note_object(request, session_id)
        request.state.audit_detail = {"action": "start" if start else "stop", "recording_id": row.id}
        return _ok()

    return router


def _ok(data: Any = None) -> dict[str, Any]:
    return {"code": 0, "msg": "ok", "data": data}


def _avatar(studio: Container, name: str | None) -> str:
    rows = [row for row in studio.avatars.list(200, None, None, None).items if row.state in ("ready", "preview")]
    if not rows:
        raise ConflictError("There is no avatar yet.", "Make one first.")
    if name is None:
        return min(rows, key=lambda row: row.state != "ready").id
    for row in rows:
        if name in (row.id, row.name):
            return row.id
    raise NotFoundError("There is no such avatar.", "Name one by its id or name.")

"""The room's library: scripts, playlists, messages of platforms."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object
from apps.control_api.api.wire.base import Command, Identifier, Name, Page, ShortText, Text, Timestamp, Wire
from apps.control_api.storage.tables import PlaylistRow, ScriptRow

router = APIRouter(tags=["room"])


class ScriptCreate(Command):
    """A text to be spoken."""

    title: Name
    text: Text
    tags: Annotated[list[Name], Field(max_length=20, default_factory=list)]


class ScriptUpdate(Command):
    """What may be changed of a script."""

    title: Name | None = None
    text: Text | None = None
    tags: Annotated[list[Name] | None, Field(max_length=20)] = None


class Script(Wire):
    """A text to be spoken."""

    id: str
    title: str
    text: str
    tags: list[str]
    created_at: Timestamp
    updated_at: Timestamp


class ScriptPage(Page[Script]):
    """Scripts, newest first."""


class PlaylistItem(Command):
    """A script in a playlist; a higher weight is chosen more often in random order."""

    script_id: Identifier
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0


class PlaylistCreate(Command):
    """Scripts in an order."""

    name: Name
    mode: Literal["once", "loop", "random"] = "loop"
    items: Annotated[list[PlaylistItem], Field(max_length=500, default_factory=list)]


class PlaylistUpdate(Command):
    """What may be changed of a playlist."""

    name: Name | None = None
    mode: Literal["once", "loop", "random"] | None = None
    items: Annotated[list[PlaylistItem] | None, Field(max_length=500)] = None


class Playlist(Wire):
    """Scripts in an order."""

    id: str
    name: str
    mode: str
    items: list[PlaylistItem]
    created_at: Timestamp
    updated_at: Timestamp


class PlaylistPage(Page[Playlist]):
    """Playlists, newest first."""


class RoomMessageIn(Command):
    """A message of a platform; the same platform and platform_id are kept once."""

    platform: Identifier
    platform_id: Annotated[Name, Field(max_length=120)]
    author: ShortText = ""
    text: Text
    priority: Annotated[int, Field(ge=0, le=2, description="0 is answered first.")] = 1


class MessagesIngest(Command):
    """Messages to take in, and the session that is to answer them, most urgent first."""

    messages: Annotated[list[RoomMessageIn], Field(min_length=1, max_length=200)]
    session_id: Identifier | None = None


class RoomMessage(Wire):
    """A message that was taken in."""

    id: str
    platform: str
    platform_id: str
    author: str
    text: str
    priority: int
    session_id: str | None
    state: Literal["received", "answering", "skipped"]
    turn: str | None
    created_at: Timestamp


class MessagesIngested(Wire):
    """What was new, and how many were known already."""

    accepted: list[RoomMessage]
    duplicates: int


class RoomMessagePage(Page[RoomMessage]):
    """Messages, newest first."""


@router.get("/scripts")
def list_scripts(studio: Studio, limit: Limit = 50, cursor: Cursor = None) -> ScriptPage:
    """List scripts, newest first."""
    part = studio.room.scripts(limit, cursor)
    return ScriptPage(items=[Script.model_validate(row) for row in part.items], next_cursor=part.next_cursor)


@router.post("/scripts", status_code=201)
def create_script(wanted: ScriptCreate, request: Request, studio: Studio) -> Script:
    """Add a script."""
    row = studio.room.save(ScriptRow, wanted.model_dump())
    note_object(request, row.id)
    return Script.model_validate(row)


@router.get("/scripts/{script_id}")
def get_script(script_id: str, studio: Studio) -> Script:
    """One script."""
    return Script.model_validate(studio.room.get(ScriptRow, script_id))


@router.patch("/scripts/{script_id}")
def update_script(script_id: str, wanted: ScriptUpdate, studio: Studio) -> Script:
    """Change a script."""
    return Script.model_validate(studio.room.save(ScriptRow, wanted.model_dump(exclude_none=True), script_id))


@router.delete("/scripts/{script_id}", status_code=204)
def delete_script(script_id: str, studio: Studio) -> None:
    """Delete a script."""
    studio.room.delete(ScriptRow, script_id)


@router.get("/playlists")
def list_playlists(studio: Studio, limit: Limit = 50, cursor: Cursor = None) -> PlaylistPage:
    """List playlists, newest first."""
    part = studio.room.playlists(limit, cursor)
    return PlaylistPage(items=[Playlist.model_validate(row) for row in part.items], next_cursor=part.next_cursor)


@router.post("/playlists", status_code=201)
def create_playlist(wanted: PlaylistCreate, request: Request, studio: Studio) -> Playlist:
    """Add a playlist."""
    row = studio.room.save(PlaylistRow, wanted.model_dump())
    note_object(request, row.id)
    return Playlist.model_validate(row)


@router.get("/playlists/{playlist_id}")
def get_playlist(playlist_id: str, studio: Studio) -> Playlist:
    """One playlist."""
    return Playlist.model_validate(studio.room.get(PlaylistRow, playlist_id))


@router.patch("/playlists/{playlist_id}")
def update_playlist(playlist_id: str, wanted: PlaylistUpdate, studio: Studio) -> Playlist:
    """Change a playlist."""
    return Playlist.model_validate(studio.room.save(PlaylistRow, wanted.model_dump(exclude_none=True), playlist_id))


@router.delete("/playlists/{playlist_id}", status_code=204)
def delete_playlist(playlist_id: str, studio: Studio) -> None:
    """Delete a playlist."""
    studio.room.delete(PlaylistRow, playlist_id)


class Play(Command):
    """The session that is to say a playlist while nobody asks."""

    session_id: Identifier


@router.post("/playlists/{playlist_id}:play", status_code=202)
async def play_playlist(playlist_id: str, wanted: Play, request: Request, studio: Studio) -> Playlist:
    """Have a session say the playlist, sentence by sentence; answers slip in between, and it goes on after them."""
    note_object(request, wanted.session_id)
    return Playlist.model_validate(await studio.scene.play(studio.room, playlist_id, wanted.session_id))


@router.post("/playlists/{playlist_id}:stop", status_code=204)
async def stop_playlist(playlist_id: str, wanted: Play, request: Request, studio: Studio) -> None:
    """Say no more of it; the sentence being said is said to its end."""
    note_object(request, wanted.session_id)
    await studio.scene.stop(wanted.session_id)


@router.get("/messages")
def list_messages(
    studio: Studio,
    limit: Limit = 50,
    cursor: Cursor = None,
    session_id: Annotated[str | None, Query(max_length=64)] = None,
) -> RoomMessagePage:
    """List messages, newest first."""
    part = studio.room.messages(limit, cursor, session_id)
    return RoomMessagePage(items=[RoomMessage.model_validate(row) for row in part.items], next_cursor=part.next_cursor)


@router.post("/messages:ingest", status_code=202)
async def ingest_messages(wanted: MessagesIngest, studio: Studio) -> MessagesIngested:
    """Take messages in, each once; a session named answers the new ones, most urgent first."""
    kept, known = await studio.live.ingest(studio.room, [m.model_dump() for m in wanted.messages], wanted.session_id)
    return MessagesIngested(accepted=[RoomMessage.model_validate(row) for row in kept], duplicates=known)

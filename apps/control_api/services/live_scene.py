"""What a live session shows, changed while it runs: another avatar, voice or background, and the avatar's actions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from apps.control_api.services.actions import Actions
from apps.control_api.services.avatars import Avatars
from apps.control_api.services.live import Live, Opened, background
from apps.control_api.services.room import Room
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voices import Voices
from apps.control_api.storage.tables import PlaylistRow
from lipsync.errors import InvalidInputError, NotFoundError


class LiveScene:
    """The use-cases; the sessions are ``Live``'s."""

    def __init__(self, live: Live, avatars: Avatars, voices: Voices, uploads: Uploads, actions: Actions) -> None:
        self._live, self._avatars, self._voices = live, avatars, voices
        self._uploads, self._actions = uploads, actions

    async def swap(self, session_id: str, wanted: dict[str, Any]) -> Opened:
        """Go on with what is named of avatar_id, voice_id, background; the rest stays. Returns when it shows.

        Raises:
            ConflictError: the session has ended, another swap is at work, or the avatar or voice cannot be used yet.
            ForbiddenError: the consent of the new avatar or voice does not cover going live.
            InvalidInputError: nothing is to change, or the background does not go with the avatar.
        """
        self._live.session(session_id)
        if not any(wanted.values()):
            raise InvalidInputError("Nothing is to change.", "Name avatar_id, voice_id or background.")
        opened = self._live.get(session_id)
        swap, avatar_id, voice_id = await asyncio.to_thread(self._swap, wanted, opened)
        await self._live.manager.swap(session_id, swap)
        opened.avatar_id, opened.voice_id = avatar_id, voice_id
        return opened

    async def act(self, session_id: str, name: str) -> int | None:
        """Play an action; returns the turn its sound is spoken in, None for one without sound."""
        turn: int | None = await self._live.session(session_id).action(name)
        return turn

    async def act_nth(self, session_id: str, index: int) -> None:
        """Play the ``index``-th action of a session's avatar, counted from 0, oldest first."""
        names = [spec.name for spec in self._live.session(session_id).spec.actions]
        if not 0 <= index < len(names):
            raise NotFoundError(
                f"The avatar has {len(names)} actions.", "Add one, or choose one there is.", {"actions": names}
            )
        await self.act(session_id, names[index])

    async def play(self, room: Room, playlist_id: str, session_id: str) -> PlaylistRow:
        """Have a session say a playlist's scripts while nobody asks.

        Raises:
            InvalidInputError: the playlist has nothing to say.
        """
        from apps.control_api.live_runtime.programme import Item

        session = self._live.session(session_id)
        playlist, scripts = await asyncio.to_thread(room.programme, playlist_id)
        items = [Item(script.id, script.text, weight) for script, weight in scripts]
        await session.play(items, playlist.mode)
        return playlist

    async def stop(self, session_id: str) -> None:
        """Have a session say no more scripts."""
        await self._live.session(session_id).stop_playing()

    def _swap(self, wanted: dict[str, Any], opened: Opened) -> tuple[Any, str, str]:
        from apps.control_api.live_runtime.swap import Swap

        folder: Path | None = None
        more: dict[str, Any] = {}
        avatar_id, voice_id = opened.avatar_id, opened.voice_id
        if wanted["avatar_id"]:
            avatar, folder = self._avatars.usable(wanted["avatar_id"], "live")
            avatar_id = avatar.id
            more["actions"] = self._actions.specs(avatar.id)
        if wanted["voice_id"]:
            voice = self._voices.usable(wanted["voice_id"], "live")
            voice_id = voice.id
            more |= {"voice": self._voices.spoken(voice), "voice_settings": self._voices.backend_settings(voice)}
        if wanted["background"]:
            more["background"] = background(wanted["background"], self._uploads)
        return Swap(avatar=folder, **more), avatar_id, voice_id

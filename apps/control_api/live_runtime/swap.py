"""Another avatar, voice or background for a session that goes on talking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apps.control_api.live_runtime.actions import ActionSpec
from apps.control_api.live_runtime.host import HostPool
from apps.control_api.live_runtime.look import Look, open_look
from apps.control_api.live_runtime.spec import SessionSpec
from lipsync.compositor import Background
from speech.tts.base import TextToSpeech, Voice

MakeVoice = Callable[[str, Mapping[str, Any]], TextToSpeech]


@dataclass(frozen=True)
class Swap:
    """What is to change; None stays as it is.

    Attributes:
        avatar: The new avatar's bundle, with its actions.
        actions: The new avatar's.
        voice: The new voice, with its back-end's settings.
        voice_settings: As in ``SessionSpec``.
        background: What stands behind the person from now on.
    """

    avatar: Path | None = None
    actions: tuple[ActionSpec, ...] = ()
    voice: Voice | None = None
    voice_settings: Mapping[str, Any] | None = None
    background: Background | None = None


@dataclass(frozen=True)
class Ready:
    """A swap whose parts are loaded and warm."""

    spec: SessionSpec
    look: Look | None
    tts: TextToSpeech | None

    async def close(self) -> None:
        """Give everything back: it will not be used."""
        for part in (self.look, self.tts):
            if part is not None:
                await part.close()


async def load_swap(
    spec: SessionSpec, swap: Swap, size: tuple[int, int], hosts: HostPool, make_voice: MakeVoice
) -> Ready:
    """Load and warm what a swap needs while the session goes on; leaves nothing behind where it fails.

    Raises:
        BundleError, InvalidInputError, NotFoundError, UnavailableError: As opening a session with it would.
    """
    if swap.avatar is not None:
        spec = replace(spec, avatar=swap.avatar, actions=swap.actions)
    if swap.voice is not None:
        spec = replace(spec, voice=swap.voice, voice_settings=swap.voice_settings or {})
    if swap.background is not None:
        spec = replace(spec, background=swap.background)
    look: Look | None = None
    if swap.avatar is not None or swap.background is not None:
        look = await open_look(hosts, spec.avatar, spec.background, spec.mark, size)
    tts: TextToSpeech | None = None
    try:
        if swap.voice is not None:
            tts = await asyncio.to_thread(make_voice, spec.voice.backend, spec.voice_settings)
            await tts.warm_up()
    except BaseException:
        await Ready(spec, look, tts).close()
        raise
    return Ready(spec, look, tts)

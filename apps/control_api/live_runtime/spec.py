"""What a live session is made from, and what a manager allows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from apps.control_api.live_runtime.actions import ActionSpec
from apps.control_api.live_runtime.ear import ListenSpec
from lipsync.compositor import Background
from lipsync.errors import InvalidInputError
from lipsync.mark import MarkSpec
from speech.tts.base import Voice

Transport = Literal["webrtc"]
VideoCodec = Literal["vp8", "h264"]


@dataclass(frozen=True)
class ReplySpec:
    """Who answers chat.

    Attributes:
        backend: A name of ``speech.llm``'s registry, or "echo" to say what was heard.
        settings: The back-end's own settings (credentials included; never logged, never shown).
        system_prompt: How the avatar should answer, for back-ends that take one.
    """

    backend: str = "rules"
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    system_prompt: str = ""


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server; none are used unless named, so nothing leaves an offline machine."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SessionSpec:
    """One live session.

    Attributes:
        avatar: The bundle's folder.
        id: A UUID.
        voice: Which voice speaks.
        voice_settings: Settings of the voice's back-end, as ``speech.tts.registry.create`` takes them.
        reply: Who answers ``chat``.
        background: What stands behind the person.
        mark: The visible AI label; None only where the operator switched it off.
        transport: How people watch. Files are made by ``render_file``.
        video_codec: What is asked for first; the client may only know the other.
        video_bitrate: Bits a second of the picture. 2.5 Mbit/s shows 512x512 without visible blocks; below 0.6 the
            mouth blurs when the head moves.
        ice_servers: STUN and TURN.
        relay_only: Through TURN alone.
        actions: What the avatar can do beside talking.
        listen: How it hears people; None: it does not.
    """

    avatar: Path
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    voice: Voice = field(default_factory=Voice)
    voice_settings: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    reply: ReplySpec = field(default_factory=ReplySpec)
    background: Background = field(default_factory=Background)
    mark: MarkSpec | None = field(default_factory=MarkSpec)
    transport: Transport = "webrtc"
    video_codec: VideoCodec = "vp8"
    video_bitrate: int = 2_500_000
    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    actions: tuple[ActionSpec, ...] = ()
    listen: ListenSpec | None = None

    def __post_init__(self) -> None:
        try:
            uuid.UUID(self.id)
        except ValueError:
            raise InvalidInputError("A session's id is a UUID.", "Leave it out to have one made.") from None
        if self.transport != "webrtc":
            raise InvalidInputError(f"There is no transport {self.transport!r}.", "Choose webrtc.")
        if self.video_codec not in ("vp8", "h264"):
            raise InvalidInputError(f"There is no codec {self.video_codec!r}.", "Choose vp8 or h264.")
        if not 100_000 <= self.video_bitrate <= 20_000_000:
            raise InvalidInputError("The bit rate is out of range.", "Choose 100,000 to 20,000,000 bits a second.")


@dataclass(frozen=True)
class LiveLimits:
    """What a manager allows.

    Attributes:
        max_sessions: Open sessions; one more is refused.
        max_clients: Clients watching one session.
        max_pending_turns: Utterances waiting or being spoken in one session.
        max_text: Characters of one utterance.
        max_audio_s: Seconds of one piece of ready sound.
        connect_timeout_s: A session nobody has ever watched ends after this.
        handshake_s: A client that has not connected this long after its offer is dropped.
        lost_after_s: A client that sends nothing for this long is lost.
        linger_s: How long a session outlives its last client, for a page that reloads.
        unload_after_s: How long an engine nobody uses stays in memory.
        slow_after_s: A batch of pictures that takes longer is warned of; the last picture is held meanwhile.
        hung_after_s: An engine that has not come back for this long hangs: its sessions end, and it is loaded anew.
    """

    max_sessions: int = 4
    max_clients: int = 4
    max_pending_turns: int = 20
    max_text: int = 5000
    max_audio_s: float = 600.0
    connect_timeout_s: float = 600.0
    handshake_s: float = 20.0
    lost_after_s: float = 6.0
    linger_s: float = 8.0
    unload_after_s: float = 60.0
    slow_after_s: float = 3.0
    hung_after_s: float = 30.0

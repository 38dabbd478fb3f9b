"""Live sessions and films made from text or sound."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Command, Identifier, Page, ShortText, Text, Timestamp, Wire
from apps.control_api.api.wire.jobs import Priority
from apps.control_api.api.wire.listening import Listen
from apps.control_api.api.wire.outputs import OutputCreate

SessionState = Literal["ready", "live", "closed", "failed"]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class Background(Command):
    """What stands behind the person."""

    kind: Literal["original", "colour", "image", "blur", "video"] = "original"
    colour: Colour = "#202830"
    upload_id: Annotated[Identifier | None, Field(description="The uploaded picture or film.")] = None


class FilmBackground(Background):
    """What stands behind the person in a film."""

    kind: Literal["original", "colour", "image", "blur", "video", "transparent"] = Field(  # type: ignore[assignment]
        "original", description="`transparent` gives a WebM of the person alone, VP9 with alpha, to lay over others."
    )


class Mark(Command):
    """The visible sign that the picture is made by a machine."""

    language: Literal["zh", "en"] = "zh"
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "top-left"
    height: Annotated[float, Field(ge=0.05, le=0.3, description="Of the short side.")] = 0.055


class KnowledgeItem(Command):
    """A question and its answer."""

    question: ShortText
    answer: ShortText


class Reply(Command):
    """Who answers in `:chat`."""

    backend: Literal["rules", "echo", "openai", "ollama"] = "rules"
    base_url: Annotated[str | None, Field(max_length=300)] = None
    model: Annotated[str | None, Field(max_length=120)] = None
    system_prompt: Annotated[str, Field(max_length=4000)] = ""
    knowledge: Annotated[list[KnowledgeItem], Field(max_length=500, default_factory=list)]


class SessionCreate(Command):
    """Open a live session."""

    avatar_id: Identifier
    voice_id: Annotated[Identifier | None, Field(description="The studio's own voice if not given.")] = None
    transport: Annotated[
        Literal["webrtc"] | Annotated[list[OutputCreate], Field(min_length=1, max_length=6)],
        Field(description="`webrtc`, or outputs to begin with, for which no browser is needed."),
    ] = "webrtc"
    reply: Reply = Field(default_factory=lambda: Reply.model_validate({}))
    listen: Annotated[Listen | None, Field(description="How it hears people; not given: it does not.")] = None
    background: Background = Field(default_factory=Background)
    mark: Mark | None = Field(default_factory=Mark)
    video_bitrate: Annotated[int, Field(ge=100_000, le=20_000_000, description="Bits a second.")] = 2_500_000
    video_codec: Annotated[
        Literal["vp8", "h264"], Field(description="Asked for first; VP8 costs a CPU a fifth of what H.264 does.")
    ] = "vp8"


class Session(Wire):
    """A live talking avatar."""

    id: str
    avatar_id: str
    voice_id: str | None
    transport: str
    state: SessionState
    reason: str = Field("", description="Why it ended.")
    created_at: Timestamp


class SessionPage(Page[Session]):
    """Open sessions, or those that ended."""


class Offer(Command):
    """A WebRTC description from the browser."""

    sdp: Annotated[str, Field(min_length=1, max_length=200_000)]
    type: Literal["offer"] = "offer"


class Answer(Wire):
    """The studio's WebRTC description."""

    sdp: str
    type: Literal["answer"] = "answer"


class Say(Command):
    """Words to speak as they are, or to answer."""

    text: Text
    interrupt: bool = False


class Record(Command):
    """Begin or end a recording."""

    action: Literal["start", "stop"]


class Recording(Wire):
    """A film of a live session as people got it."""

    id: str
    session_id: str
    avatar_id: str
    state: Literal["recording", "ready", "failed"]
    seconds: float | None
    size_bytes: int | None
    error: str | None = Field(description="Why it failed.")
    file_url: str | None = Field(None, description="The MP4, once ready; carries its own permission for some hours.")
    created_at: Timestamp
    ended_at: Timestamp | None


class RecordingPage(Page[Recording]):
    """Recordings, newest first."""


class Turn(Wire):
    """One utterance, from request to silence."""

    session_id: str
    turn: int


class TurnStats(Wire):
    """When a turn passed each stage: milliseconds after it was accepted, null where it did not get so far."""

    turn: int
    outcome: Literal["spoken", "interrupted", "failed"] | None
    capture: float | None = Field(description="Before that: until it was sure that the person had finished speaking.")
    recognise: float | None = Field(description="Before that: from then until the words were whole.")
    reply: float | None
    speak: float | None
    animate: float | None
    paint: float | None
    playout: float | None
    encode: float | None


class StageTime(Wire):
    """What turns spent in a stage lately: milliseconds from the stage before until its first result."""

    stage: Literal["capture", "recognise", "reply", "speak", "animate", "paint", "playout", "encode"]
    turns: int
    p50_ms: float
    p95_ms: float


class SessionStats(Wire):
    """How a session runs; times in milliseconds."""

    id: str
    state: SessionState
    speaking: bool
    turn: int
    pending_turns: int
    uptime_s: float
    clients: int
    frames: int
    held: int = Field(description="Pictures repeated because theirs were not ready.")
    skipped: int
    gaps: int = Field(description="Times speech ran dry in mid-turn.")
    buffered: int
    start_frames: int
    paint_ms: float
    encode_ms: float
    late_ms: float
    dropped_pictures: int
    width: int
    height: int
    engine: str
    jitter_frames: int = Field(description="How much later than at a steady pace pictures became ready lately.")
    stages: list[StageTime] = Field(description="The latency budget, in the order speech passes it.")
    turns: list[TurnStats]


class VideoCreate(Command):
    """Make a film of an avatar speaking: from a text, or from a sound that was uploaded."""

    avatar_id: Identifier
    voice_id: Identifier | None = None
    text: Text | None = None
    audio_upload_id: Identifier | None = None
    background: FilmBackground = Field(default_factory=lambda: FilmBackground.model_validate({}))
    mark: Mark | None = Field(default_factory=Mark)
    priority: Priority = "normal"

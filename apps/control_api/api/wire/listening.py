"""How a live session hears people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Command, ShortText, Wire


class Listen(Command):
    """How a session listens to the microphone of its WebRTC client, who offers its sound as `sendrecv`.

    What it hears comes as live events: `user_speech_started`, `transcript` (guesses, then one that is final) and
    `user_speech_ended`.
    """

    backend: Annotated[
        str,
        Field(max_length=60, description="`local` (English, offline), `whisper`, `openai`, `funasr`, or a plug-in's."),
    ] = "local"
    language: Literal["auto", "zh", "en"] = "auto"
    act: Annotated[
        Literal["chat", "say", "tell"],
        Field(description="What becomes of the words: answered, spoken as they are, or only told as events."),
    ] = "chat"
    barge_in: Annotated[
        bool, Field(description="Speaking over the avatar stops it; else it hears nothing while it speaks.")
    ] = True
    enabled: Annotated[bool, Field(description="Whether the microphone is open at first; see `:listen`.")] = True
    end_silence_ms: Annotated[
        int, Field(ge=100, le=3000, description="Silence after which a person has finished speaking.")
    ] = 300
    phrases: Annotated[
        list[ShortText],
        Field(max_length=500, description="What people are likely to say, beside the questions of `reply.knowledge`."),
    ] = Field(default_factory=list)


class ListenNow(Command):
    """Open or shut the microphone; shutting it ends what is being said (push to talk)."""

    enabled: bool
    device: Annotated[
        str | None,
        Field(
            max_length=200,
            description="A sound device of this machine to hear too (see `/system/devices`; empty: the default). "
            "Shutting the microphone lets it go.",
        ),
    ] = None


class Listening(Wire):
    """How a session listens now."""

    enabled: bool
    backend: str
    language: str
    barge_in: bool
    dropped: int = Field(description="Pieces of sound the machine had no time for.")


class RecogniserInfo(Wire):
    """A recogniser: what it understands, and what it needs."""

    name: str
    languages: list[str]
    phrase_languages: list[str] = Field(description="In these only the phrases it was given are told apart.")
    streaming: bool = Field(description="Guesses come while somebody still speaks.")
    needs_network: bool
    needs_download: bool
    problem: str | None = Field(None, description="Why it cannot be used here.")


class Recognisers(Wire):
    """The recognisers there are, the default first."""

    items: list[RecogniserInfo]

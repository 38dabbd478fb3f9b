"""What a live session shows, changed while it runs; actions of avatars."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Command, Identifier, Name, Timestamp, Wire
from apps.control_api.api.wire.live import Background

Seconds = Annotated[float, Field(ge=0, le=3600)]


class Swap(Command):
    """What is to change; what is left out stays as it is."""

    avatar_id: Identifier | None = None
    voice_id: Identifier | None = None
    background: Background | None = None


class Act(Command):
    """Which action to play."""

    name: Name


class Acted(Wire):
    """An action that was asked for; ``turn`` is the utterance its own sound is heard in."""

    session_id: str
    name: str
    turn: int | None


class ActionCreate(Command):
    """Cut an action out of a prepared take of the avatar's person."""

    name: Name
    take_id: Annotated[Identifier | None, Field(description="The avatar's own take if not given.")] = None
    start_s: Annotated[Seconds, Field(description="Where it begins in the take.")]
    end_s: Annotated[Seconds, Field(description="Where it ends.")]
    keywords: Annotated[
        list[Name], Field(max_length=20, description="Begin it when they are said to or by the avatar.")
    ] = Field(default_factory=list)
    sound: Annotated[bool, Field(description="Its own sound is heard, the mouth as it was filmed.")] = False
    speech: Annotated[
        Literal["drive", "hold", "wait"],
        Field(description="Speech meanwhile moves the mouth, is heard with the mouth as filmed, or waits."),
    ] = "drive"


class Action(Wire):
    """A clip of an avatar that plays on a command or a keyword and leads back."""

    id: str
    name: str
    keywords: list[str]
    sound: bool
    speech: Literal["drive", "hold", "wait"]
    seconds: float
    take_id: str
    start_s: float
    end_s: float
    created_at: Timestamp


class ActionList(Wire):
    """An avatar's actions, oldest first."""

    items: list[Action]

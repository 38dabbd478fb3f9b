"""What is held of a person."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apps.control_api.api.wire.base import Command, Identifier, Name, Wire


class PersonNamed(Command):
    """A person, by the name in the consents or by the face their takes show."""

    person: Name | None = None
    face_id: Identifier | None = None


class PersonDelete(PersonNamed):
    """Delete a person's data."""

    dry_run: Annotated[bool, Field(description="Only say what would go.")] = False


class Belongings(Wire):
    """Ids of what is, or was, a person's."""

    consents: list[str]
    takes: list[str]
    avatars: list[str]
    voices: list[str]
    models: list[str]
    jobs: list[str]
    recordings: list[str]


class PersonGone(Wire):
    """What went, or would go."""

    dry_run: bool
    what: Belongings
    files: int
    size_bytes: int
    sessions: list[str] = Field(description="Live sessions that were ended.")

"""Tokens with roles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from apps.control_api.api.wire.base import Command, Name, Page, Timestamp, Wire

Role = Literal["owner", "operator", "auditor"]


class TokenCreate(Command):
    """Make a token for somebody."""

    name: Name
    role: Role
    until: Annotated[AwareDatetime | None, Field(description="When it ends by itself; null for never.")] = None


class Token(Wire):
    """A token that may be used; what it is itself is told once, when it is made."""

    id: str
    name: str
    role: Role
    until: Timestamp | None
    created_at: Timestamp


class TokenCreated(Token):
    """A new token with its secret: note it down, it is not told again."""

    token: str


class TokenPage(Page[Token]):
    """Tokens, newest first."""


class WhoAmI(Wire):
    """Whose token a call carries."""

    actor: str
    role: Role

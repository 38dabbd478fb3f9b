"""Tokens beside the owner's own: made for people with a role, known to us by their hash alone."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlmodel import select

from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import TokenRow
from lipsync.errors import InvalidInputError, NotFoundError

Role = Literal["owner", "operator", "auditor"]
_BYTES = 32


@dataclass(frozen=True)
class Identity:
    """Who calls: the name that the audit trail writes, and the role."""

    actor: str
    role: Role


OWNER = Identity("owner", "owner")


class Tokens:
    """Makes, lists, ends and knows tokens. What is known is kept in memory, for every call asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[Identity, datetime | None]] = {}

    def load(self) -> None:
        """Read the tokens there are; called at the start, from time to time, and after every change."""
        with self._database.read() as session:
            rows = list(session.exec(select(TokenRow)))
        self._known = {row.hash: (Identity(f"{row.role}/{row.name}", _role(row.role)), row.until) for row in rows}

    def who(self, secret: str) -> Identity | None:
        """Return whose token this is, None if it is nobody's or has ended.

        It is looked up by its SHA-256, so how long that takes tells nothing of any token; 256 random bits need no
        slower hash.
        """
        found = self._known.get(_hash(secret))
        if found is None or (found[1] is not None and found[1] <= now()):
            return None
        return found[0]

    def create(self, name: str, role: Role, until: datetime | None) -> tuple[TokenRow, str]:
        """Make a token; returns its row and the secret, which is told this once and kept nowhere."""
        if until is not None and until <= now():
            raise InvalidInputError("The end of the token has passed.", "Choose a later time, or none.")
        secret = secrets.token_urlsafe(_BYTES)
        with self._database.write() as session:
            row = TokenRow(name=name, role=role, hash=_hash(secret), until=until)
            session.add(row)
            session.flush()
        self.load()
        return row, secret

    def list(self, limit: int, cursor: str | None) -> Slice[TokenRow]:
        """List tokens, newest first."""
        with self._database.read() as session:
            return newest_first(session, TokenRow, [], limit, cursor)

    def revoke(self, token_id: str) -> None:
        """End a token at once."""
        with self._database.write() as session:
            row = session.get(TokenRow, token_id)
            if row is None:
                raise NotFoundError("There is no such token.", "List the tokens to see those there are.")
            session.delete(row)
        self.load()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _role(name: str) -> Role:
    for role in ("owner", "operator", "auditor"):
        if name == role:
            return role  # type: ignore[return-value]
    return "auditor"  # a role of a later version: the least there is

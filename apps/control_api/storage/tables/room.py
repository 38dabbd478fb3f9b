"""The live room: scripts, playlists, messages from platforms, recordings."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from apps.control_api.storage.tables.base import Row, json_column, time_column


class ScriptRow(Row, table=True):
    """A text to be spoken."""

    __tablename__ = "scripts"

    title: str
    text: str
    tags: list[str] = json_column(list)
    updated_at: datetime = time_column()


class PlaylistRow(Row, table=True):
    """Scripts in an order, each with a weight for random play."""

    __tablename__ = "playlists"

    name: str
    mode: str = "loop"
    items: list[dict[str, Any]] = json_column(list)
    updated_at: datetime = time_column()


class MessageRow(Row, table=True):
    """A message from a room of a platform; the same one is kept once."""

    __tablename__ = "messages"
    __table_args__ = (sa.UniqueConstraint("platform", "platform_id"),)

    platform: str
    platform_id: str
    author: str = ""
    text: str
    priority: int = 1
    session_id: str | None = Field(default=None, index=True)
    state: str = "received"
    turn: str | None = None


class RecordingRow(Row, table=True):
    """A film of a live session as people got it. States: recording, ready, failed."""

    __tablename__ = "recordings"

    session_id: str = Field(index=True)
    avatar_id: str = Field(index=True)
    state: str = Field(default="recording", index=True)
    seconds: float | None = None
    size_bytes: int | None = Field(default=None, sa_type=sa.BigInteger)
    error: str | None = None
    ended_at: datetime | None = time_column(nullable=True)

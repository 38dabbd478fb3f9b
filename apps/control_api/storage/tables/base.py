"""What all tables share: identifiers, times, JSON columns."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from apps.control_api.storage.clock import UtcDateTime, now

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_id() -> str:
    """Return a new UUID as text."""
    return str(uuid4())


def json_column(default: Any = dict, nullable: bool = False) -> Any:
    """Return a JSON column whose value is replaced, never changed in place."""
    if nullable:
        return Field(default=None, sa_type=sa.JSON, nullable=True)
    return Field(default_factory=default, sa_type=sa.JSON, nullable=False)


def time_column(nullable: bool = False, index: bool = False) -> Any:
    """Return a UTC time column; ``now()`` by default unless it may be empty."""
    if nullable:
        return Field(default=None, sa_type=UtcDateTime, nullable=True, index=index)
    return Field(default_factory=now, sa_type=UtcDateTime, nullable=False, index=index)


class Row(SQLModel):
    """A row with a UUID and the time it was made."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    created_at: datetime = time_column(index=True)

"""Shared parts of the wire types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class Wire(BaseModel):
    """A body we send: built from rows by attribute."""

    model_config = ConfigDict(from_attributes=True)


class Command(BaseModel):
    """A body we receive: unknown keys are refused, so a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Page(Wire, Generic[Item]):
    """A part of a list; ``next_cursor`` asks for the next one, null at the end."""

    items: list[Item]
    next_cursor: str | None = None


class ErrorBody(Wire):
    """Every error: a stable code, what went wrong, what to do, and facts."""

    code: str
    message: str
    remedy: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)


class TwoLanguages(Wire):
    """A sentence in both languages of the studio."""

    zh_cn: str = Field(alias="zh-CN")
    en: str
    model_config = ConfigDict(from_attributes=True, populate_by_name=True)


def _plain(text: str) -> str:
    if any(ord(c) < 32 and c not in "\n\t" for c in text) or "\x7f" in text:
        raise ValueError("control characters are not allowed")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise ValueError("not valid Unicode")
    return text


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_plain)]
Text = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_plain)]
ShortText = Annotated[str, Field(max_length=500), AfterValidator(_plain)]
Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Timestamp = datetime

"""Takes, their consent and the report on them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from apps.control_api.api.wire.base import (
    Command,
    Identifier,
    Name,
    Page,
    ShortText,
    Text,
    Timestamp,
    TwoLanguages,
    Wire,
)

ConsentScope = Literal["train", "live", "export", "market"]
TakeState = Literal["checking", "rejected", "preparing", "prepared", "failed"]
Layer = Literal["original", "keyed", "alpha", "face", "hair", "shoulders"]


class ConsentCreate(Command):
    """What the person in the take agrees to."""

    person: Name
    purpose: ShortText = Field("", description="What the avatar is for, such as the name of a programme or a shop.")
    scope: Annotated[list[ConsentScope], Field(min_length=1, max_length=4)]
    statement: Text
    statement_version: Identifier = "1"
    until: Timestamp | None = None
    agreed: Literal[True]


class Consent(Wire):
    """A consent as it was given."""

    id: str
    person: str
    purpose: str = ""
    scope: list[ConsentScope]
    statement: str
    statement_version: str
    until: Timestamp | None
    withdrawn_at: Timestamp | None
    created_at: Timestamp


class Finding(Wire):
    """One thing the check looked at."""

    code: str
    severity: Literal["error", "warning", "ok"]
    value: Any = None
    wanted: Any = None
    message: TwoLanguages
    remedy: TwoLanguages


class TakeReport(Wire):
    """Everything the check found, and the facts it measured."""

    ok: bool
    findings: list[Finding]
    info: dict[str, Any] = Field(default_factory=dict)


class TakeFromUploads(Command):
    """A take whose files were sent before, by resumable upload."""

    video_upload_id: Identifier
    voice_upload_id: Identifier | None = None
    consent: ConsentCreate
    name: Name | None = None


class Take(Wire):
    """A take, with its report. URLs carry their own permission for some hours and need no token."""

    id: str
    name: str
    state: TakeState
    video_name: str
    voice_name: str | None
    size_bytes: int
    report: TakeReport
    consent: Consent
    face_id: str | None = Field(description="The same for takes that look like one person; null until prepared.")
    mic_profile: dict[str, Any]
    chroma_info: dict[str, Any]
    job_id: str | None = Field(description="The job that prepares it; starts by itself.")
    preview_avatar_id: str | None = Field(description="The avatar that talks without training, once prepared.")
    duplicate_of: str | None = Field(None, description="An earlier take with the same video, if any.")
    video_url: str | None = Field(None, description="The prepared video (MP4, ranges allowed).")
    sheet_url: str | None = Field(None, description="The contact sheet (JPEG), once prepared.")
    preview_url: str | None = Field(None, description="Add `&t=` and `&layer=`.")
    created_at: Timestamp
    updated_at: Timestamp


class TakePage(Page[Take]):
    """Takes, newest first."""

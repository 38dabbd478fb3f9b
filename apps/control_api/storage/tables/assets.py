"""Takes, consents, avatars, voices and the versions of their models."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from apps.control_api.storage.tables.base import Row, json_column, time_column


class Consent(Row, table=True):
    """What a person agreed to: who, what for, for which uses, until when, in which words, and when."""

    __tablename__ = "consents"

    person: str
    purpose: str = Field(default="", sa_column_kwargs={"server_default": ""})
    scope: list[str] = json_column(list)
    statement: str
    statement_version: str = "1"
    until: datetime | None = time_column(nullable=True)
    withdrawn_at: datetime | None = time_column(nullable=True)


class TakeRow(Row, table=True):
    """One recording a person gave us. States: checking, rejected, preparing, prepared, failed."""

    __tablename__ = "takes"

    name: str
    state: str = Field(index=True)
    video_name: str
    voice_name: str | None = None
    video_sha256: str = Field(index=True)
    voice_sha256: str | None = None
    size_bytes: int = Field(sa_type=sa.BigInteger)
    report: dict[str, Any] = json_column()
    face_id: str | None = Field(default=None, index=True)
    face_embedding: list[float] = json_column(list)
    mic_profile: dict[str, Any] = json_column()
    chroma_info: dict[str, Any] = json_column()
    consent_id: str = Field(foreign_key="consents.id", index=True)
    job_id: str | None = None
    preview_avatar_id: str | None = None
    updated_at: datetime = time_column()


class AvatarRow(Row, table=True):
    """A person's look. States: preview, in_review, ready, retired (and making, while nothing can be used yet)."""

    __tablename__ = "avatars"

    name: str
    state: str = Field(index=True)
    engine: str
    take_id: str | None = Field(default=None, index=True)
    consent_id: str | None = Field(default=None, foreign_key="consents.id", index=True)
    model_id: str | None = None
    model_path: str | None = None
    model_version: str | None = None
    metrics: dict[str, Any] = json_column()
    width: int = 0
    height: int = 0
    updated_at: datetime = time_column()


class VoiceRow(Row, table=True):
    """A person's voice, or one that comes with the studio. States as an avatar's."""

    __tablename__ = "voices"

    name: str
    state: str = Field(index=True)
    backend: str
    voice: str = ""
    language: str
    speed: float = 1.0
    params: dict[str, Any] = json_column()
    builtin: bool = False
    take_id: str | None = Field(default=None, index=True)
    consent_id: str | None = Field(default=None, foreign_key="consents.id", index=True)
    model_id: str | None = None
    model_path: str | None = None
    model_version: str | None = None
    metrics: dict[str, Any] = json_column()
    updated_at: datetime = time_column()


class ModelRow(Row, table=True):
    """One version of an avatar or a voice: trained weights with a manifest. candidate, in_review, ready, retired."""

    __tablename__ = "models"

    kind: str = Field(index=True)
    owner_id: str = Field(index=True)
    name: str
    version: str
    engine: str
    state: str = Field(index=True)
    format: str = "safetensors"
    sample_rate: int = 0
    input_shape: list[int] = json_column(list)
    feature: str = ""
    metrics: dict[str, Any] = json_column()
    files: dict[str, str] = json_column()
    path: str
    parent_id: str | None = None
    take_ids: list[str] = json_column(list)
    consent_id: str | None = Field(default=None, index=True)
    reasons: list[str] = json_column(list)
    evaluation: dict[str, Any] = Field(
        default_factory=dict, sa_type=sa.JSON, nullable=False, sa_column_kwargs={"server_default": "{}"}
    )
    note: str = ""
    reviewed_at: datetime | None = time_column(nullable=True)
    retired_at: datetime | None = time_column(nullable=True)

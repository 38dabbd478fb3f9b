"""Avatars, voices and model versions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from apps.control_api.api.wire.base import Command, Identifier, Name, Page, ShortText, Text, Timestamp, Wire
from apps.control_api.api.wire.jobs import Priority
from apps.control_api.api.wire.takes import ConsentCreate

AvatarState = Literal["making", "preview", "in_review", "ready", "retired"]
VoiceState = Literal["making", "in_review", "ready", "retired"]
ModelState = Literal["candidate", "in_review", "ready", "retired"]
Passphrase = Annotated[SecretStr, Field(min_length=8, max_length=200, description="Seals the file, or opens it.")]
Speed = Annotated[float, Field(ge=0.5, le=2.0)]


class AvatarTrain(Command):
    """Train an avatar from a prepared take."""

    take_id: Identifier
    name: Name
    engine: Identifier = "lipbank"
    minutes: Annotated[float | None, Field(gt=0, le=24 * 60, description="Training time at most.")] = None
    steps: Annotated[int | None, Field(ge=1, le=1_000_000, description="Optimiser steps at most.")] = None
    avatar_id: Annotated[
        Identifier | None, Field(description="Make a new version of this avatar; else the take's preview becomes it.")
    ] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    priority: Priority = "normal"


class AvatarExport(Command):
    """Pack an avatar's live version into one file."""

    avatar_id: Identifier
    model_id: Identifier | None = None
    passphrase: Passphrase | None = None
    formats: Annotated[
        list[Literal["safetensors", "onnx", "torchscript"]],
        Field(max_length=3, description="Pack only its torch networks, in these formats; the whole avatar without."),
    ] = Field(default_factory=list)


class AvatarImport(Command):
    """Bring in an avatar file that was uploaded before; its person's consent is given anew."""

    upload_id: Identifier
    consent: ConsentCreate
    name: Name | None = None
    passphrase: Passphrase | None = None


class AvatarUpdate(Command):
    """What may be changed of an avatar."""

    name: Name


class Avatar(Wire):
    """A person's look. URLs carry their own permission for some hours and need no token."""

    id: str
    name: str
    state: AvatarState
    engine: str
    take_id: str | None
    consent_id: str | None
    model_id: str | None = Field(description="The version that is live.")
    model_path: str | None
    model_version: str | None
    metrics: dict[str, Any]
    width: int
    height: int
    thumbnail_url: str | None = None
    created_at: Timestamp
    updated_at: Timestamp


class AvatarPage(Page[Avatar]):
    """Avatars, newest first."""


class VoiceCreate(Command):
    """A voice of one of the back-ends, with its settings."""

    name: Name
    backend: Identifier = "local"
    voice: ShortText = ""
    language: Literal["auto", "zh", "en"] = "auto"
    speed: Speed = 1.0
    params: dict[str, Any] = Field(default_factory=dict)


class VoiceUpdate(Command):
    """What may be changed of a voice."""

    name: Name | None = None
    speed: Speed | None = None
    params: dict[str, Any] | None = None


class VoiceTrain(Command):
    """Train a person's voice from a prepared take, or from an uploaded recording with a consent of its own."""

    name: Name
    take_id: Identifier | None = None
    upload_id: Identifier | None = None
    consent: ConsentCreate | None = None
    transcript: Annotated[Text | None, Field(description="What is said in it, if known.")] = None
    recorded_language: Literal["en", "zh"] = "en"
    method: Annotated[
        Literal["filter", "xtts"],
        Field(description="filter: trained here, needs nothing; xtts: latents for XTTS, where its weights are."),
    ] = "filter"
    voice_id: Annotated[Identifier | None, Field(description="Make a new version of this voice.")] = None
    priority: Priority = "normal"


class VoiceExport(Command):
    """Pack a trained voice into one file."""

    voice_id: Identifier
    passphrase: Passphrase | None = None


class VoiceImport(Command):
    """Bring in a voice file that was uploaded before; its person's consent is given anew."""

    upload_id: Identifier
    consent: ConsentCreate
    name: Name | None = None
    passphrase: Passphrase | None = None


class VoicePreview(Command):
    """A sentence to hear."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


class Voice(Wire):
    """A voice, ready to speak."""

    id: str
    name: str
    state: VoiceState
    backend: str
    voice: str
    language: str
    speed: float
    params: dict[str, Any]
    builtin: bool
    take_id: str | None
    consent_id: str | None
    model_id: str | None
    model_path: str | None
    model_version: str | None
    metrics: dict[str, Any]
    created_at: Timestamp
    updated_at: Timestamp


class VoicePage(Page[Voice]):
    """Voices, newest first."""


class Model(Wire):
    """One version of an avatar or a voice, or weights of a public network (``base``)."""

    id: str
    kind: Literal["avatar", "voice", "base"]
    owner_id: str
    name: str
    version: str
    engine: str
    state: ModelState
    live: bool
    format: str
    sample_rate: int
    input_shape: list[int]
    feature: str
    metrics: dict[str, Any]
    files: dict[str, str]
    path: str
    parent_id: str | None
    take_ids: list[str]
    consent_id: str | None
    reasons: list[str] = Field(description="Why it waits for review.")
    evaluation: dict[str, Any] = Field(
        description="The last one: when, on which take, and each figure beside the recording's own and its bounds."
    )
    note: str
    created_at: Timestamp
    reviewed_at: Timestamp | None


class ModelPage(Page[Model]):
    """Model versions, newest first."""


class ModelRegister(Command):
    """Register an uploaded file: a bundle of ours, or weights of a public network (torch, safetensors, ONNX)."""

    upload_id: Identifier
    name: Name | None = None
    avatar_id: Annotated[Identifier | None, Field(description="Of which avatar a bundle is a version.")] = None
    voice_id: Annotated[Identifier | None, Field(description="Of which voice a bundle is a version.")] = None
    consent: Annotated[ConsentCreate | None, Field(description="Of the person, for a bundle of nobody here.")] = None
    sha256: Annotated[str | None, Field(pattern="^[0-9a-fA-F]{64}$", description="What the file has to be.")] = None


class ModelEvaluate(Command):
    """Measure a version on the held-out part of a take: its own, unless another of the same person is named."""

    take_id: Identifier | None = None
    priority: Priority = "normal"


class ModelReview(Command):
    """An admin's word on a version in review."""

    note: ShortText = ""

"""The owner's settings and the settings of services."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Command, Wire
from apps.control_api.services.settings_store import OwnerSettings

SettingValue = str | float | bool | None


class SettingsValues(Wire):
    """The settings in force; sizes in bytes."""

    device: Literal["auto", "cpu", "cuda"]
    max_sessions: int
    training_yields_to_live: bool
    free_space: int
    ice_servers: list[str]
    minimum_metrics: dict[str, float]
    maximum_metrics: dict[str, float]
    language: Literal["auto", "zh-CN", "en"]
    update_channel: Literal["stable", "beta", "off"]


class SettingsUpdate(OwnerSettings):
    """Settings to change; null goes back to how the studio was started."""


class ServiceField(Wire):
    """One setting of a service, for a form. A credential is never sent, only whether there is one."""

    name: str
    kind: Literal["text", "number", "flag", "choice", "secret"]
    choices: list[str]
    value: str | float | bool | None
    is_set: bool
    by_owner: bool = Field(description="Kept on the settings page, not given at the start.")


class Service(Wire):
    """A voice or reply back-end that has settings of its own."""

    kind: Literal["voice", "reply"]
    name: str
    available: bool
    reason: str
    fields: list[ServiceField]


class Services(Wire):
    """Every service."""

    items: list[Service]


class ServiceUpdate(Command):
    """Settings of a service to change; null takes one back."""

    fields: dict[str, Any] = Field(max_length=40)


class ServiceVerdict(Wire):
    """Whether a service can be used now; if not, why, and what to do."""

    ok: bool
    message: str
    remedy: str

"""The owner's settings: changed on the settings page, kept in the database, laid over those of the start.

Credentials of services are written, never read back: callers learn only whether one is set. In the database they are
sealed with a key that lies beside it in the data folder, readable by the owner alone, so a copy of the database, or a
database server shared with others, gives none of them away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from apps.control_api.services.events import emit
from apps.control_api.settings import GIB, MIB, Settings
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import StateRow
from lipsync.errors import InvalidInputError, StudioError, UnavailableError

ServiceKind = Literal["voice", "reply"]
Fields = dict[str, Any]
_ROW = "owner_settings"
_SEALED = "sealed"
_KEY_FILE = "settings.key"
CHECK_S = 20.0
"""How long a service may take to say whether it can be used."""


class OwnerSettings(BaseModel):
    """What the owner may change while the studio runs. None: as the studio was started. Sizes in bytes."""

    model_config = ConfigDict(extra="forbid")

    device: Literal["auto", "cpu", "cuda"] | None = None
    max_sessions: int | None = Field(None, ge=1, le=64)
    training_yields_to_live: bool | None = None
    free_space: int | None = Field(None, ge=64 * MIB, le=1024 * GIB)
    ice_servers: list[str] | None = Field(None, max_length=8)
    minimum_metrics: dict[str, float] | None = None
    maximum_metrics: dict[str, float] | None = None
    language: Literal["auto", "zh-CN", "en"] | None = Field(
        None, description="Language of the page; auto: the system's."
    )
    update_channel: Literal["stable", "beta", "off"] | None = Field(
        None, description="Which releases the shell looks for."
    )


PAGE_DEFAULTS: Mapping[str, Any] = {"language": "auto", "update_channel": "stable"}
"""Settings only the page and the shell know."""


class SettingsStore:
    """Reads and changes the owner's settings. Each read asks the database, so workers see changes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings

    # --- values ---------------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """Return every value in force, by name of ``OwnerSettings``."""
        chosen = self._chosen()
        started = {**PAGE_DEFAULTS, **self._settings.model_dump(include=set(OwnerSettings.model_fields))}
        return {
            name: started[name] if chosen.get(name) is None else chosen[name] for name in OwnerSettings.model_fields
        }

    def in_force(self) -> Settings:
        """Return the studio's settings with the owner's laid over them; the same object where nothing was changed."""
        chosen = {k: v for k, v in self._chosen().items() if v is not None and k not in PAGE_DEFAULTS}
        return self._settings.model_copy(update=chosen) if chosen else self._settings

    def change(self, changes: OwnerSettings) -> dict[str, Any]:
        """Keep what ``changes`` names (None: back to how the studio was started) and return the values in force."""
        with self._database.write() as session:
            row = session.get(StateRow, _ROW) or StateRow(name=_ROW)
            values = {**row.value.get("values", {}), **changes.model_dump(exclude_unset=True)}
            row.value = {**row.value, "values": {k: v for k, v in values.items() if v is not None}}
            row.at = now()
            session.add(row)
            emit(session, "system", {"name": "settings_changed", "data": {"names": sorted(changes.model_fields_set)}})
        return self.values()

    # --- services -------------------------------------------------------------------------------------------------

    def service(self, kind: ServiceKind, name: str) -> Fields:
        """Return the settings of a voice or reply back-end, credentials in clear: for whoever builds the back-end."""
        started = self._settings.voice_services if kind == "voice" else self._settings.replies
        return {**started.get(name, {}), **{k: self._open(v) for k, v in self._kept(kind, name).items()}}

    def change_service(self, kind: ServiceKind, name: str, changes: Fields) -> None:
        """Keep some settings of a back-end; None takes one back. What the back-end would refuse is refused here.

        Raises:
            InvalidInputError: a key is unknown or a value does not fit; the message names keys, never values.
            NotFoundError: there is no such back-end.
        """
        cls = settings_class(kind, name)
        fields = cls.model_fields
        unknown = sorted(set(changes) - set(fields))
        if unknown:
            raise InvalidInputError(
                f"'{name}' has no setting named {', '.join(unknown)}.", f"It knows: {', '.join(fields)}."
            )
        wrong = [key for key, value in changes.items() if value is not None and not _fits(cls, key, value)]
        if wrong:
            raise InvalidInputError(f"The value does not fit: {', '.join(wrong)}.", "Look at the field's description.")
        kept = {k: v for k, v in self._kept(kind, name).items() if changes.get(k, v) is not None}
        for key, value in changes.items():
            if value is not None:
                kept[key] = {_SEALED: self._seal(str(value))} if is_secret(cls, key) else value
        with self._database.write() as session:
            row = session.get(StateRow, _ROW) or StateRow(name=_ROW)
            services = {**row.value.get("services", {}), f"{kind}:{name}": kept}
            row.value = {**row.value, "services": {k: v for k, v in services.items() if v}}
            row.at = now()
            session.add(row)
            emit(session, "system", {"name": "settings_changed", "data": {"names": [f"{kind}:{name}"]}})

    def describe(self, kind: ServiceKind, name: str) -> list[Fields]:
        """Return a back-end's settings for a form: name, kind, value in force (never a credential), choices, is_set."""
        cls = settings_class(kind, name)
        given = self.service(kind, name)
        kept = self._kept(kind, name)
        told = []
        for key, field in cls.model_fields.items():
            sort, choices = _sort_of(field.annotation)
            if sort is None:
                continue
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            value = given.get(key, default)
            told.append(
                {
                    "name": key,
                    "kind": sort,
                    "choices": choices,
                    "value": None if sort == "secret" or value is None else str(value) if sort == "text" else value,
                    "is_set": given.get(key) not in (None, ""),
                    "by_owner": key in kept,
                }
            )
        return told

    def _kept(self, kind: str, name: str) -> Fields:
        return dict(self._row().get("services", {}).get(f"{kind}:{name}", {}))

    def _chosen(self) -> Fields:
        return dict(self._row().get("values", {}))

    def _row(self) -> Fields:
        with self._database.read() as session:
            row = session.get(StateRow, _ROW)
            return row.value if row is not None else {}

    # --- credentials ----------------------------------------------------------------------------------------------

    def seal(self, secret: str) -> str:
        """Return a secret sealed with the key of this data folder, fit for a row."""
        return self._seal(secret)

    def unseal(self, sealed: str) -> str:
        """Return what ``seal`` sealed. Raises ``UnavailableError`` where the key is gone."""
        return str(self._open({_SEALED: sealed}))

    def _seal(self, secret: str) -> str:
        return str(self._box().encrypt(secret.encode()).decode())

    def _open(self, value: Any) -> Any:
        if not (isinstance(value, dict) and _SEALED in value):
            return value
        from cryptography.fernet import InvalidToken

        try:
            return self._box().decrypt(value[_SEALED].encode()).decode()
        except InvalidToken:
            raise UnavailableError(
                "A kept credential cannot be read: the key it was sealed with is gone.",
                "Enter it again on the settings page.",
            ) from None

    def _box(self) -> Any:
        from cryptography.fernet import Fernet

        path: Path = self._settings.data_dir / _KEY_FILE
        if not path.exists():
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:  # another request was first
                return Fernet(path.read_bytes())
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
        return Fernet(path.read_bytes())


def settings_class(kind: ServiceKind, name: str) -> type[BaseModel]:
    """Return the class of a back-end's settings. Raises ``NotFoundError`` or ``UnavailableError``."""
    if kind == "voice":
        from speech.tts import registry as voices

        return voices.load_class(name).Settings
    from speech.llm import registry as replies

    return replies.load_class(name).Settings


def service_names() -> list[tuple[ServiceKind, str, str]]:
    """Return kind, name and (where it cannot be had) the reason of every back-end that has settings of its own."""
    from speech.llm import registry as replies
    from speech.tts import registry as voices

    found: list[tuple[ServiceKind, str, str]] = []
    wanted: list[tuple[ServiceKind, str]] = [("voice", n) for n in voices.names()] + [
        ("reply", n) for n in replies.names()
    ]
    for kind, name in wanted:
        try:
            if "base_url" in settings_class(kind, name).model_fields:
                found.append((kind, name, ""))
        except StudioError as error:
            found.append((kind, name, error.message))
    return found


async def check_service(kind: ServiceKind, name: str, settings: Fields) -> tuple[bool, str, str]:
    """Ask a service whether it can be used with ``settings``; returns that, what it says, and what to do about it."""
    import asyncio

    from speech.llm import registry as replies
    from speech.tts import registry as voices

    try:
        make = voices.create if kind == "voice" else replies.create
        backend: Any = await asyncio.to_thread(make, name, settings)
        try:
            found = await asyncio.wait_for(backend.check(), CHECK_S)
        finally:
            await backend.close()
    except TimeoutError:
        return False, "The service does not answer.", "Check its address and that it is running."
    except StudioError as error:
        return False, error.message, error.remedy
    return found.ok, found.message, found.remedy


def is_secret(cls: type[BaseModel], key: str) -> bool:
    """Whether a setting is a credential."""
    return _sort_of(cls.model_fields[key].annotation)[0] == "secret"


def _fits(cls: type[BaseModel], key: str, value: Any) -> bool:
    field = cls.model_fields[key]
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValueError:
        return False
    return True


def _sort_of(annotation: Any) -> tuple[str | None, list[str]]:
    """Return text, number, flag, choice or secret, and the choices; None for what no plain field can hold."""
    import types
    import typing

    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _sort_of(kinds[0]) if len(kinds) == 1 else (None, [])
    if typing.get_origin(annotation) is Literal:
        return "choice", [str(choice) for choice in typing.get_args(annotation)]
    if annotation is bool:
        return "flag", []
    if annotation in (int, float):
        return "number", []
    if annotation is SecretStr:
        return "secret", []
    return ("text", []) if annotation in (str, Path) else (None, [])

"""Names of back-ends, ours and those of outside packages. Nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from lipsync.errors import NotFoundError, UnavailableError
from speech.errors import SpeechSettingsError


class Configured(Protocol):
    """A back-end made from settings of its own."""

    Settings: ClassVar[type[Any]]


T = TypeVar("T", bound=Configured)


class Names(Generic[T]):
    """One kind of back-end by name.

    Args:
        kind: What one is called in messages, "voice back-end" for instance.
        base: What every one of them derives from.
        table: Our names, each with ``module:Class``.
        group: Entry points by which outside packages add theirs: ``name = "package.module:Class"``.
    """

    def __init__(self, kind: str, base: type[T], table: Mapping[str, str], group: str) -> None:
        self._kind, self._base, self.table, self.group = kind, base, table, group

    def names(self) -> list[str]:
        """Every name known, ours first."""
        return [*self.table, *(point.name for point in entry_points(group=self.group) if point.name not in self.table)]

    def load_class(self, name: str) -> type[T]:
        """Import and return the class behind ``name``.

        Raises:
            NotFoundError: no such name.
            UnavailableError: it exists but a package it needs is not installed.
        """
        target = self.table.get(name) or next(
            (point.value for point in entry_points(group=self.group) if point.name == name), None
        )
        if target is None:
            raise NotFoundError(f"There is no {self._kind} named {name!r}.", f"Known names: {', '.join(self.names())}.")
        module, _, attribute = target.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except ImportError as error:
            raise UnavailableError(
                f"The {self._kind} {name!r} needs a package that is not installed: {error.name}.",
                "Install the studio's extra named 'services'.",
                {"backend": name, "missing": error.name},
            ) from error
        if not (isinstance(found, type) and issubclass(found, self._base)):
            raise UnavailableError(
                f"The {self._kind} {name!r} is not a {self._base.__name__}.", detail={"target": target}
            )
        return found

    def create(self, name: str, settings: Mapping[str, Any] | None = None) -> T:
        """Build ``name`` from its settings (its own keys; credentials as plain strings are taken as secret).

        Raises:
            SpeechSettingsError: a key is missing, unknown or of the wrong kind; the message names keys, never values.
            NotFoundError, UnavailableError: as ``load_class``.
        """
        cls = self.load_class(name)
        schema: type[BaseModel] = cls.Settings
        try:
            checked = schema(**dict(settings or {}))
        except ValidationError as error:
            reasons = [
                f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)
            ]
            raise SpeechSettingsError(
                f"Settings of the {self._kind} {name!r} are not valid: {'; '.join(reasons)}",
                f"Known settings: {', '.join(schema.model_fields) or 'none'}.",
                {"backend": name, "reasons": reasons},
            ) from None
        make: Any = cls
        made: T = make(checked)
        return made

"""The machine's disk and load."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apps.control_api.api.wire.base import Command, Wire

StorageKind = Literal["takes", "avatars", "voices", "weights", "results", "recordings", "uploads", "logs", "database"]


class StoragePart(Wire):
    """What one kind of thing takes."""

    kind: StorageKind
    bytes: int
    files: int
    cleanable: bool


class Storage(Wire):
    """The data folder's disk and what the studio has on it; sizes in bytes."""

    folder: str
    total: int
    free: int
    kinds: list[StoragePart]


class StorageClean(Command):
    """What to remove: only what is older than so many days."""

    kinds: Annotated[list[Literal["uploads", "results", "recordings", "logs"]], Field(min_length=1, max_length=4)]
    older_than_days: Annotated[float, Field(ge=0, le=3650)] = 30


class StorageCleaned(Wire):
    """What was freed."""

    freed: int


class Gpu(Wire):
    """A graphics card; null where it does not tell."""

    name: str
    use: float | None = Field(description="0 to 1.")
    memory_used: float | None
    memory_total: float | None
    celsius: float | None


class Load(Wire):
    """How busy the machine is."""

    cpu: float = Field(description="0 to 1, of all cores.")
    memory_used: int
    memory_total: int
    gpus: list[Gpu]

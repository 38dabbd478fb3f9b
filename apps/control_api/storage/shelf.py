"""Folders on an object store: sent under a name nobody reads, seen when their index is written, which comes last.

``blobs/<name>/<generation>/<file>`` are the files, ``index/<name>.json`` says which generation counts and what is in
it. So a reader sees the old folder or the new one, whole, and never half of one, whoever dies in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from apps.control_api.storage.objects import Objects, checked
from lipsync.errors import BundleError, NotFoundError

_TRIES = 3


class Shelf:
    """Folders by name, such as ``takes/<id>``."""

    def __init__(self, objects: Objects) -> None:
        """``objects``: where they are kept."""
        self._objects = objects

    def generation(self, name: str) -> str | None:
        """Return which state of a folder counts now; None if there is none."""
        index = self._index(name)
        return None if index is None else str(index["generation"])

    def stage(self, name: str, files: Mapping[str, Path]) -> Callable[[], str]:
        """Send files (relative name -> path) aside; the function returned makes them the folder ``name``.

        It returns the generation that counts from then on. What it replaces, and what others sent and never made
        count, is removed.
        """
        generation = uuid4().hex
        listed: dict[str, Any] = {}
        for relative, path in sorted(files.items()):
            self._objects.put(f"{_blobs(name)}{generation}/{checked(relative)}", path)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            listed[relative] = {"sha256": digest, "bytes": path.stat().st_size}
        text = json.dumps({"generation": generation, "files": listed})

        def commit() -> str:
            self._objects.write(_index(name), text.encode())
            kept = f"{_blobs(name)}{generation}/"
            self._objects.delete([key for key in self._objects.keys(_blobs(name)) if not key.startswith(kept)])
            return generation

        return commit

    def fetch(self, name: str, folder: Path) -> str:
        """Write the folder ``name`` into ``folder``, which is made here; returns its generation.

        Raises:
            NotFoundError: there is none.
            BundleError: a file is not what the index says.
        """
        for attempt in range(_TRIES):
            index = self._index(name)
            if index is None:
                break
            try:
                self._fetch(name, index, folder)
                return str(index["generation"])
            except NotFoundError:  # replaced while we read: the next index names what is there now
                if attempt == _TRIES - 1:
                    raise
        raise NotFoundError("The object store has no such folder.", "It may have been deleted.", {"name": name})

    def remove(self, name: str) -> bool:
        """Remove a folder and those below it; returns whether there was one."""
        indexes = [key for key in (_index(name),) if self._index(name) is not None]
        indexes += self._objects.keys(f"index/{checked(name)}/")
        self._objects.delete(indexes)
        self._objects.delete(self._objects.keys(_blobs(name)))
        return bool(indexes)

    def _index(self, name: str) -> dict[str, Any] | None:
        try:
            index: dict[str, Any] = json.loads(self._objects.read(_index(name)))
        except NotFoundError:
            return None
        return index

    def _fetch(self, name: str, index: dict[str, Any], folder: Path) -> None:
        for relative, told in index["files"].items():
            path = folder / checked(relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._objects.get(f"{_blobs(name)}{index['generation']}/{relative}", path)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
                    raise BundleError(
                        f"{name}/{relative} came damaged from the object store.", "Try again; look at the store."
                    )


def _index(name: str) -> str:
    return f"index/{checked(name)}.json"


def _blobs(name: str) -> str:
    return f"blobs/{checked(name)}/"

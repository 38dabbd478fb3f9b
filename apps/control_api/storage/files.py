"""Where files lie, the one guard of paths, and removal that leaves nothing half-gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from filelock import FileLock

from apps.control_api.storage.shelf import Shelf
from lipsync.errors import InvalidInputError, NoSpaceError, NotFoundError


class Files:
    """The studio's folders under ``data`` and ``models``. Ids come from the database, yet are checked again here."""

    def __init__(self, data: Path, models: Path, shelf: Shelf | None = None) -> None:
        """``shelf``: the store shared with other machines; None where these folders are all there is."""
        self.data = data.resolve()
        self.models = models.resolve()
        self.shelf = shelf

    def prepare(self) -> None:
        """Make the folders."""
        for folder in ("takes", "avatars", "voices", "sources", "uploads", "results", "logs", "trash", "incoming"):
            (self.data / folder).mkdir(parents=True, exist_ok=True)
        for folder in ("avatars", "voices", "base"):
            (self.models / folder).mkdir(parents=True, exist_ok=True)

    def take(self, take_id: str) -> Path:
        """Folder of a prepared take."""
        return self._under(self.data / "takes", take_id)

    def source(self, take_id: str) -> Path:
        """Folder of a take's files as they were uploaded."""
        return self._under(self.data / "sources", take_id)

    def avatar(self, avatar_id: str) -> Path:
        """Folder of an avatar's thumbnail and samples."""
        return self._under(self.data / "avatars", avatar_id)

    def voice(self, voice_id: str) -> Path:
        """Folder of a voice's samples."""
        return self._under(self.data / "voices", voice_id)

    def result(self, job_id: str) -> Path:
        """Folder of what a job made for download, or of a recording."""
        return self._under(self.data / "results", job_id)

    def version(self, kind: str, owner_id: str, version: str) -> Path:
        """Folder of one version of an avatar or a voice."""
        return self._inside(self.models / f"{kind}s", Path(_uuid(owner_id)) / version)

    @property
    def uploads(self) -> Path:
        """Folder of resumable uploads."""
        return self.data / "uploads"

    @property
    def incoming(self) -> Path:
        """Folder of bodies being received; emptied at every start."""
        return self.data / "incoming"

    def new_incoming(self) -> Path:
        """Make a folder for one body being received."""
        folder = self.incoming / str(uuid4())
        folder.mkdir(parents=True)
        return folder

    def model_path(self, relative: str) -> Path:
        """Resolve a path kept in the database, relative to the models folder."""
        return self._inside(self.models, Path(relative))

    def relative_model(self, path: Path) -> str:
        """Return how ``path`` is kept in the database."""
        return path.resolve().relative_to(self.models).as_posix()

    def existing(self, path: Path) -> Path:
        """Return ``path`` if it is a file, else say that it is not there."""
        if not path.is_file():
            raise NotFoundError("This file is not there.", "Wait until the job that makes it has ended.")
        return path

    def need_room(self, size: int, keep: int) -> None:
        """Raise ``NoSpaceError`` unless the data folder's disk holds ``size`` bytes and ``keep`` more."""
        free = shutil.disk_usage(self.data).free
        if free < size + keep:
            raise NoSpaceError(
                f"The disk has {free // 2**20} MiB left; this needs {(size + keep) // 2**20} MiB.",
                "Delete takes or results that are not needed, or move the data folder to a larger disk.",
                {"free": free, "wanted": size + keep},
            )

    # --- shared with other machines -------------------------------------------------------------------------------

    def bring(self, path: Path, beside: bool = False) -> Path:
        """Have the shared store's state of a folder here, fetched aside and renamed; returns ``path``.

        Without a store, or where it has no such folder, what lies here is left as it is. ``beside``: files that lie
        only here stay, beside those fetched.
        """
        if self.shelf is None:
            return path
        name = self._name(path)
        with self._brought(name) as mark:
            there = self.shelf.generation(name)
            if there is None or (path.is_dir() and mark.is_file() and mark.read_text() == there):
                return path
            aside = self.new_incoming()
            there = self.shelf.fetch(name, aside)
            if beside and path.is_dir():
                for found in aside.rglob("*"):
                    if found.is_file():
                        (path / found.relative_to(aside)).parent.mkdir(parents=True, exist_ok=True)
                        found.replace(path / found.relative_to(aside))
                shutil.rmtree(aside)
                mark.write_text(there)
                return path
            self.discard(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.rename(path)
            mark.write_text(there)
        return path

    def stage(self, source: Path, target: Path) -> Callable[[], None]:
        """Send a folder to the shared store; the function returned makes it count as ``target``."""
        if self.shelf is None:
            return lambda: None
        name = self._name(target)
        sent = self.shelf.stage(
            name, {p.relative_to(source).as_posix(): p for p in sorted(source.rglob("*")) if p.is_file()}
        )

        def commit() -> None:
            with self._brought(name) as mark:
                mark.write_text(sent())

        return commit

    def share(self, path: Path) -> None:
        """Send a folder to the shared store, where it counts at once."""
        self.stage(path, path)()

    def lend(self, upload_id: str) -> None:
        """Send a finished upload to the shared store, unless it is there."""
        name = f"uploads/{upload_id}"
        if self.shelf is not None and self.shelf.generation(name) is None:
            parts = (upload_id, f"{upload_id}.info")
            self.shelf.stage(name, {part: self.uploads / part for part in parts})()

    def borrow(self, upload_id: str) -> None:
        """Fetch an upload from the shared store, if it is there and not here."""
        if self.shelf is None or (self.uploads / upload_id).exists():
            return
        if self.shelf.generation(name := f"uploads/{upload_id}") is not None:
            aside = self.new_incoming()
            self.shelf.fetch(name, aside)
            for part in (f"{upload_id}.info", upload_id):
                (aside / part).rename(self.uploads / part)
            aside.rmdir()

    def give_up(self, upload_id: str) -> None:
        """Remove an upload from the shared store."""
        if self.shelf is not None:
            self.shelf.remove(f"uploads/{upload_id}")

    @contextmanager
    def _brought(self, name: str) -> Iterator[Path]:
        """The file that says which state of a shared folder lies here, held by one process at a time."""
        mark = self.data / "shelf" / name
        mark = mark.with_name(f"{mark.name}.state")
        mark.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{mark}.lock", timeout=600):
            yield mark

    def _name(self, path: Path) -> str:
        path = path.resolve()
        if path.is_relative_to(self.models):
            return f"models/{path.relative_to(self.models).as_posix()}"
        return path.relative_to(self.data).as_posix()

    # --- ending ---------------------------------------------------------------------------------------------------

    def remove(self, path: Path) -> bool:
        """Remove a file or folder for good, here and in the shared store; False if it was in neither."""
        there = self.shelf is not None and self.shelf.remove(self._name(path))
        return self.discard(path) or there

    def discard(self, path: Path) -> bool:
        """Remove a file or folder here (renamed aside first, so that nobody sees half of it); False if not there."""
        if not path.exists():
            return False
        aside = self.data / "trash" / str(uuid4())
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(aside)
        except OSError:  # another file system: removed where it is
            aside = path
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()
        return True

    def sweep(self) -> None:
        """Remove what an earlier run left half-received or half-removed."""
        for folder in (self.incoming, self.data / "trash"):
            for left in folder.glob("*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _under(self, folder: Path, id_: str) -> Path:
        return self._inside(folder, Path(_uuid(id_)))

    def _inside(self, folder: Path, relative: Path) -> Path:
        root = folder.resolve()
        path = Path(os.path.normpath(root / relative))
        if path == root or not path.is_relative_to(root):
            raise InvalidInputError("This path leads outside the studio's folders.")
        return path


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFoundError(
            "There is no object with this id.", "Ids are UUIDs; list the objects to see them."
        ) from None

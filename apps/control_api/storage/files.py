"""Where files lie, the one guard of paths, and removal that leaves nothing half-gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import UUID, uuid4

from lipsync.errors import InvalidInputError, NoSpaceError, NotFoundError


class Files:
    """The studio's folders under ``data`` and ``models``. Ids come from the database, yet are checked again here."""

    def __init__(self, data: Path, models: Path) -> None:
        self.data = data.resolve()
        self.models = models.resolve()

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

    def remove(self, path: Path) -> bool:
        """Remove a file or folder at once (renamed aside first, so that nobody sees half of it); False if not there."""
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

"""Files sent before they are used: resumable uploads, kept until something takes them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from apps.control_api.storage.files import Files
from lipsync.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class Upload:
    """A finished upload."""

    id: str
    path: Path
    name: str
    size: int


class Uploads:
    """Reads what the tus server keeps: ``<id>`` and ``<id>.info`` in one folder."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def finished(self, upload_id: str, lend: bool = True) -> Upload:
        """Return an upload that is complete; where workers are elsewhere, it is sent to them or fetched.

        Args:
            upload_id: As the tus server named it.
            lend: Whether a job may ask for it; False where it is taken over at once.

        Raises:
            NotFoundError: no such upload.
            ConflictError: bytes are still missing.
        """
        if len(upload_id) != 32 or not upload_id.isalnum():
            raise NotFoundError("There is no such upload.", "Send the file again.")
        self._files.borrow(upload_id)
        path = self._files.uploads / upload_id
        try:
            info = json.loads((self._files.uploads / f"{upload_id}.info").read_text("utf-8"))
        except (OSError, ValueError):
            info = None
        if not path.is_file() or not isinstance(info, dict):
            raise NotFoundError("There is no such upload.", "Send the file again.")
        size = path.stat().st_size
        if info.get("size") != size:
            raise ConflictError(
                "The upload is not complete.",
                "Go on with the upload first.",
                {"have": size, "wanted": info.get("size")},
            )
        if lend:
            self._files.lend(upload_id)
        metadata = info.get("metadata") or {}
        name = str(metadata.get("filename") or metadata.get("name") or upload_id)
        return Upload(upload_id, path, clean_name(name), size)

    def waiting(self) -> tuple[int, int]:
        """Return how many bytes of uploads lie here, and how many more have been announced."""
        here = announced = 0
        for path in self._files.uploads.glob("*.info"):
            try:
                have = path.with_suffix("").stat().st_size
                size = json.loads(path.read_text("utf-8")).get("size")
            except (OSError, ValueError, AttributeError):  # taken over or removed meanwhile
                continue
            here += have
            announced += max(0, int(size or 0) - have)
        return here, announced

    def take_over(self, upload: Upload, target: Path) -> None:
        """Move an upload's file to ``target`` and forget the upload."""
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        self.forget(upload)

    def sweep(self, days: float) -> int:
        """Remove uploads that nobody touched for ``days``; returns how many files went."""
        limit = time.time() - days * 86_400
        old = [p for p in self._files.uploads.iterdir() if p.is_file() and p.stat().st_mtime < limit]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def forget(self, upload: Upload) -> None:
        """Remove an upload."""
        for left in (upload.path, upload.path.with_name(upload.id + ".info")):
            left.unlink(missing_ok=True)
        self._files.give_up(upload.id)


def clean_name(raw: str) -> str:
    """Return a client's file name fit to show: no folders, no control characters, at most 200 characters."""
    name = raw.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable()).strip()
    return name[-200:] or "file"

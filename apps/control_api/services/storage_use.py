"""What fills the disk, kind by kind, and what of it may go."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from sqlmodel import col, select

from apps.control_api.services.recordings import Recordings
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import JobRow, RecordingRow
from apps.control_api.storage.tables.work import DONE_STATES

Cleanable = Literal["uploads", "results", "recordings", "logs"]
CLEANABLE: tuple[str, ...] = get_args(Cleanable)


class StorageUse:
    """Measures the studio's folders and clears those that can be made again or were asked to go."""

    def __init__(self, tools: Tools, uploads: Uploads, recordings: Recordings) -> None:
        self._tools, self._uploads, self._recordings = tools, uploads, recordings

    def measure(self) -> dict[str, Any]:
        """Return bytes and files of each kind, and the disk's. Walks the folders: blocking."""
        files = self._tools.files
        recordings = self._recording_ids()
        results, filmed = [0, 0], [0, 0]
        for folder in _entries(files.data / "results"):
            into = filmed if folder.name in recordings else results
            size, count = _size(Path(folder.path))
            into[0] += size
            into[1] += count
        measured = {
            "takes": _sum(files.data / "takes", files.data / "sources"),
            "avatars": _sum(files.models / "avatars", files.data / "avatars"),
            "voices": _sum(files.models / "voices", files.data / "voices"),
            "weights": _sum(files.models / "base"),
            "results": (results[0], results[1]),
            "recordings": (filmed[0], filmed[1]),
            "uploads": _sum(files.uploads, files.incoming),
            "logs": _sum(files.data / "logs"),
            "database": _database(files.data),
        }
        disk = shutil.disk_usage(files.data)
        return {
            "folder": str(files.data),
            "total": disk.total,
            "free": disk.free,
            "kinds": [
                {"kind": kind, "bytes": size, "files": count, "cleanable": kind in CLEANABLE}
                for kind, (size, count) in measured.items()
            ],
        }

    def clean(self, kinds: list[Cleanable], older_than_days: float) -> int:
        """Remove what is older than so many days; what a job, a session or an upload still needs stays.

        Returns:
            The bytes that were freed.
        """
        before = {k["kind"]: k["bytes"] for k in self.measure()["kinds"]}
        for kind in kinds:
            getattr(self, f"_clean_{kind}")(older_than_days)
        after = {k["kind"]: k["bytes"] for k in self.measure()["kinds"]}
        return int(sum(max(0, before[kind] - after[kind]) for kind in kinds))

    def _clean_uploads(self, days: float) -> None:
        self._uploads.sweep(max(days, 1 / 24))  # one that is being sent was touched within the hour

    def _clean_results(self, days: float) -> None:
        limit = now() - timedelta(days=days)
        with self._tools.database.read() as session:
            query = select(JobRow.id).where(col(JobRow.state).in_(DONE_STATES), col(JobRow.finished_at) < limit)
            ended = list(session.exec(query))
        for job_id in ended:
            self._tools.files.remove(self._tools.files.result(job_id))

    def _clean_recordings(self, days: float) -> None:
        limit = now() - timedelta(days=days)
        with self._tools.database.read() as session:
            query = select(RecordingRow.id).where(RecordingRow.state != "recording", RecordingRow.created_at < limit)
            ended = list(session.exec(query))
        for recording_id in ended:
            self._recordings.delete(recording_id)

    def _clean_logs(self, days: float) -> None:
        limit = now() - timedelta(days=days)
        for path in (self._tools.files.data / "logs").glob("*.log.*"):  # those set aside; the open one is in use
            if path.stat().st_mtime < limit.timestamp():
                path.unlink(missing_ok=True)

    def _recording_ids(self) -> set[str]:
        with self._tools.database.read() as session:
            return set(session.exec(select(RecordingRow.id)))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return list(os.scandir(folder)) if folder.is_dir() else []


def _size(path: Path) -> tuple[int, int]:
    """Bytes and files under ``path``; what goes meanwhile counts as nothing."""
    if path.is_file():
        return path.stat().st_size, 1
    size = count = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += Path(folder, name).lstat().st_size
                count += 1
            except FileNotFoundError:
                continue
    return size, count


def _sum(*folders: Path) -> tuple[int, int]:
    sizes = [_size(folder) for folder in folders]
    return sum(size for size, _ in sizes), sum(count for _, count in sizes)


def _database(data: Path) -> tuple[int, int]:
    files = list(data.glob("meta.db*"))
    return sum(path.stat().st_size for path in files), len(files)

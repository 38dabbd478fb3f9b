"""Where resumable uploads lie while they arrive: one file each, whose length is the truth about what has arrived.

The server library keeps its own count beside the file and writes it after a request's body. A process that is killed
in between leaves more bytes than it counted, and the next part would be laid behind them. Here the count follows the
file, so an upload goes on exactly where its bytes end.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from fastapi import HTTPException
from tuspyserver.storage.local import LocalFileStorage

from lipsync.errors import NoSpaceError

PIECE = 1 << 20
_PATIENCE = 10.0


class UploadStore(LocalFileStorage):
    """Uploads as ``<id>`` and ``<id>.info`` in one folder; all its work on the disk is off the event loop.

    Args:
        folder: Where they lie; it exists.
        days: How long after its last byte an upload can be gone on with.
        need_room: Raises where the disk has too little room for so many bytes more; asked before every piece.
    """

    def __init__(self, folder: Path, days: float, need_room: Callable[[int], None]) -> None:
        super().__init__(str(folder))
        self._days, self._need_room = days, need_room
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def append(self, uid: str, chunk: bytes) -> None:
        """Take the next bytes; what has gathered is written a MiB at a time, so memory stays flat."""
        await super().append(uid, chunk)
        if len(self._pending[uid]) >= PIECE:
            await self._write(uid)

    async def flush(self, uid: str) -> None:
        """Write what is left."""
        await self._write(uid)

    async def read_info(self, uid: str) -> dict[str, Any] | None:
        """What is known of an upload, its offset being the length of its file; None where there is no such upload."""

        def read() -> dict[str, Any] | None:
            try:
                info = dict(json.loads(Path(self._info_path(uid)).read_text("utf-8")))
                file = Path(self._path(uid)).stat()
            except (OSError, ValueError, TypeError):
                return None
            ends = file.st_mtime + self._days * 86_400
            return info | {"offset": file.st_size, "expires": formatdate(ends, usegmt=True)}

        return await asyncio.to_thread(read)

    @asynccontextmanager
    async def lock(self, uid: str) -> AsyncIterator[None]:  # type: ignore[override]
        """One request at a time writes to an upload; bytes of one that failed are not left for the next."""
        busy = self._busy.setdefault(uid, asyncio.Lock())
        async with asyncio.timeout(_PATIENCE):
            await busy.acquire()
        try:
            yield
        finally:
            self._pending.pop(uid, None)
            busy.release()

    async def _write(self, uid: str) -> None:
        piece = self._pending.pop(uid, None)
        if not piece:
            return

        def write() -> None:
            # The library answers success to every error but its own kind, so that kind it has to be.
            try:
                self._need_room(len(piece))
            except NoSpaceError as error:
                raise HTTPException(507, error.message) from error
            path = Path(self._path(uid))
            before = path.stat().st_size
            try:
                with path.open("ab", buffering=0) as file:
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
            except OSError as error:
                with path.open("r+b") as file:  # a part of a piece is no progress that the library would count
                    file.truncate(before)
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise HTTPException(507, "The disk is full.") from error
                raise HTTPException(503, f"The file cannot be written: {error.strerror}.") from error

        await asyncio.to_thread(write)

"""The contact sheet of a take as a file. Imports the picture libraries: import this on use."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2

from lipsync.dataset.contact_sheet import contact_sheet
from lipsync.dataset.take import META, TakeError, load_take


def sheet(folder: Path, columns: int, rows: int, cell: int) -> bytes:
    """Return the sheet of a prepared take as JPEG; drawn once for each preparation.

    Raises:
        TakeError: the take's files are gone or damaged.
    """
    try:
        stamp = (folder / META).stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _drawn(folder, stamp, columns, rows, cell)


@lru_cache(maxsize=8)
def _drawn(folder: Path, _stamp: int, columns: int, rows: int, cell: int) -> bytes:
    done, data = cv2.imencode(
        ".jpg", contact_sheet(load_take(folder), columns, rows, cell), [cv2.IMWRITE_JPEG_QUALITY, 85]
    )
    if not done:
        raise TakeError("The sheet cannot be drawn.", "Prepare the take again.")
    return data.tobytes()

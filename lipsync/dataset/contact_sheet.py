"""A prepared take at one look: moments spread over it, as filmed and cut out."""

from __future__ import annotations

import cv2
import numpy as np

from lipsync.dataset.take import PreparedTake
from lipsync.engine import FPS
from lipsync.errors import InvalidInputError
from lipsync.media.matting import Picture, despill

_GAP = 6
_PAPER = 245
_LIGHT, _DARK = 235, 190


def moments(n: int, count: int) -> list[int]:
    """Frames of ``count`` moments, each in the middle of its share of ``n`` frames; fewer if ``n`` is less."""
    count = min(count, n)
    return [int((k + 0.5) * n / count) for k in range(count)]


def contact_sheet(take: PreparedTake, columns: int = 4, rows: int = 2, cell: int = 240) -> Picture:
    """Draw the sheet: in each cell the picture as filmed, under it the person on a chequered ground, and the time.

    A take that was not keyed shows the pictures as filmed only.

    Args:
        take: The take.
        columns: Cells across, 1 to 12.
        rows: Cells down, 1 to 12.
        cell: Width of a cell in pixels, 64 to 640; its height follows the take's.

    Returns:
        BGR uint8 (h, w, 3).

    Raises:
        InvalidInputError: figures beyond those named.
    """
    if not (1 <= columns <= 12 and 1 <= rows <= 12 and 64 <= cell <= 640):
        raise InvalidInputError("The sheet would be too small or too large.", "1 to 12 cells each way, 64 to 640 wide.")
    height = max(2, round(take.height * cell / take.width))
    each = 2 * height if take.has_alpha else height
    sheet = np.full((rows * (each + _GAP) + _GAP, columns * (cell + _GAP) + _GAP, 3), _PAPER, np.uint8)
    ground = _chequered(cell, height)
    for place, index in enumerate(moments(take.n, columns * rows)):
        row, column = divmod(place, columns)
        y, x = _GAP + row * (each + _GAP), _GAP + column * (cell + _GAP)
        filmed, matte = take.look(index)
        sheet[y : y + height, x : x + cell] = _small(filmed, cell, height)
        if take.has_alpha:
            person = despill(filmed, matte, take.screen)
            share = _small(matte, cell, height)[..., None].astype(np.float32) / 255
            mixed = _small(person, cell, height) * share + ground * (1 - share)
            sheet[y + height : y + 2 * height, x : x + cell] = np.round(mixed).astype(np.uint8)
        _stamp(sheet, index / FPS, x, y, cell)
    return sheet


def _small(picture: Picture, width: int, height: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _chequered(width: int, height: int) -> Picture:
    side = max(6, width // 20)
    odd = (np.arange(height)[:, None] // side + np.arange(width)[None] // side) % 2
    return np.repeat(np.where(odd, _DARK, _LIGHT).astype(np.uint8)[..., None], 3, 2)


def _stamp(sheet: Picture, seconds: float, x: int, y: int, cell: int) -> None:
    text = f"{int(seconds) // 60}:{seconds % 60:04.1f}"
    scale = cell / 480
    where = (x + cell // 40 + 2, y + round(30 * scale) + 4)
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(sheet, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)

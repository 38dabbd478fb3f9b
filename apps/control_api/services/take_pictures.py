"""Single pictures of a take, for looking through it. Imports the picture libraries: import this on use."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.take import META, PreparedTake, load_take
from lipsync.engine import FPS
from lipsync.errors import NotFoundError
from lipsync.media.layers import split_layers
from lipsync.media.video import read_frames

Picture = NDArray[np.uint8]
_GONE = NotFoundError("The take has no picture at this time.", "Ask for a time within the take.")


def original(video: Path, t: float, width: int | None) -> tuple[bytes, str]:
    """Return the picture at ``t`` seconds of any video as JPEG, with its media type."""
    frame = _at(video, t)
    return _encoded(frame, width, ".jpg"), "image/jpeg"


def draw(folder: Path, t: float, layer: str, width: int | None) -> tuple[bytes, str]:
    """Return the picture at ``t`` seconds of a prepared take.

    Args:
        folder: The take's folder.
        t: Seconds; a time after the end gives the last picture.
        layer: "original" and "alpha" give JPEG; "keyed" (the whole person) and its parts "face", "hair" and
            "shoulders" PNG with transparency, without the screen's colour.
        width: Scaled down to this many pixels, if given and smaller.
    """
    stamp = _stamp(folder)
    take = _take(folder, stamp)
    index = min(max(int(t * FPS), 0), take.n - 1)
    if layer == "alpha":
        return _encoded(_first(take.alpha(index, index + 1)), width, ".jpg"), "image/jpeg"
    if layer == "original":
        return _encoded(_first(take.frames(index, index + 1)), width, ".jpg"), "image/jpeg"
    person, alpha = _person(folder, stamp, index)
    if layer != "keyed":
        alpha = split_layers(person, alpha, take.landmarks[index])[layer]
    return _encoded(np.dstack([person, alpha]), width, ".png"), "image/png"


def thumbnail(folder: Path, target: Path, width: int = 320) -> None:
    """Write a small JPEG of the person of a prepared take to ``target``: keyed, on a quiet grey."""
    stamp = _stamp(folder)
    person, alpha = _person(folder, stamp, _take(folder, stamp).n // 3)
    share = alpha[..., None].astype(np.float32) / 255.0
    flat = np.clip(person * share + 196.0 * (1.0 - share), 0, 255).astype(np.uint8)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}")
    aside.write_bytes(_encoded(flat, width, ".jpg"))
    aside.replace(target)


def _stamp(folder: Path) -> int:
    """When the take was prepared: what is kept of it is kept for this preparation alone."""
    try:
        return (folder / META).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _take(folder: Path, _stamp: int) -> PreparedTake:
    return load_take(folder)


@lru_cache(maxsize=6)
def _person(folder: Path, stamp: int, index: int) -> tuple[Picture, Picture]:
    """One picture without the screen's colour, and its matte. Kept: one moment is looked at in several layers."""
    for person, alpha in _take(folder, stamp).foreground(index, index + 1):
        return person, alpha
    raise _GONE


def _at(video: Path, t: float) -> Picture:
    index = int(t * FPS)
    return _first(read_frames(video, index, index + 1, "bgr24"))


def _first(frames: Any) -> Picture:
    for frame in frames:
        return np.asarray(frame, np.uint8)
    raise _GONE


def _encoded(picture: Picture, width: int | None, kind: str) -> bytes:
    if width is not None and width < picture.shape[1]:
        height = max(1, round(picture.shape[0] * width / picture.shape[1]))
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if kind == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise _GONE
    return data.tobytes()

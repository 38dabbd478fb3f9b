"""Single pictures of a take, for looking through it. Imports the picture libraries: import this on use."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.looks import WIDTH
from lipsync.dataset.take import META, PreparedTake, load_take
from lipsync.engine import FPS
from lipsync.errors import NotFoundError
from lipsync.media.layers import split_layers
from lipsync.media.matting import despill
from lipsync.media.video import read_frames

Picture = NDArray[np.uint8]
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
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
        width: Scaled down to this many pixels, if smaller. Beyond ``looks.WIDTH`` the whole picture is searched for
            and worked on, which takes several times as long.
    """
    stamp = _stamp(folder)
    take = _take(folder, stamp)
    index = min(max(int(t * FPS), 0), take.n - 1)
    whole = width is not None and width > WIDTH and take.width > WIDTH
    if layer in ("original", "alpha"):
        filmed, matte = _filmed(folder, stamp, index, whole)
        return _encoded(filmed if layer == "original" else matte, width, ".jpg"), "image/jpeg"
    person, alpha = _person(folder, stamp, index, whole)
    if layer != "keyed":
        alpha = _layers(folder, stamp, index, whole)[layer]
    return _encoded(np.dstack([person, alpha]), width, ".png"), "image/png"


def thumbnail(folder: Path, target: Path, width: int = 320) -> None:
    """Write a small JPEG of the person of a prepared take to ``target``: keyed, on a quiet grey."""
    stamp = _stamp(folder)
    person, alpha = _person(folder, stamp, _take(folder, stamp).n // 3, False)
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
def _filmed(folder: Path, stamp: int, index: int, whole: bool) -> tuple[Picture, Picture]:
    """One picture and its matte, small or whole. Kept: one moment is looked at in several layers."""
    take = _take(folder, stamp)
    if not whole:
        return take.look(index)
    return _first(take.frames(index, index + 1)), _first(take.alpha(index, index + 1))


@lru_cache(maxsize=6)
def _person(folder: Path, stamp: int, index: int, whole: bool) -> tuple[Picture, Picture]:
    """The same without the screen's colour on the person."""
    filmed, matte = _filmed(folder, stamp, index, whole)
    return despill(filmed, matte, _take(folder, stamp).screen), matte


@lru_cache(maxsize=6)
def _layers(folder: Path, stamp: int, index: int, whole: bool) -> dict[str, Picture]:
    """Its matte taken apart."""
    take = _take(folder, stamp)
    person, matte = _person(folder, stamp, index, whole)
    return split_layers(person, matte, take.landmarks[index] * (matte.shape[1] / take.width))


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
    options = _JPEG if kind == ".jpg" else _PNG
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise _GONE
    return data.tobytes()

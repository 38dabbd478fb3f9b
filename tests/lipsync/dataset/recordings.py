"""Recordings made for tests out of the demo take: dubbed, doubled, frozen, covered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from lipsync.media.audio import load_audio
from lipsync.media.video import VideoWriter, read_frames

RATE = 48_000
STEP = RATE // 25


def remake(
    source: Path,
    path: Path,
    *,
    picture: Callable[[int, np.ndarray], np.ndarray] = lambda k, p: p,
    sound: Callable[[np.ndarray], np.ndarray] | None = lambda s: s,
    stop: int | None = None,
) -> Path:
    """A copy of a recording with pictures and sound (48 kHz) changed; ``sound`` None leaves it out."""
    pcm = sound(load_audio(source, RATE)) if sound is not None else None
    return write(path, (picture(k, p) for k, p in enumerate(read_frames(source, 0, stop))), pcm)


def write(path: Path, pictures: Iterable[np.ndarray], pcm: np.ndarray | None) -> Path:
    """Write pictures and sound."""
    writer = None
    for k, picture in enumerate(pictures):
        if writer is None:
            height, width = picture.shape[:2]
            rate = RATE if pcm is not None else None
            writer = VideoWriter(path, width, height, audio_rate=rate, preset="ultrafast")
        writer.write(np.ascontiguousarray(picture))
        if pcm is not None:
            part = pcm[k * STEP : (k + 1) * STEP]
            writer.write_audio(np.pad(part, (0, STEP - part.size)))
    assert writer is not None
    writer.close()
    return path

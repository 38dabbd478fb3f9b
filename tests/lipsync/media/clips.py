"""Small clips made for tests: a flash and a beep at known times, in any rate, turn or container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48_000


def make_clip(
    path: Path,
    times: Sequence[float],
    *,
    flash: float = 1.0,
    size: tuple[int, int] = (128, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    sound: float | None = 0.0,
    seconds: float | None = None,
    options: dict[str, str] | None = None,
    colorspace: int | None = None,
) -> Path:
    """Pictures at ``times`` (s); from ``flash`` on for 0.2 s they are white, and a beep sounds as long.

    The left half is darker than the right, and grey grows with time, so turns and order can be told. ``sound`` is the
    presentation time of the first sample, None for no sound.
    """
    width, height = size
    with av.open(str(path), "w") as container:
        options = {"g": "50", "crf": "10", **(options or {})} if codec == "libx264" else (options or {})
        video = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.codec_context.time_base = Fraction(1, 12800)
        if colorspace is not None:
            video.codec_context.colorspace = colorspace
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for k, when in enumerate(times):
            picture = np.full((height, width, 3), 60 + 100 * k // max(len(times), 1), np.uint8)
            picture[:, : width // 2] //= 2
            picture[: height // 8, : width // 8] = (0, 0, 255)
            if flash <= when < flash + 0.2:
                picture[:] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame = frame.reformat(
                format=pix_fmt, dst_colorspace="ITU709" if colorspace == 1 else "ITU601", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = round(when * 12800), Fraction(1, 12800)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            end = seconds if seconds is not None else times[-1] + 0.04
            t = np.arange(round((end - sound) * RATE)) / RATE + sound
            pcm = 0.5 * np.sin(2 * np.pi * 1000 * t) * ((t >= flash) & (t < flash + 0.2))
            piece = av.AudioFrame.from_ndarray(pcm.astype(np.float32)[None], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, round(sound * RATE), Fraction(1, RATE)
            container.mux(audio.encode(piece))
            container.mux(audio.encode(None))
    return path


def constant(seconds: float, fps: float, start: float = 0.0) -> list[float]:
    """Times of a constant rate."""
    return [start + k / fps for k in range(round(seconds * fps))]


def varying(seconds: float, seed: int = 0) -> list[float]:
    """Times of a phone that drops and delays pictures: 15 to 40 a second."""
    rng = np.random.default_rng(seed)
    times, now = [], 0.0
    while now < seconds:
        times.append(now)
        now += float(rng.uniform(1 / 40, 1 / 15))
    return times


def first_flash(pictures: Sequence[np.ndarray]) -> int:
    """The first white picture."""
    return next(k for k, p in enumerate(pictures) if p.mean() > 200)


def first_beep(pcm: np.ndarray, rate: int) -> float:
    """When the beep begins, seconds."""
    return float(np.flatnonzero(np.abs(pcm) > 0.1)[0]) / rate

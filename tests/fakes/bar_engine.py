"""An engine that paints a bar whose length is the loudness: everything above the engines is tested with it.

It keeps the whole contract, so the contract suite runs on it too, and it owes its drives to the sound alone: a louder
40 ms gives a longer bar, silence gives none. Importing this module registers it as "bar".
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lipsync import registry
from lipsync.bundle import Manifest, load_tensors, read_manifest, write_bundle
from lipsync.engine import FPS, HOP, SAMPLE_RATE, DriveStream, Engine, EngineCapabilities, Patch, TrainOptions
from lipsync.errors import BundleError
from lipsync.frame_cycle import BaseClip, write_base
from lipsync.progress import Progress

registry.register("bar", "tests.fakes.bar_engine:BarEngine")

BRIGHT = 235
"""Luma of the bar."""
FULL_AT = 0.3
"""Root mean square of the sound at which the bar is full."""


class BarStream(DriveStream):
    """Loudness of each 40 ms, one hop late like a real engine's look-ahead."""

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self.reset()

    def push(self, pcm: NDArray[np.float32]) -> list[float]:
        self._rest = np.concatenate([self._rest, np.asarray(pcm, np.float32)])
        while len(self._rest) >= HOP:
            self._owed.append(_level(self._rest[:HOP]))
            self._rest = self._rest[HOP:]
        out = self._owed[: max(0, len(self._owed) - self._delay)]
        del self._owed[: len(out)]
        return out

    def flush(self) -> list[float]:
        out = self._owed + ([_level(self._rest)] if len(self._rest) else [])
        self.reset()
        return out

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._owed: list[float] = []


class BarEngine(Engine):
    """Paints the bar in the middle third of the frame."""

    name: ClassVar[str] = "bar"
    capabilities: ClassVar[EngineCapabilities] = EngineCapabilities(
        needs_weights=False, trains=True, instant_preview=True, lookahead_ms=40, default_batch=4
    )

    def __init__(self, base: BaseClip, gain: float) -> None:
        self._base, self._gain = base, gain
        self.closed = False

    @classmethod
    def train(cls, take: Any, out: Path, options: TrainOptions, progress: Progress) -> Path:
        with tempfile.TemporaryDirectory() as scratch:
            names = write_base(take, Path(scratch))
            steps = 1 if options.preview else options.steps or 5
            for step in range(steps):
                progress.update((step + 1) / steps)
            return _write(out, "bar", take.width, take.height, {n: Path(scratch) / n for n in names})

    @classmethod
    def load(cls, bundle: Path, device: str = "auto") -> BarEngine:
        manifest = read_manifest(bundle, verify=False)
        if manifest.engine != cls.name:
            raise BundleError(f"This bundle is of the engine {manifest.engine!r}.")
        return cls(BaseClip.load(bundle), float(load_tensors(bundle)["gain"][0]))

    @property
    def base(self) -> BaseClip:
        return self._base

    def rebase(self, base: BaseClip) -> BarEngine:
        return BarEngine(base, self._gain)

    def open_stream(self) -> BarStream:
        return BarStream(delay=self.capabilities.lookahead_ms * FPS // 1000)

    @property
    def rest(self) -> float:
        return 0.0

    def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
        return [self._draw(index, drive) for index, drive in items]

    def close(self) -> None:
        self.closed = True

    def _draw(self, index: int, drive: float) -> Patch:
        width, height = self._base.width, self._base.height
        w, h = width // 3 // 2 * 2, max(2, height // 10 // 2 * 2)
        i420 = np.full((h * 3 // 2, w), 128, np.uint8)
        i420[:h] = 16
        i420[:h, : round(w * min(1.0, drive * self._gain))] = BRIGHT
        return Patch((width - w) // 4 * 2, height * 2 // 3 // 2 * 2, i420)


def bar_length(frame: NDArray[np.uint8], base: BaseClip) -> float:
    """How full the bar is in a composed frame, 0 to 1."""
    width, height = base.width, base.height
    w, h = width // 3 // 2 * 2, max(2, height // 10 // 2 * 2)
    x, y = (width - w) // 4 * 2, height * 2 // 3 // 2 * 2
    return float((frame[y : y + h, x : x + w] > 128).mean())


def write_bar_bundle(folder: Path, frames: int = 50, width: int = 128, height: int = 128, keyed: bool = True) -> Path:
    """Write a bundle of this engine with a drawn base clip (a disc that sways before green), no take needed."""
    from safetensors.numpy import save_file

    from lipsync.frame_cycle import MATTE, POINTS, VIDEO
    from lipsync.media.video import VideoWriter

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        pictures, mattes = drawn_clip(frames, width, height)
        with VideoWriter(place / VIDEO, width, height, pix="yuv420p") as writer:
            for picture in pictures:
                writer.write(picture)
        if keyed:
            with VideoWriter(place / MATTE, width, height, pix="gray") as writer:
                for matte in mattes:
                    writer.write(matte)
        points = np.full((frames, 478, 2), min(width, height) / 2, np.float32)
        save_file({"landmarks": points, "mirror": np.array([1], np.uint8)}, str(place / POINTS))
        files = {n: place / n for n in (VIDEO, POINTS, *((MATTE,) if keyed else ()))}
        return _write(folder, "bar", width, height, files)


def drawn_clip(frames: int, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """I420 pictures (n, h * 3 // 2, w) of a grey disc before a green screen, and their mattes (n, h, w)."""
    y, x = np.mgrid[0:height, 0:width]
    pictures = np.empty((frames, height * 3 // 2, width), np.uint8)
    mattes = np.empty((frames, height, width), np.uint8)
    size = width * height
    for k in range(frames):
        cx = width / 2 + width / 20 * np.sin(2 * np.pi * k / max(frames, 1))
        inside = (x - cx) ** 2 + (y - height / 2) ** 2 < (min(width, height) * 0.4) ** 2
        flat = pictures[k].reshape(-1)
        flat[:size] = np.where(inside, 120, 150).ravel()
        half = inside[::2, ::2]
        flat[size : size + size // 4] = np.where(half, 128, 60).ravel()
        flat[size + size // 4 :] = np.where(half, 140, 50).ravel()
        mattes[k] = inside * 255
    return pictures, mattes


def _write(folder: Path, name: str, width: int, height: int, files: dict[str, Path]) -> Path:
    manifest = Manifest(name, "1", "avatar", "bar", SAMPLE_RATE, (height, width, 3), "loudness")
    return write_bundle(folder, manifest, {"gain": np.ones(1, np.float32)}, files)


def _level(pcm: NDArray[np.float32]) -> float:
    return float(min(1.0, np.sqrt(np.mean(np.square(pcm, dtype=np.float64))) / FULL_AT))

"""An engine that paints the mouths of ``drawn_take`` from the loudness of the sound, well or badly as its bundle says.

It takes the place of a trained one where models are judged: how late it answers, how far it opens the mouth, how steady
it is and whose footage it stands on are numbers in its weights. Importing this module registers it as "paint".
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync import registry
from lipsync.bundle import Manifest, load_tensors, read_manifest, write_bundle
from lipsync.dataset.take import PreparedTake
from lipsync.engine import HOP, SAMPLE_RATE, DriveStream, Engine, EngineCapabilities, Patch, TrainOptions
from lipsync.evaluation import LIPS
from lipsync.frame_cycle import BaseClip, write_base
from lipsync.progress import Progress

registry.register("paint", "tests.fakes.paint_engine:PaintEngine")

INNER, OUTER = list(LIPS[:20]), list(LIPS[20:])
_SHARE = np.sin(np.pi * np.arange(1, 10) / 10)
_FULL = 0.3
_SKIN, _LIP, _DARK = (150, 110, 150), (110, 115, 165), (30, 125, 135)


class PaintStream(DriveStream):
    """Openings of the mouth in face pixels, ``late`` pictures after their sound."""

    def __init__(self, gain: float, late: int, noise: float) -> None:
        self._gain, self._late, self._noise = gain, late, noise
        self.reset()

    def push(self, pcm: NDArray[np.float32]) -> list[float]:
        self._rest = np.concatenate([self._rest, np.asarray(pcm, np.float32)])
        out = []
        while len(self._rest) >= HOP:
            level = float(np.sqrt(np.mean(np.square(self._rest[:HOP], dtype=np.float64)))) / _FULL
            self._rest = self._rest[HOP:]
            self._past.append(16 * self._gain * level + self._noise * self._rng.normal())
            out.append(self._past[max(0, len(self._past) - 1 - self._late)])
        return out

    def flush(self) -> list[float]:
        out = self.push(np.zeros(HOP - len(self._rest), np.float32)) if len(self._rest) else []
        self.reset()
        return out

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._past: list[float] = []
        self._rng = np.random.default_rng(0)


class PaintEngine(Engine):
    """Wipes the mouth off the base frame and paints another."""

    name: ClassVar[str] = "paint"
    capabilities: ClassVar[EngineCapabilities] = EngineCapabilities(
        needs_weights=False, trains=True, instant_preview=True, lookahead_ms=0, default_batch=1
    )

    def __init__(self, base: BaseClip, way: NDArray[np.float32]) -> None:
        self._base, self._way = base, way

    @classmethod
    def train(cls, take: Any, out: Path, options: TrainOptions, progress: Progress) -> Path:
        return write_paint_bundle(out, take, **options.extra.get("way", {}))

    @classmethod
    def load(cls, bundle: Path, device: str = "auto") -> PaintEngine:
        read_manifest(bundle, verify=False)
        return cls(BaseClip.load(bundle), load_tensors(bundle)["way"])

    @property
    def base(self) -> BaseClip:
        return self._base

    def rebase(self, base: BaseClip) -> PaintEngine:
        return PaintEngine(base, self._way)

    def open_stream(self) -> PaintStream:
        gain, late, noise, _ = (float(v) for v in self._way)
        return PaintStream(gain, int(late), noise)

    @property
    def rest(self) -> float:
        return 0.0

    def infer(self, items: Sequence[tuple[int, float]]) -> list[Patch]:
        return [self._draw(index, drive) for index, drive in items]

    def close(self) -> None:
        pass

    def _draw(self, index: int, opening: float) -> Patch:
        frame, height, width = self._base.i420(index), self._base.height, self._base.width
        points = self._base.landmarks[index].astype(np.float64).copy()
        scale = height / 512 * 1.1
        now = np.mean([points[low, 1] - points[high, 1] for high, low in ((13, 14), (82, 87), (312, 317))]) / scale
        wiped = points.copy()
        for ids in (INNER, OUTER):
            points[ids[1:10], 1] -= 0.4 * (opening - now) * scale * _SHARE
            points[ids[11:], 1] += 0.6 * (opening - now) * scale * _SHARE
        low, high = wiped[OUTER].min(0) - 6, wiped[OUTER].max(0) + 6
        x, y = (max(0, int(v)) // 2 * 2 for v in low)
        right, bottom = min(width, int(high[0]) // 2 * 2 + 2), min(height, int(high[1] + 10 * scale) // 2 * 2 + 2)
        w, h = right - x, bottom - y
        shade = float(self._way[3])
        planes = [frame[y:bottom, x:right].astype(float)]
        for at in (height, height * 5 // 4):
            half = frame[at : at + height // 4].reshape(height // 2, width // 2)
            planes.append(cv2.resize(half[y // 2 : bottom // 2, x // 2 : right // 2], (w, h)).astype(float))
        origin = np.array([x, y])
        for ids, colour in ((OUTER, _SKIN), (None, _LIP), (INNER, _DARK)):
            ring = wiped[OUTER] if ids is OUTER else points[OUTER if ids is None else ids]
            middle = ring.mean(0)
            ring = middle + (ring - middle) * (1.25 if ids is OUTER else 1.0)
            mask = np.zeros((h, w), np.uint8)
            cv2.fillPoly(mask, [np.round((ring - origin) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            share = mask / 255
            tone = (colour[0] * shade, colour[1], colour[2])
            planes = [p * (1 - share) + c * share for p, c in zip(planes, tone, strict=True)]
        small = [cv2.resize(p, (w // 2, h // 2), interpolation=cv2.INTER_AREA) for p in planes[1:]]
        flat = np.concatenate([np.clip(p, 0, 255).astype(np.uint8).ravel() for p in (planes[0], *small)])
        return Patch(x, y, flat.reshape(h * 3 // 2, w))


def write_paint_bundle(
    folder: Path, take: PreparedTake, gain: float = 1.0, late: int = 0, noise: float = 0.2, shade: float = 1.0
) -> Path:
    """Write a bundle on a take's footage.

    Args:
        folder: Must not exist.
        take: Whose footage it stands on.
        gain: How far the mouth opens; 1 is as recorded.
        late: Pictures by which it answers late.
        noise: Standard deviation of the opening, face pixels.
        shade: Brightness of the painted skin and lips; 1 is the drawn person's own.
    """
    with tempfile.TemporaryDirectory() as scratch:
        names = write_base(take, Path(scratch))
        manifest = Manifest("paint", "1", "avatar", "paint", SAMPLE_RATE, (take.height, take.width, 3), "loudness")
        way = np.array([gain, late, noise, shade], np.float32)
        return write_bundle(folder, manifest, {"way": way}, {n: Path(scratch) / n for n in names})

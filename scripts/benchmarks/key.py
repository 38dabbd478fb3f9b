"""Measurement ``key``: how far the matte of a take is from its true matte, and how fast it is made.

``python scripts/bench.py key --take FILE --truth FILE``. The reference, in the same run on the same pictures, is a
naive key: a threshold in HSV. Figures are defined by ``MatteError``.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[2]
TAKES = ROOT / "../shared/takes"


class MatteError:
    """Errors of mattes against the truth, gathered picture by picture in order.

    ``mae``: mean absolute error of alpha (0..1). ``band``: the same where 0.02 < truth < 0.98, widened by 6 pixels.
    ``flicker``: mean absolute change of the error from picture to picture. ``residue``: percent of the pixels farther
    than 25 pixels from the person whose alpha is above 0.05.
    """

    def __init__(self) -> None:
        self._sum = self._band = self._change = 0.0
        self._pixels = self._band_pixels = self._far = self._left = self._changes = 0
        self._before: NDArray[np.float32] | None = None
        self._wide = np.ones((13, 13), np.uint8)
        self._reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (51, 51))

    def add(self, alpha: Picture, truth: Picture) -> None:
        """Take the next matte and the true one, uint8 (h, w)."""
        error = (alpha.astype(np.float32) - truth) / np.float32(255)
        size = np.abs(error)
        band = cv2.dilate(((truth > 5.1) & (truth < 249.9)).astype(np.uint8), self._wide) > 0
        far = cv2.dilate((truth > 5).astype(np.uint8), self._reach) == 0
        self._sum += float(size.sum())
        self._pixels += size.size
        self._band += float(size[band].sum())
        self._band_pixels += int(band.sum())
        self._far += int(far.sum())
        self._left += int((far & (alpha > 12.75)).sum())
        if self._before is not None:
            self._change += float(np.abs(error - self._before).sum())
            self._changes += error.size
        self._before = error

    def figures(self) -> dict[str, float]:
        """The four figures so far."""
        return {
            "mae": self._sum / max(self._pixels, 1),
            "band": self._band / max(self._band_pixels, 1),
            "flicker": self._change / max(self._changes, 1),
            "residue": 100.0 * self._left / max(self._far, 1),
        }


_HUES = {"green": (35, 85), "blue": (95, 130)}


def hsv_key(bgr: Picture, kind: str = "green") -> Picture:
    """The reference: everything of the screen's hue (green without one), coloured enough and not dark, is screen."""
    low, high = _HUES.get(kind, _HUES["green"])
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    screen = cv2.inRange(hsv, (low, 60, 40), (high, 255, 255))
    return np.asarray(cv2.bitwise_not(screen), np.uint8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--take", type=Path, default=TAKES / "green_take.mp4", help="a recording before a screen")
    parser.add_argument("--truth", type=Path, default=TAKES / "green_alpha.mp4", help="its true matte, grey")
    parser.add_argument("--frames", type=int, default=None, help="measure only so many pictures from the beginning")
    parser.add_argument("--speed-frames", type=int, default=300, help="pictures the speed is measured on")
    parser.add_argument("--sheet", type=Path, default=None, help="write a PNG of pictures over a checkerboard here")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure. Returns ``figures``, ``reference`` and ``settings``."""
    from lipsync.face.segmentation import PersonSegmenter
    from lipsync.media.matting import Keyer, fit_screen
    from lipsync.media.video import probe, read_frames

    info = probe(args.take)
    total = min(info.frames, args.frames or info.frames)
    step = max(1, total // 24)
    sampled = [p for k, p in enumerate(read_frames(args.take, 0, total)) if k % step == 0]
    with PersonSegmenter() as segmenter:
        screen = fit_screen(sampled, [segmenter.segment(picture) for picture in sampled])
    ours, naive = MatteError(), MatteError()
    height, width = sampled[0].shape[:2]
    keyer = Keyer(screen, width, height)
    tiles: list[Picture] = []
    kept: list[Picture] = []
    with PersonSegmenter() as segmenter:
        both = zip(read_frames(args.take, 0, total), read_frames(args.truth, 0, total, "gray"), strict=True)
        for number, (picture, truth) in enumerate(both):
            alpha = keyer.key(picture, segmenter.segment(picture))
            ours.add(alpha, truth)
            naive.add(hsv_key(picture, screen.kind), truth)
            if len(kept) < args.speed_frames:
                kept.append(picture)
            if args.sheet is not None and number % max(1, total // 4) == 0:
                tiles.append(_tile(picture, alpha, truth, screen))
    if args.sheet is not None:
        cv2.imwrite(str(args.sheet), np.hstack(tiles))

    def fresh() -> tuple[Callable[[Picture], Picture], Callable[[], None]]:
        own, graph = Keyer(screen, width, height), PersonSegmenter()
        return (lambda picture: own.key(picture, graph.segment(picture))), graph.close

    spent = time.process_time()
    one = _fps(kept, fresh, 1)
    cpu_ms = (time.process_time() - spent) * 1000 / len(kept)
    two = _fps(kept, fresh, 2)
    began = time.perf_counter()
    for picture in kept:
        hsv_key(picture, screen.kind)
    naive_fps = len(kept) / (time.perf_counter() - began)
    # Processor time does not depend on what else the machine is doing.
    figures = ours.figures() | {"fps": two, "fps_one_thread": one, "cpu_ms": cpu_ms}
    reference = naive.figures() | {"fps": naive_fps}
    reference["ratio_mae"] = figures["mae"] / max(reference["mae"], 1e-9)
    reference["ratio_band"] = figures["band"] / max(reference["band"], 1e-9)
    settings = {"frames": total, "width": width, "height": height, "screen": screen.as_dict(), "threads": 2}
    return {"figures": figures, "reference": {"hsv_threshold": reference}, "settings": settings}


def _fps(pictures: list[Picture], fresh: Callable[..., Any], threads: int) -> float:
    """Pictures a second, segmentation included, each thread working on its own part of the clip."""
    parts = [part for part in np.array_split(np.arange(len(pictures)), threads) if part.size]
    makers = [fresh() for _ in parts]
    for (key, _), part in zip(makers, parts, strict=True):
        key(pictures[part[0]])

    def work(key: Callable[[Picture], Picture], part: Any) -> None:
        for index in part:
            key(pictures[index])

    jobs = [threading.Thread(target=work, args=(key, part)) for (key, _), part in zip(makers, parts, strict=True)]
    began = time.perf_counter()
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    spent = time.perf_counter() - began
    for _, close in makers:
        close()
    return len(pictures) / spent


def _tile(picture: Picture, alpha: Picture, truth: Picture, screen: Any) -> Picture:
    """One picture over a checkerboard, its matte, and the matte's error four times enlarged."""
    from lipsync.media.matting import despill

    board = ((np.indices(alpha.shape) // 16).sum(0) % 2 * 70 + 110).astype(np.float32)[..., None]
    weight = alpha[..., None].astype(np.float32) / 255
    over = despill(picture, alpha, screen) * weight + board * (1 - weight)
    error = np.clip(np.abs(alpha.astype(np.int16) - truth) * 4, 0, 255)
    grey = [np.repeat(plane[..., None], 3, axis=2) for plane in (alpha, error)]
    return np.vstack([over, *grey]).astype(np.uint8)

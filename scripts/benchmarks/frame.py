"""Measurement ``frame``: the path beside the network to a full frame, against paste-back of the whole frame.

``python scripts/bench.py frame``. Ours keeps the base clip as I420, copies a frame once and lays the mouth's region in.
The reference is what live avatars commonly do: copy a BGR frame, convert and blend the mouth into it, and convert the
whole frame to I420 for the encoder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

SIZES = {"512": (512, 512), "1080": (1920, 1080)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--rounds", type=int, default=300)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module. Medians of interleaved rounds, one thread."""
    from lipsync.compositor import Background, Compositor
    from lipsync.engine import Patch
    from lipsync.frame_cycle import BaseClip

    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    figures: dict[str, Any] = {}
    reference: dict[str, Any] = {}
    for name, (width, height) in SIZES.items():
        count = 16
        frames = rng.integers(16, 235, (count, height * 3 // 2, width), np.uint8)
        mattes = np.zeros((count, height, width), np.uint8)
        mattes[:, height // 8 :, width // 4 : width * 3 // 4] = 255
        base = BaseClip(frames, np.zeros((count, 478, 2), np.float32), mattes)
        w = h = height * 2 // 5 // 2 * 2
        patch = Patch(
            (width - w) // 4 * 2, (height - h) // 4 * 2, rng.integers(16, 235, (h * 3 // 2, w), np.uint8), None
        )
        plain, keyed = Compositor(base), Compositor(base, Background("colour", "#204060"))
        keyed.bake()
        out = np.empty_like(frames[0])
        bgr = [np.asarray(cv2.cvtColor(f, cv2.COLOR_YUV2BGR_I420)) for f in frames]
        mouth = rng.integers(0, 255, (h, w, 3), np.uint8)
        mask = np.full((h, w, 1), 0.5, np.float32)
        x, y = patch.x, patch.y

        def paste_back(k: int, bgr: Any = bgr, mouth: Any = mouth, mask: Any = mask, box: Any = (x, y, w, h)) -> None:
            x, y, w, h = box
            frame = bgr[k % len(bgr)].copy()
            part = frame[y : y + h, x : x + w]
            part[:] = (mouth * mask + part * (1 - mask)).astype(np.uint8)
            cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420)

        def composed(compositor: Compositor, patch: Patch = patch, out: Any = out) -> Callable[[int], Any]:
            return lambda k: compositor.compose(k % compositor.base.n, patch, out)

        times = _interleaved(
            {
                "ms": composed(plain),
                "keyed_ms": composed(keyed),
                "reference_ms": paste_back,
            },
            args.rounds,
        )
        figures[f"ms_{name}"] = times["ms"]
        figures[f"keyed_ms_{name}"] = times["keyed_ms"]
        figures[f"reference_ms_{name}"] = times["reference_ms"]
        figures[f"ratio_{name}"] = times["reference_ms"] / times["ms"]
        reference[f"whole_frame_paste_back_ms_{name}"] = times["reference_ms"]
    return {"figures": figures, "reference": reference, "settings": {"rounds": args.rounds, "threads": 1}}


def _interleaved(steps: dict[str, Callable[[int], Any]], rounds: int) -> dict[str, float]:
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for k in range(rounds + 5):
        for name, step in steps.items():
            began = time.perf_counter()
            step(k)
            if k >= 5:
                spent[name].append((time.perf_counter() - began) * 1000)
    return {name: float(np.median(values)) for name, values in spent.items()}

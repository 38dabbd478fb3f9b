"""Measurement ``infer``: a mouth patch per engine and size, our runtime against eager PyTorch.

``python scripts/bench.py infer [--bundle DIR | --take FILE]``. For ``lipbank`` a patch is all of it: features and
search for 40 ms of sound, warp, colour, shading, blend. Its reference does the same drawing in eager PyTorch (spline
solved and evaluated for every pixel, bicubic ``grid_sample``, blurs as convolutions), on the same bundle in the same
run, one thread each, rounds interleaved.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--bundle", type=Path, help="a lipbank bundle; without one, a preview of --take is made")
    parser.add_argument("--take", type=Path, help="a recording or a prepared take; without one, the demo take is made")
    parser.add_argument("--rounds", type=int, default=250, help="patches measured")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    import cv2
    import torch

    from lipbank.engine import LipbankEngine
    from lipsync.engine import HOP

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bench-infer-") as scratch:
        engine = LipbankEngine.load(args.bundle or _preview(args.take, Path(scratch)))
        rng = np.random.default_rng(0)
        level = np.repeat(rng.uniform(0, 0.3, args.rounds + 20), HOP)
        sound = (level * rng.normal(size=level.size)).astype(np.float32)
        stream = engine.open_stream()
        eager = _Eager(engine)
        ours: list[float] = []
        search: list[float] = []
        cpu: list[float] = []
        theirs: list[float] = []
        tick = 0
        for k in range(args.rounds + 20):
            began, worked = time.perf_counter(), time.process_time()
            drives = stream.push(sound[k * HOP : (k + 1) * HOP])
            searched = time.perf_counter()
            for drive in drives:
                index = engine.base.cycle(tick)
                tick += 1
                engine.infer([(index, drive)])
                done = time.perf_counter()
                if k >= 20:
                    ours.append(done - began)
                    search.append(searched - began)
                    cpu.append(time.process_time() - worked)
                if k >= 20 and k % 5 == 0:
                    begin_eager = time.perf_counter()
                    eager.draw(index, drive)
                    theirs.append(time.perf_counter() - begin_eager)
        patch = engine.infer([(0, engine.rest)])[0]
        size = f"{engine.base.width}x{engine.base.height}"
        engine.close()
    fps, eager_fps = 1 / float(np.median(ours)), 1 / float(np.median(theirs))
    return {
        "figures": {
            "lipbank": {
                "fps": fps,
                "eager_fps": eager_fps,
                "ratio": fps / eager_fps,
                "backend": f"opencv {cv2.__version__} + numpy {np.__version__}",
                "ms": float(np.median(ours)) * 1000,
                "p95_ms": float(np.percentile(ours, 95)) * 1000,
                "cpu_ms": float(np.mean(cpu)) * 1000,
                "search_ms": float(np.median(search)) * 1000,
                "frame": size,
                "patch": f"{patch.i420.shape[1]}x{patch.i420.shape[0] * 2 // 3}",
            }
        },
        "reference": {"lipbank": {"eager_fps": eager_fps, "torch": torch.__version__}},
        "settings": {"rounds": args.rounds, "threads": 1},
    }


def _preview(take: Path | None, scratch: Path) -> Path:
    from lipsync.dataset.prepare import prepare_take
    from lipsync.dataset.take import load_take
    from lipsync.engine import TrainOptions
    from lipsync.training.avatar import train_avatar

    if take is None:
        from lipsync.dataset.demo_take import make_demo_take

        take = scratch / "demo.mp4"
        make_demo_take(take, 12.0)
    prepared = load_take(take) if take.is_dir() else prepare_take(take, None, scratch / "take")
    return train_avatar(prepared, scratch / "bundle", options=TrainOptions(preview=True))


class _Eager:
    """The same drawing, written plainly in PyTorch."""

    def __init__(self, engine: Any) -> None:
        from lipbank.face import CONTROL
        from lipbank.render import Renderer
        from lipsync.face.square import REGION, squares

        self._engine, self._control, self._region = engine, CONTROL, REGION
        self._squares = squares(engine.base.landmarks)
        self._renderer = Renderer(engine.base, engine.bank, engine.space, engine.cheeks)

    def draw(self, index: int, drive: Any) -> Any:
        """A patch as float (1, 3, h, w)."""
        import torch
        from torch.nn import functional

        bank, base = self._engine.bank, self._engine.base
        origin, scale = self._squares.origin[index], float(self._squares.scale[index])
        worn = (self._renderer.landmarks(index, drive.coef) - origin) / scale
        target = torch.from_numpy(worn[self._control].astype(np.float32))
        left, top, right, bottom = self._region
        w, h = round((right - left) * scale), round((bottom - top) * scale)
        ys, xs = torch.meshgrid(torch.linspace(top, bottom, h), torch.linspace(left, right, w), indexing="ij")
        pixels = torch.stack([xs.flatten(), ys.flatten()], 1)

        def kernel(a: Any, b: Any) -> Any:
            square = torch.cdist(a, b).square() / 400
            return 0.5 * square * torch.log(square + 1e-6)

        count = len(target)
        system = torch.zeros(count + 3, count + 3)
        system[:count, :count] = kernel(target, target) + 0.5 * torch.eye(count)
        system[:count, count] = 1
        system[:count, count + 1 :] = (target - 80) / 20
        system[count:, :count] = system[:count, count:].T
        mouths = list(dict.fromkeys((*drive.sources, *drive.near)))
        right_side = torch.zeros(count + 3, 2 * len(mouths))
        for k, j in enumerate(mouths):
            right_side[:count, 2 * k : 2 * k + 2] = torch.from_numpy(bank.points[j]) - target
        weights = torch.linalg.solve(system, right_side)
        affine = torch.cat([torch.ones(len(pixels), 1), (pixels - 80) / 20], 1)
        moved = kernel(pixels, target) @ weights[:count] + affine @ weights[count:]

        def warped(j: int, mode: str) -> Any:
            k = mouths.index(j)
            at = (pixels + moved[:, 2 * k : 2 * k + 2]) * bank.scale(j) + torch.from_numpy(bank.offset(j))
            grid = at / torch.tensor([bank.width - 1, bank.height - 1]) * 2 - 1
            uv = torch.from_numpy(bank.chroma[j]).permute(2, 0, 1)[None].float()
            uv = functional.interpolate(uv, size=(bank.height, bank.width), mode="bilinear")
            picture = torch.cat([torch.from_numpy(bank.luma[j])[None, None].float(), uv], 1)
            return functional.grid_sample(picture, grid.view(1, h, w, 2), mode=mode, align_corners=True)

        def blurred(picture: Any, sigma: float) -> Any:
            reach = int(3 * sigma)
            line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
            line = (line / line.sum()).repeat(picture.shape[1], 1)
            across = functional.conv2d(picture, line[:, None, None], groups=picture.shape[1], padding=(0, reach))
            return functional.conv2d(across, line[:, None, :, None], groups=picture.shape[1], padding=(reach, 0))

        with torch.no_grad():
            shown = sum(w_ * warped(j, "bicubic") for j, w_ in zip(drive.sources, drive.weights, strict=True))
            near = sum(w_ * warped(j, "bilinear") for j, w_ in zip(drive.near, drive.near_weights, strict=True))
            shown = shown + blurred(near - shown, 1.5 * scale)
            own = torch.from_numpy(base.i420(index)[: base.height].copy())[None, None].float()
            grid = (pixels * scale + torch.from_numpy(origin)) / torch.tensor([base.width - 1, base.height - 1]) * 2 - 1
            ground = functional.grid_sample(own, grid.view(1, h, w, 2), mode="bilinear", align_corners=True)
            shown = shown + blurred(ground.expand_as(shown) - shown, 8 * scale) * 0.1
            mask = blurred(torch.ones(1, 1, h, w), 3 * scale)
            return shown * mask + ground * (1 - mask)

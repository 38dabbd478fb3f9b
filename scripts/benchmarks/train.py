"""Measurement ``train``: from a take to a bundle, judged on the take's held-out part at full resolution.

``python scripts/bench.py train --take FILE [--save DIR] [--minutes M]``. The reference, in the same run, is what was
recorded, a mean mouth on every frame, and the preview made without training.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--take", type=Path, required=True, help="a recording with sound, or a prepared take's folder")
    parser.add_argument("--voice", type=Path, help="a reference voice of its own")
    parser.add_argument("--engine", default="lipbank")
    parser.add_argument("--minutes", type=float, help="training time at most")
    parser.add_argument("--steps", type=int, help="optimiser steps at most")
    parser.add_argument("--save", type=Path, help="a folder for real.mp4, generated.mp4 and strip.png")
    parser.add_argument("--bundle", type=Path, help="judge this bundle of the take instead of training one")
    parser.add_argument("--keep", type=Path, help="keep the trained bundle here")
    parser.add_argument("--no-preview", action="store_true", help="leave out the preview it is held against")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    from lipsync.dataset.prepare import prepare_take
    from lipsync.dataset.take import load_take
    from lipsync.engine import TrainOptions
    from lipsync.training.__main__ import Console
    from lipsync.training.avatar import judge_bundle, train_avatar

    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-train-") as scratch:
        folder = Path(scratch)
        began = time.monotonic()
        if args.take.is_dir():
            take = load_take(args.take)
        else:
            take = prepare_take(args.take, args.voice, folder / "take", console)
        prepared = time.monotonic()
        figures: dict[str, Any] = {}
        reference: dict[str, Any] = {"prepare_s": prepared - began}
        if not args.no_preview and args.bundle is None:
            train_avatar(take, folder / "preview", args.engine, TrainOptions(preview=True), console)
            reference["preview_s"] = time.monotonic() - prepared
            preview = judge_bundle(folder / "preview", take)
            reference["preview"] = preview.figures
        begin_training = time.monotonic()
        bundle = args.bundle
        if bundle is None:
            bundle = folder / "bundle"
            options = TrainOptions(minutes=args.minutes, steps=args.steps)
            from lipsync.registry import load_engine_class

            load_engine_class(args.engine).train(take, bundle, options, console)
        trained = time.monotonic()
        judgement = judge_bundle(bundle, take, save=args.save)
        judged = time.monotonic()
        figures |= judgement.figures
        figures["train_minutes"] = (trained - begin_training) / 60
        figures["minutes"] = ((prepared - began) + (judged - begin_training)) / 60
        reference |= judgement.reference
        if args.keep is not None and args.bundle is None:
            shutil.copytree(bundle, args.keep)
    if args.save is not None:
        print(f"samples in {args.save}", file=sys.stderr)
    return {
        "figures": figures,
        "reference": reference,
        "settings": {"take": args.take.name, "engine": args.engine, "minutes": args.minutes, "steps": args.steps},
    }

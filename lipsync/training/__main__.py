"""Take to bundle on the command line: ``scripts/train_avatar.sh`` calls this, no server needed."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from lipsync.bundle import read_manifest
from lipsync.engine import TrainOptions
from lipsync.errors import StudioError
from lipsync.progress import PartProgress
from lipsync.registry import DEFAULT, names


class Console:
    """Progress as lines on standard error: the stage, the share done, and what is left at this pace."""

    paused_s: float = 0.0

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stage = ""
        self._shown = -1

    def update(self, fraction: float) -> None:
        """Print at every twentieth."""
        step = int(fraction * 20)
        if step > self._shown:
            self._shown = step
            spent = time.monotonic() - self._began
            left = f", about {spent / fraction - spent:.0f} s left" if fraction > 0.05 else ""
            print(f"{fraction:4.0%} {self._stage} ({spent:.0f} s{left})", file=sys.stderr, flush=True)

    def stage(self, name: str) -> None:
        """Remember and print the stage."""
        self._stage = name
        print(f"     {name}", file=sys.stderr, flush=True)

    def log(self, line: str) -> None:
        """Print the line."""
        print(f"     {line}", file=sys.stderr, flush=True)

    def sample(self, name: str, value: float | str) -> None:
        """Print the figure."""
        print(f"     {name} = {value}", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Nothing asks a script to stop but a signal."""


def main(argv: list[str] | None = None) -> int:
    """Run; 0 on success, 2 for input that cannot be used. The last line on standard output is one JSON object."""
    parser = argparse.ArgumentParser(
        prog="train_avatar.sh", description="Train an avatar from a take, without a server."
    )
    parser.add_argument("--take", required=True, type=Path, help="a recording, or the folder of a prepared take")
    parser.add_argument("--voice", type=Path, help="a reference voice of its own (the recording's sound without one)")
    parser.add_argument("--out", required=True, type=Path, help="where the bundle goes; must not exist")
    parser.add_argument("--engine", default=DEFAULT, help=f"one of {', '.join(names())}")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="optimiser steps at most")
    length.add_argument("--minutes", type=float, help="training time at most")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--preview", action="store_true", help="no training: what can be had at once")
    parser.add_argument("--parent", type=Path, help="a bundle of the same person to continue from")
    parser.add_argument("--name", help="name of the avatar")
    args = parser.parse_args(argv)
    try:
        print(json.dumps(_run(args), ensure_ascii=False), flush=True)
    except StudioError as error:
        print(f"{error.code}: {error.message} {error.remedy}".strip(), file=sys.stderr)
        for reason in error.detail.get("reasons", []):
            print(f"  - {reason.get('code')}: {reason.get('message', {}).get('en', '')}", file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace) -> dict[str, object]:
    from lipsync.dataset.prepare import prepare_take
    from lipsync.dataset.take import load_take
    from lipsync.errors import ConflictError, NotFoundError
    from lipsync.training.avatar import train_avatar

    if args.out.exists():
        raise ConflictError(f"There is already something at {args.out}.", "Choose another --out.")
    if not args.take.exists():
        raise NotFoundError(f"There is no take at {args.take}.", "Check the path.")
    console = Console()
    extra = {"name": args.name or args.take.stem, "takes": [args.take.stem]}
    options = TrainOptions(
        minutes=args.minutes,
        steps=args.steps,
        device=args.device,
        preview=args.preview,
        parent=args.parent,
        extra=extra,
    )
    if args.take.is_dir():
        train_avatar(load_take(args.take), args.out, args.engine, options, console)
    else:
        with tempfile.TemporaryDirectory(prefix="take-") as scratch:
            take = prepare_take(args.take, args.voice, Path(scratch) / "take", PartProgress(console, 0.0, 0.25))
            train_avatar(take, args.out, args.engine, options, PartProgress(console, 0.25, 1.0))
    manifest = read_manifest(args.out, verify=False)
    return {"bundle": str(args.out), "engine": manifest.engine, "metrics": manifest.metrics}


if __name__ == "__main__":
    sys.exit(main())

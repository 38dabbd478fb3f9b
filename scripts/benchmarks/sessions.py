"""Measurement ``sessions``: how many live sessions hold 25 pictures a second while all speak, and their memory.

``python scripts/bench.py sessions [--avatar DIR] [--most N] [--seconds S]``. Sessions are added one by one, each with
an aiortc client of its own; all clients decode in one other process on the same machine, which takes its share of the
cores. A count holds while at least 99 % of every session's pictures are new and none was dropped.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks import _live

WANTED = 99.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    _live.add_avatar(parser)
    parser.add_argument("--most", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=15.0)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    return asyncio.run(_run(_live.avatar(args), args.most, args.seconds))


async def _run(bundle: Path, most: int, seconds: float) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    memory: list[float] = []
    held = 0
    async with _live.Server(bundle) as server:
        open_: list[tuple[str, _live.Peer]] = []
        try:
            for count in range(1, most + 1):
                peer = _live.Peer(keep_sound=lambda s: None)
                session = (await server.ask("open"))["session"]
                open_.append((session, peer))
                await peer.connect(server, session)
                for id_, _ in open_:
                    await server.ask("say", session=id_, text=" ".join(_live.LINES) * 3, interrupt=True)
                await asyncio.sleep(2.0)
                before = [(len(p.pictures), await _stats(server, s)) for s, p in open_]
                start = await server.ask("usage")
                await asyncio.sleep(seconds)
                after = [(len(p.pictures), await _stats(server, s)) for s, p in open_]
                end = await server.ask("usage", collect=True)
                memory.append(end["rss_mb"])
                good = [_share(b, a, seconds) for b, a in zip(before, after, strict=True)]
                steps[str(count)] = {
                    "new_percent_worst": min(good),
                    "server_cpu_percent": 100 * (end["cpu_s"] - start["cpu_s"]) / seconds,
                    "rss_mb": end["rss_mb"],
                    "late_ms": max(s["late_ms"] for _, s in after),
                }
                if min(good) < WANTED:
                    break
                held = count
        finally:
            for session, peer in open_:
                await peer.close()
                await server.ask("close", session=session)
    slope = float(np.polyfit(range(len(memory)), memory, 1)[0]) if len(memory) > 1 else float("nan")
    return {
        "figures": {"sessions": held, "mb_per_session": slope, "steps": steps},
        "reference": {"fps": 25.0, "new_percent_wanted": WANTED},
        "settings": {"most": most, "seconds": seconds, "clients": "aiortc, one other process", "avatar": bundle.name},
    }


async def _stats(server: _live.Server, session: str) -> dict[str, Any]:
    stats: dict[str, Any] = (await server.ask("stats", session=session))["stats"]
    return stats


def _share(before: tuple[int, dict[str, Any]], after: tuple[int, dict[str, Any]], seconds: float) -> float:
    """Percent of the pictures due that reached the client and were new."""
    got = after[0] - before[0]
    repeated = after[1]["held"] - before[1]["held"]
    return min(100.0, 100.0 * (got - repeated) / (seconds * 25.0))

"""Measurement ``interrupt``: from ``:interrupt`` until the client hears silence and sees a closed mouth.

``python scripts/bench.py interrupt [--avatar DIR] [--rounds N]``. Heard and seen in what an aiortc client in another
process decodes; its receiver holds back four sound packets (40 ms) and one picture (40 ms), which are in the figure.
A mouth is closed when its gap is back within a quarter of the way from the spoken gap to the resting one.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import numpy as np

from scripts.benchmarks import _live

SILENT = 150
"""Mean magnitude (of 32767) below which a packet is silence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    _live.add_avatar(parser)
    parser.add_argument("--rounds", type=int, default=20)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    return asyncio.run(_run(_live.avatar(args), args.rounds))


async def _run(bundle: Any, rounds: int) -> dict[str, Any]:
    asked: list[float] = []
    async with _live.Server(bundle) as server:
        peer = _live.Peer(keep_picture=lambda picture: picture)
        async with _live.talking(server, peer) as opened:
            session = opened["session"]
            await asyncio.sleep(1.5)
            for k in range(rounds):
                began = len(peer.sounds)
                done = len(peer.pictures)
                await server.ask("say", session=session, text=" ".join(_live.LINES) * 2)
                await _live.wait_for(lambda began=began: any(_loud(s) for s in peer.sounds[began:]), 5)
                # Only while something sounds; a pause would be silent already.
                await asyncio.sleep(0.5 + 0.053 * (k % 7))
                await _live.wait_for(lambda: all(_loud(s) for s in peer.sounds[-6:]), 5)
                asked.append(time.monotonic())
                await server.ask("interrupt", session=session)
                await asyncio.sleep(0.7)
                for got in peer.pictures[done:]:
                    if got.at < asked[-1] - 0.4:
                        got.data = None
            stats = (await server.ask("stats", session=session))["stats"]
    silence = [_silent_after(peer, at) for at in asked]
    closed = _closed_after(peer, asked)
    return {
        "figures": {
            "silence_p50_ms": _live.percentile(silence, 50),
            "silence_p95_ms": _live.percentile(silence, 95),
            "closed_p50_ms": _live.percentile(closed, 50),
            "closed_p95_ms": _live.percentile(closed, 95),
            "judged": int(np.isfinite(closed).sum()),
        },
        "reference": {"wanted_silence_ms": 120, "wanted_closed_ms": 200},
        "settings": {
            "rounds": rounds,
            "client": "aiortc, own process",
            "avatar": bundle.name,
            "width": stats["width"],
            "height": stats["height"],
        },
    }


def _loud(got: _live.Got) -> bool:
    return bool(np.abs(got.data.astype(np.int32)).mean() > 400)


def _silent_after(peer: _live.Peer, asked: float) -> float:
    """Until the last packet that is not silent before 0.6 s of silence was decoded, its own 10 ms included."""
    part = [got for got in peer.sounds if asked < got.at < asked + 0.6]
    loud = [got.at for got in part if np.abs(got.data.astype(np.int32)).mean() > SILENT]
    return (max(loud) - asked) * 1000 + 10.0 if loud else 0.0


def _closed_after(peer: _live.Peer, asked: list[float]) -> list[float]:
    gap = _live.LipGap()
    out = []
    for at in asked:
        part = [got for got in peer.pictures if at - 0.3 < got.at < at + 0.6 and got.data is not None]
        gaps = np.array([gap.measure(got.data) for got in part])
        after = np.array([got.at > at for got in part])
        rest = np.nanmedian([g for g, got in zip(gaps, part, strict=True) if got.at > at + 0.4])
        spoken = np.nanmax(gaps[~after]) if (~after).any() else np.nan
        limit = rest + max(0.25 * (spoken - rest), 0.006)
        open_ = [got.at for g, got in zip(gaps, part, strict=True) if got.at > at and g > limit]
        # A mouth that happened to be closed when it was cut says nothing.
        out.append((max(open_) - at) * 1000 + 40.0 if open_ and spoken - rest > 0.015 else float("nan"))
    return out

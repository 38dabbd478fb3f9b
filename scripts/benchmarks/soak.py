"""Measurement ``soak``: connect and leave N times, or talk for H hours, and see what is left behind.

``python scripts/bench.py soak [--avatar DIR] --connects N`` or ``--hours H``. Each visit opens a session, connects an
aiortc client from another process, waits for sound and picture, speaks, and leaves: every third by closing the session,
every third by hanging up, every third in mid-sentence. Threads, descriptors and memory of the server are counted after
a few visits and again at the end, with the avatar unloaded both times.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from scripts.benchmarks import _live

WARM_UP = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    _live.add_avatar(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--connects", type=int, default=100)
    length.add_argument("--hours", type=float)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    return asyncio.run(_run(_live.avatar(args), args.connects, args.hours))


async def _run(bundle: Path, connects: int, hours: float | None) -> dict[str, Any]:
    async with _live.Server(bundle, "--unload-after", "1.0") as server:
        for k in range(WARM_UP):
            await _visit(server, k)
        if hours is None:
            before = await _settled(server)
            for k in range(connects):
                await _visit(server, k)
            after = await _settled(server)
            what: dict[str, Any] = {"connects": connects}
        else:
            before, after, spoken = await _talk(server, hours)
            what = {"hours": hours, "turns": spoken}
    return {
        "figures": {
            "threads_growth": after["os_threads"] - before["os_threads"],
            "fds_growth": after["fds"] - before["fds"],
            "tasks_growth": after["tasks"] - before["tasks"],
            "rss_growth_percent": 100 * (after["rss_mb"] / before["rss_mb"] - 1),
            "rss_mb_before": before["rss_mb"],
            "rss_mb_after": after["rss_mb"],
        },
        "reference": {"threads": before["os_threads"], "fds": before["fds"], "rss_growth_percent_wanted": 3.0},
        "settings": {**what, "warm_up": WARM_UP, "avatar": bundle.name},
    }


async def _visit(server: _live.Server, k: int) -> None:
    peer = _live.Peer(keep_sound=lambda s: None)
    session = (await server.ask("open"))["session"]
    await peer.connect(server, session)
    await server.ask("say", session=session, text=_live.LINES[k % len(_live.LINES)])
    if k % 3 == 2:
        await asyncio.sleep(0.3)
    if k % 3 == 0:
        await server.ask("close", session=session)
        await peer.close()
    else:
        await peer.close()
        await server.ask("close", session=session)


async def _talk(server: _live.Server, hours: float) -> tuple[dict[str, Any], dict[str, Any], int]:
    peer = _live.Peer(keep_sound=lambda s: None)
    spoken = 0
    async with _live.talking(server, peer) as opened:
        began = time.monotonic()
        before: dict[str, Any] | None = None
        turn = 0
        while time.monotonic() - began < hours * 3600:
            if not turn or _live.turn_ended(server, opened["session"], turn):
                text = _live.LINES[spoken % len(_live.LINES)]
                turn = (await server.ask("say", session=opened["session"], text=text))["turn"]
                spoken += 1
                peer.pictures.clear()
                peer.sounds.clear()
                del server.events[:-20]
            # The first minute fills caches that are bounded: the resting mouths, the last turns.
            if before is None and time.monotonic() - began > min(60.0, hours * 900):
                before = await server.ask("usage", collect=True)
            await asyncio.sleep(0.2)
        after = await server.ask("usage", collect=True)
    return before or after, after, spoken


async def _settled(server: _live.Server) -> dict[str, Any]:
    """Usage once the avatar is unloaded."""
    for _ in range(100):
        usage = await server.ask("usage", collect=True)
        if usage["engines"] == 0:
            await asyncio.sleep(0.5)
            return await server.ask("usage", collect=True)
        await asyncio.sleep(0.2)
    raise TimeoutError("the avatar was not unloaded")

"""Measurement ``sync``: sound against picture at the client, and the evenness of its pictures, while the avatar speaks.

``python scripts/bench.py sync [--avatar DIR] [--minutes M]``. The sound is the studio's own speech with a clap (80 ms
of 3 kHz) every second; the avatar's own engine draws, and a square in each patch is white exactly in the pictures drawn
from a clap's sound. The client, another process, finds the claps in the decoded samples and the white squares in the
decoded pictures, and lays the two tracks together by their stamps and sender reports, as a player does. An offset above
zero means that the picture comes late.

A picture is late where it was decoded more than 40 ms after its time by the stamps (a player with one picture of buffer
would have missed it), and repeated where it equals the one before or its stamp is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks import _live
from scripts.benchmarks._live_server import CLAP_HZ, clap_square

RATE = 48_000
EVERY_S = 1.0
CLAP_S = 0.08
LATE_S = 0.04
PIECE_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    _live.add_avatar(parser)
    parser.add_argument("--minutes", type=float, default=5.0)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    return asyncio.run(_run(_live.avatar(args), args.minutes))


async def _run(bundle: Path, minutes: float) -> dict[str, Any]:
    box = _square(bundle)
    last: list[NDArray[np.uint8] | None] = [None]

    def seen(picture: NDArray[np.uint8]) -> tuple[float, bool]:
        same = last[0] is not None and bool(np.array_equal(picture, last[0]))
        last[0] = picture
        return float(picture[box].mean()), same

    with _live.scratch() as folder:
        sound = Path(folder) / "speech.f32"
        (await _speech()).tofile(sound)
        async with _live.Server(bundle, "--clap") as server:
            peer = _live.Peer(keep_picture=seen)
            async with _live.talking(server, peer) as opened:
                session = opened["session"]
                await asyncio.sleep(2.0)
                await server.ask("usage")
                held = (await server.ask("stats", session=session))["stats"]["held"]
                began = time.monotonic()
                turns: list[int] = []
                while time.monotonic() - began < minutes * 60:
                    open_ = [t for t in turns if not _live.turn_ended(server, session, t)]
                    if len(open_) < 2:
                        turns.append((await server.ask("audio", session=session, path=str(sound), rate=RATE))["turn"])
                    await asyncio.sleep(0.5)
                ended = time.monotonic()
                usage = await server.ask("usage")
                stats = (await server.ask("stats", session=session))["stats"]
    offsets, places = _offsets(peer)
    figures = {
        "mean_abs_ms": float(np.mean(np.abs(offsets))),
        "mean_ms": float(np.mean(offsets)),
        "p95_ms": _live.percentile(np.abs(offsets), 95),
        "drift_ms_per_hour": float(np.polyfit(places / 3600, offsets, 1)[0]) if len(offsets) > 5 else float("nan"),
        "claps": len(offsets),
        **_evenness(peer, began, ended, stats["held"] - held),
        "loop_longest_ms": usage["loop_longest_ms"],
        "loop_longest_cpu_ms": usage["loop_longest_cpu_ms"],
    }
    return {
        "figures": figures,
        "reference": {"wanted_mean_abs_ms": 25.0, "wanted_late_percent": 0.5, "seen_by_people_ms": 45.0},
        "settings": {
            "minutes": minutes,
            "client": "aiortc, own process",
            "avatar": bundle.name,
            "width": opened["width"],
            "height": opened["height"],
        },
    }


async def _speech() -> NDArray[np.float32]:
    """About 20 s of the local voice at 48 kHz with a clap every second, each on a frame's first sample."""
    from lipsync.media.audio import resample
    from speech.tts.base import Voice, collect
    from speech.tts.registry import create

    tts = create("local")
    parts: list[NDArray[np.float32]] = []
    for k in range(100):
        said = await collect(tts.stream(_live.LINES[k % len(_live.LINES)], Voice(), asyncio.Event()))
        parts.append(resample(said, tts.sample_rate, RATE))
        if sum(map(len, parts)) > PIECE_S * RATE:
            break
    await tts.close()
    pcm = np.concatenate(parts)[: int(PIECE_S * RATE)]
    clap = 0.5 * np.sin(2 * np.pi * CLAP_HZ * np.arange(int(CLAP_S * RATE)) / RATE)
    quiet = int(0.04 * RATE)
    for start in range(int(0.4 * RATE), len(pcm) - RATE // 2, int(EVERY_S * RATE)):
        pcm[start - quiet : start + len(clap) + quiet] = 0.0
        pcm[start : start + len(clap)] = clap
    return np.asarray(pcm, np.float32)


def _square(bundle: Path) -> tuple[slice, slice]:
    """The middle of the measuring engine's square, rows and columns."""
    from apps.control_api.live_runtime.host import load_engine

    engine = load_engine(bundle)
    x, y, side = clap_square(engine)
    engine.close()
    return slice(y + 4, y + side - 4), slice(x + 4, x + side - 4)


def _offsets(peer: _live.Peer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Picture minus sound of each clap's beginning, ms, and when, s."""
    stamps = np.array([got.stamp for got in peer.pictures])
    lumas = np.array([got.data[0] for got in peer.pictures])
    shown = np.flatnonzero((lumas[1:] > 126) & (lumas[:-1] <= 126)) + 1
    seen = peer.reports["video"].wall(stamps[shown])
    starts = np.array([got.stamp for got in peer.sounds])
    size = len(peer.sounds[0].data)
    pcm = np.concatenate([got.data for got in peer.sounds]).astype(np.float64) / 32768
    t = np.arange(len(pcm)) / RATE
    window = 240
    tone = pcm * np.exp(-2j * np.pi * CLAP_HZ * t)
    level = np.abs(np.convolve(tone, np.ones(window) / window, "full")[window - 1 :][: len(pcm)]) * 2
    # The window looks ahead, so half level is crossed half a window before the tone's first sample.
    on = np.flatnonzero((level[1:] > 0.25) & (level[:-1] <= 0.25)) + 1 + window // 2
    # Each sample has its own packet's stamp: where the server's clock stood still, both tracks' stamps jump.
    place = np.minimum(on // size, len(starts) - 1)
    heard = peer.reports["audio"].wall(starts[place] + (on - place * size) / RATE)
    pairs = []
    for at in heard:
        k = int(np.argmin(np.abs(seen - at))) if len(seen) else 0
        if len(seen) and abs(seen[k] - at) < 0.3:
            pairs.append((at, (seen[k] - at) * 1000))
    if not pairs:
        raise RuntimeError("no clap was both heard and seen")
    both = np.array(pairs)
    return both[:, 1], both[:, 0] - both[0, 0]


def _evenness(peer: _live.Peer, began: float, ended: float, held: int) -> dict[str, float]:
    part = [got for got in peer.pictures if began < got.at < ended]
    at, stamp = np.array([g.at for g in part]), np.array([g.stamp for g in part])
    delay = at - stamp
    # The least delay of the last two seconds is the path's own; what is beyond it is lateness.
    floor = np.array([delay[max(0, k - 50) : k + 1].min() for k in range(len(delay))])
    late = int((delay - floor > LATE_S).sum())
    # A repeated picture is encoded once more and may decode a little sharper; the server's own count knows better.
    repeated = max(sum(g.data[1] for g in part), held)
    steps = np.round(np.diff(stamp) * 25).astype(int)
    missing = int((steps[steps > 1] - 1).sum())
    span = stamp[-1] - stamp[0]
    total = len(part) + missing
    return {
        "fps": (len(part) - 1) / span,
        "late_percent": 100.0 * (late + repeated + missing) / total,
        "late": late,
        "repeated": repeated,
        "missing": missing,
        "pictures": len(part),
    }

"""Measurement ``turn``: from ``:say`` until the first spoken, lip-moving frame reaches a WebRTC client.

``python scripts/bench.py turn [--avatar DIR] [--turns N]``. The client is another process; it decodes what it gets,
hears when the sound begins and sees by landmarks when the lips do, and counts from the moment it asked to the later of
the two. aiortc's own receiver holds back four sound packets (40 ms) and one picture (40 ms): that is in the figure.
With ``--voice-in`` a person asks aloud instead, and it counts from the end of the question.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import numpy as np

from scripts.benchmarks import _live, _voice_in

HEARD = 400
"""Mean magnitude (of 32767) from which a 10 ms packet is heard."""
OPENS = 0.012
"""Change of the lip gap, against the height of the face, that is seen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    _live.add_avatar(parser)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument(
        "--voice-in", action="store_true", help="ask aloud through a microphone; counted from the end of the question"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; see the module."""
    run_ = _run_voice_in if args.voice_in else _run
    return asyncio.run(run_(_live.avatar(args), args.turns))


async def _run(bundle: Any, turns: int) -> dict[str, Any]:
    asked: list[float] = []
    windows: list[tuple[int, int]] = []
    async with _live.Server(bundle) as server:
        peer = _live.Peer(keep_picture=lambda picture: picture)
        async with _live.talking(server, peer) as opened:
            session = opened["session"]
            await asyncio.sleep(2.0)
            await server.ask("usage")
            stages: list[dict[str, Any]] = []
            for k in range(turns):
                # Not in step with the server's 40 ms.
                await asyncio.sleep(0.4 + 0.037 * (k % 9))
                before = len(peer.pictures)
                asked.append(time.monotonic())
                turn = (await server.ask("say", session=session, text=_live.LINES[k % len(_live.LINES)]))["turn"]
                await asyncio.sleep(1.2)
                windows.append((max(0, before - 12), len(peer.pictures)))
                await server.ask("interrupt", session=session)
                told = (await server.ask("stats", session=session))["stats"]["turns"]
                stages += [t for t in told if t["turn"] == turn]
                await asyncio.sleep(0.5)
                for got in peer.pictures[windows[-1][1] : -15]:
                    got.data = None
            usage = await server.ask("usage")
    gap = _live.LipGap()
    sound, lips = [], []
    for at, (first, last) in zip(asked, windows, strict=True):
        sound.append(_first_sound(peer, at))
        lips.append(_first_lips(peer, gap, at, first, last))
    totals = [max(s, v) for s, v in zip(sound, lips, strict=True)]
    return {
        "figures": {
            "p50_ms": _live.percentile(totals, 50),
            "p95_ms": _live.percentile(totals, 95),
            "sound_p50_ms": _live.percentile(sound, 50),
            "sound_p95_ms": _live.percentile(sound, 95),
            "lips_p50_ms": _live.percentile(lips, 50),
            "lips_p95_ms": _live.percentile(lips, 95),
            "stages": _stages(stages),
            "loop_longest_ms": usage["loop_longest_ms"],
            "loop_longest_cpu_ms": usage["loop_longest_cpu_ms"],
            "unseen": int(np.isnan(totals).sum()),
        },
        "reference": {"seeds_ms": 2000, "best_service_ms": 600, "note": "as published, not measured here"},
        "settings": {"turns": turns, "client": "aiortc, own process", "avatar": bundle.name, **_size(opened)},
    }


async def _run_voice_in(bundle: Any, turns: int) -> dict[str, Any]:
    async with _live.Server(bundle) as server:
        microphone = _voice_in.Microphone()
        peer = _live.Peer(keep_picture=lambda picture: picture, microphone=microphone)
        async with _live.talking(server, peer, knowledge=_voice_in.KNOWLEDGE, language="en") as opened:
            await asyncio.sleep(2.0)
            await server.ask("usage")
            asked = await _voice_in.ask(server, peer, microphone, turns)
            stages = (await server.ask("stats", session=opened["session"]))["stats"]["turns"]
            usage = await server.ask("usage")
    gap = _live.LipGap()
    pairs = list(zip(asked["ended"], asked["windows"], strict=True))
    # A question nobody answered is unseen, not as late as the next one's answer.
    sound = [_first_sound(peer, at, peer.pictures[last - 1].at) for at, (_, last) in pairs]
    lips = [_first_lips(peer, gap, at, first, last) for at, (first, last) in pairs]
    totals = [max(s, v) for s, v in zip(sound, lips, strict=True)]
    return {
        "figures": {
            "p50_ms": _live.percentile(totals, 50),
            "p95_ms": _live.percentile(totals, 95),
            "slowest": _slowest(totals, asked["heard"], stages),
            "sound_p50_ms": _live.percentile(sound, 50),
            "lips_p50_ms": _live.percentile(lips, 50),
            "stages": {
                "capture_ms": _live.percentile([t["capture"] for t in stages if t["capture"] is not None], 50),
                "recognise_ms": _live.percentile([t["recognise"] for t in stages if t["recognise"] is not None], 50),
                **_stages(stages),
            },
            "understood": asked["right"] / turns,
            "unseen": int(np.isnan(totals).sum()),
            "loop_longest_ms": usage["loop_longest_ms"],
            "loop_longest_cpu_ms": usage["loop_longest_cpu_ms"],
        },
        "reference": {"to_reach_ms": 800, "note": "from the issue; services that publish a figure name 2,200"},
        "settings": {"turns": turns, "client": "aiortc, own process", "avatar": bundle.name, **_size(opened)},
    }


def _slowest(totals: list[float], heard: list[dict[str, Any]], stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The three turns that took longest, unseen ones first: what was heard, and when each stage was passed (ms)."""
    by_turn = {turn["turn"]: turn for turn in stages}
    order = sorted(range(len(totals)), key=lambda k: -np.inf if np.isnan(totals[k]) else -totals[k])[:3]
    return [
        {
            "total_ms": None if np.isnan(totals[k]) else round(totals[k], 1),
            **heard[k],
            **by_turn.get(heard[k]["turn"], {}),
        }
        for k in order
    ]


def _first_sound(peer: _live.Peer, asked: float, until: float = np.inf) -> float:
    for got in peer.sounds:
        if asked < got.at <= until and np.abs(got.data.astype(np.int32)).mean() > HEARD:
            return (got.at - asked) * 1000
    return float("nan")


def _first_lips(peer: _live.Peer, gap: _live.LipGap, asked: float, first: int, last: int) -> float:
    """The first picture after ``asked`` whose lips stand otherwise than before."""
    part = peer.pictures[first:last]
    gaps = np.array([gap.measure(got.data) for got in part])
    before = np.array([got.at <= asked for got in part])
    rest = np.nanmedian(gaps[before])
    for got, value, old in zip(part, gaps, before, strict=True):
        if not old and abs(value - rest) > OPENS:
            return (got.at - asked) * 1000
    return float("nan")


def _stages(turns: list[dict[str, Any]]) -> dict[str, float]:
    """Each stage's share in ms, medians: the time from the stage before it to its first frame."""
    shares: dict[str, float] = {}
    names = ("reply", "speak", "animate", "paint", "playout", "encode")
    for before, name in zip((None, *names[:-1]), names, strict=True):
        spent = [t[name] - (t[before] if before else 0.0) for t in turns if t[name] is not None]
        shares[f"{name}_ms"] = _live.percentile(spent, 50)
    return shares


def _size(opened: dict[str, Any]) -> dict[str, Any]:
    return {"width": opened["width"], "height": opened["height"]}

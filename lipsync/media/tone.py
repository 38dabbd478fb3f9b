"""High dynamic range brought to the standard one: PQ and HLG recordings to BT.709 as every screen shows it.

The maths is the ITU's: light by Recommendation BT.2100, highlights rolled off by the curve of Report BT.2390 (section
5.4.1) on the largest of the three colours so that hues stay, reference white by Report BT.2408 (203 cd/m2), colours
by Report BT.2407's matrix. It is worked out once for a lattice of colours; FFmpeg's ``lut3d`` lays it on the pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
import numpy as np
from numpy.typing import NDArray

from lipsync.media.probe import HDR_TRANSFERS

Colours = NDArray[np.float64]

_SIDE = 33
_PEAK = 1000.0
"""The brightest a recording is taken to hold, cd/m2: what HLG is defined for and PQ is mostly graded to."""
_WHITE = 203.0
_GAMMA = 2.4
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMA = np.array([0.2627, 0.6780, 0.0593])


def pq_light(signal: Colours) -> Colours:
    """PQ signal 0..1 to light in cd/m2 (BT.2100, table 4)."""
    p = np.power(np.clip(signal, 0, 1), 1 / _M2)
    return np.asarray(10_000 * np.power(np.maximum(p - _C1, 0) / (_C2 - _C3 * p), 1 / _M1))


def pq_signal(light: Colours) -> Colours:
    """Light in cd/m2 to PQ signal 0..1: the inverse of ``pq_light``."""
    y = np.power(np.clip(light, 0, 10_000) / 10_000, _M1)
    return np.asarray(np.power((_C1 + _C2 * y) / (1 + _C3 * y), _M2))


def hlg_light(signal: Colours) -> Colours:
    """HLG signal (..., 3), 0..1, to light on a display of 1000 cd/m2 (BT.2100, table 5; system gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    x = np.clip(signal, 0, 1)
    scene = np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)
    luma = scene @ _LUMA
    return np.asarray(_PEAK * scene * np.power(np.maximum(luma, 1e-9), 0.2)[..., None])


def rolled_off(light: Colours) -> Colours:
    """BT.2390's curve: light up to ``_PEAK`` fitted under ``_WHITE``, the darker part untouched."""
    top = pq_signal(np.asarray(_PEAK))
    e = np.clip(pq_signal(light) / top, 0, 1)
    limit = float(pq_signal(np.asarray(_WHITE)) / top)
    knee = 1.5 * limit - 0.5
    t = (e - knee) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * limit
    return pq_light(np.where(e < knee, e, bent) * top)


def to_standard(signal: Colours, transfer: str) -> Colours:
    """BT.2020 colours (..., 3), 0..1, of transfer "PQ" or "HLG", to BT.709 signal (..., 3), 0..1."""
    light = pq_light(signal) if transfer == "PQ" else hlg_light(signal)
    largest = np.maximum(light.max(-1, keepdims=True), 1e-6)
    shown = light * (rolled_off(largest) / largest) / _WHITE
    narrow = shown @ _TO_709.T
    # What BT.709 cannot show loses colour rather than hue.
    grey = (shown @ _LUMA)[..., None]
    over = np.minimum(narrow.min(-1, keepdims=True), 0)
    narrow = np.where(over < 0, grey + (narrow - grey) * (grey / np.maximum(grey - over, 1e-9)), narrow)
    return np.asarray(np.power(np.clip(narrow, 0, 1), 1 / _GAMMA))


def tone_mapped(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Send PQ and HLG pictures through the curve, giving RGB; leave others alone."""
    first = next(frames, None)
    if first is None:
        return
    transfer = HDR_TRANSFERS.get(int(first.color_trc))
    if transfer is None:
        yield first
        yield from frames
        return
    graph: Any = None
    with tempfile.TemporaryDirectory(prefix="tone-") as folder:
        cube = Path(folder) / "hdr.cube"
        cube.write_text(_cube(transfer), "ascii")
        shape: tuple[Any, ...] = ()
        frame: av.VideoFrame | None = first
        while frame is not None:
            if (frame.width, frame.height, frame.format.name) != shape:
                shape = (frame.width, frame.height, frame.format.name)
                graph = _graph(frame, cube)
            graph.push(frame)
            out = graph.vpull()
            # The graph has a clock of its own.
            out.pts, out.time_base, out.duration = frame.pts, frame.time_base, frame.duration
            yield out
            frame = next(frames, None)


def _graph(like: av.VideoFrame, cube: Path) -> av.filter.Graph:
    graph = av.filter.Graph()
    base = Fraction(like.time_base or Fraction(1, 1000))
    last = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=base)
    steps = (
        # Signals as they stand to RGB: the tag says BT.2020, whatever the container forgot.
        ("scale", "in_color_matrix=bt2020:flags=accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"),
        ("format", "gbrp16le"),
        ("lut3d", f"file={cube.as_posix()}:interp=tetrahedral"),
        ("setparams", "color_trc=bt709:color_primaries=bt709:colorspace=gbr:range=pc"),
        ("format", "gbrp16le"),
        ("buffersink", None),
    )
    for name, arguments in steps:
        step = graph.add(name, arguments) if arguments is not None else graph.add(name)
        last.link_to(step)
        last = step
    graph.configure()
    return graph


@lru_cache(maxsize=2)
def _cube(transfer: str) -> str:
    """The lattice as a .cube file: red changes fastest."""
    axis = np.linspace(0, 1, _SIDE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    values = to_standard(np.stack([red, green, blue], -1).reshape(-1, 3), transfer)
    return f"LUT_3D_SIZE {_SIDE}\n" + "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in values) + "\n"

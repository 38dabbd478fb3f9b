from __future__ import annotations

from pathlib import Path

import numpy as np

from lipsync.face.landmarks import OVAL, FaceTracker
from lipsync.media.layers import split_layers
from lipsync.media.matting import key_difference
from lipsync.media.video import read_frames


def test_face_hair_and_shoulders_add_up_to_the_matte(demo_take: Path) -> None:
    picture = next(read_frames(demo_take, 30, 31))
    alpha = np.where(key_difference(picture, "green") > 40, 0, 255).astype(np.uint8)
    alpha[::7] = (alpha[::7] * 0.6).astype(np.uint8)  # soft values too
    with FaceTracker(tracking=False) as tracker:
        points = tracker.track(picture)
    assert points is not None
    layers = split_layers(picture, alpha, points)
    assert list(layers) == ["face", "hair", "shoulders"]
    assert np.array_equal(sum(v.astype(int) for v in layers.values()), alpha)
    share = {k: v.astype(float) / np.maximum(alpha, 1) for k, v in layers.items()}

    def at(name: str, x: float, y: float) -> float:
        return float(share[name][round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].mean())

    nose, chin, brow = points[4], points[152], points[10]
    assert at("face", *nose) > 0.98
    top = np.flatnonzero(alpha[:, round(brow[0])] > 200)[0] + 6
    assert top < points[list(OVAL), 1].min() and at("hair", brow[0], top) > 0.9
    assert at("shoulders", chin[0], min(chin[1] + 0.5 * (chin[1] - nose[1]), 508)) > 0.9
    below = round(chin[1] + 20)
    assert share["hair"][below:].max() < 0.5 and share["shoulders"][: round(nose[1])].max() < 0.5

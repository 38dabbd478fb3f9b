"""A prepared take drawn by code: an oval face whose mouth opens with the loudness of its sound, landmarks given.

No face tracker is needed to make it, and none would find a face in it: it is for what stands on landmarks and pictures.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import INNER_LIP, OUTER_LIP
from lipsync.dataset.take import ALPHA, AUDIO, LANDMARKS, META, VIDEO, PreparedTake, load_take
from lipsync.engine import HOP
from lipsync.face.landmarks import OVAL
from lipsync.media.audio import save_wav
from lipsync.media.video import VideoWriter
from tests.lipbank.faces import animate

_STILL = {
    **{33: (-45, -35), 133: (-20, -35), 159: (-32, -39), 145: (-32, -31)},
    **{263: (45, -35), 362: (20, -35), 386: (32, -39), 374: (32, -31)},
    **{2: (0, 18), 98: (-10, 15), 327: (10, 15), 97: (-5, 17), 326: (5, 17), 164: (0, 26)},
    **{205: (-38, 25), 425: (38, 25), 187: (-46, 35), 411: (46, 35), 207: (-44, 45), 427: (44, 45)},
    **{216: (-38, 45), 436: (38, 45), 212: (-36, 58), 432: (36, 58), 208: (-8, 82), 428: (8, 82)},
}


def drawn_take(folder: Path, seconds: float = 14.0, seed: int = 0, size: int = 256, opens: bool = True) -> PreparedTake:
    """Write and open a take: ``size`` x ``size``, 25 fps, green behind the face.

    Args:
        folder: Made here.
        seconds: How long.
        seed: Of syllables, noise and head motion.
        size: Pixels, even.
        opens: Whether the mouth ever opens.
    """
    folder.mkdir(parents=True)
    opening, sound = syllables(int(seconds * 25), seed)
    landmarks = face_points(opening * opens, seed) * (size / 512)
    n = len(opening)
    texture = np.random.default_rng(seed + 1).normal(0, 6, (size, size))
    texture = cv2.GaussianBlur(texture, (0, 0), 1.2) * 3
    with (
        VideoWriter(folder / VIDEO, size, size, crf=4, pix="yuv420p") as video,
        VideoWriter(folder / ALPHA, size, size, crf=4, pix="gray") as alpha,
    ):
        for k in range(n):
            picture, matte = paint(landmarks[k], size, texture)
            video.write(picture)
            alpha.write(matte)
    save_wav(folder / AUDIO, sound, 16000)
    np.savez(folder / LANDMARKS, landmarks=landmarks.astype(np.float32), found=np.ones(n, bool))
    (folder / META).write_text(json.dumps({"schema": 1, "frames": n, "width": size, "height": size}))
    return load_take(folder)


def syllables(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Mouth openings (n,), face pixels, and a sound (n * 640,) as loud as they are wide."""
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    k = 5
    while k < n - 12:
        length = int(rng.integers(5, 10))
        level[k : k + length] = rng.uniform(0.3, 1.0) * np.sin(np.pi * np.arange(length) / length) ** 2
        k += length + int(rng.integers(0, 9))
    fine = np.interp(np.arange(n * HOP) / HOP, np.arange(n) + 0.5, level)
    sound = 0.3 * fine * rng.normal(size=n * HOP) + 1e-4 * rng.normal(size=n * HOP)
    return level * 16, sound.astype(np.float32)


def face_points(opening: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """Landmarks (n, 478, 2) in a 512x512 picture, plausible where the engines look."""
    plain = animate(opening, 0.1 * opening, seed)
    still = animate(opening * 0, opening * 0, seed, noise=0.0)
    # The same motion for points of our own: solve each frame's similarity from the face at rest, then place them.
    centre = animate(np.zeros(1), np.zeros(1), seed, head=0.0, noise=0.0)[0]
    out = plain.copy()
    angle = np.linspace(-np.pi / 2, 1.5 * np.pi, len(OVAL), endpoint=False)
    own = {**_STILL, **{i: (68 * np.cos(a), 8 + 92 * np.sin(a)) for i, a in zip(OVAL, angle, strict=True)}}
    ids = list(own)
    base = np.array([own[i] for i in ids], float)
    centred = centre - centre.mean(0)
    for k in range(len(opening)):
        middle = still[k].mean(0)
        solved, *_ = np.linalg.lstsq(centred, still[k] - middle, rcond=None)
        points = base.copy()
        low = points[:, 1] > 40
        points[low, 1] += 0.6 * opening[k] * (points[low, 1] - 40) / 60
        # ``animate`` draws its face 1.1 times as large as the numbers above.
        out[k, ids] = points * 1.1 @ solved + middle - centre.mean(0) @ solved + np.array([256, 250]) @ solved
    return out.astype(np.float32)


def paint(
    points: NDArray[np.floating], size: int, texture: NDArray[np.floating]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An I420 picture of a face and its matte."""

    def area(ids: tuple[int, ...]) -> NDArray[np.uint8]:
        mask = np.zeros((size, size), np.uint8)
        ring = np.round(points[list(ids)] * 16).astype(np.int32)
        cv2.fillPoly(mask, [ring], 255, cv2.LINE_AA, 4)
        return mask

    matte = area(OVAL)
    body = np.zeros((size, size), np.uint8)
    cv2.ellipse(body, (size // 2, size), (size // 3, size // 4), 0, 0, 360, 255, -1)
    luma = np.full((size, size), 140.0)
    u, v = np.full((size, size), 60.0), np.full((size, size), 50.0)
    parts = (
        (body, 70, 120, 125),
        (matte, 150, 110, 150),
        (area(OUTER_LIP), 110, 115, 165),
        (area(INNER_LIP), 30, 125, 135),
    )
    for mask, y_, u_, v_ in parts:
        share = mask / 255.0
        luma, u, v = (a * (1 - share) + b * share for a, b in ((luma, y_), (u, u_), (v, v_)))
    luma = luma + texture * (cv2.max(matte, body) / 255.0)
    planes = [luma, *(cv2.resize(p, (size // 2, size // 2), interpolation=cv2.INTER_AREA) for p in (u, v))]
    flat = np.concatenate([np.clip(p, 16, 235).astype(np.uint8).ravel() for p in planes])
    return flat.reshape(size * 3 // 2, size), cv2.max(matte, body)

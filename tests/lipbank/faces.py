"""Faces made by code: landmarks whose mouth does what an envelope says while the head moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import INNER_LIP, JAW, OUTER_LIP, UPPER_FACE


def _ring(ids: tuple[int, ...], centre: tuple[float, float], rx: float, ry: float) -> dict[int, tuple[float, float]]:
    angle = np.pi + 2 * np.pi * np.arange(len(ids)) / len(ids)
    return {i: (centre[0] + rx * np.cos(a), centre[1] + ry * np.sin(a)) for i, a in zip(ids, angle, strict=True)}


def make_face() -> NDArray[np.float64]:
    """One still face (478, 2) about 200 px high, its mouth shut."""
    rng = np.random.default_rng(0)
    face = np.column_stack([rng.uniform(-70, 70, 478), rng.uniform(-90, 100, 478)])
    for i, p in _ring(UPPER_FACE, (0, -35), 60, 45).items():
        face[i] = p
    for i, p in _ring(JAW, (0, 85), 45, 18).items():
        face[i] = p
    for i, p in _ring(OUTER_LIP, (0, 50), 26, 10).items():
        face[i] = p
    for i, p in _ring(INNER_LIP, (0, 50), 22, 0).items():
        face[i] = p
    return face


def animate(
    opening: NDArray[np.floating], spread: NDArray[np.floating], seed: int = 0, head: float = 1.0, noise: float = 0.1
) -> NDArray[np.float32]:
    """Landmarks (n, 478, 2) of a face in a 512x512 picture.

    Args:
        opening: (n,) gap between the inner lips in pixels of the face.
        spread: (n,) widening of the mouth in pixels.
        seed: Of the head's motion and the tracking noise.
        head: How far the head moves, 0 for not at all.
        noise: Standard deviation of the tracking noise in pixels.
    """
    rng = np.random.default_rng(seed)
    n = len(opening)
    face = np.repeat(make_face()[None], n, axis=0)
    for ids in (INNER_LIP, OUTER_LIP):
        half = len(ids) // 2
        share = np.sin(np.pi * np.arange(1, half) / half)
        face[:, ids[1:half], 1] -= 0.4 * opening[:, None] * share
        face[:, ids[half + 1 :], 1] += 0.6 * opening[:, None] * share
        x = face[:, ids, 0]
        face[:, ids, 0] = x * (1 + spread[:, None] / 52)
    face[:, JAW, 1] += 0.6 * opening[:, None]
    t = np.arange(n) / 25
    turn = head * 0.06 * np.sin(2 * np.pi * 0.13 * t + rng.uniform(0, 6))
    size = 1.1 + head * 0.05 * np.sin(2 * np.pi * 0.07 * t)
    rotation = (
        np.stack([np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)], 1).reshape(n, 2, 2) * size[:, None, None]
    )
    shift = np.column_stack(
        [256 + head * 12 * np.sin(2 * np.pi * 0.11 * t), 250 + head * 6 * np.cos(2 * np.pi * 0.17 * t)]
    )
    out = np.einsum("npi,nij->npj", face, rotation) + shift[:, None]
    return (out + noise * rng.normal(size=out.shape)).astype(np.float32)

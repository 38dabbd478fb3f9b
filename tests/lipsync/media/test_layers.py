from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

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


SKIN, HAIR, COAT, SCREEN = (140, 165, 215), (30, 45, 60), (120, 60, 40), (60, 170, 60)
SIDE = 400


def drawn(hairline: Callable[[np.ndarray], np.ndarray], long: bool = False) -> tuple[np.ndarray, ...]:
    """A drawn head: picture, matte, landmarks, and where its hair is. ``hairline`` gives y for x, in pixels."""
    yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    head = ((xx - 200) / 75) ** 2 + ((yy - 180) / 110) ** 2 < 1
    body = ((xx - 200) / 170) ** 2 + ((yy - 430) / 130) ** 2 < 1
    neck = (np.abs(xx - 200) < 35) & (yy > 250) & (yy < 330)
    hair = head & (yy < hairline(xx))
    if long:
        hair |= (np.abs(xx - 200) < 95) & (np.abs(xx - 200) > 62) & (yy > 130) & (yy < 330)
    picture = np.full((SIDE, SIDE, 3), SCREEN, np.float32)
    for where, colour in ((body, COAT), (neck, SKIN), (head, SKIN), (hair, HAIR)):
        picture[where] = colour
    picture += np.random.default_rng(1).normal(0, 4, picture.shape)
    matte = np.where(head | body | neck | hair, 255, 0).astype(np.uint8)
    points = np.zeros((478, 2), np.float32)
    angle = np.linspace(-np.pi / 2, 1.5 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([200 + 62 * np.cos(angle), 205 + 84 * np.sin(angle)], 1)
    points[168] = (200, 175)
    return np.clip(picture, 0, 255).astype(np.uint8), matte, points, hair


@pytest.mark.parametrize("shape", ["wave", "fringe", "receding"])
def test_the_boundary_is_the_hairline_whatever_its_shape(shape: str) -> None:
    line = {
        "wave": lambda x: 118 + 9 * np.sin(x / 11),
        "fringe": lambda x: 150 + 0.0 * x,
        "receding": lambda x: 84 + 0.008 * (x - 200) ** 2,
    }[shape]
    picture, matte, points, hair = drawn(line)
    layers = split_layers(picture, matte, points)
    assert np.array_equal(sum(v.astype(int) for v in layers.values()), matte)
    head = np.zeros_like(hair)
    head[72:250, 130:270] = matte[72:250, 130:270] > 0
    wrong = (layers["hair"] > 127) != hair
    near = cv2.morphologyEx(hair.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8)) > 0
    assert wrong[head & ~near].mean() < 0.01, "beyond 4 pixels of the hairline nothing is mistaken"
    assert layers["shoulders"][:200].max() < 60 and layers["face"][320:].max() == 0


def test_long_hair_is_hair_down_to_the_shoulders_and_the_neck_is_not() -> None:
    picture, matte, points, hair = drawn(lambda x: 118 + 0.0 * x, long=True)
    layers = split_layers(picture, matte, points)
    low = np.s_[255:315]
    assert (layers["hair"][low][hair[low]] > 127).mean() > 0.85
    assert layers["shoulders"][300:320, 180:220].min() > 200 and layers["hair"][300:320, 180:220].max() < 50


def test_a_bald_head_is_all_face_without_a_straight_cut() -> None:
    picture, matte, points, _ = drawn(lambda x: 0.0 * x)
    layers = split_layers(picture, matte, points)
    assert (layers["face"][75:150, 180:220] > 200).mean() > 0.9


@pytest.mark.parametrize("move", [(-190, 0), (150, 0), (0, -160), (0, 230), (-600, 0)])
def test_a_face_at_or_beyond_the_edge_is_no_error(move: tuple[int, int]) -> None:
    picture, matte, points, _ = drawn(lambda x: 118 + 0.0 * x)
    layers = split_layers(picture, matte, points + np.float32(move))
    assert np.array_equal(sum(v.astype(int) for v in layers.values()), matte)

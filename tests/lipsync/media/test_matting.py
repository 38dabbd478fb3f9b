from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lipsync.media.matting import Keyer, Screen, despill, fit_screen

H, W = 288, 384
YY, XX = np.mgrid[0:H, 0:W].astype(np.float32)


def _disc(x: float, y: float, radius: float, soft: float = 1.5) -> np.ndarray:
    return np.clip((radius - np.hypot(XX - x, YY - y)) / soft + 0.5, 0, 1).astype(np.float32)


def _person(shift: float = 0.0) -> np.ndarray:
    """Alpha of a head on shoulders."""
    head = _disc(W / 2 + shift, H * 0.4, 60)
    body = np.clip((YY - H * 0.72 + ((XX - W / 2) / 60) ** 2 * 4) / 2 + 0.5, 0, 1)
    body *= np.abs(XX - W / 2) < 150
    return np.maximum(head, body).astype(np.float32)


def _scene(alpha: np.ndarray, seed: int, key: tuple[int, int, int], uneven: float = 0.25) -> np.ndarray:
    """The person, textured and noisy, before an unevenly lit screen."""
    rng = np.random.default_rng(seed)
    light = 1 - uneven * np.hypot(XX / W - 0.5, YY / H - 0.2)
    screen = np.array(key, np.float32) * light[..., None]
    skin = np.array((110, 135, 190), np.float32) + 20 * np.sin(XX / 9)[..., None]
    skin = np.where((YY > H * 0.68)[..., None], np.array((70, 40, 45), np.float32), skin)
    picture = alpha[..., None] * skin + (1 - alpha[..., None]) * screen
    return np.clip(picture + rng.normal(0, 2.5, picture.shape), 0, 255).astype(np.uint8)


def _segmentation(alpha: np.ndarray) -> np.ndarray:
    """What a coarse network says: right by and large, wrong by some pixels at the edge."""
    moved = np.roll(alpha, (3, -4), (0, 1))
    return cv2.resize(cv2.GaussianBlur(moved, (0, 0), 5), (256, 256)).astype(np.float32)


GREEN, BLUE = (60, 185, 60), (190, 80, 40)


@pytest.mark.parametrize(
    ("kind", "key", "mean", "at_edge"), [("green", GREEN, 0.003, 0.06), ("blue", BLUE, 0.006, 0.12)]
)
def test_the_key_finds_its_colour_and_keeps_soft_edges(
    kind: str, key: tuple[int, int, int], mean: float, at_edge: float
) -> None:
    """The jacket is a little blue: before the blue screen its border is the harder case."""
    alphas = [_person(s) for s in np.linspace(-20, 20, 12)]
    frames = [_scene(a, k, key) for k, a in enumerate(alphas)]
    persons = [_segmentation(a) for a in alphas]
    screen = fit_screen(frames, persons)
    assert screen.kind == kind
    assert np.abs(np.array(screen.colour) / np.array(key) - 0.93).max() < 0.1
    keyer = Keyer(screen, W, H)
    errors = []
    for frame, person, alpha in zip(frames, persons, alphas, strict=True):
        matte = keyer.key(frame, person).astype(np.float32) / 255
        errors.append(matte - alpha)
    errors_all = np.abs(np.array(errors))
    soft = np.array([(a > 0.02) & (a < 0.98) for a in alphas])
    assert errors_all.mean() < mean and errors_all[soft].mean() < at_edge
    assert np.abs(np.diff(np.array(errors), axis=0)).mean() < 2 * mean
    # A segmentation alone, or a screen taken for another colour, would be far from this.
    alone = np.abs(np.array([cv2.resize(p, (W, H)) for p in persons]) - np.array(alphas))
    assert errors_all.mean() < 0.5 * alone.mean()


def test_a_wall_beside_the_screen_goes() -> None:
    alpha = _person()
    frames = [_scene(alpha, k, GREEN) for k in range(6)]
    wall = (XX < 30) & (YY > 60)
    for frame in frames:
        frame[wall] = (150, 160, 155)
    persons = [_segmentation(alpha)] * 6
    keyer = Keyer(fit_screen(frames, persons), W, H)
    assert (keyer.raw(frames[0])[wall] > 200).mean() > 0.9  # the key alone takes it for the person
    matte = keyer.key(frames[0], persons[0])
    away = wall & (cv2.dilate((alpha > 0).astype(np.uint8), np.ones((31, 31), np.uint8)) == 0)
    assert (matte[away] > 12).mean() < 0.001
    assert matte[alpha == 1].mean() > 252


def test_holes_are_filled_but_not_those_the_screen_shows_through() -> None:
    hole, akimbo = _disc(W / 2, H * 0.4, 9, 1), _disc(W / 2 + 40, H * 0.85, 22, 1)
    alpha = _person() * (1 - akimbo)
    frames = [_scene(alpha, k, GREEN) for k in range(6)]
    for frame in frames:
        inside = hole > 0.5
        frame[inside] = (0.25 * frame[inside] + 0.75 * np.array(GREEN)).astype(np.uint8)  # a reflection on glasses
    person = _segmentation(_person())
    person[cv2.resize(akimbo, (256, 256)) > 0.5] = 0.6
    keyer = Keyer(fit_screen(frames, [person] * 6), W, H)
    assert keyer.raw(frames[0])[hole > 0.9].mean() < 130
    matte = keyer.key(frames[0], person)
    assert matte[hole > 0.9].mean() > 235
    assert matte[akimbo > 0.99].mean() < 25


def test_a_hand_that_segmentation_missed_stays() -> None:
    hand = _disc(W / 2 + 75, H * 0.45, 22)
    alpha = np.maximum(_person(), hand)
    frames = [_scene(alpha, k, GREEN) for k in range(6)]
    person = _segmentation(_person())
    matte = Keyer(fit_screen(frames, [person] * 6), W, H).key(frames[0], person)
    assert matte[hand > 0.99].mean() > 200


def test_a_plain_background_falls_back_to_segmentation() -> None:
    alpha = _person()
    frames = [_scene(alpha, k, (120, 125, 130)) for k in range(6)]
    persons = [_segmentation(alpha)] * 6
    screen = fit_screen(frames, persons)
    assert screen.kind == "none" and screen.as_dict()["kind"] == "none"
    matte = Keyer(screen, W, H).key(frames[0], persons[0]).astype(np.float32) / 255
    assert np.abs(matte - alpha).mean() < 0.03
    assert matte.min() == 0 and matte.max() == 1


@pytest.mark.parametrize(("kind", "key", "channel"), [("green", GREEN, 1), ("blue", BLUE, 0)])
def test_despill_takes_the_screen_off_the_edge_only(kind: str, key: tuple[int, int, int], channel: int) -> None:
    alpha = _person()
    frame = _scene(alpha, 0, key)
    matte = np.round(alpha * 255).astype(np.uint8)
    clean = despill(frame, matte, Screen(kind))
    others = [c for c in range(3) if c != channel]

    def excess(picture: np.ndarray, where: np.ndarray) -> float:
        value = picture.astype(int)[where]
        return float((value[:, channel] - value[:, others].max(1)).mean())

    edge = (alpha > 0.1) & (alpha < 0.9)
    assert excess(frame, edge) > 10 and excess(clean, edge) < 1
    deep = cv2.erode((alpha == 1).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    assert deep.any() and np.array_equal(frame[deep], clean[deep])
    assert np.array_equal(despill(frame, matte, Screen("none")), frame)


@pytest.mark.take
def test_the_measuring_take_is_keyed_within_its_limits(green_take: Path) -> None:
    from lipsync.face.segmentation import PersonSegmenter
    from lipsync.media.matting_torch import TorchKeyer
    from lipsync.media.video import read_frames
    from scripts.benchmarks.key import MatteError, hsv_key

    torch = pytest.importorskip("torch")
    truth = green_take.with_name("green_alpha.mp4")
    frames = list(read_frames(green_take, 1150, 1270))
    with PersonSegmenter() as segmenter:
        screen = fit_screen(frames[::8], [segmenter.segment(f) for f in frames[::8]])
        keyer, ours, naive = Keyer(screen, 512, 512), MatteError(), MatteError()
        other = TorchKeyer(screen, 512, 512, "cuda" if torch.cuda.is_available() else "cpu")
        for k, (frame, true) in enumerate(zip(frames, read_frames(truth, 1150, 1270, "gray"), strict=True)):
            person = segmenter.segment(frame)
            matte = keyer.key(frame, person)
            ours.add(matte, true)
            naive.add(hsv_key(frame), true)
            if k < 40:
                assert np.abs(matte.astype(int) - other.key(frame, person)).max() <= 2
    found = ours.figures()
    assert found["mae"] <= 0.005 and found["band"] <= 0.035 and found["flicker"] <= 0.002
    assert found["residue"] <= 0.1
    assert naive.figures()["mae"] > 1.5 * found["mae"]


@pytest.mark.parametrize("size", [(384, 288), (512, 512), (398, 270)])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_both_implementations_make_one_matte(size: tuple[int, int], noise: float) -> None:
    """The torch one runs on the CPU here; on a GPU where there is one."""
    torch = pytest.importorskip("torch")
    from dataclasses import replace

    from lipsync.media.matting_torch import TorchKeyer, open_keyer

    alphas = [_person(s) for s in (-12, 0, 12)]
    frames = [cv2.resize(_scene(a, k, GREEN), size, interpolation=cv2.INTER_LINEAR) for k, a in enumerate(alphas)]
    for frame in frames:
        frame[size[1] // 3 :, : size[0] // 14] = (150, 160, 155)
    persons = [_segmentation(a) for a in alphas]
    screen = replace(fit_screen(frames, persons), noise=noise)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    first, second = Keyer(screen, *size), TorchKeyer(screen, *size, device)
    for frame, person in zip(frames, persons, strict=True):
        one, two = first.key(frame, person), second.key(frame, person)
        assert 0.2 < (one > 127).mean() < 0.8 and two.dtype == np.uint8
        assert np.abs(one.astype(int) - two).max() <= 2
    assert isinstance(open_keyer(screen, *size, "cpu"), Keyer)
    plain = TorchKeyer(Screen("none"), *size, device).key(frames[0], persons[0])
    assert np.array_equal(plain, Keyer(Screen("none"), *size).key(frames[0], persons[0]))

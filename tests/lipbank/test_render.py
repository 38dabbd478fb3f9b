import cv2
import numpy as np
import pytest

from lipbank.config import RenderConfig
from lipbank.face import CheekModel
from lipbank.mouth_space import GAP
from lipbank.render import Drive, Renderer, crossfade
from lipsync.compositor import Compositor
from lipsync.face.square import MOUTH, squares
from lipsync.frame_cycle import BaseClip


@pytest.fixture(scope="module")
def base(take):
    return BaseClip.from_take(take, 0, 120)


@pytest.fixture(scope="module")
def cheeks(take, space):
    part = slice(0, 280)
    coef, alignment = space.encode(take.landmarks[part]), space.align(take.landmarks[part])
    return CheekModel.fit(space, take.landmarks[part], coef, alignment)


@pytest.fixture(scope="module")
def renderer(base, bank, space, cheeks):
    return Renderer(base, bank, space, cheeks)


def mouth(frame, base, k):
    left, top, right, bottom = squares(base.landmarks).box(k, MOUTH, base.width, base.height)
    return frame[top:bottom, left:right].astype(float)


def psnr(a, b) -> float:
    return float(10 * np.log10(255**2 / max(((a - b) ** 2).mean(), 1e-3)))


def own(bank, k) -> Drive:
    return Drive((k,), (1.0,), bank.coef[k])


def test_a_frames_own_mouth_comes_back(renderer, base, bank):
    for k in (30, 60, 90):
        frame = Compositor(base).compose(k, renderer.draw(k, own(bank, k)))
        assert psnr(mouth(frame, base, k), mouth(base.i420(k), base, k)) > 33


def test_another_frames_mouth_is_warped_onto_the_head(renderer, base, bank):
    """An open mouth on a frame where it is shut: nearer to the frame it came from than the frame's own."""
    gaps = bank.coef[:120, GAP]
    shut, opened = int(gaps[20:100].argmin()) + 20, int(gaps.argmax())
    frame = Compositor(base).compose(shut, renderer.draw(shut, own(bank, opened)))
    dark = (mouth(frame, base, shut) < 60).mean()
    assert dark > 3 * (mouth(base.i420(shut), base, shut) < 60).mean()
    assert dark == pytest.approx((mouth(base.i420(opened), base, opened) < 60).mean(), rel=0.4)


def test_nothing_outside_the_face_changes(renderer, base, bank):
    opened = int(bank.coef[:120, GAP].argmax())
    frame = Compositor(base).compose(40, renderer.draw(40, own(bank, opened)))
    changed = np.abs(frame[: base.height].astype(int) - base.i420(40)[: base.height]) > 6
    grown = cv2.dilate(base.alpha(40), np.ones((9, 9), np.uint8)) > 0
    assert not changed[~grown].any()
    eyes = squares(base.landmarks).box(40, (0, 0, 160, 40), base.width, base.height)
    assert not changed[: eyes[3]].any()


def test_colours_follow_the_frames_light(take, bank, space, cheeks, base):
    """A base clip filmed darker gets a darker mouth, by about as much."""
    frames = np.stack([base.i420(k) for k in range(40)])
    dim = frames.copy()
    dim[:, : base.height] = np.clip(frames[:, : base.height].astype(int) - 14, 16, 235).astype(np.uint8)
    patches = [
        Renderer(BaseClip(f, base.landmarks[:40]), bank, space, cheeks).draw(20, own(bank, 20)).i420
        for f in (frames, dim)
    ]
    rows = len(patches[0]) * 2 // 3
    middle = slice(rows // 3, rows // 2), slice(patches[0].shape[1] // 3, patches[0].shape[1] * 2 // 3)
    shift = patches[0][middle].astype(float).mean() - patches[1][middle].astype(float).mean()
    assert 9 < shift < 16


def test_without_a_neck_the_ground_is_the_frames_own(base, bank, space, cheeks):
    still = Renderer(base, bank, space, cheeks, RenderConfig(neck=False))
    opened = int(bank.coef[:120, GAP].argmax())
    patch = still.draw(40, own(bank, opened))
    h, w = len(patch.i420) * 2 // 3, patch.i420.shape[1]
    ground = base.i420(40)[patch.y : patch.y + h, patch.x : patch.x + w]
    assert np.array_equal(patch.i420[h - 3 : h], ground[h - 3 :])


def test_a_face_at_the_frames_edge_is_drawn_as_far_as_it_shows(take, bank, space, cheeks, base):
    moved = base.landmarks[:40] + np.array([base.width * 0.33, base.height * 0.3], np.float32)
    frames = np.stack([base.i420(k) for k in range(40)])
    renderer = Renderer(BaseClip(frames, moved), bank, space, cheeks)
    patch = renderer.draw(10, own(bank, 10))
    h, w = len(patch.i420) * 2 // 3, patch.i420.shape[1]
    assert patch.x + w <= base.width and patch.y + h <= base.height and h >= 16 and w >= 16


def test_crossfade_mixes_only_where_the_search_jumps():
    following = np.array([1, 2, 3, 4, 4])
    assert crossfade(1, 2, 3, following, 0.25) == ((2,), (1.0,))
    assert crossfade(None, 2, None, following, 0.25) == ((2,), (1.0,))
    sources, weights = crossfade(0, 3, 2, following, 0.25)
    assert dict(zip(sources, weights, strict=True)) == {3: 0.5, 1: 0.5}
    assert sum(weights) == pytest.approx(1)
    assert crossfade(0, 3, 2, following, 0.0) == ((3,), (1.0,))


def test_a_crossfade_lies_between_its_sources(renderer, bank):
    coef = bank.coef[50]
    a, b = (renderer.draw(50, Drive((j,), (1.0,), coef)).i420.astype(float) for j in (20, 80))
    both = renderer.draw(50, Drive((20, 80), (0.5, 0.5), coef)).i420.astype(float)
    assert np.abs(both - (a + b) / 2).mean() < 1.0

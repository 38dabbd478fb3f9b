import numpy as np
import pytest

from lipbank.mouth_space import DIMENSIONS, GAP, WIDTH, MouthSpace, measure
from lipsync.errors import BundleError, InvalidInputError
from tests.lipbank.faces import animate

N = 300


@pytest.fixture(scope="module")
def talk():
    rng = np.random.default_rng(1)
    smooth = np.convolve(rng.normal(size=N + 8), np.hanning(9) / 2, "valid")
    opening = np.clip(6 + 5 * smooth, 0, None)
    spread = 4 * np.sin(np.arange(N) / 7)
    return opening, spread, animate(opening, spread)


@pytest.fixture(scope="module")
def space(talk):
    return MouthSpace.fit(talk[2], np.ones(N, bool), range(0, 240))


def test_gap_and_width_follow_the_mouth_not_the_head(talk, space):
    opening, spread, landmarks = talk
    coef = space.encode(landmarks)
    assert coef.shape == (N, DIMENSIONS) and coef.dtype == np.float32
    assert np.corrcoef(coef[240:, GAP], opening[240:])[0, 1] > 0.98
    assert np.corrcoef(coef[240:, WIDTH], spread[240:])[0, 1] > 0.95
    still = space.encode(animate(np.full(N, 6.0), np.zeros(N), seed=3))
    assert still[:, GAP].std() < 0.15 * coef[:, GAP].std()


def test_decode_gives_the_points_back(talk, space):
    landmarks = talk[2]
    back = space.decode(space.encode(landmarks), space.align(landmarks))
    error = np.linalg.norm(back - landmarks[:, MouthSpace.POINTS], axis=2)[240:]
    assert back.shape == (N, 60, 2) and back.dtype == np.float32
    assert error[:, :40].mean() < 0.35
    moved = space.decode(space.encode(landmarks), space.align(landmarks + 40))
    assert np.allclose(moved - back, 40, atol=0.02)


def test_a_mouth_has_the_gap_and_width_it_states(talk, space):
    coef = space.encode(talk[2])[:5].copy()
    coef[:, GAP] = [0, 2, 5, 9, -3]
    coef[:, WIDTH] += 2
    points = space.canonical(coef)
    gap, width = measure(points)
    assert np.allclose(gap[:4], [0, 2, 5, 9], atol=0.4)
    assert np.allclose(width, coef[:, WIDTH], atol=0.5)
    assert (points[:, 11:20, 1][:, ::-1] >= points[:, 1:10, 1] - 1e-9).all()
    assert abs(gap[4]) < 0.4


def test_tensors_round_trip(talk, space):
    again = MouthSpace.from_tensors(space.tensors())
    assert np.allclose(again.encode(talk[2]), space.encode(talk[2]), atol=1e-3)


def test_held_out_frames_are_not_looked_at(talk):
    landmarks = talk[2].copy()
    one = MouthSpace.fit(landmarks, np.ones(N, bool), range(0, 240)).tensors()
    landmarks[240:] += 100
    two = MouthSpace.fit(landmarks, np.ones(N, bool), range(0, 240)).tensors()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_frames_without_a_face_are_bridged(talk, space):
    landmarks = talk[2].copy()
    found = np.ones(N, bool)
    found[50:53] = False
    landmarks[50:53] = np.nan
    coef = space.encode(landmarks, found)
    assert np.isfinite(coef).all()
    assert np.abs(coef[:45] - space.encode(talk[2])[:45]).max() < 0.05
    fitted = MouthSpace.fit(landmarks, found, range(0, 240))
    assert np.corrcoef(fitted.encode(talk[2])[:, GAP], talk[0])[0, 1] > 0.98


def test_bad_input_is_named(talk, space):
    with pytest.raises(InvalidInputError, match="training frames"):
        MouthSpace.fit(talk[2], np.zeros(N, bool), range(0, 240))
    with pytest.raises(InvalidInputError, match="shape"):
        space.encode(np.zeros((4, 68, 2), np.float32))
    with pytest.raises(InvalidInputError, match="No frame"):
        space.align(np.full((4, 478, 2), np.nan))
    broken = space.tensors()
    del broken["basis"]
    with pytest.raises(BundleError, match="basis"):
        MouthSpace.from_tensors(broken)

import itertools

import numpy as np
import pytest

from lipsync.errors import BundleError, InvalidInputError
from lipsync.frame_cycle import BaseClip, choose_stretch, longest
from tests.fakes.bar_engine import drawn_clip, write_bar_bundle


def faces(xs) -> np.ndarray:
    """Landmarks of a rigid face that moves sideways."""
    shape = np.random.default_rng(0).uniform(0, 100, (478, 2))
    return (shape[None] + np.stack([xs, np.zeros_like(xs)], 1)[:, None]).astype(np.float32)


def test_to_and_fro_never_jumps():
    pictures, _ = drawn_clip(5, 32, 32)
    clip = BaseClip(pictures, np.zeros((5, 478, 2), np.float32))
    walk = [clip.cycle(t) for t in range(17)]
    assert walk[:9] == [0, 1, 2, 3, 4, 3, 2, 1, 0]
    assert max(abs(a - b) for a, b in itertools.pairwise(walk)) == 1
    loop = BaseClip(pictures, np.zeros((5, 478, 2), np.float32), mirror=False)
    assert [loop.cycle(t) for t in range(7)] == [0, 1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize("n", [1, 2])
def test_tiny_clips_still_walk(n):
    pictures, _ = drawn_clip(n, 32, 32)
    clip = BaseClip(pictures, np.zeros((n, 478, 2), np.float32))
    assert all(0 <= clip.cycle(t) < n for t in range(9))


def test_matte_is_kept_whole_and_half():
    pictures, mattes = drawn_clip(3, 32, 24)
    clip = BaseClip(pictures, np.zeros((3, 478, 2), np.float32), mattes)
    assert clip.keyed
    assert np.array_equal(clip.alpha(2), mattes[2])
    assert clip.alpha_half(2).shape == (12, 16)
    bare = BaseClip(pictures, np.zeros((3, 478, 2), np.float32))
    assert not bare.keyed and bare.alpha(0).min() == 255 and bare.alpha_half(0).min() == 255


def test_lengths_must_fit():
    pictures, mattes = drawn_clip(3, 32, 24)
    with pytest.raises(InvalidInputError):
        BaseClip(pictures, np.zeros((2, 478, 2), np.float32))
    with pytest.raises(InvalidInputError):
        BaseClip(pictures, np.zeros((3, 478, 2), np.float32), mattes[:2])


def test_written_and_loaded(tmp_path):
    folder = write_bar_bundle(tmp_path / "b", frames=8, width=64, height=48)
    clip = BaseClip.load(folder)
    pictures, mattes = drawn_clip(8, 64, 48)
    assert (clip.n, clip.width, clip.height) == (8, 64, 48)
    assert np.abs(clip.i420(3)[:48].astype(int) - pictures[3][:48]).mean() < 2
    assert np.abs(clip.alpha(3).astype(int) - mattes[3]).mean() < 3
    (folder / "base.mp4").unlink()
    with pytest.raises(BundleError):
        BaseClip.load(folder)


def test_a_periodic_sway_becomes_a_loop():
    t = np.arange(400)
    found = np.ones(400, bool)
    stretch = choose_stretch(faces(20 * np.sin(2 * np.pi * t / 100)), found, range(0, 320), 250)
    assert not stretch.mirror
    assert (stretch.stop - stretch.start) % 100 in (0, 1, 99)
    assert stretch.start >= 0 and stretch.stop <= 320


def test_a_drift_is_walked_to_and_fro():
    stretch = choose_stretch(faces(np.arange(300.0)), np.ones(300, bool), range(0, 240), 100)
    assert stretch.mirror and stretch.stop - stretch.start == 100


def test_frames_without_a_face_are_avoided():
    found = np.ones(300, bool)
    found[100] = False
    stretch = choose_stretch(faces(np.arange(300.0)), found, range(0, 240), 1000)
    assert stretch.start >= 101
    with pytest.raises(InvalidInputError):
        choose_stretch(faces(np.arange(30.0)), np.zeros(30, bool), range(0, 24), 100)


def test_memory_is_bounded():
    assert longest(512, 512) == 500
    assert longest(1920, 1080) * 1920 * 1080 * 3 // 2 <= 400 << 20

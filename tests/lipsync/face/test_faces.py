from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lipsync.face.identity import SAME, embed, find_same, similarity
from lipsync.face.landmarks import EYE_LEFT, EYE_RIGHT, LOWER_LIP, UPPER_LIP, FaceTracker, inner_gap
from lipsync.face.segmentation import PersonSegmenter
from lipsync.media.video import read_frames


@pytest.fixture(scope="module")
def pictures(demo_take: Path) -> list[np.ndarray]:
    return list(read_frames(demo_take, 0, 100))


def test_landmarks_are_where_the_face_is(pictures: list[np.ndarray]) -> None:
    """Also notices when MediaPipe and protobuf no longer fit."""
    with FaceTracker() as tracker:
        found = [tracker.track(p) for p in pictures[:20]]
    assert all(f is not None and f.shape == (478, 2) and f.dtype == np.float32 for f in found)
    points = found[0]
    height, width = pictures[0].shape[:2]
    assert (points >= 0).all() and (points < (width, height)).all()
    assert points[EYE_LEFT][0] < points[EYE_RIGHT][0] - 60
    assert points[EYE_LEFT][1] < points[UPPER_LIP][1] <= points[LOWER_LIP][1] + 1
    shifted = np.roll(pictures[0], (0, 24), (0, 1))
    with FaceTracker() as tracker:
        moved = tracker.track(shifted)
    assert moved is not None
    assert np.median(moved - points, axis=0) == pytest.approx((24, 0), abs=1.5)


def test_no_face_is_none_and_two_are_two(pictures: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (256, 256, 3), np.uint8), (0, 0), 5)
    pair = np.hstack([pictures[0], pictures[40]])
    with FaceTracker(max_faces=3, tracking=False) as tracker:
        assert tracker.track(noise) is None
        assert len(tracker.track_all(pair)) == 2
        assert len(tracker.track_all(pictures[0])) == 1


def test_the_mouth_that_is_drawn_open_is_measured_open(tmp_path: Path) -> None:
    from lipsync.dataset.demo_take import make_demo_take

    take = make_demo_take(tmp_path / "a.mp4", 6, seed=3, size=384)
    with FaceTracker() as tracker:
        gaps = np.array([inner_gap(tracker.track(p)) for p in read_frames(take.path)])
    assert gaps.shape == (take.n,)
    assert np.corrcoef(gaps, take.opening)[0, 1] > 0.8
    # Not smoothed over time: sound and lips would come apart.
    lags = [np.corrcoef(np.roll(gaps, -k)[5:-5], take.opening[5:-5])[0, 1] for k in range(-3, 4)]
    assert abs(int(np.argmax(lags)) - 3) <= 1


def test_segmentation_knows_the_person_from_the_screen(pictures: list[np.ndarray]) -> None:
    with PersonSegmenter() as segmenter:
        person = segmenter.segment(pictures[0])
    assert person.shape == (256, 256) and person.dtype == np.float32
    blue, green, red = (pictures[0][..., c].astype(int) for c in range(3))
    screen = cv2.resize(((green - np.maximum(blue, red)) > 60).astype(np.float32), (256, 256))
    assert person[screen > 0.99].mean() < 0.1 and person[screen < 0.01].mean() > 0.85


def _embedding(frames: list[np.ndarray]) -> np.ndarray:
    with FaceTracker(tracking=False) as tracker:
        faces = [tracker.track_3d(f) for f in frames]
    return embed([f for f, x in zip(frames, faces, strict=True) if x], [x[0] for x in faces if x])


def test_an_embedding_groups_one_person(pictures: list[np.ndarray]) -> None:
    first, second = _embedding(pictures[:40:5]), _embedding(pictures[60::5])
    assert first.shape == (256,)
    assert similarity(first, second) > SAME
    # A darker, smaller, shifted recording of the same person.
    other = [cv2.convertScaleAbs(cv2.resize(p, (400, 400)), alpha=0.8) for p in pictures[60::5]]
    assert similarity(first, _embedding(other)) > SAME
    known = {"a": first.tolist(), "b": (-first).tolist()}
    assert find_same(second, known) == "a"
    assert find_same(second, {"b": known["b"]}) is None and find_same(second, {}) is None
    assert similarity(first, [1.0, 2.0]) == 0.0
    with pytest.raises(ValueError, match="as many"):
        embed([], [])


@pytest.mark.take
def test_an_embedding_tells_two_people_apart(pictures: list[np.ndarray], green_take: Path) -> None:
    person = list(read_frames(green_take, 0, 500))
    early, late = _embedding(person[:100:12]), _embedding(person[400::12])
    assert similarity(early, late) > SAME
    assert similarity(early, _embedding(pictures[::12])) < SAME

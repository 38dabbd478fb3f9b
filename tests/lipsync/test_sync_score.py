"""The sync score falls with every further shift of the sound; what belongs together scores high, the rest low."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsync.engine import HOP
from lipsync.errors import InvalidInputError
from lipsync.sync_score import Listener
from tests.fakes.drawn_take import syllables

N, CUT = 700, 560
SHIFTS = range(40, 401, 40)


@pytest.fixture(scope="module")
def scene() -> tuple[Listener, np.ndarray, np.ndarray]:
    opening, sound = syllables(N, 3)
    seen = opening + np.random.default_rng(0).normal(0, 0.5, N)
    return Listener.fit(sound[: CUT * HOP], seen[:CUT]), sound[CUT * HOP :], seen[CUT:]


@pytest.mark.parametrize("way", [-1, 1])
def test_it_falls_with_every_further_shift(scene: tuple[Listener, np.ndarray, np.ndarray], way: int) -> None:
    listener, sound, seen = scene
    scores = [listener.score(np.roll(sound, way * ms * 16), seen) for ms in (0, *SHIFTS)]
    values = [s.score for s in scores]
    assert values == sorted(values, reverse=True) and len(set(values)) == len(values), values
    assert values[0] > 0.7 and values[-1] < 0.35 * values[0]
    for found, ms in zip(scores, (0, *SHIFTS), strict=True):
        assert found.offset_ms == pytest.approx(-way * ms, abs=15)


def test_what_does_not_belong_together_scores_low(scene: tuple[Listener, np.ndarray, np.ndarray]) -> None:
    listener, sound, seen = scene
    other, _ = syllables(N, 9)
    good = listener.score(sound, seen).score
    for wrong in (other[CUT:], np.random.default_rng(1).normal(size=N - CUT)):
        assert listener.score(sound, wrong).score < 0.5 * good
    still = listener.score(sound, np.zeros(N - CUT))
    assert (still.score, still.confidence) == (0.0, 0.0)


def test_loudness_and_size_of_the_mouth_do_not_matter(scene: tuple[Listener, np.ndarray, np.ndarray]) -> None:
    listener, sound, seen = scene
    assert listener.score(sound, 3 * seen + 40).score == pytest.approx(listener.score(sound, seen).score)


def test_too_little_to_go_by_is_said() -> None:
    with pytest.raises(InvalidInputError, match="too little"):
        Listener.fit(np.zeros(30 * HOP, np.float32), np.arange(30.0))
    with pytest.raises(InvalidInputError, match="too little"):
        Listener.fit(np.zeros(90 * HOP, np.float32), np.ones(90))


@pytest.mark.take
@pytest.mark.slow
def test_it_falls_on_a_real_recording_too(green_take: Path, tmp_path: Path) -> None:
    """A filmed person, tracked: the score of the part not learned from, against its own sound moved either way."""
    from lipsync.evaluation import _gaps
    from lipsync.face.landmarks import FaceTracker
    from lipsync.media.audio import load_audio
    from lipsync.media.video import read_frames

    count, cut = 1000, 700
    with FaceTracker() as tracker:
        points = [tracker.track(frame) for frame in read_frames(green_take, 0, count)]
    opening = _gaps(np.stack([p if p is not None else points[0] for p in points]))
    sound = load_audio(green_take, 16000)[: count * HOP]
    listener = Listener.fit(sound[: cut * HOP], opening[:cut])
    for way in (-1, 1):
        held = sound[cut * HOP :]
        values = [listener.score(np.roll(held, way * ms * 16), opening[cut:]).score for ms in (0, *SHIFTS)]
        assert values == sorted(values, reverse=True), values
        assert values[0] > 0.35

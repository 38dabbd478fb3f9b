"""The demo take: a tracker that knows nothing of how it was drawn must see the mouth that was meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsync.dataset.demo_take import DemoTake, make_demo_take
from lipsync.dataset.visemes import Phone, mouth_curves
from lipsync.face.landmarks import FaceTracker
from lipsync.media.audio import load_audio
from lipsync.media.video import probe, read_frames

TEXT = "Maybe we may buy a big apple. 爸爸妈妈都爱喝茶。"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoTake:
    return make_demo_take(tmp_path_factory.mktemp("demo") / "take.mp4", seconds=6, text=TEXT)


@pytest.fixture(scope="module")
def gaps(made: DemoTake) -> np.ndarray:
    """Measured gap between the lips of each frame, in half mouth widths."""
    tracker = FaceTracker()
    seen: list[float] = []
    for frame in read_frames(made.path):
        points = tracker.track(frame)
        assert points is not None, f"no face in frame {len(seen)}"
        half = np.hypot(*(points[308] - points[78])) / 2
        seen.append(np.hypot(*(points[13] - points[14])) / half)
    return np.array(seen)


def test_file_is_an_ordinary_take(made: DemoTake) -> None:
    info = probe(made.path)
    assert (info.codec, info.width, info.height, round(info.fps)) == ("h264", 512, 512, 25)
    assert info.audio is not None
    assert info.audio.codec == "aac"
    assert abs(info.duration - info.audio.duration) < 0.05
    assert made.n == info.frames


def test_drawn_mouth_is_the_mouth_seen(made: DemoTake, gaps: np.ndarray) -> None:
    assert gaps.size == made.n
    assert np.corrcoef(gaps, made.opening)[0, 1] > 0.9
    assert gaps[made.opening < 0.02].mean() < 0.05
    assert gaps[made.opening > 0.45].mean() > 0.25


def test_mouth_follows_the_sound_of_the_file(made: DemoTake, gaps: np.ndarray) -> None:
    sound = load_audio(made.path, 16_000)
    level = np.sqrt((sound[: made.n * 640].reshape(made.n, 640) ** 2).mean(1))
    at = {lag: np.corrcoef(np.roll(level, lag), gaps)[0, 1] for lag in range(-4, 5)}
    assert max(at.values()) == max(at[-1], at[0], at[1])
    assert at[0] > 0.5
    quiet = ~made.speaking
    assert level[quiet].mean() < 0.1 * level[made.speaking].mean()


def test_screen_is_green_and_person_is_not(made: DemoTake) -> None:
    frame = next(iter(read_frames(made.path))).astype(int)
    for corner in (frame[:40, :40], frame[:40, -40:]):
        blue, green, red = corner.reshape(-1, 3).mean(0)
        assert green > blue + 70
        assert green > red + 70
    blue, green, red = frame[200:260, 220:280].reshape(-1, 3).mean(0)
    assert red > green > blue  # the skin


def test_seed_decides_what_is_said_and_how_the_head_moves(tmp_path: Path) -> None:
    def small(name: str, seed: int) -> tuple[tuple[tuple[str, str], ...], np.ndarray]:
        take = make_demo_take(tmp_path / name, seconds=4, seed=seed, size=192)
        return take.sentences, np.stack(list(read_frames(take.path))).astype(int)

    first, again, other = small("a.mp4", 1), small("b.mp4", 1), small("c.mp4", 2)
    assert first[0] == again[0]
    assert len(first[1]) == len(other[1]) == 100
    assert np.abs(first[1][:, :60] - again[1][:, :60]).mean() < 1.0  # hair and screen: all but the mouth
    assert np.abs(first[1][:, :60] - other[1][:, :60]).mean() > 1.5


def test_lips_meet_for_p_b_m_between_open_vowels() -> None:
    rate = 16_000
    sound = np.full(rate, 0.2, np.float32)
    phones = [Phone("a", 0.1, 0.4), Phone("b", 0.4, 0.45), Phone("ˈɑː", 0.45, 0.8)]
    opening, spread = mouth_curves(phones, sound, rate, 25, 25)
    assert opening[10] < 0.12  # the frame of the closure, 0.40 to 0.44 s
    assert opening[6] > 0.5
    assert opening[14] > 0.5
    assert opening[0] < 0.05
    assert opening[-1] < 0.05
    assert np.all(np.abs(spread) <= 1)


@pytest.mark.parametrize("bad", [{"seconds": 1.0}, {"size": 99}, {"size": 301}, {"fps": 500}])
def test_refuses_what_it_cannot_make(bad: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no demo take"):
        make_demo_take(tmp_path / "never.mp4", **bad)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())

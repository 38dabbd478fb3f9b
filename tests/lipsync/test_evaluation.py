import numpy as np
import pytest

from lipsync.evaluation import FIGURES, Reel, best_lag, closure_recall, compare, correlation, judge, strip
from lipsync.face.square import MOUTH, squares
from lipsync.frame_cycle import BaseClip
from tests.fakes.drawn_take import face_points, paint, syllables

N, SIZE = 60, 256


@pytest.fixture(scope="module")
def scene():
    """Frames of a drawn face, their gaps, and the base clip of them."""
    opening, _ = syllables(N, 0)
    landmarks = face_points(opening, 0) * (SIZE / 512)
    texture = np.random.default_rng(0).normal(0, 6, (SIZE, SIZE))
    frames = [paint(p, SIZE, texture)[0] for p in landmarks]
    gap = (landmarks[:, 14, 1] - landmarks[:, 13, 1]).astype(float)
    base = BaseClip(np.stack(frames), landmarks)
    return Reel(frames, gap, gap + 20), squares(landmarks), base


def changed(reel, laid, how) -> list[np.ndarray]:
    """The reel's frames with ``how`` done to the mouth box of each luma."""
    out = []
    for k, frame in enumerate(reel.frames):
        left, top, right, bottom = laid.box(k, MOUTH, SIZE, SIZE)
        copy = frame.copy()
        copy[top:bottom, left:right] = how(copy[top:bottom, left:right].astype(float), k).clip(0, 255).astype(np.uint8)
        out.append(copy)
    return out


def test_the_same_reel_is_perfect(scene):
    reel, laid, base = scene
    figures = compare(reel, reel, laid, base)
    assert figures["lip_gap_corr"] == pytest.approx(1)
    assert figures["psnr"] > 60
    assert (figures["lag_ms"], figures["jitter"]) == (0, 0)
    for name in ("gap_std_ratio", "sharpness", "seam", "closure_recall"):
        assert figures[name] == pytest.approx(1)


def test_psnr_is_of_the_mouth_box(scene):
    reel, laid, base = scene
    noisy = Reel(changed(reel, laid, lambda p, k: p + 10), reel.gap, reel.width)
    assert compare(noisy, reel, laid, base)["psnr"] == pytest.approx(20 * np.log10(255 / (10 * 1.164)), abs=0.4)


def test_blur_lowers_sharpness_and_flicker_raises_jitter(scene):
    import cv2

    reel, laid, base = scene
    soft = Reel(changed(reel, laid, lambda p, k: cv2.GaussianBlur(p, (0, 0), 1.5)), reel.gap, reel.width)
    figures = compare(soft, reel, laid, base)
    assert figures["sharpness"] < 0.6
    steady = compare(Reel(changed(reel, laid, lambda p, k: p + 6), reel.gap, reel.width), reel, laid, base)
    flicker = compare(Reel(changed(reel, laid, lambda p, k: p + 6 * (k % 2)), reel.gap, reel.width), reel, laid, base)
    assert flicker["jitter"] > 4 * steady["jitter"]


def test_a_hard_edge_is_a_seam(scene):
    reel, laid, base = scene
    hard = compare(Reel(changed(reel, laid, lambda p, k: p + 40), reel.gap, reel.width), reel, laid, base)
    assert hard["seam"] > 1.3


def test_lag_has_a_sign():
    real = np.convolve(np.random.default_rng(0).normal(size=300), np.ones(4), "same")
    late, early = np.roll(real, 3), np.roll(real, -2)
    assert best_lag(late, real)[0] == 3
    assert best_lag(early, real)[0] == -2
    assert best_lag(real, real)[0] == 0


def test_closure_recall_counts_the_least_open():
    real = np.array([0.0, 0, 1, 2, 3, 4, 5, 6])
    assert closure_recall(real, real) == 1
    assert closure_recall(real[::-1].copy(), real) == 0
    assert closure_recall(np.array([0.0, 9, 1, 2, 3, 4, 5, 6]), real) == 0.5


def test_correlation_of_what_does_not_move_is_zero():
    assert correlation(np.ones(5), np.arange(5)) == 0
    assert correlation(-np.arange(5.0), np.arange(5)) == pytest.approx(-1)


def test_a_strip_has_a_picture_a_frame(scene):
    reel, laid, _ = scene
    picture = strip(reel.frames, laid, np.array([0, 10, 20]), height=84)
    assert picture.shape == (84, 96 * 3, 3)


@pytest.mark.slow
def test_a_real_face_is_judged(demo_take, tmp_path):
    """The whole judge on a take of the studio's own: every figure, and the sound matters."""
    from lipsync.dataset.prepare import prepare_take
    from lipsync.engine import TrainOptions
    from lipsync.training.avatar import judge_bundle, train_avatar

    take = prepare_take(demo_take, None, tmp_path / "take")
    bundle = train_avatar(take, tmp_path / "b", options=TrainOptions(preview=True))
    judgement = judge_bundle(bundle, take, save=tmp_path / "samples")
    assert set(FIGURES) <= judgement.figures.keys()
    assert all(np.isfinite(v) for v in judgement.figures.values())
    figures = judgement.figures
    assert figures["psnr"] > figures["psnr_mean_mouth"] - 1
    assert figures["lip_gap_corr"] > figures["lip_gap_corr_shuffled"] + 0.3
    assert 0.7 < figures["sharpness"] < 1.3
    assert {p.name for p in (tmp_path / "samples").iterdir()} == {"real.mp4", "generated.mp4", "strip.png"}


def test_too_short_a_take_is_refused(tmp_path):
    from lipsync.errors import InvalidInputError
    from tests.fakes.drawn_take import drawn_take

    take = drawn_take(tmp_path / "t", seconds=8)
    with pytest.raises(InvalidInputError, match="too short"):
        judge(object(), take)  # type: ignore[arg-type]

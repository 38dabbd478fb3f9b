import numpy as np
import pytest

from lipbank.bank import FILM, Bank, cut, cut_bank, inner_measures, join, join_banks, split, write_film
from lipbank.config import SearchConfig
from lipbank.mouth_space import GAP, MouthSpace
from lipsync.errors import BundleError, InvalidInputError
from lipsync.face.square import squares
from lipsync.media.video import read_frames
from tests.fakes.drawn_take import drawn_take


def test_only_the_training_part_is_kept(bank, take):
    assert bank.n == len(take.train)


def test_cuts_are_the_frames_own_pixels(bank, take):
    frame = next(iter(take.i420(40, 41)))
    x, y = bank.corner[40]
    size = take.height * take.width
    assert np.array_equal(bank.luma[40], frame[y : y + bank.height, x : x + bank.width])
    v = frame.reshape(-1)[size + size // 4 :].reshape(take.height // 2, -1)
    part = v[y // 2 : (y + bank.height) // 2, x // 2 : (x + bank.width) // 2]
    assert np.array_equal(bank.chroma[40, ..., 1], part)


def test_a_cut_beyond_the_frame_repeats_its_edge():
    frame = np.arange(16 * 24, dtype=np.uint8).reshape(24, 16)
    piece = cut(frame, np.array([-4, -2]), 12, 8)
    assert piece.shape == (12, 12)
    assert (piece[0, :5] == frame[0, 0]).all()
    assert piece[2, 4] == frame[0, 0] and piece[3, 6] == frame[1, 2]


def test_split_and_join_are_inverse():
    picture = np.random.default_rng(0).integers(0, 255, (18, 16), np.uint8)
    luma, chroma = np.empty((12, 16), np.uint8), np.empty((6, 8, 2), np.uint8)
    split(picture, luma, chroma)
    assert np.array_equal(join(luma, chroma), picture)


def test_film_and_tensors_bring_it_back(bank, space, tmp_path):
    write_film(bank, tmp_path / FILM)
    again = Bank(read_frames(tmp_path / FILM, fmt="yuv420p"), bank.tensors(), space, SearchConfig())
    assert np.array_equal(again.luma, bank.luma) and np.array_equal(again.chroma, bank.chroma)
    assert np.array_equal(again.units.features, bank.units.features)


def test_damaged_banks_are_refused(bank, space):
    pictures = list(bank.pictures())
    tensors = bank.tensors()
    with pytest.raises(BundleError):
        Bank(pictures[:-1], tensors, space, SearchConfig())
    with pytest.raises(BundleError):
        Bank([p[:-3] for p in pictures], tensors, space, SearchConfig())
    with pytest.raises(BundleError):
        Bank(pictures, {k: v for k, v in tensors.items() if k != "coef"}, space, SearchConfig())
    with pytest.raises(BundleError):
        Bank(pictures, tensors | {"following": tensors["following"] + 5}, space, SearchConfig())


def test_frames_without_a_face_are_left_out_and_break_the_run(take, space):
    found = take.found[:120].copy()
    found[50:60] = False
    bank = cut_bank(take.i420(0, 120), take.landmarks[:120], found, space)
    assert bank.n == 110
    assert bank.following[49] == 49 and bank.following[48] == 49 and bank.following[50] == 51


def test_memory_is_bounded_and_the_rare_mouths_stay(take, space, bank):
    each = bank.width * bank.height * 3 // 2
    small = cut_bank(take.i420(0, 280), take.landmarks[:280], take.found[:280], space, memory=150 * each)
    assert 100 <= small.n <= 150
    assert small.luma.nbytes + small.chroma.nbytes <= 150 * each
    assert small.coef[:, GAP].max() == pytest.approx(bank.coef[:, GAP].max(), rel=0.05)


def test_two_takes_make_one_bank(bank, space, tmp_path):
    other = drawn_take(tmp_path / "second", seconds=8, seed=5, size=320)
    part = other.train
    second = cut_bank(other.i420(0, part.stop), other.landmarks[: part.stop], other.found[: part.stop], space)
    assert second.width > bank.width
    both = join_banks([bank, second], space, SearchConfig())
    assert both.n == bank.n + second.n
    assert np.array_equal(both.luma[3][: bank.height, : bank.width], bank.luma[3])
    assert np.array_equal(both.luma[bank.n + 3], second.luma[3])
    assert both.following[bank.n - 1] == bank.n - 1 and both.following[bank.n] == bank.n + 1
    each = both.width * both.height * 3 // 2
    small = join_banks([bank, second], space, SearchConfig(), memory=(bank.n + 60) * each)
    assert bank.n < small.n <= bank.n + 60


def test_a_mouth_that_never_opens_is_refused(tmp_path):
    take = drawn_take(tmp_path / "shut", seconds=6, opens=False)
    space = MouthSpace.fit(take.landmarks, take.found, take.train)
    with pytest.raises(InvalidInputError, match="never opens"):
        cut_bank(take.i420(0, 120), take.landmarks[:120], take.found[:120], space)


def test_too_few_mouths_are_refused(take, space):
    found = np.zeros(120, bool)
    found[:30] = True
    with pytest.raises(InvalidInputError, match="Only 30"):
        cut_bank(take.i420(0, 120), take.landmarks[:120], found, space)


def test_inner_measures_know_dark_from_teeth():
    ring = np.array([[10, 10], [30, 10], [30, 20], [10, 20]], np.float32)
    lip = np.array([[5, 5], [35, 5], [35, 25], [5, 25]], np.float32)
    picture = np.full((40, 40), 120, np.uint8)
    picture[10:21, 10:31] = 30
    dark = inner_measures(picture, ring, lip)
    picture[11:15, 10:31] = 200
    toothed = inner_measures(picture, ring, lip)
    assert dark[0] < toothed[0] and dark[1] < 60 < 180 < toothed[1]
    shut = inner_measures(picture, ring * 0 + 20, lip)
    assert shut[2] == 0


def test_wider_mouths_have_larger_wanted_features(bank, space):
    coef = np.repeat(np.median(bank.coef, 0)[None], 2, 0)
    coef[1, GAP] += 5
    wanted = bank.shape.wanted(coef)
    chosen = [int(((bank.units.features - w) ** 2).sum(1).argmin()) for w in wanted]
    assert bank.coef[chosen[1], GAP] > bank.coef[chosen[0], GAP]


def test_the_square_does_not_move_with_the_jaw(take):
    opened = take.landmarks[:50].copy()
    mouth = [i for i in (*space_points(),) if i not in (2, 164)]
    opened[:, mouth, 1] += 5
    a, b = squares(take.landmarks[:50]), squares(opened)
    assert np.allclose(a.origin, b.origin) and np.allclose(a.scale, b.scale)


def space_points() -> tuple[int, ...]:
    return MouthSpace.POINTS

import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from lipbank.mouth_space import DIMENSIONS, GAP, MouthSpace
from lipbank.shape import ShapeModel
from lipbank.shape_finetune import Nets, Recipe
from lipsync.errors import BundleError, InvalidInputError
from lipsync.progress import SilentProgress
from tests.lipbank.faces import animate

SECONDS = 30
N = SECONDS * 25


@dataclass
class Take:
    audio: np.ndarray
    landmarks: np.ndarray
    found: np.ndarray
    train: range


def babble(seconds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Syllables of two vowels between pauses, and how far the mouth opens (pixels) at each picture."""
    rng = np.random.default_rng(seed)
    pcm = 1e-4 * rng.normal(size=seconds * 16000)
    opening = np.zeros(seconds * 1000)
    t = np.arange(seconds * 16000) / 16000
    at = 0.2
    while at < seconds - 0.6:
        length, loud = rng.uniform(0.08, 0.25), rng.uniform(0.3, 1.0)
        shape = np.exp(-(((t - at - length / 2) / (length / 2.5)) ** 2))
        tones = (700, 1200) if rng.random() < 0.5 else (350, 2200)
        voice = sum(np.sin(2 * np.pi * f * t) for f in (*tones, 120)) + 0.2 * rng.normal(size=len(t))
        pcm += 0.1 * loud * shape * voice
        opening = np.maximum(
            opening,
            loud * (14 if tones[0] == 700 else 6) * np.interp(np.arange(seconds * 1000) / 1000, t[::16], shape[::16]),
        )
        at += length + (rng.uniform(0.5, 0.9) if rng.random() < 0.15 else rng.uniform(0.02, 0.15))
    return pcm.astype(np.float32), opening[::40]


@pytest.fixture(scope="module")
def take():
    pcm, opening = babble(SECONDS, 1)
    landmarks = animate(opening, -0.3 * opening + np.sin(np.arange(N) / 40), seed=2)
    return Take(pcm, landmarks, np.ones(N, bool), range(0, int(0.8 * N)))


@pytest.fixture(scope="module")
def space(take):
    return MouthSpace.fit(take.landmarks, take.found, take.train)


@pytest.fixture(scope="module")
def preview(take, space):
    return ShapeModel.preview(take, space)


@pytest.fixture(scope="module")
def trained(take, space):
    return ShapeModel.train(take, space, steps=12, seed=3)


def correlation(model, take, space, pcm=None):
    wanted = space.encode(take.landmarks)[take.train.stop :, GAP]
    given = model.predict(take.audio if pcm is None else pcm)[take.train.stop :, GAP]
    return float(np.corrcoef(wanted, given)[0, 1])


@pytest.mark.parametrize("kind", ["preview", "trained"])
def test_held_out_mouths_follow_their_own_sound_and_no_other(kind, take, space, request):
    model = request.getfixturevalue(kind)
    assert correlation(model, take, space) > 0.6
    shuffled = np.roll(take.audio, 16000 * 5)
    assert abs(correlation(model, take, space, shuffled)) < 0.25


@pytest.mark.parametrize("kind", ["preview", "trained"])
@pytest.mark.parametrize("size", [640, 777])
def test_a_stream_gives_what_a_file_gives(kind, size, take, request):
    model = request.getfixturevalue(kind)
    pcm = take.audio[: 16000 * 3 + 100]
    whole = model.predict(pcm)
    assert whole.shape == (76, DIMENSIONS) and whole.dtype == np.float32
    stream = model.open()
    for _ in range(2):  # after a flush it begins anew
        parts = [stream.push(pcm[i : i + size]) for i in range(0, len(pcm), size)] + [stream.flush()]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


def test_no_more_sound_is_needed_than_promised(trained, take):
    stream = trained.open()
    given = len(stream.push(take.audio[: 640 * 50 + 16 * trained.lookahead_ms]))
    assert given >= 50
    assert trained.lookahead_ms <= 100


def test_a_longer_look_ahead_can_be_had(take, space):
    slow = ShapeModel.preview(take, space, lookahead_ms=200)
    assert 100 < slow.lookahead_ms <= 200
    with pytest.raises(InvalidInputError, match="look-ahead"):
        ShapeModel.preview(take, space, lookahead_ms=20)


@pytest.mark.parametrize("kind", ["preview", "trained"])
def test_silence_closes_the_mouth(kind, take, request):
    model = request.getfixturevalue(kind)
    assert model.rest[GAP] < 1.0
    after = model.predict(np.concatenate([take.audio[:32000], np.zeros(16000, np.float32)]))
    np.testing.assert_allclose(after[-10:], np.repeat(model.rest[None], 10, 0), atol=1e-3)
    assert after[:50, GAP].max() > 4


def test_amplitude_is_the_persons_own_and_gaps_are_never_negative(preview, trained, take, space):
    wanted = space.encode(take.landmarks)[take.train.stop :, GAP]
    for model in (preview, trained):
        given = model.predict(take.audio)[take.train.stop :, GAP]
        assert given.min() >= 0
        assert 0.8 < given.std() / wanted.std() < 1.25


def test_tensors_round_trip(trained, take):
    pcm = take.audio[:16000]
    again = ShapeModel.from_tensors(trained.tensors())
    np.testing.assert_array_equal(again.predict(pcm), trained.predict(pcm))
    assert again.trained and again.lookahead_ms == trained.lookahead_ms
    broken = trained.tensors()
    del broken["net0.head.bias"]
    with pytest.raises(BundleError):
        ShapeModel.from_tensors(broken)
    broken = trained.tensors()
    broken["centre"] = broken["centre"] * np.nan
    with pytest.raises(BundleError, match="damaged"):
        ShapeModel.from_tensors(broken)


def test_the_held_out_part_is_not_looked_at(take, space):
    spoiled = Take(take.audio.copy(), take.landmarks.copy(), take.found.copy(), take.train)
    spoiled.audio[take.train.stop * 640 :] = 0
    spoiled.landmarks[take.train.stop :] = spoiled.landmarks[0]
    one, two = ShapeModel.preview(take, space).tensors(), ShapeModel.preview(spoiled, space).tensors()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_the_same_seed_gives_the_same_model(take, space):
    short = Take(take.audio, take.landmarks, take.found, range(0, 400))
    one, two = (ShapeModel.train(short, space, steps=2, seed=5).predict(take.audio[:32000]) for _ in range(2))
    # Matrix products of the same numbers differ in the last bits with where they lie in memory.
    np.testing.assert_allclose(one, two, atol=2e-2)


def test_networks_that_learned_nothing_get_no_share():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(200, DIMENSIONS))
    linear = outputs + rng.normal(size=outputs.shape)
    data = SimpleNamespace(outputs=outputs)
    deaf = Nets([], 0, rng.normal(size=outputs.shape))
    hearing = Nets([], 0, np.where(np.arange(200)[:, None] < 80, np.nan, linear + rng.normal(size=outputs.shape)))
    assert (deaf.share(linear, data) == 0).all()
    assert (hearing.share(linear, data) > 0).all() and (hearing.share(linear, data) < 0.5).all()


def test_waiting_takes_nothing_from_the_minutes(take, space, monkeypatch):
    clock, jump = time.monotonic, [0.0]

    class Waits(SilentProgress):
        tens = 0
        paused_s = property(lambda self: jump[0])

        def update(self, fraction):
            jump[0] += 3600.0

        def sample(self, name, value):
            self.tens += name == "loss"

    monkeypatch.setattr(time, "monotonic", lambda: clock() + jump[0])
    short = Take(take.audio, take.landmarks, take.found, range(0, 400))
    progress = Waits()
    ShapeModel.train(short, space, minutes=30, steps=20, seed=5, progress=progress)
    assert progress.tens == 2 * Recipe().nets, "each network did all its steps, an hour of waiting after ten of them"


def test_another_voices_level_and_colour_do_not_matter_for_long(preview, take):
    from scipy.signal import lfilter

    coloured = (0.2 * lfilter([1, -0.5], [1], take.audio)).astype(np.float32)
    plain, other = preview.predict(take.audio)[250:, GAP], preview.predict(coloured)[250:, GAP]
    assert np.corrcoef(plain, other)[0, 1] > 0.9


def test_a_take_too_short_is_refused(take, space):
    with pytest.raises(InvalidInputError, match=r"2\.4 s"):
        ShapeModel.preview(Take(take.audio, take.landmarks, take.found, range(0, 60)), space)


def test_models_from_before_phones_were_heard_still_speak(take, space, monkeypatch):
    monkeypatch.setattr("lipbank.shape_training.load_phones", lambda: None)
    tensors = ShapeModel.preview(take, space).tensors()
    assert not any(name.startswith("phones.") for name in tensors)
    model = ShapeModel.from_tensors({**tensors, "meta": np.concatenate([[1.0], tensors["meta"][1:]])})
    pcm = take.audio[: 16000 * 4]
    assert model.predict(pcm).shape == (100, 12)
    np.testing.assert_allclose(model.predict(pcm), ShapeModel.from_tensors(tensors).predict(pcm))
    with pytest.raises(BundleError, match="version 9"):
        ShapeModel.from_tensors({**tensors, "meta": np.concatenate([[9.0], tensors["meta"][1:]])})

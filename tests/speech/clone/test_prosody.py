"""Pitch moved on the waveform, pauses, phones lent from one language to another, noise and rooms."""

import numpy as np
import pytest

from speech.clone.augmentation import FLOOR, denoised, disturbed
from speech.clone.base_speech import ARPABET, PAUSE, BaseVoice, Phone, render
from speech.clone.borrow import CHINESE_AS_ENGLISH, borrowed_shift, phone_means
from speech.clone.converter import PARTS, frames_of
from speech.clone.features import ORDER, RATE, Analysis, analyse
from speech.clone.pitch import contour, repitched
from speech.clone.reading import READING

ENGLISH = BaseVoice("espeak", "en", "en-us+m3", pitch=50)
CHINESE = BaseVoice("espeak", "zh", "cmn+m3", pitch=60)


def pulses(f0: np.ndarray) -> np.ndarray:
    """A voice of pulses through two resonances; ``f0`` for each sample."""
    from scipy.signal import lfilter

    phase = np.cumsum(f0 / RATE)
    sound = (np.diff(np.floor(phase), prepend=0.0) > 0).astype(float)
    for frequency, width in ((600.0, 100.0), (1500.0, 150.0)):
        r, w = np.exp(-np.pi * width / RATE), 2 * np.pi * frequency / RATE
        sound = lfilter([1.0], [1, -2 * r * np.cos(w), r * r], sound)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.15, 1.4])
def test_pitch_moves_by_the_ratio_and_the_resonances_stay(ratio: float) -> None:
    sound = pulses(np.full(RATE, 110.0))
    moved = repitched(sound, ratio)
    assert len(moved) == len(sound) and np.isfinite(moved).all()
    f0 = contour(moved)
    assert np.median(f0[f0 > 0]) == pytest.approx(110 * ratio, rel=0.02)
    before, after = analyse(sound), analyse(moved)
    change = (after.cepstra - before.cepstra)[40:160, 1:13].mean(0)
    assert np.abs(change).max() < 0.2


def test_the_contour_keeps_its_shape_and_its_range_scales() -> None:
    t = np.arange(2 * RATE) / RATE
    sound = pulses(120 * 2 ** (0.2 * np.sin(2 * np.pi * 1.5 * t)))
    wide = repitched(sound, 1.1, spread=1.5, centre=120.0)
    a, b = contour(sound), contour(wide)
    both = (a > 0) & (b > 0)
    both[:20] = both[-20:] = False
    x, y = np.log2(a[both]), np.log2(b[both])
    assert np.corrcoef(x, y)[0, 1] > 0.97
    assert y.std() / x.std() == pytest.approx(1.5, abs=0.15)


def test_what_has_no_pitch_is_put_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.05
    # The analysis takes some of even noise for a deep voice; here none of it is.
    monkeypatch.setattr("speech.clone.pitch.contour", lambda sound: np.zeros(len(sound) // 80 + 1))
    quiet = np.zeros(RATE, np.float32)
    assert np.corrcoef(repitched(noise, 1.2)[800:-800], noise[800:-800])[0, 1] > 0.9
    assert not repitched(quiet, 1.2).any()
    short = noise[:100]
    assert repitched(short, 1.2) is short


@pytest.mark.parametrize("text", ["妈", "麻", "马", "骂", "今天天气很好。", "请问火车站怎么走？"])
def test_tones_survive_a_move_of_pitch(text: str) -> None:
    sound, _ = render(CHINESE, text)
    a, b = contour(sound), contour(repitched(sound, 1.2))
    both = (a > 0) & (b > 0)
    assert both.sum() > 0.6 * (a > 0).sum()
    moved = np.log2(b[both] / a[both])
    assert np.median(moved) == pytest.approx(np.log2(1.2), abs=0.05)
    assert np.mean(np.abs(moved - np.log2(1.2)) < 0.15) > 0.85


def test_gaps_between_syllables_and_long_pauses_are_cut_and_nothing_else() -> None:
    from dataclasses import replace

    plain, phones = render(CHINESE, "今天天气很好，我们去公园。")
    sound, kept = render(replace(CHINESE, gap_s=0.012, pause_s=0.1), "今天天气很好，我们去公园。")
    assert [p.label for p in kept] == [p.label for p in phones]
    assert abs(kept[-1].end - len(sound) / RATE) < 0.02 and len(sound) < len(plain)
    inner = [p for p in kept[1:-1] if p.label == PAUSE]
    assert inner and max(p.end - p.start for p in inner) <= 0.101
    said = lambda run: sum(p.end - p.start for p in run if p.label != PAUSE)  # noqa: E731
    assert said(kept) == pytest.approx(said(phones), rel=0.02)


def test_a_short_pause_belongs_to_its_neighbours() -> None:
    phones = [Phone("a", 0, 0.1), Phone(PAUSE, 0.1, 0.14), Phone("b", 0.14, 0.24), Phone(PAUSE, 0.24, 0.5)]
    frames = frames_of(phones, {PAUSE: 0, "a": 1, "b": 2}, 100)
    assert list(np.flatnonzero(np.diff(frames.phone))) == [23, 47]
    long = [Phone("a", 0, 0.1), Phone(PAUSE, 0.1, 0.3), Phone("b", 0.3, 0.4)]
    assert frames_of(long, {PAUSE: 0, "a": 1, "b": 2}, 80).pause[20:60].all()


def test_every_chinese_phone_has_an_english_neighbour() -> None:
    spoken = {p.label for text in READING["zh"] for p in render(CHINESE, text)[1]} - {PAUSE}
    assert not spoken - set(CHINESE_AS_ENGLISH)
    assert {label for labels in CHINESE_AS_ENGLISH.values() for label in labels} <= set(ARPABET)


def test_the_lent_shift_leads_towards_the_person_and_less_where_little_was_heard() -> None:
    rng = np.random.default_rng(0)
    vector = lambda: rng.normal(size=ORDER + 1)  # noqa: E731
    person = {"iy": (vector(), 400), "m": (vector(), 10), "aa": (vector(), 400)}
    base = {"i": (vector(), 100), "m": (vector(), 100), "ɑ": (vector(), 100), "χ": (vector(), 100)}
    inventory = {PAUSE: 0, "i": 1, "m": 2, "ɑ": 3, "χ": 4}
    shift = borrowed_shift(person, base, inventory).reshape(PARTS, 5, ORDER + 1)
    assert not shift[1:].any() and not shift[0, [0, 4]].any(), "the pause, and a phone nobody heard"
    theirs = sum(mean * n for mean, n in person.values()) / 810
    ours = sum(mean for mean, _ in base.values()) / 4
    wanted = (person["iy"][0] - theirs) - (base["i"][0] - ours)
    assert np.corrcoef(shift[0, 1, 1:], wanted[1:])[0, 1] > 0.999 and shift[0, 1, 0] == 0
    assert np.linalg.norm(shift[0, 2]) < 0.35 * np.linalg.norm((person["m"][0] - theirs) - (base["m"][0] - ours))
    assert not borrowed_shift({}, base, inventory).any()


def test_means_of_phones_are_those_of_their_middle() -> None:
    cepstra = np.zeros((100, ORDER + 1))
    cepstra[20:60, 1], cepstra[60:90, 1] = 1.0, 2.0
    runs = [([Phone("a", 0.1, 0.3), Phone("b", 0.3, 0.45), Phone(PAUSE, 0.45, 0.5)], Analysis(np.zeros(100), cepstra))]
    means = phone_means(runs)
    assert set(means) == {"a", "b"}
    assert (means["a"][0][1], means["a"][1]) == (1.0, 20) and means["b"][0][1] == 2.0


def test_noise_is_taken_out_where_nobody_speaks_and_speech_is_kept() -> None:
    speech = render(ENGLISH, "The weather is fine and we go to the park.")[0]
    clean = np.concatenate((np.zeros(RATE, np.float32), speech))
    noisy = clean + np.random.default_rng(0).normal(size=len(clean)).astype(np.float32) * 0.012
    out = denoised(noisy, [(RATE, len(noisy))])
    level = lambda x: float(np.sqrt(np.mean(x**2)))  # noqa: E731
    assert len(out) == len(noisy)
    assert FLOOR * 0.5 < level(out[: RATE // 2]) / level(noisy[: RATE // 2]) < 0.5
    assert level(out[RATE:] - speech) < level(noisy[RATE:] - speech)
    assert np.array_equal(denoised(noisy, [(0, len(noisy))]), noisy), "no noise alone to learn from"


def test_rooms_and_noise_change_little_and_never_take_away() -> None:
    import torch

    rng = np.random.default_rng(0)
    mel = torch.rand(200, 40, requires_grad=True)
    outs = [disturbed(mel, rng) for _ in range(40)]
    changed = [out for out in outs if out is not mel]
    assert 8 < len(changed) < 32
    for out in changed:
        assert out.shape == mel.shape and bool((out >= mel).all())
        assert float((out - mel).mean() / mel.mean()) < 0.06
    changed[0].sum().backward()
    assert mel.grad is not None and bool(torch.isfinite(mel.grad).all())

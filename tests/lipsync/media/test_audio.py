from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from lipsync.media.audio import (
    Resampler,
    bandwidth,
    clipped_share,
    load_audio,
    loudness,
    resample,
    save_wav,
    snr,
    speech_activity,
)
from lipsync.media.video import MediaError


def _tone(seconds: float, rate: int, hertz: float = 997.0, level: float = 1.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_loudness_is_that_of_the_standard(rate: int) -> None:
    """BS.1770: a full-scale 997 Hz sine in one channel reads -3.01 LKFS."""
    assert loudness(_tone(3, rate), rate) == pytest.approx(-3.01, abs=0.15)
    assert loudness(_tone(3, rate, level=0.1), rate) == pytest.approx(-23.01, abs=0.15)
    half = np.concatenate([_tone(3, rate, level=0.1), np.zeros(6 * rate, np.float32)])
    assert loudness(half, rate) == pytest.approx(-23.0, abs=0.5)  # silence is gated
    assert loudness(np.zeros(rate), rate) == -70.0
    assert loudness(np.zeros(10), rate) == -70.0


@pytest.mark.parametrize(("source", "target"), [(48_000, 16_000), (16_000, 48_000), (22_050, 24_000)])
def test_resampling_in_pieces_is_resampling_the_whole(source: int, target: int) -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal(source * 2).astype(np.float32) * 0.1
    whole = resample(sound, source, target)
    stream = Resampler(source, target)
    pieces, at = [], 0
    while at < sound.size:
        size = int(rng.integers(1, 4000))
        pieces.append(stream.push(sound[at : at + size]))
        at += size
    pieces.append(stream.flush())
    joined = np.concatenate(pieces)
    assert abs(joined.size - whole.size) <= 1
    n = min(joined.size, whole.size)
    assert np.abs(joined[:n] - whole[:n]).max() < 1e-4
    # After flush it begins anew.
    again = np.concatenate([stream.push(sound), stream.flush()])
    assert np.abs(again[:n] - whole[:n]).max() < 1e-4


def test_resampler_of_equal_rates_passes_sound_through() -> None:
    stream = Resampler(16_000, 16_000)
    assert np.array_equal(stream.push(np.ones(10, np.float32)), np.ones(10, np.float32))
    assert stream.flush().size == 0


@pytest.mark.parametrize(
    ("subtype", "rate", "channels"),
    [("FLOAT", 48_000, 1), ("PCM_U8", 16_000, 1), ("PCM_24", 44_100, 2), ("PCM_16", 192_000, 2), ("DOUBLE", 8_000, 1)],
)
def test_every_wav_is_read(tmp_path: Path, subtype: str, rate: int, channels: int) -> None:
    tone = _tone(1, rate, 440, 0.5)
    soundfile.write(tmp_path / "a.wav", np.repeat(tone[:, None], channels, 1), rate, subtype=subtype)
    heard = load_audio(tmp_path / "a.wav", 16_000)
    assert heard.dtype == np.float32 and abs(heard.size - 16_000) < 5
    assert np.corrcoef(heard[100:15_900], _tone(1, 16_000, 440)[100:15_900])[0, 1] > 0.999
    assert np.abs(heard[1000:15_000]).max() == pytest.approx(0.5, abs=0.02)


def test_an_empty_wav_is_empty_or_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 16_000)
    try:
        assert load_audio(tmp_path / "a.wav").size == 0
    except MediaError as exc:
        assert exc.reason in ("not_media", "no_audio", "undecodable")


def test_saved_sound_comes_back(tmp_path: Path) -> None:
    tone = _tone(1, 24_000, 300, 1.4)
    save_wav(tmp_path / "a.wav", tone, 24_000)
    back = load_audio(tmp_path / "a.wav", 24_000)
    assert back.size == tone.size and np.abs(back - np.clip(tone, -1, 1)).max() < 1e-3


def test_clipping_is_seen_and_loud_sound_is_not_clipping() -> None:
    rng = np.random.default_rng(0)
    clean = sum(_tone(1, 16_000, 200 * k, 1 / k) * rng.uniform(0.5, 1) for k in range(1, 9))
    clean *= np.abs(_tone(1, 16_000, 3)) ** 2
    clean *= 0.99 / np.abs(clean).max()
    assert clipped_share(clean) < 0.001
    assert clipped_share(np.clip(clean * 3, -1, 1)) > 0.3
    assert clipped_share(np.clip(clean * 3, -0.8, 0.8)) > 0.3  # clipped, then turned down
    assert clipped_share(clean * 0.2) == 0


def test_bandwidth_is_where_the_sound_ends() -> None:
    rng = np.random.default_rng(0)
    narrow = resample(rng.standard_normal(80_000).astype(np.float32), 8_000, 48_000)
    assert 3_500 < bandwidth(narrow, 48_000) < 4_600
    assert bandwidth(rng.standard_normal(48_000).astype(np.float32), 48_000) > 20_000


def test_speech_and_its_noise_are_told_apart(demo_take: Path) -> None:
    speech = load_audio(demo_take)
    active = speech_activity(speech)
    loud = np.abs(speech[: active.size * 320]).reshape(-1, 320).max(1) > 0.05
    assert 0.3 < active.mean() < 0.95 and active[loud].mean() > 0.9
    rng = np.random.default_rng(0)
    previous = 99.0
    for level in (0.001, 0.01, 0.03):
        ratio, floor = snr(speech + level * rng.standard_normal(speech.size).astype(np.float32), active)
        assert floor == pytest.approx(20 * np.log10(level), abs=1.5) and ratio < previous - 5
        previous = ratio
    assert not speech_activity(np.zeros(16_000, np.float32)).any()

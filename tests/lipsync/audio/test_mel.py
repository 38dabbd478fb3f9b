import numpy as np
import pytest

from lipsync.audio.mel import BANDS, MelStream, PowerMelStream, log_mel


@pytest.mark.parametrize("size", [1, 159, 640, 16_123])
def test_chunked_equals_whole(size):
    rng = np.random.default_rng(size)
    pcm = (0.1 * rng.normal(size=16_123 if size > 1 else 700)).astype(np.float32)
    whole = log_mel(pcm)
    stream = MelStream()
    parts = [stream.push(pcm[i : i + size]) for i in range(0, len(pcm), size)] + [stream.flush()]
    assert whole.shape == (-(-len(pcm) // 160), BANDS)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_a_frame_is_certain_after_half_a_window():
    stream = MelStream()
    assert len(stream.push(np.zeros(199, np.float32))) == 0
    assert len(stream.push(np.zeros(1, np.float32))) == 1


def test_a_tone_stands_in_its_band_at_its_time():
    t = np.arange(16_000) / 16_000
    pcm = (0.5 * np.sin(2 * np.pi * 1000 * t) * (t > 0.5)).astype(np.float32)
    frames = log_mel(pcm)
    assert frames[:47].max() < frames[60].max() - 8
    peak = 700 * (
        10 ** (np.interp(frames[60].argmax() + 1, [0, 41], [2595 * np.log10(1 + f / 700) for f in (60, 7600)]) / 2595)
        - 1
    )
    assert abs(peak - 1000) < 80


def test_flush_begins_anew_and_silence_is_finite():
    stream = MelStream()
    stream.push(np.ones(500, np.float32))
    stream.flush()
    again = np.concatenate([stream.push(np.zeros(1600, np.float32)), stream.flush()])
    assert len(again) == 10
    assert np.isfinite(again).all() and np.ptp(again) == 0
    assert len(log_mel(np.zeros(0, np.float32))) == 0


def test_power_frames_are_librosas():
    import librosa

    pcm = (0.1 * np.random.default_rng(2).normal(size=8000)).astype(np.float32)
    stream = PowerMelStream()
    given = np.concatenate([stream.push(pcm[:3333]), stream.push(pcm[3333:]), stream.flush()])
    wanted = librosa.feature.melspectrogram(y=pcm, sr=16000, n_fft=400, hop_length=160, n_mels=BANDS).T
    np.testing.assert_allclose(given, wanted[: len(given)], rtol=2e-3, atol=1e-6)

"""The recogniser's phones: the same model, the same front end, the same stream in any pieces."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lipbank.shape_features import ACTIVE_UNDER_LEVEL, EarStream, voice_stats
from lipbank.shape_phones import DELAY, PHONES, PhoneStream, cepstra, damaged, load_phones, own_throat, steady_from
from lipsync.audio.mel import MelStream, log_mel

ps = pytest.importorskip("pocketsphinx")
SENTENCE = "Please remember to buy a big map, seven sushi rolls, and some more paper for Sam."


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    import soxr

    from speech.tts.espeak import Prosody, library

    engine = library()
    samples, _ = engine.render(SENTENCE, Prosody("en-us", 150, 50, 50))
    return soxr.resample(samples.astype(np.float32) / 32768, engine.sample_rate, 16000).astype(np.float32)


@pytest.fixture(scope="module")
def tensors(speech: np.ndarray) -> dict[str, np.ndarray]:
    phones = load_phones()
    assert phones is not None
    mel = log_mel(speech)
    active = mel.mean(1) > voice_stats(mel).level - ACTIVE_UNDER_LEVEL
    phones |= steady_from(speech, active)
    return {**phones, "throat": np.array([own_throat(phones, speech, active)], np.float32)}


def listen(stream: PhoneStream, pcm: np.ndarray) -> np.ndarray:
    """Shares with the running mean held still."""
    return stream.push(pcm, np.zeros(len(MelStream().push(pcm)), np.float32)) ** 2


def model(name: str) -> str:
    return ps.get_model_path(f"en-us/{name}")


def test_cepstra_are_the_recognisers(speech: np.ndarray, tmp_path: Path) -> None:
    decoder = ps.Decoder(
        hmm=model("en-us"),
        allphone=model("en-us-phone.lm.bin"),
        lm=None,
        dict=None,
        remove_noise=False,
        mfclogdir=str(tmp_path),
        loglevel="FATAL",
    )
    decoder.start_utt()
    decoder.process_raw((np.clip(speech, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    data = next(tmp_path.glob("*.mfc")).read_bytes()
    order = ">" if struct.unpack_from(">i", data)[0] * 4 + 4 == len(data) else "<"
    theirs = np.frombuffer(data, f"{order}f4", offset=4).reshape(-1, 13)
    # Their frames of 410 samples begin, ours are centred, on multiples of 10 ms.
    ours = cepstra(speech[205 - 160 :])[1 : len(theirs) + 1]
    theirs = theirs[: len(ours)]
    loud = ours[:, 0] > np.median(ours[:, 0])
    alike = [float(np.corrcoef(ours[loud, k], theirs[loud, k])[0, 1]) for k in range(13)]
    assert min(alike) > 0.9
    assert np.mean(alike) > 0.97


def test_mixtures_are_probabilities(tensors: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(tensors["weight"].sum(2), 1, atol=1e-4)
    assert not damaged(tensors)
    assert damaged({**tensors, "weight": tensors["weight"][:2]})
    assert damaged({k: v for k, v in tensors.items() if k != "floor"})


def test_pieces_change_nothing(speech: np.ndarray, tensors: dict[str, np.ndarray]) -> None:
    stats = voice_stats(log_mel(speech))
    whole = EarStream(stats, None, tensors).push(speech).features
    assert whole.shape[1] == 40 + PHONES
    stream, parts, at = EarStream(stats, None, tensors), [], 0
    for size in np.random.default_rng(0).integers(1, 2000, 200):
        parts.append(stream.push(speech[at : at + size]).features)
        at += size
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-4)
    np.testing.assert_allclose((whole[:, 40:] ** 2).sum(1), 1, atol=1e-4)


def test_hisses_and_silence_are_told(speech: np.ndarray, tensors: dict[str, np.ndarray]) -> None:
    """S and SH have most of their energy high up: where that is so, they should be heard; in silence, silence."""
    names = [n for n in _names() if n not in ("+NSN+", "+SPN+")]
    sound = np.concatenate([speech, np.zeros(16000, np.float32)])
    mel = log_mel(sound)
    shares = listen(PhoneStream(tensors), sound)[DELAY:]
    mel = mel[: len(shares)]
    hissing = (mel[:, 30:].mean(1) > mel[:, :15].mean(1) + 2) & (mel.mean(1) > np.percentile(mel.mean(1), 60))
    hisses = shares[:, [names.index(n) for n in ("S", "SH", "Z", "ZH", "CH", "JH", "T")]].sum(1)
    assert hissing.sum() > 10
    voiced = (mel[:, 30:].mean(1) < mel[:, :15].mean(1)) & (mel.mean(1) > np.percentile(mel.mean(1), 60))
    assert hisses[hissing].mean() > 3 * hisses[voiced].mean()
    assert names.index("SIL") == int(tensors["silence"][0])
    assert shares[-60:, names.index("SIL")].mean() > 0.5


def _names() -> list[str]:
    from lipsync.audio.phones import phone_names

    return phone_names(Path(model("en-us")) / "mdef")[0]


def test_level_does_not_matter_once_used_to_a_voice(speech: np.ndarray, tensors: dict[str, np.ndarray]) -> None:
    mel = log_mel(speech)
    active = mel.mean(1) > voice_stats(mel).level - ACTIVE_UNDER_LEVEL
    own = listen(PhoneStream(tensors), speech)
    quiet = PhoneStream(tensors)
    quiet.get_used_to(np.float32(0.5) * speech, active)
    assert np.abs(listen(quiet, 0.5 * speech) - own)[active[: len(own)]].mean() < 0.01


def test_another_throat_is_found_and_heard_as_the_takes(speech: np.ndarray, tensors: dict[str, np.ndarray]) -> None:
    import librosa

    mel = log_mel(speech)
    stats = voice_stats(mel)
    higher = librosa.effects.pitch_shift(speech, sr=16000, n_steps=4).astype(np.float32)
    ear = EarStream(stats, None, tensors)
    ear.push(speech)
    assert ear.throat == 0
    ear.reset()
    heard = ear.push(higher).features
    assert 2 <= ear.throat <= 6
    parts, again = [], EarStream(stats, None, tensors)
    for start in range(0, len(higher), 640):
        parts.append(again.push(higher[start : start + 640]).features)
    np.testing.assert_allclose(np.concatenate(parts), heard, atol=2e-4)
    own = EarStream(stats, None, tensors).push(speech).features
    deaf = EarStream(stats, None, tensors, throats=False).push(higher).features
    late = slice(len(own) // 2, len(own))  # once it has been found

    def apart(features: np.ndarray) -> float:
        return float(np.abs(features[late, 40:] - own[late, 40:]).mean())

    assert apart(heard) < 0.9 * apart(deaf)
    # Who spoke last is expected to speak next; if another does, that is found out again.
    found = ear.throat
    ear.reset()
    assert ear.throat == found
    first = slice(0, 100)
    next_time = ear.push(higher).features
    assert np.abs(next_time - own)[first, 40:].mean() < np.abs(heard - own)[first, 40:].mean()
    ear.reset()
    ear.push(speech)
    assert ear.throat == 0
    ear.reset()
    np.testing.assert_allclose(ear.push(speech).features, own, atol=1e-5)


def test_filters_of_another_throat() -> None:
    from lipsync.audio.mel import _filters, other_throat

    usual = _filters()
    moved = other_throat(usual, 1.25)
    assert moved[:, 10].argmax() == pytest.approx(1.25 * usual[:, 10].argmax(), abs=1.5)
    np.testing.assert_allclose(moved.sum(0), usual.sum(0), rtol=1e-4)
    np.testing.assert_allclose(other_throat(usual, 1.0), usual, atol=1e-6)

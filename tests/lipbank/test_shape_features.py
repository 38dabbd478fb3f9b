import numpy as np
import pytest

from lipbank.shape_features import HIGH, LOW, EarStream, FeatureStream, voice_stats
from lipbank.shape_ridge import PAST, STRENGTHS, RidgeFit, choose_strength, folds, tap_matrix, windows
from lipbank.shape_states import COMPONENTS, StateStream, load_network, loudness_of, project_from
from lipsync.audio.mel import BANDS, PowerMelStream, log_mel


def voice(seconds: float, colour: float = 0.0, seed: int = 0) -> np.ndarray:
    """Syllables of noise and tone, brighter or darker by ``colour``."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16000)) / 16000
    loud = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    sound = loud * (np.sin(2 * np.pi * 400 * t) + 0.3 * rng.normal(size=len(t)))
    sound = sound - colour * np.concatenate([[0], sound[:-1]])
    return (0.1 * sound + 1e-4 * rng.normal(size=len(t))).astype(np.float32)


@pytest.fixture(scope="module")
def stats():
    return voice_stats(log_mel(voice(6)))


def test_the_own_voice_is_known_and_another_is_noticed_and_normalised(stats):
    own = FeatureStream(stats).push(voice(8, seed=1))
    other = FeatureStream(stats).push(0.3 * voice(8, colour=0.9, seed=1))
    assert own.foreign.max() < 0.3
    assert other.foreign[-50:].min() > 0.7
    late = np.arange(len(own.features) - 300, len(own.features))
    late = late[own.activity[late] > -1.6]
    raw = (log_mel(0.3 * voice(8, colour=0.9, seed=1))[late] - stats.mean) / 2.5
    apart = np.abs(other.features[late] - own.features[late]).mean()
    assert apart < 0.65 * np.abs(np.clip(raw, LOW, HIGH) - own.features[late]).mean()
    assert other.gain[-1] > 2


def test_activity_tells_speech_from_silence(stats):
    heard = FeatureStream(stats).push(np.concatenate([voice(2), np.zeros(16000, np.float32)]))
    assert heard.activity[:200].max() > -0.5
    assert heard.activity[-50:].max() < -1.6
    assert heard.features.min() >= LOW and heard.features.max() <= HIGH


def test_a_minute_of_silence_does_not_make_silence_speech(stats):
    heard = FeatureStream(stats).push(np.concatenate([voice(1), np.zeros(16000 * 60, np.float32)]))
    assert heard.activity[-1] < -1.6


def test_states_are_the_networks_own_in_any_pieces(stats):
    import torch

    network = load_network()
    assert network is not None, "resemblyzer is an ordinary dependency"
    pcm = voice(3)
    network["loudness"] = np.array([loudness_of(pcm)])
    given = StateStream(network).push(pcm)
    lstm = torch.nn.LSTM(BANDS, 256, 2, batch_first=True)
    with torch.no_grad():
        for layer in range(2):
            getattr(lstm, f"weight_ih_l{layer}").copy_(torch.from_numpy(network[f"lstm{layer}.input"].T.copy()))
            getattr(lstm, f"weight_hh_l{layer}").copy_(torch.from_numpy(network[f"lstm{layer}.state"].T.copy()))
            getattr(lstm, f"bias_ih_l{layer}").copy_(torch.from_numpy(network[f"lstm{layer}.bias"]))
            getattr(lstm, f"bias_hh_l{layer}").zero_()
        mel = PowerMelStream().push(pcm * np.float32(loudness_of(pcm)))
        wanted = lstm(torch.from_numpy(mel)[None])[0][0].numpy()
    np.testing.assert_allclose(given, wanted[: len(given)], atol=1e-4)
    reduced = {**network, **project_from(given)}
    ear = EarStream(stats, reduced)
    whole = ear.push(pcm).features
    assert whole.shape[1] == BANDS + COMPONENTS
    ear = EarStream(stats, reduced)
    parts = [ear.push(pcm[i : i + 777]).features for i in range(0, len(pcm), 777)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


def test_windows_stand_where_they_say():
    features = np.zeros((400, BANDS), np.float32)
    features[200] = 1  # at picture 50
    pooled = windows(features, 100, 12).reshape(100, -1, BANDS)
    assert pooled.shape[1] == len(tap_matrix(12))
    inside = np.flatnonzero(np.abs(pooled[20:80, :, 0]).sum(1) > 0) + 20
    assert 50 - 12 // 4 <= inside[0] <= 50 - 2
    assert inside[-1] <= 50 + PAST // 4


def test_folds_keep_their_distance():
    for train, test in folds(np.arange(100), 5, 7):
        assert np.abs(train[:, None] - test[None]).min() > 7
    assert sorted(np.concatenate([t for _, t in folds(np.arange(100), 5, 7)])) == list(range(100))


def test_one_strength_is_chosen_for_all_outputs_and_its_answers_are_out_of_fold():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 40)).astype(np.float32)
    outputs = inputs[:, :3] @ rng.normal(size=(3, 4)) + 0.5 * rng.normal(size=(300, 4))
    splits = folds(np.arange(300), 3, 10)
    strength, said = choose_strength([inputs], [1.0], outputs, splits)
    assert strength in STRENGTHS and strength < STRENGTHS[-1]
    train, test = splits[1]
    matrix, offset = RidgeFit(inputs[train], outputs[train]).weights(strength)
    np.testing.assert_allclose(said[test], inputs[test] @ matrix + offset, atol=1e-6)

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from lipbank.encoder_training_corpus import CLASSES, LIPS, soil, speak
from lipbank.shape_stream import AHEAD, NetStream
from lipsync.audio.mel import BANDS

ENCODER = Path(__file__).parents[2] / "lipbank" / "encoder"


def test_the_shipped_encoder_is_small_whole_and_says_how_it_was_made():
    manifest = json.loads((ENCODER / "manifest.json").read_text())
    for name, digest in manifest["files"].items():
        data = (ENCODER / name).read_bytes()
        assert sha256(data).hexdigest() == digest
        assert len(data) <= 2_000_000
    assert manifest["made_by"] == "scripts/make_encoder.py"
    assert manifest["figures"]["closure_recall"] > 0.6
    assert tuple(manifest["classes"]) == CLASSES


def test_without_torch_the_network_says_the_same_in_any_pieces():
    import torch

    from lipbank.shape_finetune import load_encoder
    from lipbank.shape_network import Listener

    torch.manual_seed(0)
    net = Listener(12).eval()
    missing, unexpected = net.load_state_dict(load_encoder(), strict=False)
    assert not unexpected and all(n.startswith("head.") or n.endswith("num_batches_tracked") for n in missing)
    x = np.random.default_rng(0).normal(size=(301, BANDS)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x).mT[None])[0].numpy().T
    stream = NetStream({name: value.numpy() for name, value in net.folded().items()})
    parts, at = [], 0
    for size in np.random.default_rng(1).integers(1, 9, 400):
        parts.append(stream.push(x[at : at + size]))
        at += size
    given = np.concatenate(parts)
    assert len(given) == (301 - AHEAD + 1) // 2
    # The last steps before the end see padding in torch and the future here; they are owed, not given.
    np.testing.assert_allclose(given, wanted[: len(given)], atol=2e-4)


def test_synthetic_speech_is_labelled_where_it_sounds():
    said = list(speak(12.0, seed=4))
    assert sum(len(u.mel) for u in said) >= 1200
    label = np.concatenate([u.label for u in said])
    mel = np.concatenate([u.mel for u in said])
    assert set(np.unique(label)) <= set(range(len(CLASSES))) and LIPS.shape == (len(CLASSES), 3)
    energy = mel.mean(1)
    vowels, silence = np.isin(label, [CLASSES.index(v) for v in "aAeo"]), label == 0
    assert vowels.sum() > 50 and silence.sum() > 50
    assert energy[vowels].mean() > energy[silence].mean() + 1
    hiss = label == CLASSES.index("sz")
    tilt = mel[:, 30:].mean(1) - mel[:, :10].mean(1)
    assert tilt[hiss].mean() > tilt[vowels].mean() + 2


def test_soiling_is_repeatable_and_keeps_the_length():
    pcm = np.sin(np.arange(16000) / 20).astype(np.float32)
    one, two = (soil(pcm, np.random.default_rng(3)) for _ in range(2))
    assert len(one) == len(pcm) and np.array_equal(one, two) and np.isfinite(one).all()


@pytest.mark.slow
def test_an_encoder_is_made_from_nothing(tmp_path):
    from lipbank.encoder_training import Recipe, make

    manifest = make(tmp_path, Recipe(speech_s=400, train_s=60, steps=60), log=lambda line: None)
    assert manifest["figures"]["accuracy"] > 0.3  # silence alone is a fifth of it
    assert (tmp_path / "encoder.safetensors").stat().st_size < 2_000_000

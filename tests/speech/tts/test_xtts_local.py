"""XTTS in this process: the real loading, conditioning and streaming on a tiny model of random weights."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lipsync.errors import BundleError, StudioError, UnavailableError
from speech.errors import SpeechSettingsError
from speech.tts import Voice, collect, create
from speech.tts.xtts_local import RATE, REFERENCE_RATE, load_model, missing_weights

extra = pytest.mark.skipif(
    find_spec("TTS") is None or find_spec("torchaudio") is None, reason="the extra named xtts is not installed"
)
WORDS = [
    "[STOP]",
    "[UNK]",
    "[SPACE]",
    "[START]",
    "[en]",
    "[zh-cn]",
    "[zh]",
    *"abcdefghijklmnopqrstuvwxyz',.!?0123456789",
]


def tiny_model(folder: Path, *, safe: bool = True) -> Path:
    """Files as XTTS v2 has them, of two layers and 64 channels, with random weights that never end a sentence."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    folder.mkdir()
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate(WORDS)}, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([word for word in WORDS if word.startswith("[")])
    tokenizer.save(str(folder / "vocab.json"))
    config = XttsConfig(
        model_args=XttsArgs(
            gpt_layers=2,
            gpt_n_model_channels=64,
            gpt_n_heads=2,
            gpt_max_audio_tokens=40,
            gpt_max_text_tokens=120,
            gpt_number_text_tokens=len(WORDS),
            gpt_start_text_token=WORDS.index("[START]"),
            gpt_stop_text_token=WORDS.index("[STOP]"),
            gpt_num_audio_tokens=130,
            gpt_start_audio_token=128,
            gpt_stop_audio_token=129,
            gpt_use_perceiver_resampler=True,
            decoder_input_dim=64,
        ),
        gpt_cond_len=6,
        gpt_cond_chunk_len=3,
    )
    config.save_json(str(folder / "config.json"))
    torch.manual_seed(0)
    model = Xtts(config)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    state["gpt.mel_head.bias"][129] = -1e4  # the token that ends a sentence
    if safe:
        save_file({name: value.clone() for name, value in state.items()}, folder / "model.safetensors")
    else:
        # As the trainer saves it: a prefix on each name, and parts that only training uses.
        named = {f"xtts.{name}": value for name, value in state.items()} | {"xtts.dvae.codebook": torch.zeros(3)}
        torch.save({"model": named, "config": {}}, folder / "model.pth")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("xtts") / "tiny")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from speech.clone.base_speech import BaseVoice, render

    base = BaseVoice("espeak", "en", "en-us+f3")
    sound = np.concatenate([render(base, text)[0] for text in ("The weather is fine today.", "We go to the park.") * 4])
    noisy = sound + np.random.default_rng(0).normal(size=len(sound)).astype(np.float32) * 3e-4
    path = tmp_path_factory.mktemp("reference") / "a.wav"
    soundfile.write(path, noisy, 16_000)
    return path


def test_without_the_weights_it_says_what_is_missing(tmp_path: Path) -> None:
    assert missing_weights(tmp_path) == ["config.json", "vocab.json", "model.safetensors"]
    (tmp_path / "model.pth").write_bytes(b"")
    assert missing_weights(tmp_path) == ["config.json", "vocab.json"]
    backend = create("xtts_local", {"weights": tmp_path})
    assert backend.missing() == ["weights", "reference_wav"]
    with pytest.raises(UnavailableError, match=r"config\.json"):
        load_model(tmp_path, "cpu")


@pytest.mark.skipif(find_spec("TTS") is not None, reason="the extra named xtts is installed")
def test_without_the_extra_it_names_it(tmp_path: Path) -> None:
    for name in ("config.json", "vocab.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(UnavailableError, match="TTS") as caught:
        load_model(tmp_path, "cpu")
    assert "extra named 'xtts'" in caught.value.remedy


async def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError):
        await collect(create("xtts_local", {}).stream("Hello", Voice("xtts_local"), asyncio.Event()))
    assert await collect(create("xtts_local", {}).stream("😀", Voice("xtts_local"), asyncio.Event())) is not None


@extra
@pytest.mark.slow
async def test_it_streams_and_a_cancel_ends_it_within_one_piece(weights: Path, reference: Path) -> None:
    backend = create("xtts_local", {"weights": weights, "reference_wav": reference, "stream_chunk_size": 5})
    assert backend.missing() == [] and backend.sample_rate == RATE
    await backend.warm_up()
    chunks = [c async for c in backend.stream("hello there", Voice("xtts_local", language="en"), asyncio.Event())]
    assert len(chunks) > 1 and all(c.dtype == np.float32 and np.abs(c).max() <= 1 for c in chunks)
    cancel, after = asyncio.Event(), 0
    async for _ in backend.stream("hello there again", Voice("xtts_local", language="en"), cancel):
        after += cancel.is_set()
        cancel.set()
    assert after == 0
    assert (await backend.check()).ok


@extra
@pytest.mark.slow
async def test_pieces_joined_are_the_sound_of_all_tokens(weights: Path, reference: Path) -> None:
    """40 tokens less the begin are 38 or 39 steps of 1024 / 22050 s, whatever the size of a piece."""
    lengths = []
    for size in (3, 7, 50):
        backend = create("xtts_local", {"weights": weights, "reference_wav": reference, "stream_chunk_size": size})
        lengths.append(len(await collect(backend.stream("hello", Voice("xtts_local", language="en"), asyncio.Event()))))
    assert max(lengths) - min(lengths) <= 1024
    assert abs(lengths[0] - 39 * 1024 * RATE / REFERENCE_RATE) < 3 * 1024


@extra
@pytest.mark.slow
async def test_a_cloned_voice_is_its_latents(weights: Path, reference: Path, tmp_path: Path) -> None:
    from speech.clone.xtts import clone_for_xtts, load_latents

    folder = clone_for_xtts(reference, tmp_path / "bundle", weights, name="P", consent_id="c1")
    found = load_latents(folder)
    assert found["gpt_cond_latent"].shape[0] == 1 and found["gpt_cond_latent"].shape[2] == 64
    assert found["speaker_embedding"].shape == (1, 512, 1)
    assert all(np.isfinite(value).all() for value in found.values())
    backend = create("xtts_local", {"weights": weights, "bundle": folder})
    assert (await collect(backend.stream("hello", Voice("xtts_local", language="en"), asyncio.Event()))).size
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "engine": "filtered-base"}))
    with pytest.raises(BundleError):
        load_latents(folder)


@extra
@pytest.mark.slow
def test_weights_as_the_trainer_saves_them_load_and_are_not_rewritten(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "pth", safe=False)
    before = (folder / "model.pth").read_bytes()
    load_model.cache_clear()
    assert load_model(folder, "cpu").gpt is not None
    assert (folder / "model.pth").read_bytes() == before
    load_model.cache_clear()


@extra
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "other", "pickle"])
def test_damaged_or_foreign_weights_are_refused(tmp_path: Path, damage: str) -> None:
    import torch

    folder = tiny_model(tmp_path / "bad")
    file = folder / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "other":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(2)}, file)
    else:
        file.unlink()
        torch.save({"model": {"x": Path("/etc/passwd")}}, folder / "model.pth")
    load_model.cache_clear()
    with pytest.raises(BundleError, match="weights"):
        load_model(folder, "cpu")


@extra
async def test_silence_and_moments_cannot_be_imitated(weights: Path, tmp_path: Path) -> None:
    for sound in (np.zeros(RATE * 10), np.random.default_rng(0).normal(size=RATE) * 0.1):
        soundfile.write(tmp_path / "a.wav", sound, RATE)
        backend = create("xtts_local", {"weights": weights, "reference_wav": tmp_path / "a.wav"})
        with pytest.raises(SpeechSettingsError, match="3 s"):
            await backend.warm_up()

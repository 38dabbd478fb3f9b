"""Real models on a real recording: one that is as it should be passes the bounds, and bad ones are told by figures."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from apps.control_api.services.registration import shortcomings
from apps.control_api.settings import Settings
from lipbank.engine import LipbankEngine
from lipsync.bundle import load_tensors, read_manifest, write_bundle
from lipsync.dataset.take import AUDIO, PreparedTake, load_take
from lipsync.engine import TrainOptions
from lipsync.media.audio import save_wav
from lipsync.progress import SilentProgress
from lipsync.training.avatar import judge_bundle

pytestmark = [pytest.mark.take, pytest.mark.slow, pytest.mark.timeout(900)]
SECONDS = "20"


@pytest.fixture(scope="module")
def take(green_take: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedTake:
    """The first 20 seconds of the recording."""
    from imageio_ffmpeg import get_ffmpeg_exe

    from lipsync.dataset.prepare import prepare_take

    folder = tmp_path_factory.mktemp("bad")
    cut = folder / "cut.mp4"
    ffmpeg = [get_ffmpeg_exe(), "-v", "error", "-i", str(green_take), "-t", SECONDS, "-c", "copy", str(cut)]
    subprocess.run(ffmpeg, check=True, timeout=60)
    return prepare_take(cut, None, folder / "take")


@pytest.fixture(scope="module")
def good(take: PreparedTake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "good"
    return LipbankEngine.train(take, out, TrainOptions(preview=True), SilentProgress())


def reasons(bundle: Path, take: PreparedTake) -> str:
    bounds = Settings(token="t")
    figures = judge_bundle(bundle, take).figures
    return "; ".join(shortcomings(figures, bounds.minimum_metrics, bounds.maximum_metrics))


def test_a_good_one_passes(good: Path, take: PreparedTake) -> None:
    assert reasons(good, take) == ""


def test_one_that_learned_a_shifted_sound_is_stopped(take: PreparedTake, tmp_path: Path) -> None:
    shutil.copytree(take.folder, tmp_path / "shifted")
    save_wav(tmp_path / "shifted" / AUDIO, np.roll(take.audio, 16 * 240), 16000)
    shifted = load_take(tmp_path / "shifted")
    bundle = LipbankEngine.train(shifted, tmp_path / "bundle", TrainOptions(preview=True), SilentProgress())
    told = reasons(bundle, take)
    assert "lag_ms" in told or "sync" in told, told


def test_one_whose_mouth_hardly_moves_yet_is_stopped(good: Path, take: PreparedTake, tmp_path: Path) -> None:
    tensors = load_tensors(good)
    tensors["shape.gain"] = tensors["shape.gain"] * 0.15
    manifest = read_manifest(good)
    files = {name: good / name for name in manifest.files if name != "weights.safetensors"}
    bundle = write_bundle(tmp_path / "early", replace(manifest, files={}), tensors, files)
    assert "gap_std_ratio" in reasons(bundle, take)

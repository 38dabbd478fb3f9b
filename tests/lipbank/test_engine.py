import subprocess
import sys

import numpy as np
import pytest

from lipbank.engine import LipbankEngine
from lipbank.mouth_space import GAP
from lipsync.bundle import load_tensors, read_manifest, update_manifest, write_bundle
from lipsync.engine import HOP, TrainOptions
from lipsync.errors import BundleError, CancelledError, StudioError
from lipsync.evaluation import correlation
from lipsync.progress import SilentProgress
from tests.fakes.drawn_take import drawn_take
from tests.lipsync.test_engine_contract import EngineContract


@pytest.fixture(scope="module")
def loaded(preview):
    engine = LipbankEngine.load(preview)
    yield engine
    engine.close()


class TestLipbank(EngineContract):
    @pytest.fixture
    def cls(self):
        return LipbankEngine

    @pytest.fixture
    def bundle(self, preview):
        return preview

    @pytest.fixture
    def engine(self, loaded):
        """One for all tests: drawing leaves no trace in it, and the contract's own tests of closing load theirs."""
        return loaded

    def test_the_mouth_follows_sound_it_never_heard(self, engine, take, space):
        part = take.held_out
        stream = engine.open_stream()
        drives = [*stream.push(take.audio[part.start * HOP :]), *stream.flush()]
        drawn = engine.bank.coef[[d.sources[0] for d in drives], GAP]
        real = space.encode(take.landmarks[part.start :])[:, GAP]
        assert correlation(drawn, real) > 0.6

    def test_rest_is_a_closed_mouth_of_the_bank(self, engine):
        gaps = engine.bank.coef[:, GAP]
        assert gaps[engine.rest.sources[0]] < np.percentile(gaps, 40)

    def test_a_closed_engine_says_so(self, preview):
        engine = LipbankEngine.load(preview)
        engine.close()
        rest = engine.rest
        with pytest.raises(StudioError, match="closed"):
            engine.infer([(0, rest)])


def test_a_preview_says_what_it_is(preview, take):
    manifest = read_manifest(preview)
    assert (manifest.engine, manifest.kind, manifest.version) == ("lipbank", "avatar", "preview")
    assert manifest.extra["preview"] is True and manifest.extra["mouths"] == len(take.train)
    assert manifest.input_shape == (take.height, take.width, 3)


def test_nothing_of_the_held_out_part_is_in_the_bundle(preview, take):
    landmarks = load_tensors(preview)["bank.landmarks"]
    assert len(landmarks) == len(take.train)
    assert np.array_equal(landmarks, take.landmarks[: take.held_out.start])


def test_live_drawing_imports_neither_torch_nor_mediapipe(preview):
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from lipsync.registry import engine_for\n"
        f"engine = engine_for(Path({str(preview)!r}))\n"
        "stream = engine.open_stream()\n"
        "drives = stream.push(np.zeros(16000, np.float32)) + stream.flush()\n"
        "engine.infer([(0, d) for d in drives[:3]])\n"
        "print(sorted({'torch', 'mediapipe', 'fastapi'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_another_format_is_refused(preview, tmp_path):
    manifest = read_manifest(preview)
    files = {n: preview / n for n in manifest.files if n != "weights.safetensors"}
    copy = write_bundle(tmp_path / "b", manifest, load_tensors(preview), files)
    update_manifest(copy, extra=manifest.extra | {"format": 99})
    with pytest.raises(BundleError, match="another version"):
        LipbankEngine.load(copy)
    update_manifest(copy, extra=manifest.extra | {"search": {"nosuch": 1}})
    with pytest.raises(BundleError):
        LipbankEngine.load(copy)


@pytest.mark.parametrize("lost", ["cheeks", "bank.coef", "shape.rest", "space.mean"])
def test_lost_parts_are_refused(preview, tmp_path, lost):
    manifest = read_manifest(preview)
    tensors = {k: v for k, v in load_tensors(preview).items() if k != lost}
    files = {n: preview / n for n in manifest.files if n != "weights.safetensors"}
    copy = write_bundle(tmp_path / "b", manifest, tensors, files)
    with pytest.raises(BundleError):
        LipbankEngine.load(copy)


def test_a_cancelled_training_leaves_nothing(take, tmp_path):
    class Stop(SilentProgress):
        def update(self, fraction: float) -> None:
            if fraction > 0.1:
                raise CancelledError("stop")

    with pytest.raises(CancelledError):
        LipbankEngine.train(take, tmp_path / "out", TrainOptions(preview=True), Stop())
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_takes_what_the_job_knows(take, tmp_path):
    extra = {"name": "Ann", "version": "3", "takes": ["t1", "t2"], "consent_id": "c9"}
    LipbankEngine.train(take, tmp_path / "out", TrainOptions(preview=True, extra=extra), SilentProgress())
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.name, manifest.version, manifest.takes, manifest.consent_id) == ("Ann", "3", ("t1", "t2"), "c9")


def test_a_second_take_and_a_parent_enlarge_the_bank(take, preview, tmp_path):
    second = drawn_take(tmp_path / "second", seconds=8, seed=5)
    options = TrainOptions(preview=True, extra={"more": [str(take.folder)]})
    LipbankEngine.train(second, tmp_path / "more", options, SilentProgress())
    manifest = read_manifest(tmp_path / "more")
    assert manifest.extra["mouths"] == len(second.train) + len(take.train)
    assert manifest.takes == ("second", "drawn")
    LipbankEngine.train(second, tmp_path / "child", TrainOptions(preview=True, parent=preview), SilentProgress())
    child = read_manifest(tmp_path / "child")
    assert child.extra["mouths"] == manifest.extra["mouths"] and child.parent == preview.name
    both = TrainOptions(preview=True, parent=tmp_path / "more", extra={"more": [str(take.folder)]})
    third = drawn_take(tmp_path / "third", seconds=8, seed=6)
    LipbankEngine.train(third, tmp_path / "grandchild", both, SilentProgress())
    mouths = read_manifest(tmp_path / "grandchild").extra["mouths"]
    assert mouths == manifest.extra["mouths"] + len(third.train), "no mouth comes in twice"

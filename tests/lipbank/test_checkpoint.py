"""A training that was killed goes on after what it had finished, and ends in the same avatar."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lipbank import training
from lipbank.engine import LipbankEngine
from lipsync.bundle import read_manifest
from lipsync.engine import TrainOptions
from lipsync.progress import SilentProgress

KILLED = """
import os, signal, sys
from pathlib import Path
from lipbank.engine import LipbankEngine
from lipsync.dataset.take import load_take
from lipsync.engine import TrainOptions
from lipsync.progress import SilentProgress

class Killed(SilentProgress):
    def stage(self, name):
        if name == sys.argv[4]:
            os.kill(os.getpid(), signal.SIGKILL)

options = TrainOptions(preview=True, extra={"work": sys.argv[3]})
LipbankEngine.train(load_take(sys.argv[1]), Path(sys.argv[2]), options, Killed())
"""


@pytest.mark.parametrize(
    ("stage", "done"),
    [("listening", ("learn_mouths", "write_base")), ("writing", ("learn_mouths", "ShapeModel.preview"))],
)
def test_a_killed_training_does_not_do_its_finished_stages_again(take, preview, tmp_path, monkeypatch, stage, done):
    work, out = tmp_path / "work", tmp_path / "out"
    run = [sys.executable, "-c", KILLED, str(take.folder), str(out), str(work), stage]
    assert subprocess.run(run, check=False, timeout=120).returncode == -9
    assert not out.exists() and (work / "mouths.safetensors").is_file()

    def again(*_: object, **__: object) -> None:
        raise AssertionError("done already")

    for name in done:
        monkeypatch.setattr(f"lipbank.training.{name}", again)
    options = TrainOptions(preview=True, extra={"work": str(work)})
    LipbankEngine.train(take, out, options, SilentProgress())
    files = read_manifest(out).files
    assert files == read_manifest(preview).files, "byte for byte what an undisturbed training makes"


def test_what_was_kept_of_another_training_is_not_used(take, tmp_path, monkeypatch):
    class EnoughError(Exception):
        pass

    def stop(*_: object) -> None:
        raise EnoughError

    kept = training.Checkpoint(tmp_path / "work", {"a": 1})
    kept.stage("mouths", lambda: {}, SilentProgress())
    monkeypatch.setattr(training, "learn_mouths", stop)
    with pytest.raises(EnoughError):
        LipbankEngine.train(
            take, tmp_path / "out", TrainOptions(preview=True, extra={"work": str(tmp_path / "work")}), SilentProgress()
        )


def test_a_damaged_stage_is_made_again(tmp_path: Path):
    kept = training.Checkpoint(tmp_path, {})
    (tmp_path / "mouths.safetensors").write_bytes(b"")
    assert kept.stage("mouths", dict, SilentProgress()) == {}
    assert (tmp_path / "mouths.safetensors").stat().st_size > 0

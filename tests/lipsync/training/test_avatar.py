import json
import math

import pytest

from lipsync.bundle import read_manifest
from lipsync.engine import TrainOptions
from lipsync.errors import ConflictError, NotFoundError
from lipsync.evaluation import FIGURES
from lipsync.progress import SilentProgress
from lipsync.training.__main__ import main
from lipsync.training.avatar import train_avatar
from tests.fakes.bar_engine import BarEngine
from tests.fakes.drawn_take import drawn_take


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    return drawn_take(tmp_path_factory.mktemp("takes") / "drawn", seconds=12, size=160)


class Watched(SilentProgress):
    def __init__(self):
        self.shares, self.samples = [], {}

    def update(self, fraction):
        self.shares.append(fraction)

    def sample(self, name, value):
        self.samples[name] = value


def test_training_ends_in_a_judged_bundle(take, tmp_path):
    progress = Watched()
    train_avatar(take, tmp_path / "b", "bar", TrainOptions(steps=3), progress)
    metrics = read_manifest(tmp_path / "b").metrics
    assert {*FIGURES, "train_minutes"} <= metrics.keys()
    assert all(math.isfinite(v) for v in metrics.values())
    assert progress.samples == metrics
    assert progress.shares == sorted(progress.shares) and progress.shares[-1] == 1


def test_a_preview_is_not_judged(take, tmp_path):
    train_avatar(take, tmp_path / "b", "bar", TrainOptions(preview=True))
    assert read_manifest(tmp_path / "b").metrics == {}


def test_an_unknown_engine_and_a_taken_place(take, tmp_path):
    with pytest.raises(NotFoundError):
        train_avatar(take, tmp_path / "b", "nosuch")
    train_avatar(take, tmp_path / "b", "bar", TrainOptions(preview=True))
    with pytest.raises(ConflictError):
        BarEngine.train(take, tmp_path / "b", TrainOptions(preview=True), SilentProgress())


def test_the_command_line(take, tmp_path, capsys):
    assert main(["--take", str(take.folder), "--out", str(tmp_path / "b"), "--engine", "bar", "--steps", "2"]) == 0
    said = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert said["engine"] == "bar" and said["metrics"] == read_manifest(tmp_path / "b").metrics


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--take", "{tmp}/absent", "--out", "{tmp}/b"], "not_found"),
        (["--take", "{tmp}", "--out", "{tmp}"], "conflict"),
    ],
)
def test_the_command_line_says_what_is_wrong(tmp_path, capsys, arguments, code):
    assert main([a.format(tmp=tmp_path) for a in arguments]) == 2
    assert code in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_text_file_called_mp4_is_refused_with_its_reasons(tmp_path, capsys):
    (tmp_path / "take.mp4").write_text("no film")
    assert main(["--take", str(tmp_path / "take.mp4"), "--out", str(tmp_path / "b")]) == 2
    assert len(capsys.readouterr().err) > 20
    assert not (tmp_path / "b").exists()

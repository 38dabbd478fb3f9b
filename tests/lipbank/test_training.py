"""A training can be watched: its error falls into the page's curve while it goes on."""

from __future__ import annotations

import math

from lipbank.engine import LipbankEngine
from lipsync.engine import TrainOptions
from lipsync.progress import SilentProgress


class Watched(SilentProgress):
    def __init__(self) -> None:
        self.share, self.losses, self.stages = 0.0, [], []

    def update(self, fraction: float) -> None:
        assert fraction >= self.share, "the share done never falls"
        self.share = fraction

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def sample(self, name: str, value: float | str) -> None:
        if name == "loss":
            self.losses.append((self.share, float(value)))


def test_training_tells_its_error_as_it_goes_on(take, tmp_path):
    progress = Watched()
    LipbankEngine.train(take, tmp_path / "out", TrainOptions(steps=20), progress)
    assert progress.stages == ["mouths", "base_clip", "listening", "writing"]
    shares, losses = zip(*progress.losses, strict=True)
    assert len(losses) == 6 and all(math.isfinite(v) and v > 0 for v in losses)  # each of three networks, twice
    assert len(set(shares)) == len(shares) and progress.share == 1

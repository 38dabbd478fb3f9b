"""One drawn take and one preview of it for all tests of the picture stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbank.bank import Bank, cut_bank
from lipbank.engine import LipbankEngine
from lipbank.mouth_space import MouthSpace
from lipsync.dataset.take import PreparedTake
from lipsync.engine import TrainOptions
from lipsync.progress import SilentProgress
from tests.fakes.drawn_take import drawn_take


@pytest.fixture(scope="session")
def take(tmp_path_factory) -> PreparedTake:
    return drawn_take(tmp_path_factory.mktemp("takes") / "drawn")


@pytest.fixture(scope="session")
def preview(take, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "preview"
    return LipbankEngine.train(take, out, TrainOptions(preview=True), SilentProgress())


@pytest.fixture(scope="session")
def space(take) -> MouthSpace:
    return MouthSpace.fit(take.landmarks, take.found, take.train)


@pytest.fixture(scope="session")
def bank(take, space) -> Bank:
    part = take.train
    return cut_bank(take.i420(0, part.stop), take.landmarks[: part.stop], take.found[: part.stop], space)

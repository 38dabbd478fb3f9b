"""Networks in other formats answer as the network does; one that does not is not handed out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lipbank.export import FoldedListener, listeners
from lipbank.shape_network import Listener
from lipbank.shape_stream import NetStream
from lipsync import export
from lipsync.audio.mel import BANDS
from lipsync.bundle import Manifest, sha256, write_bundle
from lipsync.errors import BundleError, ConflictError, InvalidInputError
from lipsync.export import FORMATS, ParityError, export_bundle, export_network


def listener(seed: int) -> Listener:
    torch.manual_seed(seed)
    net = Listener(12, channels=32)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return net.eval()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    tensors = {f"shape.net{i}.{name}": value.numpy() for i in range(2) for name, value in listener(i).folded().items()}
    manifest = Manifest("Ann", "3", "avatar", "lipbank", 16000, (64, 64, 3), "mel")
    return write_bundle(tmp_path / "bundle", manifest, {**tensors, "cheeks": np.zeros(2, np.float32)})


def test_a_listener_of_a_bundle_is_the_one_that_was_trained_and_the_one_that_runs(bundle: Path) -> None:
    found = listeners(bundle)
    assert list(found) == ["listener-0", "listener-1"]
    module, (example,) = found["listener-1"]
    with torch.no_grad():
        given = module(example)
        torch.testing.assert_close(given, listener(1)(example), atol=1e-5, rtol=1e-4)
        weights = {k: v.numpy() for k, v in listener(1).folded().items()}
        stream = NetStream(weights)
        heard = stream.push(example[0].T.numpy())
        np.testing.assert_allclose(heard, given[0].T.numpy()[: len(heard)], atol=1e-4)
        assert len(heard) > 80


def test_every_format_answers_as_the_network_does(bundle: Path, tmp_path: Path) -> None:
    written = export_bundle(bundle, tmp_path / "out")
    assert [(w.network, w.format) for w in written] == [(n, f) for n in ("listener-0", "listener-1") for f in FORMATS]
    for one in written:
        assert one.difference < 1e-5 and one.sha256 == sha256(tmp_path / "out" / one.file)
        assert one.inputs == [[1, BANDS, 200]]
    listed = json.loads((tmp_path / "out" / "networks.json").read_text())
    assert (listed["engine"], listed["version"], len(listed["files"])) == ("lipbank", "3", 6)
    back = FoldedListener({k: v.numpy() for k, v in listener(0).folded().items()})
    back.load_state_dict(load_file(tmp_path / "out" / "listener-0.safetensors"))


def test_one_that_differs_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Moody(torch.nn.Module):
        """Decides by its first input, which a trace cannot know."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x - 5

    with pytest.raises(ParityError, match="torchscript answers otherwise"):
        export_network("moody", Moody(), (torch.zeros(1, 4),), tmp_path, ["torchscript"])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ParityError):
        export_network("strict", torch.nn.Linear(4, 2), (torch.ones(1, 4),), tmp_path, ["safetensors"])


def test_what_cannot_be_exported_is_said(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no format 'gguf'"):
        export_bundle(bundle, tmp_path / "x", ["gguf"])
    manifest = Manifest("P", "preview", "avatar", "lipbank", 16000, (64, 64, 3), "mel")
    preview = write_bundle(tmp_path / "preview", manifest, {"cheeks": np.zeros(2, np.float32)})
    with pytest.raises(ConflictError, match="no network of its own"):
        export_bundle(preview, tmp_path / "y")
    weights = {f"shape.net0.{k}": v.numpy() for k, v in listener(0).folded().items() if k != "head.weight"}
    broken = write_bundle(tmp_path / "broken", manifest, weights)
    with pytest.raises(BundleError, match="another shape"):
        export_bundle(broken, tmp_path / "z")

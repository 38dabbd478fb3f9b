"""Foreign weights: the right network is recognised in every format, and what is unsafe or broken is refused by name."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipsync import checkpoints
from lipsync.bundle import sha256
from lipsync.checkpoints import NETWORKS, Network, fingerprint, identify, main, recognise
from lipsync.errors import BundleError
from tests.conftest import ROOT


class Small(torch.nn.Module):
    """Stands for a public network: a picture (6, 8, 8) in, one (3, 8, 8) out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(6, 3, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Small:
    torch.manual_seed(0)
    net = Small().eval()
    names, shapes = fingerprint({k: tuple(v.shape) for k, v in net.state_dict().items()})
    known = Network("small", names, shapes, ((1, 6, 8, 8),), (1, 3, 8, 8), "mel")
    monkeypatch.setattr(checkpoints, "NETWORKS", {"small": known})
    return net


def write(net: Small, path: Path, how: str) -> Path:
    state = net.state_dict()
    if how == "plain":
        torch.save(state, path)
    elif how == "wrapped":
        wrapped = {"state_dict": {f"module.{k}": v for k, v in state.items()}, "global_step": 3}
        torch.save(wrapped, path)
    elif how == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif how == "safetensors":
        save_file(state, str(path))
    elif how == "torchscript":
        torch.jit.trace(net, torch.zeros(1, 6, 8, 8)).save(str(path))
    else:
        torch.onnx.export(net, (torch.zeros(1, 6, 8, 8),), str(path), dynamo=False, input_names=["picture"])
    return path


@pytest.mark.parametrize(
    ("how", "form", "name"),
    [
        ("plain", "torch", "a.pth"),
        ("wrapped", "torch", "a.pt"),
        ("legacy", "torch", "a.pth"),
        ("safetensors", "safetensors", "a.safetensors"),
        ("torchscript", "torchscript", "a.pt"),
        ("onnx", "onnx", "a.onnx"),
    ],
)
def test_every_format_is_recognised(small: Small, tmp_path: Path, how: str, form: str, name: str) -> None:
    path = write(small, tmp_path / name, how)
    found, tensors = recognise(path)
    assert (found.format, found.network, found.engine) == (form, "small", "small")
    assert found.sha256 == sha256(path) and found.inputs == ((1, 6, 8, 8),)
    if form != "onnx":  # an exported graph folds the normalisation into the convolution
        assert found.parameters == sum(v.numel() for k, v in small.state_dict().items() if "num_batches" not in k)
        np.testing.assert_array_equal(tensors["conv.weight"], small.conv.weight.detach().numpy())


def test_what_runs_code_is_refused_and_runs_nothing(small: Small, tmp_path: Path, capsys: Any) -> None:
    touched = tmp_path / "touched"

    class Touch:
        def __reduce__(self) -> Any:
            return (Path.touch, (touched,))

    (tmp_path / "raw.pth").write_bytes(pickle.dumps({"conv.weight": Touch()}))
    torch.save({"conv.weight": Touch()}, tmp_path / "zip.pth")
    torch.save(small, tmp_path / "whole.pt")
    for name in ("raw.pth", "zip.pth", "whole.pt"):
        with pytest.raises(BundleError, match=r"run code|no weights|truncated or damaged"):
            recognise(tmp_path / name)
        assert main([str(tmp_path / name)]) == 2 and json.loads(capsys.readouterr().out)["remedy"]
    assert not touched.exists()


def test_truncated_files_are_named_as_such(small: Small, tmp_path: Path) -> None:
    for how, name in (
        ("plain", "a.pth"),
        ("legacy", "b.pth"),
        ("safetensors", "c.safetensors"),
        ("torchscript", "d.pt"),
        ("onnx", "e.onnx"),
    ):
        path = write(small, tmp_path / name, how)
        whole = path.read_bytes()
        for share in (0.3, 0.7, 0.95):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(BundleError, match=r"truncated|start is missing|cannot be read|run code"):
                recognise(path)
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(BundleError):
        recognise(tmp_path / "empty.pth")


def test_numbers_that_are_none_are_refused(small: Small, tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        small.conv.weight.data[0, 0, 0, 0] = value
        with pytest.raises(BundleError, match=r"not finite \(conv.weight\)"):
            recognise(write(small, tmp_path / f"{value}.pth", "plain"))


def test_other_networks_and_other_sizes_are_told_apart(small: Small, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(BundleError, match=r"no network the studio knows.*2 tensors: bias, weight"):
        recognise(tmp_path / "linear.pth")
    wide = {k: torch.zeros(2, *v.shape[1:]) if k == "conv.weight" else v for k, v in small.state_dict().items()}
    torch.save(wide, tmp_path / "wide.pth")
    with pytest.raises(BundleError, match="named like those of small, but are of other shapes"):
        recognise(tmp_path / "wide.pth")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(BundleError, match="no weights"):
        recognise(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(BundleError, match="no bundle, torch"):
        recognise(tmp_path / "text.pth")


def test_an_onnx_that_reaches_outside_is_refused(small: Small, tmp_path: Path) -> None:
    import onnx

    path = write(small, tmp_path / "a.onnx", "onnx")
    model = onnx.load(str(path))
    onnx.save(model, tmp_path / "ext.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(BundleError, match="other files"):
        recognise(tmp_path / "ext.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].domain = "com.evil"
    onnx.save(model, tmp_path / "op.onnx")
    with pytest.raises(BundleError, match="foreign code"):
        recognise(tmp_path / "op.onnx")


def test_a_zip_that_is_neither_and_a_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(BundleError, match="neither a manifest nor weights"):
        recognise(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"0" * (1 << 26))
    with pytest.raises(BundleError, match="inflates too far"):
        recognise(tmp_path / "bomb.pth")


FACTS = ROOT / "../shared/reference"


@pytest.mark.parametrize("name", NETWORKS)
def test_public_networks_have_the_fingerprints_of_their_facts(name: str) -> None:
    path = FACTS / f"{name.replace('-', '_')}.json"
    if not path.is_file():
        pytest.skip("the facts of the public checkpoints are not on this machine")
    facts = json.loads(path.read_text())
    shapes = {key: tuple(shape) for key, shape in facts["state_dict"].items()}
    assert identify(shapes) == name
    without = {k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")}
    assert identify(without) == name, "older versions of torch write no counters"
    assert [list(i) for i in NETWORKS[name].inputs] == facts["inputs"]
    assert list(NETWORKS[name].output) == facts["output_shape"]
    first = next(iter(without))
    with pytest.raises(BundleError, match=f"named like those of .*{name}"):
        identify({**without, first: (1, *without[first][1:], 9)})
    with pytest.raises(BundleError, match="no network"):
        identify({k: v for k, v in without.items() if k != first})


def test_musetalk_is_known_by_what_makes_it_one() -> None:
    shapes = dict(checkpoints._MUSETALK) | {"time_embedding.linear_1.weight": (1280, 320)}
    assert identify(shapes) == "musetalk-unet"
    with pytest.raises(BundleError):
        identify({**shapes, "conv_in.weight": (320, 4, 3, 3)})

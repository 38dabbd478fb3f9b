"""An avatar's torch networks as safetensors, ONNX and TorchScript, each held against the network it was made from.

What is exported is read back and run on inputs the export never saw; a file that answers otherwise is not handed out.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import read_manifest, sha256
from lipsync.errors import ConflictError, InvalidInputError, StudioError
from lipsync.progress import Progress, SilentProgress

if TYPE_CHECKING:
    import torch

Format = Literal["safetensors", "onnx", "torchscript"]
FORMATS: tuple[str, ...] = get_args(Format)
TOLERANCE = 1e-4
"""Largest difference allowed, over the largest answer: float32 in another order of operations stays below 1e-5."""
_TRIES = 3
_SUFFIX = {"safetensors": "safetensors", "onnx": "onnx", "torchscript": "pt"}
_OPSET = 17


class ParityError(StudioError):
    """An exported network answers otherwise than the one it was made from."""

    code = "export_differs"


@dataclass(frozen=True)
class Exported:
    """One written file.

    Attributes:
        file: Its name in the folder.
        network: Which of the avatar's networks.
        format: In which format.
        sha256: Of the file.
        difference: Largest difference of answers, over the largest answer.
        inputs: Shapes of the inputs it was written for.
    """

    file: str
    network: str
    format: str
    sha256: str
    difference: float
    inputs: list[list[int]]


def export_bundle(
    bundle: Path, folder: Path, formats: Sequence[str] = FORMATS, progress: Progress | None = None
) -> list[Exported]:
    """Write every torch network of an avatar's bundle to ``folder``, with ``networks.json`` that lists them.

    Raises:
        ConflictError: The bundle has no torch network (a preview, or an engine that has none).
        InvalidInputError: A format that is not known.
        ParityError: What was written answers otherwise.
    """
    from lipsync.registry import load_engine_class

    if unknown := set(formats) - set(FORMATS):
        raise InvalidInputError(f"There is no format {sorted(unknown)[0]!r}.", f"Choose of {', '.join(FORMATS)}.")
    manifest = read_manifest(bundle)
    networks = load_engine_class(manifest.engine).networks(Path(bundle))
    if not networks:
        raise ConflictError(
            "This avatar holds no network of its own.", "Train it first; a preview learns without networks."
        )
    progress = progress or SilentProgress()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Exported] = []
    for step, (name, (module, inputs)) in enumerate(networks.items()):
        written += export_network(name, module, inputs, folder, formats)
        progress.update((step + 1) / len(networks))
    listed = {"engine": manifest.engine, "name": manifest.name, "version": manifest.version}
    text = json.dumps({**listed, "files": [asdict(one) for one in written]}, indent=2, ensure_ascii=False)
    (folder / "networks.json").write_text(text + "\n", "utf-8")
    return written


def export_network(
    name: str,
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> list[Exported]:
    """Write one network in some formats and hold each against it.

    Args:
        name: A plain word, for the files' names.
        module: In eval mode afterwards; with one output.
        inputs: Example inputs; their shapes are those the files are written for.
        folder: Where the files go.
        formats: Of ``FORMATS``.
    """
    import torch

    module = module.eval()
    written = []
    for form in formats:
        path = folder / f"{name}.{_SUFFIX[form]}"
        with torch.no_grad():
            answer = _WAYS[form](module, inputs, path)
            difference = _difference(module, answer, inputs)
        if not difference <= TOLERANCE:
            path.unlink()
            raise ParityError(
                f"{name} as {form} answers otherwise than the network (by {difference:.2g}).",
                "Export it in another format, and report this.",
            )
        shapes = [list(i.shape) for i in inputs]
        written.append(Exported(path.name, name, form, sha256(path), difference, shapes))
    return written


Answer = Callable[[tuple["torch.Tensor", ...]], NDArray[Any]]


def _as_safetensors(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> Answer:
    import torch
    from safetensors.torch import load_file, save_file

    save_file({k: v.contiguous().clone() for k, v in module.state_dict().items()}, str(path))
    other = copy.deepcopy(module)
    for value in [*other.parameters(), *other.buffers()]:
        value.data.zero_()
    other.load_state_dict(load_file(str(path)))
    return lambda given: np.asarray(torch.as_tensor(other(*given)).numpy())


def _as_torchscript(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> Answer:
    import torch

    torch.jit.trace(module, inputs).save(str(path))  # type: ignore[no-untyped-call]
    other = torch.jit.load(str(path), map_location="cpu")
    return lambda given: np.asarray(other(*given).numpy())


def _as_onnx(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> Answer:
    import onnx
    import onnxruntime
    import torch

    names = [f"input_{i}" for i in range(len(inputs))]
    torch.onnx.export(
        module, inputs, str(path), input_names=names, output_names=["output"], opset_version=_OPSET, dynamo=False
    )
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda given: np.asarray(session.run(None, {n: g.numpy() for n, g in zip(names, given, strict=True)})[0])


_WAYS: Mapping[str, Callable[[Any, Any, Path], Answer]] = {
    "safetensors": _as_safetensors,
    "onnx": _as_onnx,
    "torchscript": _as_torchscript,
}


def _difference(module: torch.nn.Module, answer: Answer, inputs: tuple[torch.Tensor, ...]) -> float:
    """The largest difference on inputs as spread as the examples, over the largest answer."""
    import torch

    worst = 0.0
    for seed in range(_TRIES):
        generator = torch.Generator().manual_seed(seed)
        given = tuple(torch.randn(i.shape, generator=generator) * (i.std() + 1e-3) + i.mean() for i in inputs)
        wanted = module(*given).numpy()
        got = answer(given)
        if got.shape != wanted.shape or not np.isfinite(got).all():
            return float("inf")
        worst = max(worst, float(np.abs(got - wanted).max() / max(float(np.abs(wanted).max()), 1e-6)))
    return worst

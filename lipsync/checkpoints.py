"""Recognising weights made elsewhere: which public network a file holds, read without running anything in it.

A network is known by its fingerprint: SHA-256 over the names and shapes of its parameters and running statistics,
sorted (counters of batches are left out, for not every version of torch writes them). MuseTalk's UNet, whose file comes
in several versions, is known by the shapes that make it one. A file is read by ``python -m lipsync.checkpoints FILE
[OUT]``, a process of its own, so that one made to crash or to fill the memory harms nothing else.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import MANIFEST, MAX_RATIO, MAX_TOTAL_BYTES, sha256
from lipsync.errors import BundleError
from lipsync.sealed import MAGIC

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Network:
    """A public network.

    Attributes:
        engine: The engine that runs it.
        names: First 16 digits of SHA-256 over its sorted names.
        shapes: The same over ``name:shape`` lines.
        inputs: Shapes of its inputs, batch of one.
        output: Shape of its output.
        feature: What sound is given to it as.
    """

    engine: str
    names: str
    shapes: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    feature: str


NETWORKS: Mapping[str, Network] = {
    "wav2lip-96": Network(
        "wav2lip", "b8587760631b31e8", "13e27086f86d5d78", ((1, 1, 80, 16), (1, 6, 96, 96)), (1, 3, 96, 96), "mel"
    ),
    "wav2lip-256": Network(
        "wav2lip", "e9f4417ee26d538c", "6c824e96b631092f", ((1, 1, 80, 16), (1, 6, 256, 256)), (1, 3, 256, 256), "mel"
    ),
    "ultralight-160-hubert": Network(
        "ultralight",
        "27f4023d8adb8efe",
        "5edcff9d7151079f",
        ((1, 6, 160, 160), (1, 16, 32, 32)),
        (1, 3, 160, 160),
        "hubert",
    ),
    "ultralight-160-wenet": Network(
        "ultralight",
        "27f4023d8adb8efe",
        "b0af9b8c0db3ebc2",
        ((1, 6, 160, 160), (1, 128, 16, 32)),
        (1, 3, 160, 160),
        "wenet",
    ),
    "synctalk-328-ave": Network(
        "ultralight",
        "f3bae99ef3417127",
        "b91e103418aaca84",
        ((1, 6, 320, 320), (1, 32, 16, 16)),
        (1, 3, 320, 320),
        "ave",
    ),
    "synctalk-audio-encoder": Network(
        "ultralight", "5d12e0e6f3ce51d6", "bda8cc3b928966b0", ((1, 1, 80, 16),), (1, 512), "mel"
    ),
    "syncnet-color": Network(
        "wav2lip", "d96f52a39a49a03e", "c7fbe040bc687bcd", ((1, 15, 48, 96),), (1, 512, 1, 1), "mel"
    ),
}
_MUSETALK = {
    "conv_in.weight": (320, 8, 3, 3),
    "conv_out.weight": (4, 320, 3, 3),
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 384),
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight": (1280, 384),
}
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "generator", "params")
_PREFIXES = ("module.", "model.", "net.", "unet.")
_COUNTER = "num_batches_tracked"
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_ELSEWHERE = "Register a file made by the studio's export, or a public checkpoint as it was published."
_UNSAFE = "Do not use this file; ask its maker for safetensors."


@dataclass(frozen=True)
class Recognised:
    """What a file holds.

    Attributes:
        format: "bundle", "torch", "torchscript", "safetensors" or "onnx".
        network: Name in ``NETWORKS``, "musetalk-unet", or "" for a bundle.
        engine: Its engine, or "" for a bundle.
        inputs: Shapes of its inputs.
        feature: What sound is given to it as.
        parameters: Numbers learned, counters left out.
        sha256: Of the whole file.
    """

    format: str
    network: str
    engine: str
    inputs: tuple[tuple[int, ...], ...]
    feature: str
    parameters: int
    sha256: str


def recognise(path: Path) -> tuple[Recognised, Tensors]:
    """Say what a file is, and read its tensors (none of a bundle, which is unpacked by ``bundle.unpack``).

    Raises:
        BundleError: Truncated, of an unknown kind or network, with numbers that are not finite, or made to run code.
    """
    path = Path(path)
    form = _format(path)
    digest = sha256(path)
    if form == "bundle":
        return Recognised(form, "", "", (), "", 0, digest), {}
    read = {"safetensors": _safetensors, "onnx": _onnx, "torch": _torch, "torchscript": _torchscript}[form]
    tensors = read(path)
    _finite(tensors)
    if form == "onnx":
        name, tensors = _network_of_onnx(path, tensors)
    else:
        tensors = _unprefixed(tensors)
        name = identify({key: value.shape for key, value in tensors.items()})
    known = NETWORKS.get(name)
    found = Recognised(
        form,
        name,
        known.engine if known else "musetalk",
        known.inputs if known else ((1, 8, 32, 32), (1, 50, 384)),
        known.feature if known else "whisper",
        int(sum(value.size for key, value in tensors.items() if not key.endswith(_COUNTER))),
        digest,
    )
    return found, tensors


def identify(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the network with these parameters.

    Raises:
        BundleError: none is known; the message says whether it is a known one of another size.
    """
    names, lines = fingerprint(shapes)
    for name, network in NETWORKS.items():
        if network.shapes == lines:
            return name
    if all(tuple(shapes.get(key, ())) == shape for key, shape in _MUSETALK.items()):
        return "musetalk-unet"
    alike = [name for name, network in NETWORKS.items() if network.names == names]
    if alike:
        raise BundleError(
            f"The parameters are named like those of {' and '.join(alike)}, but are of other shapes.",
            "The studio runs these networks in their published sizes only.",
        )
    some = ", ".join(sorted(shapes)[:3])
    raise BundleError(f"This is no network the studio knows ({len(shapes)} tensors: {some} ...).", _ELSEWHERE)


def fingerprint(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str]:
    """Return the fingerprints of names alone, and of names with shapes; 16 hexadecimal digits each."""
    kept = sorted((key, shape) for key, shape in shapes.items() if not key.endswith(_COUNTER))
    texts = ("\n".join(key for key, _ in kept), "\n".join(f"{k}:{'x'.join(map(str, s))}" for k, s in kept))
    names, lines = (hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts)
    return names, lines


def _format(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(MAGIC[:6]):
        raise BundleError("The file is sealed with a passphrase.", "Import it as an avatar or a voice instead.")
    if head.startswith(b"PK"):
        return _zip_format(path)
    if len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if path.suffix.lower() == ".onnx" or head[:1] == b"\x08":
        return "onnx"
    if head[:1] == b"\x80":
        return "torch"
    raise BundleError("The file is no bundle, torch, safetensors or ONNX file, or its start is missing.", _ELSEWHERE)


def _zip_format(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise BundleError(f"The file is truncated or damaged: {error}", "Copy or download it again.") from error
    names = [e.filename for e in entries]
    if MANIFEST in names:
        return "bundle"
    inflated = sum(e.file_size for e in entries)
    if inflated > MAX_TOTAL_BYTES or any(e.file_size > max(MAX_RATIO * e.compress_size, 1 << 16) for e in entries):
        raise BundleError("The file inflates too far to be honest.", _UNSAFE)
    if any(name.endswith("/constants.pkl") for name in names):
        return "torchscript"
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    raise BundleError("The zip holds neither a manifest nor weights.", _ELSEWHERE)


def _safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(str(path)))
    except (SafetensorError, ValueError, OSError, TypeError) as error:
        raise BundleError(f"The file is truncated or damaged: {error}", "Copy or download it again.") from error


def _torch(path: Path) -> Tensors:
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = str(error).splitlines()[0]
        if "Unsupported" in str(error) or "GLOBAL" in str(error) or "weights_only" in str(error).lower():
            raise BundleError(f"The file asks to run code: {said}", _UNSAFE) from error
        raise BundleError(f"The file is truncated or damaged: {said}", "Copy or download it again.") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise BundleError(f"The file is truncated or damaged: {said}", "Copy or download it again.") from error
    return _arrays(loaded)


def _torchscript(path: Path) -> Tensors:
    import torch

    try:
        module = torch.jit.load(str(path), map_location="cpu")  # builds modules; not one line of them is run
    except (RuntimeError, ValueError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise BundleError(f"The TorchScript file cannot be read: {said}", "Copy or download it again.") from error
    return _arrays(module.state_dict())


def _arrays(loaded: Any) -> Tensors:
    import torch

    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        inner = next((loaded[k] for k in _WRAPPERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not any(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise BundleError("The file holds no weights.", _ELSEWHERE)
    tensors: Tensors = {}
    for key, value in loaded.items():
        if isinstance(value, torch.Tensor):
            plain = value.detach().to("cpu")
            tensors[str(key)] = (plain.float() if plain.dtype == torch.bfloat16 else plain).contiguous().numpy()
    return tensors


def _onnx(path: Path) -> Tensors:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load_model(str(path), load_external_data=False)
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
            raise BundleError("The ONNX file keeps weights in other files.", "Save it as one file.")
        strange = {n.domain for n in model.graph.node} - _DOMAINS
        if strange or model.functions:
            raise BundleError(f"The ONNX file asks for foreign code ({', '.join(sorted(strange))}).", _UNSAFE)
        onnx.checker.check_model(model)
        return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    except (DecodeError, onnx.checker.ValidationError, ValueError, TypeError, OSError) as error:
        said = (str(error) or "no ONNX").strip().splitlines()[0]
        raise BundleError(f"The file is truncated or no ONNX network: {said}", "Copy or download it again.") from error


def _network_of_onnx(path: Path, tensors: Tensors) -> tuple[str, Tensors]:
    """Exported graphs fold and rename weights: where names tell nothing, the shapes of inputs and output do."""
    import onnx

    try:
        plain = _unprefixed(tensors)
        return identify({key: value.shape for key, value in plain.items()}), plain
    except BundleError:
        graph = onnx.load_model(str(path), load_external_data=False).graph
    inner = {t.name for t in graph.initializer}
    given = [_dims(v) for v in graph.input if v.name not in inner]
    answered = [_dims(v) for v in graph.output]
    for name, network in NETWORKS.items():
        wanted = sorted(shape[1:] for shape in network.inputs)
        if sorted(given) == wanted and answered and answered[0] == network.output[1:]:
            return name, tensors
    raise BundleError(
        f"This is no network the studio knows: from {given} to {answered[:2]}.",
        "Register a public checkpoint as it was published, or an ONNX export of one in its published size.",
    )


def _dims(value: Any) -> tuple[int, ...]:
    """Sizes of an input or output, without the batch."""
    return tuple(int(d.dim_value) for d in value.type.tensor_type.shape.dim)[1:]


def _unprefixed(tensors: Tensors) -> Tensors:
    for prefix in _PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            return _unprefixed({key[len(prefix) :]: value for key, value in tensors.items()})
    return tensors


def _finite(tensors: Tensors) -> None:
    for key, value in tensors.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise BundleError(f"The weights hold numbers that are not finite ({key}).", "Ask for another checkpoint.")


def main(argv: list[str] | None = None) -> int:
    """Print what FILE holds as JSON, and write its tensors to OUT; 2 with the reason where it is refused."""
    args = sys.argv[1:] if argv is None else argv
    try:
        found, tensors = recognise(Path(args[0]))
        if tensors and len(args) > 1:
            from safetensors.numpy import save_file

            save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, args[1])
    except BundleError as error:
        print(json.dumps({"message": error.message, "remedy": error.remedy}))
        return 2
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

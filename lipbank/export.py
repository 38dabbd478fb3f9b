"""The listeners of a bundle as torch modules again, for export: the weights in a bundle have their norms folded in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbank.shape_stream import KERNEL, LAYERS, STEM_KERNEL
from lipsync.audio.mel import BANDS
from lipsync.audio.phones import PHONES
from lipsync.bundle import load_tensors
from lipsync.errors import BundleError

_STEPS = 200
"""Feature frames of the example input: two seconds."""
_NET = "shape.net"


class FoldedListener(nn.Module):
    """``shape_network.Listener`` without its norms: (batch, bands, m) features to (batch, outputs, ceil(m / 2)).

    Bands are those of the mel spectrum, and behind them the phones where the bundle's listeners hear phones.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        self.stem = _conv(weights, "stem", STEM_KERNEL, stride=2)
        if self.stem.in_channels not in (BANDS, BANDS + PHONES):
            raise BundleError("A listener of this bundle hears other features.", "Train the avatar again.")
        self.wide = nn.ModuleList(
            [_conv(weights, f"block{i}.wide", KERNEL, dilation=dilation) for i, (dilation, _) in enumerate(LAYERS)]
        )
        self.mix = nn.ModuleList([_conv(weights, f"block{i}.mix", 1) for i in range(len(LAYERS))])
        self.head = _conv(weights, "head", 1)
        self._pads = [(dilation * (KERNEL - 1) - ahead, ahead) for dilation, ahead in LAYERS]

    def forward(self, x: Tensor) -> Tensor:
        """Features to the numbers of a mouth at 50 steps a second."""
        h = torch.relu(self.stem(nn.functional.pad(x, (STEM_KERNEL // 2, STEM_KERNEL // 2))))
        for pad, wide, mix in zip(self._pads, self.wide, self.mix, strict=True):
            h = h + mix(torch.relu(wide(nn.functional.pad(h, pad))))
        out: Tensor = self.head(h)
        return out


def listeners(bundle: Path) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """The listeners of a bundle by name, each with an example input; a preview, which is linear, has none."""
    tensors = load_tensors(bundle)
    names = sorted({key[len(_NET) :].split(".", 1)[0] for key in tensors if key.startswith(_NET)}, key=int)
    found: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    for name in names:
        prefix = f"{_NET}{name}."
        weights = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            listener = FoldedListener(weights)
        except (KeyError, ValueError) as error:
            raise BundleError(f"A listener of this bundle is of another shape: {error}", "Train it again.") from error
        seed = torch.Generator().manual_seed(0)
        found[f"listener-{name}"] = (listener, (torch.randn(1, listener.stem.in_channels, _STEPS, generator=seed),))
    return found


def _conv(weights: Mapping[str, NDArray[Any]], name: str, taps: int, stride: int = 1, dilation: int = 1) -> nn.Conv1d:
    """A convolution from folded weights (taps * in, out)."""
    weight = np.asarray(weights[f"{name}.weight"], np.float32)
    out, into = weight.shape[1], weight.shape[0] // taps
    layer = nn.Conv1d(into, out, taps, stride=stride, dilation=dilation)
    layer.weight.data = torch.from_numpy(weight.reshape(taps, into, out).transpose(2, 1, 0).copy())
    layer.bias = nn.Parameter(torch.from_numpy(np.asarray(weights[f"{name}.bias"], np.float32).copy()))
    return layer

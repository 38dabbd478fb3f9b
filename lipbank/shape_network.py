"""The listener as a torch module, for training; ``shape_stream`` runs the same network without torch.

Residual dilated convolutions at 50 steps a second, after WaveNet (van den Oord et al., 2016) and its use for talking
faces, with the look-ahead spent in the first layers where it tells coming lip closures, and memory in the later ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbank.shape_stream import KERNEL, LAYERS, STEM_KERNEL
from lipsync.audio.mel import BANDS

_PHONE_SCALE = 3.0  # shares spread less than log energies do


class Block(nn.Module):
    """One residual layer: a dilated convolution that sees ``ahead`` steps of the future, then a mixing of channels."""

    def __init__(self, channels: int, dilation: int, ahead: int) -> None:
        super().__init__()
        self.pad = (dilation * (KERNEL - 1) - ahead, ahead)
        self.wide = nn.Conv1d(channels, channels, KERNEL, dilation=dilation)
        self.norm = nn.BatchNorm1d(channels)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, steps) to the same."""
        h = torch.relu(self.norm(self.wide(nn.functional.pad(x, self.pad))))
        return x + self.drop(self.mix(h))


class Listener(nn.Module):
    """Features of sound to ``outputs`` numbers at 50 steps a second.

    Args:
        outputs: Channels of the head.
        channels: Width of the network.
        inputs: Features of a frame: the spectrum, and with 80 the phones too.
    """

    def __init__(self, outputs: int, channels: int = 128, inputs: int = BANDS) -> None:
        super().__init__()
        self.stem = nn.Conv1d(inputs, channels, STEM_KERNEL, stride=2)
        scale = torch.ones(inputs)
        scale[BANDS:] = _PHONE_SCALE
        self.register_buffer("scale", scale[:, None], persistent=False)
        self.stem_norm = nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList([Block(channels, dilation, ahead) for dilation, ahead in LAYERS])
        self.head_drop = nn.Dropout(0.0)
        self.head = nn.Conv1d(channels, outputs, 1)

    def hidden(self, x: Tensor) -> Tensor:
        """(batch, inputs, m) features to (batch, channels, ceil(m / 2)) states; step j stands at frame 2 j."""
        x = nn.functional.pad(x * self.get_buffer("scale"), (STEM_KERNEL // 2, STEM_KERNEL // 2))
        h = torch.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            h = block(h)
        return h

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, m) to (batch, outputs, ceil(m / 2))."""
        return self.head(self.head_drop(self.hidden(x)))

    def freeze_norms(self) -> None:
        """Keep the running statistics: a take is too short to learn them anew."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()

    def folded(self) -> dict[str, Tensor]:
        """Weights with the normalisations folded in, as ``shape_stream.NetStream`` reads them: (taps * in, out)."""
        out: dict[str, Tensor] = {}

        def put(name: str, weight: Tensor, bias: Tensor) -> None:
            out[f"{name}.weight"] = weight.permute(2, 1, 0).reshape(-1, weight.shape[0]).contiguous()
            out[f"{name}.bias"] = bias.contiguous()

        state = {name: value.detach() for name, value in self.state_dict().items()}

        def fold(conv: str, norm: str, eps: float) -> tuple[Tensor, Tensor]:
            gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + eps)
            bias = (state[f"{conv}.bias"] - state[f"{norm}.running_mean"]) * gain + state[f"{norm}.bias"]
            return state[f"{conv}.weight"] * gain[:, None, None], bias

        weight, bias = fold("stem", "stem_norm", self.stem_norm.eps)
        put("stem", weight * self.get_buffer("scale"), bias)
        for i in range(len(self.blocks)):
            put(f"block{i}.wide", *fold(f"blocks.{i}.wide", f"blocks.{i}.norm", self.stem_norm.eps))
            put(f"block{i}.mix", state[f"blocks.{i}.mix.weight"], state[f"blocks.{i}.mix.bias"])
        put("head", state["head.weight"], state["head.bias"])
        return out

"""The listener without torch: matrix products over a short memory, one call for every 40 ms or for a whole file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

STEM_KERNEL = 5
KERNEL = 3
LAYERS: tuple[tuple[int, int], ...] = ((1, 1), (1, 1), (2, 2), (2, 0), (4, 0), (8, 0))
"""Dilation and look-ahead (steps of 20 ms) of each residual layer."""
AHEAD = STEM_KERNEL // 2 + 2 * sum(ahead for _, ahead in LAYERS)
"""Mel frames after step j's own frame 2 j that its output needs (10)."""


class _Conv:
    """A dilated convolution over a stream: keeps the input it still needs."""

    def __init__(self, weight: Array, bias: Array, kernel: int, *, dilation: int, left: int, stride: int = 1) -> None:
        self.weight, self.bias = np.ascontiguousarray(weight), bias
        self.kernel, self.dilation, self.left, self.stride = kernel, dilation, left, stride
        self.inputs = weight.shape[0] // kernel
        self.span = dilation * (kernel - 1)
        self.reset()

    def reset(self) -> None:
        self.memory = np.zeros((self.left, self.inputs), np.float32)

    def push(self, x: Array) -> tuple[Array, Array]:
        """Outputs that became certain, and the inputs that stand at their own time (for a residual)."""
        memory = np.concatenate([self.memory, x]) if len(self.memory) else x
        count = max(0, (len(memory) - self.span + self.stride - 1) // self.stride)
        if count == 0:
            self.memory = memory
            return np.empty((0, len(self.bias)), np.float32), memory[:0]
        last = (count - 1) * self.stride + 1
        taps = [memory[k * self.dilation : k * self.dilation + last : self.stride] for k in range(self.kernel)]
        own = memory[self.left : self.left + last : self.stride]
        self.memory = memory[count * self.stride :]
        return np.concatenate(taps, axis=1) @ self.weight + self.bias, own


class NetStream:
    """One sound's way through a listener. Not thread-safe; the weights are shared, the memory is not.

    Args:
        weights: Of ``shape_network.Listener.folded``, as arrays.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._stem = _Conv(
            weights["stem.weight"], weights["stem.bias"], STEM_KERNEL, dilation=1, left=STEM_KERNEL // 2, stride=2
        )
        self.inputs = self._stem.inputs
        self._wide = [
            _Conv(
                weights[f"block{i}.wide.weight"],
                weights[f"block{i}.wide.bias"],
                KERNEL,
                dilation=dilation,
                left=dilation * (KERNEL - 1) - ahead,
            )
            for i, (dilation, ahead) in enumerate(LAYERS)
        ]
        self._mix = [(weights[f"block{i}.mix.weight"], weights[f"block{i}.mix.bias"]) for i in range(len(LAYERS))]
        self._head = (weights["head.weight"], weights["head.bias"])

    def reset(self) -> None:
        """Forget the sound so far."""
        for conv in (self._stem, *self._wide):
            conv.reset()

    def push(self, features: Array) -> Array:
        """Take features (m, inputs) and return the outputs (n, outputs), 50 a second, that became certain."""
        h, _ = self._stem.push(features)
        np.maximum(h, 0, out=h)
        for wide, (weight, bias) in zip(self._wide, self._mix, strict=True):
            y, own = wide.push(h)
            np.maximum(y, 0, out=y)
            h = own + (y @ weight + bias)
        weight, bias = self._head
        return h @ weight + bias

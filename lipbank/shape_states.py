"""What a network that has heard thousands of speakers makes of the sound: Resemblyzer's second LSTM layer.

Resemblyzer (Apache-2.0; Wan et al., Generalized End-to-End Loss, 2018) is an ordinary dependency that carries its
weights. Its states, reduced to the components in which this person's speech varies most, tell a linear listener as much
as the spectrum does, and tell it better in noise. The two layers are kept in the avatar's bundle, so that talking needs
neither torch nor that package.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lipsync.audio.mel import BANDS, PowerMelStream

Array = NDArray[np.float32]

UNITS = 256
LAYERS = 2
COMPONENTS = 48
_LOUDNESS = 10 ** (-30 / 20)  # root mean square the network was trained at


def load_network() -> dict[str, Array] | None:
    """The first two layers' weights from the installed package, or None where it is not installed.

    Returns:
        ``lstm{0,1}.{input,state,bias}``: (in, 1024), (256, 1024), (1024,); gates in torch's order, i f g o.
    """
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("resemblyzer")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("pretrained.pt")
    if not path.is_file():
        return None
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    out = {}
    for layer in range(LAYERS):
        out[f"lstm{layer}.input"] = state[f"lstm.weight_ih_l{layer}"].T.numpy()
        out[f"lstm{layer}.state"] = state[f"lstm.weight_hh_l{layer}"].T.numpy()
        out[f"lstm{layer}.bias"] = (state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]).numpy()
    return {name: np.ascontiguousarray(value, np.float32) for name, value in out.items()}


def loudness_of(pcm: Array) -> float:
    """What sound is multiplied with before the network."""
    return _LOUDNESS / max(float(np.sqrt((pcm.astype(np.float64) ** 2).mean())), 1e-5)


def _sigmoid(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5


class StateStream:
    """States of one sound that arrives in pieces, frame for frame beside ``FeatureStream``.

    Args:
        tensors: ``lstm*`` of ``load_network``, ``loudness`` (1,), and where they are to be reduced ``project``
            (256, k) and ``project_offset`` (k,).
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.floating]]) -> None:
        self._weights = [
            tuple(
                np.ascontiguousarray(tensors[f"lstm{layer}.{part}"], np.float32) for part in ("input", "state", "bias")
            )
            for layer in range(LAYERS)
        ]
        self._gain = float(np.asarray(tensors["loudness"]).reshape(-1)[0]) ** 2
        self._project = tensors.get("project")
        self._offset = tensors.get("project_offset")
        self._mel = PowerMelStream()
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._mel.reset()
        self._mel.listen_as(1.0)
        self._h = [np.zeros(UNITS, np.float32) for _ in range(LAYERS)]
        self._c = [np.zeros(UNITS, np.float32) for _ in range(LAYERS)]

    def listen_as(self, semitones: float) -> None:
        """Hear what comes as from a throat so much higher than the take's."""
        self._mel.listen_as(2 ** (semitones / 12))

    def push(self, pcm: Array, gain: Array | None = None) -> Array:
        """Take sound; return the states (m, k) of the frames that became certain.

        Args:
            pcm: float32 mono, 16 kHz.
            gain: (m,) energy of the take's voice over this one's at each frame that becomes certain, or None for one.
        """
        mel = self._mel.push(pcm) * np.float32(self._gain)
        if gain is not None:
            mel *= gain[:, None]
        if not len(mel):
            return np.empty((0, UNITS if self._project is None else self._project.shape[1]), np.float32)
        x = mel.reshape(-1, BANDS)
        for layer, (inward, onward, bias) in enumerate(self._weights):
            driven = x @ inward + bias
            h, c = self._h[layer], self._c[layer]
            x = np.empty((len(driven), UNITS), np.float32)
            for i, drive in enumerate(driven):
                gates = drive + h @ onward
                keep = _sigmoid(gates[: 2 * UNITS])
                c = keep[UNITS:] * c + keep[:UNITS] * np.tanh(gates[2 * UNITS : 3 * UNITS])
                h = _sigmoid(gates[3 * UNITS :]) * np.tanh(c)
                x[i] = h
            self._h[layer], self._c[layer] = h, c
        return x if self._project is None else x @ self._project + self._offset


def project_from(states: Array) -> dict[str, Array]:
    """Reduction of states (m, 256) of the take's own speech to whitened components: ``project``, ``project_offset``."""
    mean = states.mean(0)
    _, strength, basis = np.linalg.svd((states - mean)[::3].astype(np.float64), full_matrices=False)
    scale = np.maximum(strength[:COMPONENTS] / np.sqrt(max(1, len(states[::3]))), 1e-4)
    project = (basis[:COMPONENTS] / scale[:, None]).T
    return {"project": project.astype(np.float32), "project_offset": (-mean @ project).astype(np.float32)}

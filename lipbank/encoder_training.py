"""How the encoder that ships with the project is made: an ear for articulation, from synthetic speech alone.

The encoder learns to tell 22 articulatory classes and a rough prior of the lips' motion. On a take its layers are the
start from which the person's own shapes are learned in seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter1d
from torch import nn

from lipbank.encoder_training_corpus import CLASSES, LIPS, Utterance, speak
from lipbank.shape_features import normalise, voice_stats
from lipbank.shape_network import Listener
from lipbank.shape_stream import LAYERS
from lipsync.audio.mel import BANDS


@dataclass(frozen=True)
class Recipe:
    """What the encoder is made from.

    Attributes:
        speech_s: Seconds of synthetic speech.
        train_s: Seconds of training (wall clock, one thread).
        steps: Optimiser steps at most, for tests; None for as many as the time allows.
        seed: Of everything.
        channels: Width of the network.
    """

    speech_s: float = 9000.0
    train_s: float = 230.0
    steps: int | None = None
    seed: int = 0
    channels: int = 128


_CROP, _BATCH = 400, 24
_LIPS_SIGMA = 4.0  # mel frames; lips move on into their neighbours' time


def bend_bands(features: NDArray[np.float32], rng: np.random.Generator, low: float, high: float) -> NDArray[np.float32]:
    """Features as another throat would give them: the bands' axis stretched by a factor of ``low`` to ``high``."""
    at = np.clip(np.arange(BANDS) * rng.uniform(low, high) + rng.uniform(-1, 1), 0, BANDS - 1.001)
    left = at.astype(int)
    share = (at - left).astype(np.float32)
    return features[:, left] * (1 - share) + features[:, left + 1] * share


def vary(features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Features of another voice and channel: formants, tilt, gain, dynamics, a lost band, noise."""
    out: NDArray[np.floating] = bend_bands(features, rng, 0.9, 1.12)
    out = out + rng.normal(0, 0.3) + rng.normal(0, 0.4) * np.linspace(-1, 1, BANDS) + rng.normal(0, 0.15, BANDS)
    out = out * rng.uniform(0.8, 1.2)
    if rng.random() < 0.4:
        band = rng.integers(0, BANDS - 4)
        out[:, band : band + rng.integers(1, 6)] = 0
    return (out + rng.normal(0, rng.uniform(0, 0.3), out.shape)).astype(np.float32)


class _Batches:
    def __init__(self, utterances: Sequence[Utterance], rng: np.random.Generator) -> None:
        self._rng = rng
        self.features = [normalise(u.mel, voice_stats(u.mel)) for u in utterances]
        self.labels = [u.label.astype(np.int64) for u in utterances]
        self.lips = [gaussian_filter1d(LIPS[u.label], _LIPS_SIGMA, axis=0).astype(np.float32) for u in utterances]

    def draw(self, index: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = np.zeros((_BATCH, _CROP, BANDS), np.float32)
        label = np.full((_BATCH, _CROP), -1, np.int64)
        lips = np.zeros((_BATCH, _CROP, LIPS.shape[1]), np.float32)
        for row in range(_BATCH):
            i = index[int(self._rng.integers(len(index)))]
            start = int(self._rng.integers(0, max(1, len(self.labels[i]) - _CROP)))
            piece = vary(self.features[i][start : start + _CROP], self._rng)
            x[row, : len(piece)] = piece
            label[row, : len(piece)] = self.labels[i][start : start + _CROP]
            lips[row, : len(piece)] = self.lips[i][start : start + _CROP]
        return torch.from_numpy(x).mT, torch.from_numpy(label[:, ::2]), torch.from_numpy(lips[:, ::2]).mT


def train(
    utterances: Sequence[Utterance], recipe: Recipe, log: Callable[[str], None]
) -> tuple[Listener, dict[str, float]]:
    """Train the encoder.

    Args:
        utterances: At least 60; the first 40 are kept for judging.
        recipe: How long and how wide.
        log: Takes a line now and then.

    Returns:
        The encoder (its head: the classes, then the three numbers of ``LIPS``), and how well it hears the voices kept.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    batches = _Batches(utterances, rng)
    kept = range(40)
    index = [i for i in range(40, len(utterances)) if len(utterances[i].label) > _CROP // 2]
    count = np.bincount(np.concatenate(batches.labels), minlength=len(CLASSES)) + 1.0
    weight = torch.tensor((count.sum() / count / len(CLASSES)) ** 0.4, dtype=torch.float32)
    net = Listener(len(CLASSES) + LIPS.shape[1], recipe.channels)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    started, step, running = time.monotonic(), 0, 0.0
    while True:
        done = (time.monotonic() - started) / recipe.train_s
        if recipe.steps is not None:
            done = max(done, step / recipe.steps)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, step / 100 + 0.01) * (1 + np.cos(np.pi * done)) / 2 + 1e-5
        x, label, lips = batches.draw(index)
        out = net(x)
        heard = nn.functional.cross_entropy(
            out[:, : len(CLASSES)], label, weight=weight, ignore_index=-1, label_smoothing=0.05
        )
        seen = (((out[:, len(CLASSES) :] - lips) ** 2).mean(1) * (label >= 0)).mean()
        loss = heard + 3 * seen
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        step += 1
        running += (float(loss.detach()) - running) * (0.02 if step > 50 else 0.2)
        if step % 200 == 0:
            log(f"step {step}, {time.monotonic() - started:.0f} s, loss {running:.3f}")
    net.eval()
    figures = judge(net, batches, kept)
    return net, {**figures, "steps": float(step), "loss": running}


def judge(net: Listener, batches: _Batches, index: Sequence[int]) -> dict[str, float]:
    """Share of frames whose class is heard, recall of lip closures (p, b, m), correlation of the lips' opening."""
    right, total, closed, hit = 0, 0, 0, 0
    wanted, given = [], []
    shut = CLASSES.index("pbm")
    with torch.no_grad():
        for i in index:
            out = net(torch.from_numpy(batches.features[i]).mT[None])[0].numpy()
            label = batches.labels[i][::2]
            guess = out[: len(CLASSES)].argmax(0)
            right += int((guess == label).sum())
            total += len(label)
            closed += int((label == shut).sum())
            hit += int(((label == shut) & (guess == shut)).sum())
            wanted.append(batches.lips[i][::2, 0])
            given.append(out[len(CLASSES)])
    opening = float(np.corrcoef(np.concatenate(wanted), np.concatenate(given))[0, 1])
    return {"accuracy": right / total, "closure_recall": hit / max(1, closed), "opening_correlation": opening}


def make(out: Path, recipe: Recipe, log: Callable[[str], None] = print) -> dict[str, Any]:
    """Synthesise, train and write ``encoder.safetensors`` (float16) and ``manifest.json`` into ``out``.

    Returns:
        The manifest.
    """
    torch.set_num_threads(1)
    log(f"speaking {recipe.speech_s:.0f} s")
    utterances = list(speak(recipe.speech_s, recipe.seed))
    net, figures = train(utterances, recipe, log)
    tensors = {
        name: value.half().numpy()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / "encoder.safetensors"
    save_file(tensors, path)
    manifest = {
        "name": "lipbank-encoder",
        "made_by": "scripts/make_encoder.py",
        "made_from": "synthetic speech of espeak-ng; no recording of any person, no foreign weights",
        "recipe": asdict(recipe),
        "layers": [list(layer) for layer in LAYERS],
        "classes": list(CLASSES),
        "parameters": int(sum(v.size for v in tensors.values())),
        "figures": {name: round(value, 4) for name, value in figures.items()},
        "files": {path.name: sha256(path.read_bytes()).hexdigest()},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest

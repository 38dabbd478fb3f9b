"""Fine-tuning of the shipped encoder on a take: a handful of networks in under two minutes of CPU.

Each network is kept from one block of the take; what it says of that block tells the amplitude of the answers and
whether it learned at all. Together they have seen everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lipbank.encoder_training import bend_bands
from lipbank.mouth_space import COMPONENTS, DIMENSIONS, GAP, WIDTH
from lipbank.shape_features import Features
from lipbank.shape_network import Listener
from lipbank.shape_ridge import RidgeFit, windows
from lipbank.shape_stream import AHEAD
from lipbank.shape_training import NOISES, SEMITONES, Prepared, hear, noisy, pitched
from lipsync.audio.mel import BANDS
from lipsync.progress import PartProgress, Progress, work_time

ENCODER = Path(__file__).with_name("encoder") / "encoder.safetensors"


@dataclass(frozen=True)
class Budget:
    """How long fine-tuning may take.

    Attributes:
        minutes: Wall clock for all networks, waiting left out; None for 180 s, which an idle machine does not need.
        steps: Of each network; None for the recipe's.
        seed: Of everything.
    """

    minutes: float | None = None
    steps: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a network is fine-tuned.

    Attributes:
        nets: Networks averaged.
        steps: Optimiser steps of each.
        rate: Learning rate of the encoder's layers; the new head learns three times as fast.
        batch: Crops to a step.
        crop: Steps of 20 ms to a crop.
        noise: Share of crops in noise.
        bend: Largest stretch of the bands' axis, as another throat's formants.
        decay: Weight decay.
        drop: Dropout before the head.
        pretrained: Start from the shipped encoder.
        tempo: Largest change of speed, sound and mouth together.
        pitched: Share of crops heard from another throat.
        deaf: Share of crops without phones, and as many without a spectrum.
    """

    nets: int = 3
    steps: int = 160
    rate: float = 3e-4
    batch: int = 12
    crop: int = 200
    noise: float = 0.3
    bend: float = 0.08
    decay: float = 0.03
    drop: float = 0.4
    pretrained: bool = True
    tempo: float = 0.08
    pitched: float = 0.4
    deaf: float = 0.1


@dataclass
class Nets:
    """Fine-tuned networks.

    Attributes:
        weights: Folded weights of each, as ``shape_stream.NetStream`` reads them.
        shift: Steps of 20 ms by which their answer comes later than the mouth it is of.
        guesses: (pictures, 12) scaled answers on pictures not learned from, NaN where every network learned.
    """

    weights: list[dict[str, NDArray[np.float32]]]
    shift: int
    guesses: NDArray[np.float64]

    def share(self, other: NDArray[np.float64], data: Prepared) -> NDArray[np.float64]:
        """The networks' share (12,) in the average with ``other``: a quarter, or none if they learned next to nothing.

        Not chosen on the take: a minute of speech is too small a sample, and shares chosen on it, twelve or one, lost
        in cross-validation against a fixed one. Next to nothing: half of what ``other`` correlates with the mouths.
        """
        known = np.isfinite(self.guesses).all(1) & np.isfinite(other).all(1)
        mine, theirs = (_mean_correlation(said[known], data.outputs[known]) for said in (self.guesses, other))
        return np.full(DIMENSIONS, _SHARE if mine > theirs / 2 else 0.0)


def _mean_correlation(given: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Pearson's correlation of (n, k) with (n, k), on the mean of the k; 0 where there is nothing to compare."""
    if len(given) < 2:
        return 0.0
    given, wanted = given - given.mean(0), wanted - wanted.mean(0)
    size = np.sqrt((given**2).sum(0) * (wanted**2).sum(0))
    return float(((given * wanted).sum(0) / np.maximum(size, 1e-12)).mean())


def output_weights() -> NDArray[np.float32]:
    """How much each of the 12 numbers counts: gap and width twice, small components half."""
    weight = np.ones(DIMENSIONS, np.float32)
    weight[3:COMPONENTS] = 0.5
    weight[[GAP, WIDTH]] = 2
    return weight


def load_encoder(path: Path = ENCODER) -> dict[str, torch.Tensor]:
    """The shipped encoder's layers, without its head."""
    from safetensors.torch import load_file

    return {name: value.float() for name, value in load_file(path).items() if not name.startswith("head.")}


def with_phones(layers: dict[str, torch.Tensor], inputs: int) -> dict[str, torch.Tensor]:
    """The encoder's layers with room for phones beside the spectrum, which it was not made with."""
    stem = layers["stem.weight"]
    more = torch.randn(len(stem), inputs - stem.shape[1], stem.shape[2]) * _NEW_INPUTS
    return {**layers, "stem.weight": torch.cat([stem, more], dim=1)}


def find_shift(data: Prepared, reach: int) -> int:
    """How much later than the mouth its sound is best read, in steps of 20 ms within the look-ahead.

    A narrow window is slid over the sound; where it tells the mouth best is where the sound belongs.
    """
    most = (reach - AHEAD) // 2
    if most <= 0:
        return 0
    weight = output_weights()
    scores = []
    for step in range(most + 1):
        inputs = []
        for material, features in zip(data.materials, data.features, strict=True):
            moved = features[2 * step :, :BANDS]
            inputs.append(windows(moved, len(material.coef), AHEAD)[material.index][:, 4 * BANDS :])
        stacked, error = np.concatenate(inputs), 0.0
        for train, test in data.splits[::2]:
            matrix, offset = RidgeFit(stacked[train], data.outputs[train]).weights(np.full(DIMENSIONS, 1000.0))
            error += float((((stacked[test] @ matrix + offset - data.outputs[test]) ** 2) * weight).mean())
        scores.append(error)
    return int(np.argmin(scores))


def voices_of(data: Prepared, recipe: Recipe) -> list[list[list[Features]]]:
    """For each take what is heard of it, (4 n, 40 or 80), by voice and by noise.

    First as it is, then higher and lower (formants move along: another throat); of each first plainly, then in noise.
    """
    out = []
    for material in data.materials:
        voices = []
        for k, step in enumerate((0.0, *(SEMITONES if recipe.pitched else ()))):
            pcm = pitched(material.pcm, step) if step else material.pcm
            sounds = [pcm] + [noisy(pcm, db, 10 * k + i) for i, db in enumerate(NOISES if recipe.noise else ())]
            voices.append(
                [hear(s, data.stats, None, data.phones, known=bool(k or i)).features for i, s in enumerate(sounds)]
            )
        out.append(voices)
    return out


class _Crops:
    """Draws training crops: sound varied, targets moved by the shift, pictures of the block left out never drawn."""

    def __init__(
        self,
        data: Prepared,
        voices: Sequence[Sequence[Sequence[Features]]],
        left_out: NDArray[np.intp],
        *,
        shift: int,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._recipe = recipe
        self._runs: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        barred = np.zeros(len(data.outputs), bool)
        if len(left_out):
            barred[max(0, left_out[0] - _GUARD) : left_out[-1] + _GUARD + 1] = True
        at = 0
        for material in data.materials:
            index = material.index
            use = ~barred[at : at + len(index)]
            scaled = ((material.coef - data.centre) / data.scale).astype(np.float32)
            steps = np.arange(2 * len(scaled))
            picture = np.clip((steps - shift) / 2, 0, len(scaled) - 1)
            target = np.stack([np.interp(picture, np.arange(len(scaled)), column) for column in scaled.T], 1)
            valid = np.zeros(len(scaled), bool)
            valid[index[use]] = True
            mask = valid[np.round(picture).astype(int)]
            self._runs.append((target.astype(np.float32), mask.astype(np.float32)))
            at += len(index)
        self._voices = voices
        self._starts = [
            (run, start)
            for run, (_, mask) in enumerate(self._runs)
            for start in range(0, max(1, len(mask) - recipe.crop // 2), 5)
            if mask[start + _WARM : start + recipe.crop].sum() >= 0.6 * (recipe.crop - _WARM)
        ]

    def _sound(self, run: int, start: int, tempo: float) -> NDArray[np.float32]:
        rng, recipe = self._rng, self._recipe
        voices = self._voices[run]
        other = len(voices) > 1 and rng.random() < recipe.pitched
        hearings = voices[int(rng.integers(1, len(voices))) if other else 0]
        noise = len(hearings) > 1 and rng.random() < recipe.noise
        features = hearings[int(rng.integers(1, len(hearings))) if noise else 0]
        at = np.minimum(2 * start + np.arange(2 * recipe.crop) * tempo, len(features) - 1.001)
        left = at.astype(int)
        share = (at - left).astype(np.float32)[:, None]
        piece = features[left] * (1 - share) + features[left + 1] * share
        x: NDArray[np.floating] = bend_bands(piece[:, :BANDS], rng, 1 - recipe.bend, 1 + recipe.bend)
        x = x + rng.normal(0, 0.2) + rng.normal(0, 0.2) * np.linspace(-1, 1, BANDS) + rng.normal(0, 0.1, BANDS)
        x = x + rng.normal(0, 0.1, x.shape)
        if rng.random() < 0.5:
            band = rng.integers(0, BANDS - 4)
            x[:, band : band + rng.integers(1, 6)] = 0
        phones = piece[:, BANDS:]
        if phones.shape[1]:
            phones = phones ** rng.uniform(0.7, 1.4)  # surer or less sure
            phones /= np.sqrt((phones**2).sum(1, keepdims=True)) + 1e-6
            draw = rng.random()
            if draw < recipe.deaf:
                phones[:] = 0
            elif draw < 2 * recipe.deaf:
                x[:] = 0
        return np.concatenate([x, phones], axis=1).astype(np.float32)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        recipe = self._recipe
        x = np.zeros((recipe.batch, 2 * recipe.crop, self._voices[0][0][0].shape[1]), np.float32)
        y = np.zeros((recipe.batch, recipe.crop, DIMENSIONS), np.float32)
        mask = np.zeros((recipe.batch, recipe.crop), np.float32)
        for row in range(recipe.batch):
            run, start = self._starts[self._rng.integers(len(self._starts))]
            tempo = 1 + self._rng.uniform(-recipe.tempo, recipe.tempo)
            x[row] = self._sound(run, start, tempo)
            target, valid = self._runs[run]
            at = start + np.arange(recipe.crop) * tempo
            inside = at < len(target) - 1
            inside[:_WARM] = False
            at = np.minimum(at, len(target) - 1.001)
            left = at.astype(int)
            share = (at - left)[:, None]
            y[row] = target[left] * (1 - share) + target[left + 1] * share
            mask[row] = valid[left] * valid[left + 1] * inside
        return torch.from_numpy(x).mT, torch.from_numpy(y).mT, torch.from_numpy(mask)


_LIMIT_S = 180.0
_WARM = 15
_NEW_INPUTS = 0.02
_SHARE = 0.25
_GUARD = 12


def fine_tune(
    data: Prepared,
    voices: Sequence[Sequence[Sequence[Features]]],
    left_out: NDArray[np.intp],
    *,
    shift: int,
    recipe: Recipe,
    seed: int,
    progress: Progress,
    deadline: float,
) -> Listener:
    """One network, ``left_out`` pictures (and their surroundings) unseen; stops at ``deadline`` (of ``work_time``).

    ``progress`` is told the share done and, as "loss", the error on training crops, smoothed over ten steps or so.
    """
    torch.manual_seed(seed)
    crops = _Crops(data, voices, left_out, shift=shift, recipe=recipe, seed=seed)
    net = Listener(DIMENSIONS, inputs=voices[0][0][0].shape[1])
    if recipe.pretrained:
        net.load_state_dict(with_phones(load_encoder(), net.stem.in_channels), strict=False)
    nn.init.constant_(net.head.get_parameter("bias"), 0.0)
    net.head_drop.p = recipe.drop
    head = list(net.head.parameters())
    body = [p for name, p in net.named_parameters() if not name.startswith("head.")]
    rates = [3 * recipe.rate, recipe.rate]
    optimiser = torch.optim.AdamW(
        [{"params": head, "lr": rates[0]}, {"params": body, "lr": rates[1]}], weight_decay=recipe.decay
    )
    net.train()
    if recipe.pretrained:
        net.freeze_norms()
    weight = torch.from_numpy(output_weights())[None, :, None]
    began = work_time(progress)
    step, heard = 0, 0.0
    while step < recipe.steps:
        spent = (work_time(progress) - began) / max(1e-3, deadline - began)
        done = max(step / recipe.steps, spent)
        if done >= 1:
            break
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * min(1, 0.05 + done / 0.15) * (1 + np.cos(np.pi * max(0.0, done - 0.15) / 0.85)) / 2
        x, y, mask = crops.draw()
        error = nn.functional.smooth_l1_loss(net(x), y, reduction="none")
        loss = (error * weight * mask[:, None]).sum() / (mask.sum() * DIMENSIONS + 1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        heard = loss.item() if step == 1 else 0.9 * heard + 0.1 * loss.item()
        if step % 10 == 0:
            progress.sample("loss", heard)
            progress.update(done)
    return net.eval()


def answers(net: Listener, data: Prepared, shift: int) -> NDArray[np.float64]:
    """Scaled answers (pictures, 12) for every picture to learn from, all takes."""
    out = []
    with torch.no_grad():
        for material, features in zip(data.materials, data.features, strict=True):
            silence = np.tile(data.pad[: features.shape[1]], (2 * shift + 2, 1))
            heard = np.concatenate([features, silence])
            y = net(torch.from_numpy(heard).mT[None])[0].numpy().T
            out.append(y[shift : shift + 2 * len(material.coef) : 2][material.index])
    return np.concatenate(out).astype(np.float64)


def fit_nets(data: Prepared, reach: int, budget: Budget, progress: Progress, recipe: Recipe | None = None) -> Nets:
    """Fine-tune the networks of a take.

    Args:
        data: Of ``shape_training.prepare``.
        reach: Mel frames of look-ahead.
        budget: Time and steps.
        progress: Told the share done, 0.05 to 1; may end the work.
        recipe: How; the default is what cross-validation on real takes chose.
    """
    recipe = recipe or Recipe()
    if budget.steps is not None:
        recipe = Recipe(**{**recipe.__dict__, "steps": min(recipe.steps, budget.steps)})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # convolutions this small gain nothing from a second thread and starve on a busy machine
    try:
        shift = find_shift(data, reach)
        voices = voices_of(data, recipe)
        total = np.full(data.outputs.shape, np.nan)
        weights = []
        began = work_time(progress)
        limit = 60 * budget.minutes if budget.minutes is not None else _LIMIT_S
        for i in range(recipe.nets):
            left_out = data.splits[(2 * i + 1) % len(data.splits)][1]
            deadline = began + limit * (i + 1) / recipe.nets
            part = PartProgress(progress, 0.05 + 0.95 * i / recipe.nets, 0.05 + 0.95 * (i + 1) / recipe.nets)
            net = fine_tune(
                data,
                voices,
                left_out,
                shift=shift,
                recipe=recipe,
                seed=1000 * budget.seed + i,
                progress=part,
                deadline=deadline,
            )
            said = answers(net, data, shift)
            total[left_out] = said[left_out]
            weights.append({name: value.numpy() for name, value in net.folded().items()})
            part.update(1.0)
        return Nets(weights, shift, total)
    finally:
        torch.set_num_threads(threads)

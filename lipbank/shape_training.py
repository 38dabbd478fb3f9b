"""How a shape model is fitted to takes. Imported only to fit; torch only to train networks.

Everything is chosen inside the training frames: the ridge's strength and the amplitude's gain by blocked folds, the
share of the networks by how they do on frames each of them was not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import GAP, WIDTH, MouthSpace
from lipbank.shape_features import EarStream, FeatureStream, VoiceStats, voice_stats
from lipbank.shape_ridge import PER_PICTURE, choose_strength, fit_hearings, folds, windows
from lipbank.shape_states import StateStream, load_network, loudness_of, project_from
from lipsync.audio.mel import BANDS, WINDOW, log_mel
from lipsync.engine import HOP
from lipsync.errors import InvalidInputError
from lipsync.progress import Progress

FOLDS = 5
NOISES = (6.0, 15.0)
"""Decibels of noise under the speech in the further hearings of a take."""
_MIN_PICTURES = 125
_GUARD = 12  # pictures round a test block that are neither learned from nor tested
_AMPLITUDE = 0.97
_MAX_GAIN = 2.5
_MARGIN = 0.15


@dataclass(frozen=True)
class Material:
    """The training part of one take.

    Attributes:
        pcm: Sound of the training part alone.
        mel: float32 (4 n, 40).
        coef: float32 (n, 12), the mouths seen.
        good: bool (n,), pictures in which the face was found.
    """

    pcm: NDArray[np.float32]
    mel: NDArray[np.float32]
    coef: NDArray[np.float32]
    good: NDArray[np.bool_]

    @property
    def index(self) -> NDArray[np.intp]:
        """Pictures to learn from."""
        return np.flatnonzero(self.good)


def material_of(take: Any, space: MouthSpace) -> Material:
    """Cut a take's training part out: nothing of the held-out part, sound or picture, goes in.

    Raises:
        InvalidInputError: Under five seconds show the face and have sound.
    """
    span: range = take.train
    pcm = np.asarray(take.audio, np.float32)[span.start * HOP : span.stop * HOP]
    count = min(len(span), len(pcm) // HOP)
    frames = slice(span.start, span.start + count)
    found = np.asarray(take.found, bool)[frames]
    if found.sum() < _MIN_PICTURES:
        raise InvalidInputError(
            f"Only {found.sum() / 25:.1f} s of the take show the face and have sound.", "Record at least a minute."
        )
    pcm = pcm[: count * HOP]
    coef = space.encode(np.asarray(take.landmarks)[frames], found)
    return Material(pcm, log_mel(pcm)[: count * PER_PICTURE], coef, found)


def noisy(pcm: NDArray[np.float32], decibels: float, seed: int) -> NDArray[np.float32]:
    """The same sound in room noise, falling towards high frequencies, ``decibels`` under it."""
    from scipy.signal import lfilter

    noise = lfilter([1.0], [1.0, -0.7], np.random.default_rng(seed).normal(size=len(pcm)))
    level = np.sqrt((pcm.astype(np.float64) ** 2).mean()) * 10 ** (-decibels / 20)
    return (pcm + noise * level / noise.std()).astype(np.float32)


def hear(
    pcm: NDArray[np.float32], stats: VoiceStats, states: Mapping[str, NDArray[np.floating]] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What is heard (4 n, 40 or 88) of n pictures' sound, and activity (4 n,), exactly as in a live stream."""
    count = len(pcm) // HOP * PER_PICTURE
    heard, activity = EarStream(stats, states).push(np.concatenate([pcm, np.zeros(WINDOW, np.float32)]))
    return heard[:count], activity[:count]


@dataclass
class Prepared:
    """All takes side by side, ready to fit.

    Attributes:
        materials: One a take.
        stats: The voice, over all takes.
        states: Tensors of the ``StateStream``, or None.
        features: One (4 n, 40) a take.
        activity: One (4 n,) a take.
        centre: (12,), mean of the mouths over all takes.
        scale: (12,), their standard deviation.
        hearings: The pictures to learn from as heard plainly, then in noise: (pictures, d) each.
        outputs: (pictures, 12) scaled mouths.
        splits: Blocked folds of those.
    """

    materials: list[Material]
    stats: VoiceStats
    states: dict[str, NDArray[np.float32]] | None
    features: list[NDArray[np.float32]]
    activity: list[NDArray[np.float32]]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    hearings: list[NDArray[np.float32]]
    outputs: NDArray[np.float64]
    splits: list[tuple[NDArray[np.intp], NDArray[np.intp]]]


def _states_of(materials: Sequence[Material], stats: VoiceStats) -> dict[str, NDArray[np.float32]] | None:
    """The speaker network and its reduction to this person's speech, where the package is installed."""
    network = load_network()
    if network is None:
        return None
    network["loudness"] = np.array([loudness_of(np.concatenate([m.pcm for m in materials]))], np.float32)
    said = []
    for material in materials:
        gain = FeatureStream(stats).push(material.pcm)[2]
        said.append(StateStream(network).push(material.pcm, gain))
    return {**network, **project_from(np.concatenate(said))}


def prepare(takes: Sequence[Any], space: MouthSpace, reach: int) -> Prepared:
    """Features, targets and folds of takes."""
    materials = [material_of(take, space) for take in takes]
    stats = voice_stats(np.concatenate([m.mel for m in materials]))
    states = _states_of(materials, stats)
    coef = np.concatenate([m.coef[m.index] for m in materials]).astype(np.float64)
    centre, scale = coef.mean(0), np.maximum(coef.std(0), 1e-3)
    plain = [hear(m.pcm, stats, states) for m in materials]
    hearings = []
    for seed, decibels in enumerate((None, *NOISES)):
        rows = []
        for material, (heard, _) in zip(materials, plain, strict=True):
            if decibels is not None:
                heard, _ = hear(noisy(material.pcm, decibels, seed), stats, states)
            rows.append(windows(heard, len(material.coef), reach)[material.index])
        hearings.append(np.concatenate(rows))
    return Prepared(
        materials=materials,
        stats=stats,
        states=states,
        features=[heard[:, :BANDS] for heard, _ in plain],
        activity=[activity for _, activity in plain],
        centre=centre,
        scale=scale,
        hearings=hearings,
        outputs=(coef - centre) / scale,
        splits=folds(np.arange(len(coef)), FOLDS, _GUARD),
    )


def fit_ridge(data: Prepared) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Matrix, offset and out-of-fold answers (pictures, 12) of the linear listener."""
    strengths, guesses = choose_strength(data.hearings, data.outputs, data.splits)
    matrix, offset = fit_hearings(data.hearings, data.outputs).weights(strengths)
    return matrix, offset, guesses


def gain_of(guesses: NDArray[np.floating], data: Prepared) -> NDArray[np.float64]:
    """What answers must be multiplied with to move as much as the person does, from frames not learned from.

    The gap is never negative, which takes amplitude away: its gain is found with the clamp in place.
    """
    known = np.isfinite(guesses).all(1)
    guesses, wanted = guesses[known], data.outputs[known]
    gain = _AMPLITUDE * wanted.std(0) / np.maximum(guesses.std(0), 1e-3)
    floor = -data.centre[GAP] / data.scale[GAP]
    target = np.maximum(wanted[:, GAP], floor).std()
    tries = np.linspace(1.0, _MAX_GAIN, 61)
    moved = np.array([np.maximum(guesses[:, GAP] * g, floor).std() for g in tries])
    gain[GAP] = tries[int(np.argmin(np.abs(moved - _AMPLITUDE * target)))]
    return np.clip(gain, 1.0, _MAX_GAIN)


def rest_of(data: Prepared) -> NDArray[np.float64]:
    """The closed mouth at rest: the middle of the smallest gaps.

    Pauses are not looked for: many people hold the mouth open in them, or smile, and three pauses are no sample.
    """
    coef = data.outputs * data.scale + data.centre
    closed = coef[coef[:, GAP] <= np.percentile(coef[:, GAP], 20)]
    rest = np.median(closed, axis=0)
    rest[GAP] = max(0.0, float(np.percentile(coef[:, GAP], 5)))
    return rest


def pack(
    data: Prepared,
    reach: int,
    *,
    ridge: tuple[NDArray[np.float64], NDArray[np.float64]],
    gain: NDArray[np.float64],
    nets: Sequence[dict[str, NDArray[np.float32]]] = (),
    shift: int = 0,
    share: float = 0.0,
) -> dict[str, NDArray[np.float32]]:
    """The tensors of a ``ShapeModel``."""
    coef = data.outputs * data.scale + data.centre
    low, high = np.percentile(coef, 0.3, axis=0), np.percentile(coef, 99.7, axis=0)
    margin = _MARGIN * (high - low)
    low, high = low - margin, high + margin
    low[GAP] = 0.0
    low[WIDTH] = max(low[WIDTH], 1.0)
    out = {
        "meta": np.array([1.0, reach, shift, len(nets), share, data.stats.level]),
        "voice_mean": data.stats.mean,
        "ridge_matrix": ridge[0],
        "ridge_offset": ridge[1],
        "centre": data.centre,
        "scale": data.scale,
        "gain": gain,
        "low": low,
        "high": high,
        "rest": rest_of(data),
    }
    if data.states is not None:
        out.update({f"states.{name}": value for name, value in data.states.items()})
    for i, net in enumerate(nets):
        out.update({f"net{i}.{name}": value for name, value in net.items()})
    return {name: np.asarray(value, np.float32) for name, value in out.items()}


def fit_preview(takes: Sequence[Any], space: MouthSpace, reach: int) -> dict[str, NDArray[np.float32]]:
    """Tensors of a model without networks."""
    data = prepare(takes, space, reach)
    matrix, offset, guesses = fit_ridge(data)
    return pack(data, reach, ridge=(matrix, offset), gain=gain_of(guesses, data))


def fit_trained(
    takes: Sequence[Any],
    space: MouthSpace,
    reach: int,
    *,
    minutes: float | None,
    steps: int | None,
    seed: int,
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """Tensors of a model with networks fine-tuned from the shipped encoder; arguments as ``ShapeModel.train``."""
    from lipbank.shape_finetune import Budget, fit_nets

    data = prepare(takes, space, reach)
    matrix, offset, guesses = fit_ridge(data)
    progress.update(0.05)
    nets = fit_nets(data, reach, Budget(minutes, steps, seed), progress)
    share = nets.share(guesses, data)
    blended = share * nets.guesses + (1 - share) * guesses
    progress.update(1.0)
    return pack(
        data,
        reach,
        ridge=(matrix, offset),
        gain=gain_of(blended, data),
        nets=nets.weights,
        shift=nets.shift,
        share=share,
    )

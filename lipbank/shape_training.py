"""How a shape model is fitted to takes. Imported only to fit; torch only to train networks.

Everything is chosen inside the training frames: the ridge's strength by blocked folds, the amplitude's gain by answers
on frames that were not learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import DIMENSIONS, GAP, WIDTH, MouthSpace
from lipbank.shape_features import ACTIVE_UNDER_LEVEL, EarStream, FeatureStream, Heard, VoiceStats, voice_stats
from lipbank.shape_phones import PHONES, load_phones, own_throat, steady_from
from lipbank.shape_ridge import PER_PICTURE, choose_strength, emphasis, fit_hearings, folds, tap_matrix, windows
from lipbank.shape_states import StateStream, load_network, loudness_of, project_from
from lipsync.audio.mel import BANDS, WINDOW, log_mel
from lipsync.engine import HOP, SAMPLE_RATE
from lipsync.errors import InvalidInputError
from lipsync.progress import Progress

FOLDS = 5
SEMITONES = (-5.0, -2.5, 2.5, 5.0)
"""How far the voice is moved to make further throats of it."""
NOISES = (6.0, 15.0)
"""Decibels of noise under the speech in the further hearings of a take."""
NOISY_COUNTS, THROAT_COUNTS = 0.1, 0.3
"""How much a picture heard in noise, or from another throat, counts against one heard plainly."""
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


def pitched(pcm: NDArray[np.float32], semitones: float) -> NDArray[np.float32]:
    """The same sound from a smaller or larger throat: pitch and formants moved together, times kept."""
    import librosa

    return librosa.effects.pitch_shift(pcm, sr=SAMPLE_RATE, n_steps=semitones).astype(np.float32)


Tensors = Mapping[str, NDArray[np.floating]]


def hear(
    pcm: NDArray[np.float32], stats: VoiceStats, states: Tensors | None, phones: Tensors | None, known: bool = False
) -> Heard:
    """What is heard, four frames to each of n pictures' sound, exactly as in a live stream.

    Args:
        pcm: 640 n samples.
        stats: The take's voice.
        states: Tensors of the ``StateStream``, or None.
        phones: Tensors of the ``PhoneStream``, or None.
        known: Hear as one who has got used to this voice, not as one who meets it.
    """
    count = len(pcm) // HOP * PER_PICTURE
    padded = np.concatenate([pcm, np.zeros(WINDOW, np.float32)])
    stream = EarStream(stats, states, phones, throats=False)
    if known:
        stream.get_used_to(pcm)
    heard = stream.push(padded)
    return Heard(*(getattr(heard, field.name)[:count] for field in fields(Heard)))


@dataclass
class Prepared:
    """All takes side by side, ready to fit.

    Attributes:
        materials: One a take.
        stats: The voice, over all takes.
        states: Tensors of the ``StateStream``, or None.
        phones: Tensors of the ``PhoneStream``, or None.
        pad: What is heard of silence, one frame.
        emphasis: Of the ridge's inputs.
        features: One (4 n, bands) a take, without states.
        activity: One (4 n,) a take.
        centre: (12,), mean of the mouths over all takes.
        scale: (12,), their standard deviation.
        hearings: The pictures to learn from as heard plainly, then in noise: (pictures, d) each.
        others: The same as heard from other throats, and in noise; empty for a preview.
        outputs: (pictures, 12) scaled mouths.
        splits: Blocked folds of those.
    """

    materials: list[Material]
    stats: VoiceStats
    states: dict[str, NDArray[np.float32]] | None
    phones: dict[str, NDArray[np.float32]] | None
    pad: NDArray[np.float32]
    emphasis: NDArray[np.float64]
    features: list[NDArray[np.float32]]
    activity: list[NDArray[np.float32]]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    hearings: list[NDArray[np.float32]]
    others: list[NDArray[np.float32]]
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
        gain = FeatureStream(stats).push(material.pcm).gain
        said.append(StateStream(network).push(material.pcm, gain))
    return {**network, **project_from(np.concatenate(said))}


def _phones_of(materials: Sequence[Material], stats: VoiceStats) -> dict[str, NDArray[np.float32]] | None:
    """The recogniser's phones and what the takes' sound says about voice and room, where the package is installed."""
    phones = load_phones()
    if phones is None:
        return None
    active = np.concatenate([m.mel.mean(1) > stats.level - ACTIVE_UNDER_LEVEL for m in materials])
    pcm = np.concatenate([m.pcm for m in materials])
    phones.update(steady_from(pcm, active))
    phones["throat"] = np.array([own_throat(phones, pcm, active)], np.float32)
    return phones


def prepare(takes: Sequence[Any], space: MouthSpace, reach: int, *, throats: bool = False) -> Prepared:
    """Features, targets and folds of takes; with other ``throats`` to learn from too, if wanted."""
    materials = [material_of(take, space) for take in takes]
    stats = voice_stats(np.concatenate([m.mel for m in materials]))
    states, phones = _states_of(materials, stats), _phones_of(materials, stats)
    pad = EarStream(stats, states, phones).pad
    coef = np.concatenate([m.coef[m.index] for m in materials]).astype(np.float64)
    centre, scale = coef.mean(0), np.maximum(coef.std(0), 1e-3)
    plain = [hear(m.pcm, stats, states, phones) for m in materials]

    def rows(heard: Sequence[Heard]) -> NDArray[np.float32]:
        return np.concatenate(
            [windows(h.features, len(m.coef), reach, pad)[m.index] for h, m in zip(heard, materials, strict=True)]
        )

    hearings = [rows(plain)]
    for seed, decibels in enumerate(NOISES):
        hearings.append(rows([hear(noisy(m.pcm, decibels, seed), stats, states, phones) for m in materials]))
    others = []
    for semitones in SEMITONES if throats else ():
        others.append(rows([hear(pitched(m.pcm, semitones), stats, states, phones, known=True) for m in materials]))
    return Prepared(
        materials=materials,
        stats=stats,
        states=states,
        phones=phones,
        pad=pad,
        emphasis=emphasis(len(tap_matrix(reach)), len(pad)),
        features=[heard.features[:, : BANDS + (PHONES if phones else 0)] for heard in plain],
        activity=[heard.activity for heard in plain],
        centre=centre,
        scale=scale,
        hearings=hearings,
        others=others,
        outputs=(coef - centre) / scale,
        splits=folds(np.arange(len(coef)), FOLDS, _GUARD),
    )


@dataclass(frozen=True)
class Ridge:
    """The linear listener: one for the person's own voice, one for any.

    Attributes:
        own: Matrix (d, 12) and offset (12,).
        any: The same, learned from other throats too.
        guesses: Out-of-fold answers (pictures, 12) of the first.
    """

    own: tuple[NDArray[np.float64], NDArray[np.float64]]
    any: tuple[NDArray[np.float64], NDArray[np.float64]]
    guesses: NDArray[np.float64]


def fit_ridge(data: Prepared) -> Ridge:
    """Fit the linear listener."""
    counts = [1.0] + [NOISY_COUNTS] * len(NOISES)
    strength, guesses = choose_strength(data.hearings, counts, data.outputs, data.splits, data.emphasis)
    own = fit_hearings(data.hearings, counts, data.outputs, data.emphasis).weights(strength)
    if not data.others:
        return Ridge(own, own, guesses)
    hearings = [*data.hearings, *data.others]
    all_counts = counts + [THROAT_COUNTS] * len(data.others)
    # As many times the rows, as many times the ridge.
    foreign = fit_hearings(hearings, all_counts, data.outputs, data.emphasis).weights(
        strength * sum(all_counts) / sum(counts)
    )
    return Ridge(own, foreign, guesses)


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
    ridge: Ridge,
    gain: NDArray[np.float64],
    nets: Sequence[dict[str, NDArray[np.float32]]] = (),
    shift: int = 0,
    share: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The tensors of a ``ShapeModel``."""
    coef = data.outputs * data.scale + data.centre
    low, high = np.percentile(coef, 0.3, axis=0), np.percentile(coef, 99.7, axis=0)
    margin = _MARGIN * (high - low)
    low, high = low - margin, high + margin
    low[GAP] = 0.0
    low[WIDTH] = max(low[WIDTH], 1.0)
    out = {
        "meta": np.array([2.0, reach, shift, len(nets), data.stats.level]),
        "voice_mean": data.stats.mean,
        "share": np.zeros(DIMENSIONS) if share is None else share,
        "ridge_matrix": ridge.own[0],
        "ridge_offset": ridge.own[1],
        "foreign_matrix": ridge.any[0],
        "foreign_offset": ridge.any[1],
        "centre": data.centre,
        "scale": data.scale,
        "gain": gain,
        "low": low,
        "high": high,
        "rest": rest_of(data),
    }
    if data.states is not None:
        out.update({f"states.{name}": value for name, value in data.states.items()})
    if data.phones is not None:
        out.update({f"phones.{name}": value for name, value in data.phones.items()})
    for i, net in enumerate(nets):
        out.update({f"net{i}.{name}": value for name, value in net.items()})
    return {name: np.asarray(value, np.float32) for name, value in out.items()}


def fit_preview(takes: Sequence[Any], space: MouthSpace, reach: int) -> dict[str, NDArray[np.float32]]:
    """Tensors of a model without networks."""
    data = prepare(takes, space, reach)
    ridge = fit_ridge(data)
    return pack(data, reach, ridge=ridge, gain=gain_of(ridge.guesses, data))


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

    data = prepare(takes, space, reach, throats=True)
    ridge = fit_ridge(data)
    progress.update(0.05)
    nets = fit_nets(data, reach, Budget(minutes, steps, seed), progress)
    share = nets.share(ridge.guesses, data)
    blended = share * nets.guesses + (1 - share) * ridge.guesses
    progress.update(1.0)
    return pack(
        data,
        reach,
        ridge=ridge,
        gain=gain_of(blended, data),
        nets=nets.weights,
        shift=nets.shift,
        share=share,
    )

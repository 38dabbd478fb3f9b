"""From phones to the difference of spectra that turns base speech into the person's: a table, no network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speech.clone.base_speech import PAUSE, BaseVoice, Phone
from speech.clone.features import HOP, ORDER, RATE, Array

SMOOTH = 2.5
"""Standard deviation, in frames, of the smoothing over time."""
ENERGY_SHARE = 0.5
SHORT_PAUSE_S = 0.08
"""A pause shorter than this is part of the phones beside it: the filter must not be let go between two syllables."""
PARTS = 8
"""Weights a phone has: itself, begin, middle, end; after that phone, twice; before that phone, twice."""


@dataclass(frozen=True)
class Frames:
    """Labels of 5 ms frames.

    Attributes:
        phone, before, after: Index of the phone spoken and of its neighbours, (n,).
        weights: (n, 3): how near the frame is to the begin, middle and end of its phone, 0 to 1.
    """

    phone: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    weights: Array

    def __len__(self) -> int:
        return len(self.phone)

    @property
    def pause(self) -> NDArray[np.bool_]:
        """Frames in which nothing is said (the pause is phone 0)."""
        return self.phone == 0


def frames_of(phones: list[Phone], inventory: dict[str, int], count: int) -> Frames:
    """Label ``count`` frames. A phone the inventory does not know counts as a pause: it is left as it is."""
    phone = np.zeros(count, np.int64)
    before, after = phone.copy(), phone.copy()
    weights = np.zeros((count, 3))
    phones = _without_short_pauses(phones)
    ids = [inventory.get(p.label, 0) for p in phones]
    for k, p in enumerate(phones):
        a, b = round(p.start * RATE / HOP), min(round(p.end * RATE / HOP), count)
        if b <= a:
            continue
        position = (np.arange(a, b) - a + 0.5) / (b - a)
        phone[a:b] = ids[k]
        before[a:b] = ids[max(k - 1, 0)]
        after[a:b] = ids[min(k + 1, len(ids) - 1)]
        weights[a:b] = np.clip(1 - np.abs(position[:, None] - np.array([0, 0.5, 1])) * 2, 0, 1)
    return Frames(phone, before, after, weights)


def _without_short_pauses(phones: list[Phone]) -> list[Phone]:
    """Give each half of a short pause between two phones to the phone beside it."""
    kept: list[Phone] = []
    begin: float | None = None
    for index, phone in enumerate(phones):
        inner = phone.label == PAUSE and 0 < index < len(phones) - 1 and phone.end - phone.start < SHORT_PAUSE_S
        if inner and kept and kept[-1].label != PAUSE and phones[index + 1].label != PAUSE:
            begin = (phone.start + phone.end) / 2
            kept[-1] = Phone(kept[-1].label, kept[-1].start, begin)
            continue
        kept.append(Phone(phone.label, phone.start if begin is None else begin, phone.end))
        begin = None
    return kept


def smooth(values: Array, sigma: float) -> Array:
    """Gaussian smoothing over time (axis 0), ends held."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="nearest"))


def features(frames: Frames, size: int) -> Array:
    """One row a frame, PARTS * size wide: which phone, where in it, and between which neighbours."""
    n, w = len(frames), frames.weights
    rows = np.arange(n)
    x = np.zeros((n, PARTS * size))
    for part, (ids, weight) in enumerate(_parts(frames)):
        x[rows, part * size + ids] = weight
    assert w.shape == (n, 3)  # noqa: S101
    return x


def _parts(frames: Frames) -> list[tuple[NDArray[np.int64], Array]]:
    w = frames.weights
    return [
        (frames.phone, np.ones(len(frames))),
        (frames.phone, w[:, 0]),
        (frames.phone, w[:, 1]),
        (frames.phone, w[:, 2]),
        (frames.before, w[:, 0]),
        (frames.before, 0.5 * w[:, 1]),
        (frames.after, w[:, 2]),
        (frames.after, 0.5 * w[:, 1]),
    ]


@dataclass
class Converter:
    """The trained tables of one language.

    Attributes:
        base: The voice that is filtered.
        inventory: Phones by name; the pause is 0.
        mean: (ORDER + 1,) the shift of everything said.
        shift: (PARTS * phones, ORDER + 1) the shift by context.
        offset: (ORDER,) refinement of everything said, cepstra 1 and up.
        phone_offset: (phones, ORDER) refinement by phone.
        energy: Mean of the shift's energy over speech, taken off so that loudness stays.
        level: Factor that brings the result to the level of the other voices.
    """

    base: BaseVoice
    inventory: dict[str, int]
    mean: Array
    shift: Array
    offset: Array
    phone_offset: Array
    energy: float = 0.0
    level: float = 1.0

    def context_shift(self, frames: Frames) -> Array:
        """The shift by context alone, smoothed: (n, ORDER + 1)."""
        size = len(self.inventory)
        table = self.shift.reshape(PARTS, size, ORDER + 1)
        total = np.tile(self.mean, (len(frames), 1))
        for part, (ids, weight) in enumerate(_parts(frames)):
            total += table[part][ids] * weight[:, None]
        return smooth(total, SMOOTH)

    def shares(self, frames: Frames) -> Array:
        """How much each phone sounds in each frame: (n, phones), smoothed."""
        return smooth(np.eye(len(self.inventory))[frames.phone], SMOOTH)

    def shaped(self, shift: Array, frames: Frames) -> Array:
        """Nothing changes in pauses, half of the energy's change is kept, loudness stays."""
        shift = shift.copy()
        shift[:, 0] = smooth((shift[:, 0] - self.energy) * ENERGY_SHARE, 2.0)
        said = 1 - smooth(frames.pause.astype(float), 3.0)
        shift[:, 1:] *= said[:, None]
        shift[:, 0] = np.where(frames.pause, np.minimum(shift[:, 0], 0.0), shift[:, 0])
        return shift

    def difference(self, phones: list[Phone], count: int, likeness: float = 1.0) -> Array:
        """The difference of mel-cepstra for ``count`` frames of these phones: (count, ORDER + 1).

        Args:
            phones: From the base voice.
            count: Frames.
            likeness: 0 keeps the context shift alone (clearest), 1 adds the whole refinement (most alike).
        """
        frames = frames_of(phones, self.inventory, count)
        shift = self.context_shift(frames)
        if likeness:
            # phone_offset by label, smoothed after the look-up: the same as shares @ phone_offset, and cheaper.
            shift[:, 1:] += likeness * (self.offset + smooth(self.phone_offset[frames.phone], SMOOTH))
        return self.shaped(shift, frames)

    def tensors(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """The tables by name, for safetensors."""
        tables = {"mean": self.mean, "shift": self.shift, "offset": self.offset, "phone_offset": self.phone_offset}
        return {f"{prefix}.{name}": table.astype(np.float32) for name, table in tables.items()}


def inventory_of(phones: list[list[Phone]]) -> dict[str, int]:
    """Every phone that occurs, the pause first."""
    labels = sorted({p.label for run in phones for p in run} - {PAUSE})
    return {PAUSE: 0, **{label: index + 1 for index, label in enumerate(labels)}}

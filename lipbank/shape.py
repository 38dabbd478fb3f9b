"""From sound to mouth shapes: what a person's lips do when these sounds are made.

A ``ShapeModel`` holds a linear listener and, once trained, a few networks; both hear the same features, and their
answers are averaged, brought back to the person's own amplitude and led to the resting mouth in silence. Inference
needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbank.mouth_space import DIMENSIONS, GAP, WIDTH, Coef, MouthSpace
from lipbank.shape_features import ACTIVE_UNDER_LEVEL, LOW, SCALE, EarStream, VoiceStats
from lipbank.shape_phones import PHONES, damaged
from lipbank.shape_ridge import PAST, PER_PICTURE, read_columns, tap_matrix
from lipbank.shape_states import COMPONENTS
from lipbank.shape_stream import AHEAD, NetStream
from lipsync.audio.mel import BANDS, MEL_HOP, WINDOW
from lipsync.engine import HOP, SAMPLE_RATE
from lipsync.errors import BundleError, InvalidInputError
from lipsync.progress import Progress, SilentProgress

LOOKAHEAD_MS = 100
QUALITY_LOOKAHEAD_MS = 200
_VERSIONS = (1.0, 2.0)  # 2: phones are heard too
_SPEECH = -ACTIVE_UNDER_LEVEL / SCALE
_HELD_FRAMES = 14  # mel frames without speech before the mouth begins to close: longer than the silence inside a stop
_CLOSING, _OPENING = 0.2, 0.5
_BLOCK = 256


def reach_of(lookahead_ms: float) -> int:
    """Mel frames after a picture's own time that can be used with a look-ahead after the picture's own 40 ms."""
    reach = (lookahead_ms * SAMPLE_RATE / 1000 + HOP - WINDOW / 2) // MEL_HOP
    if not AHEAD <= reach <= 64:
        raise InvalidInputError(f"A look-ahead of {lookahead_ms} ms is not between 75 and 600.")
    return int(reach)


class ShapeModel:
    """A person's mouth as a function of sound. Immutable; one model serves any number of streams.

    Make one with ``preview``, ``train`` or ``from_tensors``.

    Attributes:
        rest: float32 (12,), the closed mouth at rest.
        lookahead_ms: Sound needed after a picture's own 40 ms.
    """

    _NAMES = (
        "meta",
        "voice_mean",
        "share",
        "ridge_matrix",
        "ridge_offset",
        "foreign_matrix",
        "foreign_offset",
        "centre",
        "scale",
        "gain",
        "low",
        "high",
        "rest",
    )

    def __init__(self, tensors: Mapping[str, NDArray[np.floating]]) -> None:
        missing = [name for name in self._NAMES if name not in tensors]
        if missing:
            raise BundleError(f"The shape model lacks {', '.join(missing)}.", "Train the avatar again.")
        self._tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
        if not all(np.isfinite(v).all() for v in self._tensors.values()) or self._tensors["meta"].shape != (5,):
            raise BundleError("The shape model is damaged.", "Train the avatar again.")
        version, reach, shift, nets, level = (float(v) for v in self._tensors["meta"])
        if version not in _VERSIONS:
            raise BundleError(
                f"The shape model is of version {version:g}, which is not known here.",
                "Update the studio, or train the avatar again.",
            )
        self._reach, self._shift, self._share = int(reach), int(shift), self._tensors["share"]
        self._stats = VoiceStats(self._tensors["voice_mean"], level)
        self._nets = [
            {name.split(".", 1)[1]: v for name, v in self._tensors.items() if name.startswith(f"net{i}.")}
            for i in range(int(nets))
        ]
        if not all("head.bias" in net and len(net["head.bias"]) >= DIMENSIONS for net in self._nets):
            raise BundleError("The shape model lacks a network.", "Train the avatar again.")
        self._states = {n.split(".", 1)[1]: v for n, v in self._tensors.items() if n.startswith("states.")} or None
        self._phones = {n.split(".", 1)[1]: v for n, v in self._tensors.items() if n.startswith("phones.")} or None
        if self._phones and damaged(self._phones):
            raise BundleError("The shape model is damaged.", "Train the avatar again.")
        self._taps = tap_matrix(self._reach)
        bands = BANDS + (PHONES if self._phones else 0) + (COMPONENTS if self._states else 0)
        self._columns = read_columns(len(self._taps), bands)
        shape = (len(self._columns), DIMENSIONS)
        if any(self._tensors[name].shape != shape for name in ("ridge_matrix", "foreign_matrix")):
            raise BundleError("The shape model is damaged.", "Train the avatar again.")

    @classmethod
    def preview(cls, take: Any, space: MouthSpace, *, lookahead_ms: int = LOOKAHEAD_MS) -> ShapeModel:
        """The linear listener alone: no training, a second or two.

        Args:
            take: A ``lipsync.dataset.take.PreparedTake``: ``audio``, ``landmarks``, ``found``, ``train``.
            space: The mouth space of the same take.
            lookahead_ms: 75 to 600; 100 for live use, 200 for quality.

        Raises:
            InvalidInputError: The take has too little to learn from.
        """
        from lipbank.shape_training import fit_preview

        return cls(fit_preview([take], space, reach_of(lookahead_ms)))

    @classmethod
    def train(
        cls,
        take: Any,
        space: MouthSpace,
        *,
        minutes: float | None = None,
        steps: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        lookahead_ms: int = LOOKAHEAD_MS,
        more: Sequence[Any] = (),
    ) -> ShapeModel:
        """Learn the person's own shapes, starting from the encoder that ships with the project.

        Args:
            take: As for ``preview``; its held-out frames are not looked at.
            space: The mouth space of the take.
            minutes: Time at most (wall clock); None for what pays on two cores, about a minute and a half.
            steps: Optimiser steps of each network at most; None for what pays.
            seed: The same seed, data and steps give the same model.
            progress: Told the share done; its ``check`` may end the work.
            lookahead_ms: 75 to 600.
            more: Further takes of the same person.
        """
        from lipbank.shape_training import fit_trained

        tensors = fit_trained(
            [take, *more],
            space,
            reach_of(lookahead_ms),
            minutes=minutes,
            steps=steps,
            seed=seed,
            progress=progress or SilentProgress(),
        )
        return cls(tensors)

    @property
    def rest(self) -> Coef:
        """The closed mouth at rest, float32 (12,)."""
        return self._tensors["rest"]

    @property
    def trained(self) -> bool:
        """Whether it holds networks, not only the linear listener."""
        return bool(self._nets)

    @property
    def lookahead_ms(self) -> int:
        """Sound needed after a picture's own 40 ms, rounded up."""
        return int(np.ceil((self._reach * MEL_HOP + WINDOW / 2 - HOP) * 1000 / SAMPLE_RATE))

    @property
    def voice(self) -> VoiceStats:
        """The take's own voice."""
        return self._stats

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What ``from_tensors`` needs, float32, flat names."""
        return dict(self._tensors)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.floating]]) -> ShapeModel:
        """The model saved by ``tensors``.

        Raises:
            BundleError: Something is missing, not finite or of another version.
        """
        return cls(tensors)

    def open(self) -> ShapeStream:
        """Begin a sound."""
        return ShapeStream(self)

    def predict(self, pcm: NDArray[np.float32]) -> Coef:
        """The mouths of a whole sound: float32 (ceil(len / 640), 12), the same as streaming it."""
        stream = self.open()
        return np.concatenate([stream.push(pcm), stream.flush()])

    def _finish(self, scaled: NDArray[np.float32]) -> Coef:
        """Scaled answers (n, 12) to mouths: amplitude restored, gap and width within what the person showed."""
        own = self._tensors
        coef = own["centre"] + scaled * own["gain"] * own["scale"]
        return np.clip(coef, own["low"], own["high"])


class ShapeStream:
    """One sound's way to mouths. Not thread-safe.

    The k-th row it ever returns since the last ``flush`` or ``reset`` belongs to samples [640 k, 640 (k + 1)).
    """

    def __init__(self, model: ShapeModel) -> None:
        self._model = model
        self._ear = EarStream(model._stats, model._states, model._phones)
        self._nets = [NetStream(net) for net in model._nets]
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._ear.reset()
        for net in self._nets:
            net.reset()
        self._heard = np.tile(self._ear.pad, (PAST, 1))
        self._active = np.full(PAST, LOW, np.float32)
        self._foreign = np.zeros(PAST, np.float32)
        self._answers = [np.empty((0, DIMENSIONS), np.float32) for _ in self._nets]
        self._skip = self._model._shift
        self._gate = 0.0
        self._samples = 0
        self._given = 0

    def push(self, pcm: NDArray[np.float32]) -> Coef:
        """Take sound (float32 mono 16 kHz, any length); return the mouths (m, 12) that became certain."""
        pcm = np.asarray(pcm, np.float32).reshape(-1)
        self._samples += len(pcm)
        return self._advance(pcm)

    def flush(self) -> Coef:
        """End the sound: the mouths still owed (a started 40 ms counts); then begin anew."""
        owed = -(-self._samples // HOP) - self._given
        silence = np.zeros(max(owed, 0) * HOP + (self._model._reach + 1) * MEL_HOP + WINDOW + HOP, np.float32)
        rest = self._advance(silence)[: max(owed, 0)]
        self.reset()
        return rest

    def _advance(self, pcm: NDArray[np.float32]) -> Coef:
        heard = self._ear.push(pcm)
        features = heard.features
        if len(features):
            self._heard = np.concatenate([self._heard, features])
            self._active = np.concatenate([self._active, heard.activity])
            self._foreign = np.concatenate([self._foreign, heard.foreign])
            for i, net in enumerate(self._nets):
                self._answers[i] = np.concatenate(
                    [self._answers[i], net.push(features[:, : net.inputs])[:, :DIMENSIONS]]
                )
        if self._skip and self._nets and len(self._answers[0]):
            drop = min(self._skip, len(self._answers[0]))
            self._answers = [a[drop:] for a in self._answers]
            self._skip -= drop
        span = PAST + self._model._reach + 1
        ready = max(0, (len(self._heard) - span) // PER_PICTURE + 1)
        if self._nets:
            ready = min(ready, (len(self._answers[0]) + 1) // 2)
        out = [self._block(min(_BLOCK, ready - start)) for start in range(0, ready, _BLOCK)]
        self._given += ready
        return np.concatenate(out) if out else np.empty((0, DIMENSIONS), np.float32)

    def _block(self, count: int) -> Coef:
        """The next ``count`` mouths."""
        model, span = self._model, PAST + self._model._reach + 1
        stop = (count - 1) * PER_PICTURE + span
        view = np.lib.stride_tricks.sliding_window_view(self._heard[:stop], span, axis=0)[::PER_PICTURE]
        pooled = (model._taps @ view.transpose(0, 2, 1)).reshape(count, -1)[:, model._columns]
        own = model._tensors
        scaled = pooled @ own["ridge_matrix"] + own["ridge_offset"]
        foreign = self._foreign[: count * PER_PICTURE : PER_PICTURE, None]
        if foreign.any():
            other = pooled @ own["foreign_matrix"] + own["foreign_offset"]
            scaled = scaled + foreign * (other - scaled)
        if self._nets:
            heard = np.mean([a[: 2 * count : 2] for a in self._answers], axis=0)
            scaled = model._share * heard + (1 - model._share) * scaled
            # The second of a picture's two steps may not have come yet; it is dropped when it does.
            self._skip += max(0, 2 * count - len(self._answers[0]))
            self._answers = [a[2 * count :] for a in self._answers]
        mouths = model._finish(scaled.astype(np.float32))
        loud = np.lib.stride_tricks.sliding_window_view(self._active[:stop], span)[::PER_PICTURE]
        speaking = np.atleast_1d((loud[:, PAST - _HELD_FRAMES :] > _SPEECH).any(axis=1))
        for i, open_now in enumerate(speaking.tolist()):
            self._gate = min(1.0, self._gate + _OPENING) if open_now else max(0.0, self._gate - _CLOSING)
            if self._gate < 1:
                mouths[i] = model.rest + self._gate * (mouths[i] - model.rest)
        self._heard = self._heard[count * PER_PICTURE :]
        self._active = self._active[count * PER_PICTURE :]
        self._foreign = self._foreign[count * PER_PICTURE :]
        return mouths


__all__ = ["GAP", "LOOKAHEAD_MS", "QUALITY_LOOKAHEAD_MS", "WIDTH", "ShapeModel", "ShapeStream", "reach_of"]

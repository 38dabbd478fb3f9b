"""The contract every lip-sync engine keeps.

An engine turns sound into mouth patches on the frames of an avatar's base clip. The work is split in two so that
sessions can share one engine: a ``DriveStream`` is one session's state (audio features, search over time) and yields
one *drive* per 40 ms; ``Engine.infer`` is stateless and draws a batch of (base frame, drive) pairs from any sessions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lipsync.progress import Progress

FPS = 25
"""Pictures a second, everywhere inside the studio."""
SAMPLE_RATE = 16_000
"""Samples a second of the sound that drives the mouth."""
HOP = SAMPLE_RATE // FPS
"""Samples of sound to a picture (640)."""


@dataclass(frozen=True)
class EngineCapabilities:
    """What an engine can do, as data."""

    needs_weights: bool
    trains: bool
    instant_preview: bool
    lookahead_ms: int
    """Sound needed after a picture's own 40 ms before the picture can be drawn."""
    default_batch: int
    several_takes: bool = False
    """Whether it learns from further takes of the person too: folders under ``more`` of ``TrainOptions.extra``."""


@dataclass(frozen=True)
class Patch:
    """A drawn region of a base frame.

    Attributes:
        x, y: Top left corner in the base frame, both even.
        i420: uint8 (h * 3 // 2, w), h and w even: the region, already blended into its surroundings.
        mask: uint8 (h, w) coverage 0..255, or None where the whole region replaces the frame's own.
    """

    x: int
    y: int
    i420: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class TrainOptions:
    """How an avatar is trained.

    Attributes:
        minutes: Training time at most (CPU wall clock); None for the engine's default.
        steps: Optimiser steps at most, for tests; None for no limit but time.
        device: "auto", "cpu" or "cuda".
        preview: Skip training: whatever can be had within 20 s of a prepared take.
        parent: Folder of the version to continue from, or None.
    """

    minutes: float | None = None
    steps: int | None = None
    device: str = "auto"
    preview: bool = False
    parent: Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class DriveStream(ABC):
    """One session's way from sound to drives. Not thread-safe; one owner."""

    @abstractmethod
    def push(self, pcm: NDArray[np.float32]) -> list[Any]:
        """Take sound (float32 mono, 16 kHz, any length) and return the drives that became certain, in order.

        The k-th drive over the stream's life belongs to samples [640 k, 640 (k + 1)).
        """

    @abstractmethod
    def flush(self) -> list[Any]:
        """End the sound: return every drive still owed (a started 40 ms counts), then begin anew."""

    @abstractmethod
    def reset(self) -> None:
        """Forget the sound so far (after an interrupt)."""


class Engine(ABC):
    """A loaded model that draws mouths. ``infer`` may be called from one thread at a time."""

    name: ClassVar[str]
    capabilities: ClassVar[EngineCapabilities]

    @classmethod
    @abstractmethod
    def train(cls, take: Any, out: Path, options: TrainOptions, progress: Progress) -> Path:
        """Make a bundle folder ``out`` from a ``lipsync.dataset.take.PreparedTake`` and return it.

        Writes aside and renames; nothing half-made is ever at ``out``. The take's last 20 % are never learned from.
        """

    @classmethod
    @abstractmethod
    def load(cls, bundle: Path, device: str = "auto") -> Engine:
        """Load a bundle folder. Raises ``BundleError`` for one that is damaged or of another engine."""

    @classmethod
    def networks(cls, bundle: Path) -> dict[str, tuple[Any, tuple[Any, ...]]]:
        """The torch networks of a bundle by name, each a module with example inputs, for ``lipsync.export``."""
        return {}

    @property
    @abstractmethod
    def base(self) -> Any:
        """The avatar's ``lipsync.frame_cycle.BaseClip``."""

    @abstractmethod
    def rebase(self, base: Any) -> Engine:
        """The same model (weights shared, nothing copied) drawing on another ``BaseClip`` of the same person.

        The judge uses it to draw on frames that were held out. Closing either closes both.
        """

    @abstractmethod
    def open_stream(self) -> DriveStream:
        """Begin a session's driving state."""

    @property
    @abstractmethod
    def rest(self) -> Any:
        """The drive of a closed, resting mouth: what idle frames are drawn with."""

    @abstractmethod
    def infer(self, items: Sequence[tuple[int, Any]]) -> list[Patch]:
        """Draw the patch of each (base frame index, drive)."""

    def warm_up(self) -> None:
        """Draw once so that the first real picture is not slow."""
        self.infer([(0, self.rest)])

    @abstractmethod
    def close(self) -> None:
        """Free memory and threads. Safe to call twice."""

"""The base clip: the stretch of the take an avatar lives on, and the order in which it is shown.

Frames are kept as I420, the form the encoder takes and the compositor copies; the matte is kept packed at full size and
plain at half size (what the compositor needs for every frame). The order is an endless walk: a forward loop where the
clip's end meets its beginning within the motion of an ordinary frame, else to and fro, which never jumps.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.errors import BundleError, InvalidInputError
from lipsync.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

VIDEO, MATTE, POINTS = "base.mp4", "base_alpha.mp4", "base.safetensors"
MAX_SECONDS = 20.0
MEMORY = 400 << 20
"""Bytes a clip's frames may take in memory: 26 s at 512x512 (cut to 20), 11 s at 720p, 5 s at 1080p."""
UPPER_FACE = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 127, 356, 234, 454, 10, 151, 9, 70, 300, 107, 336, 55, 285)
"""Mediapipe points that speech hardly moves: eyes, nose bridge, temples, forehead, inner brows."""
_FPS = 25
_CRF = 12
_PRESET = "ultrafast"  # a third of the time, for a preview has to be there at once; larger, not worse


@dataclass(frozen=True)
class Stretch:
    """A range of a take's frames and how to walk it: ``mirror`` is to and fro, else a forward loop."""

    start: int
    stop: int
    mirror: bool


class BaseClip:
    """Frames, matte and landmarks of a base clip, in memory.

    Args:
        frames: uint8 (n, h * 3 // 2, w), I420, h and w even.
        landmarks: float32 (n, 478, 2), pixels.
        alpha: Mattes uint8 (h, w) in order, or None for a clip that is all person (no keying).
        mirror: Walk to and fro instead of looping.
    """

    def __init__(
        self,
        frames: NDArray[np.uint8],
        landmarks: NDArray[np.float32],
        alpha: Sequence[NDArray[np.uint8]] | Iterator[NDArray[np.uint8]] | None = None,
        mirror: bool = True,
    ) -> None:
        if frames.ndim != 3 or frames.shape[1] % 3 or not len(frames):
            raise InvalidInputError(f"A base clip is (n, h * 3 / 2, w), not {frames.shape}.")
        if len(landmarks) != len(frames):
            raise InvalidInputError(f"{len(frames)} frames but landmarks for {len(landmarks)}.")
        self._frames = frames
        self.landmarks = landmarks
        self.n = len(frames)
        self.height, self.width = frames.shape[1] * 2 // 3, frames.shape[2]
        self.mirror = mirror
        self._packed: list[bytes] | None = None
        self._half: NDArray[np.uint8] | None = None
        if alpha is not None:
            self._packed, half = [], []
            for matte in alpha:
                self._packed.append(zlib.compress(matte.tobytes(), 1))
                half.append(cv2.resize(matte, (self.width // 2, self.height // 2), interpolation=cv2.INTER_AREA))
            if len(half) != self.n:
                raise InvalidInputError(f"{self.n} frames but {len(half)} mattes.")
            self._half = np.stack(half).astype(np.uint8)

    @property
    def keyed(self) -> bool:
        """Whether there is a matte, so that the background can be changed."""
        return self._packed is not None

    def i420(self, index: int) -> NDArray[np.uint8]:
        """A frame, uint8 (h * 3 // 2, w). A view: do not write to it."""
        return self._frames[index]

    def alpha(self, index: int) -> NDArray[np.uint8]:
        """The matte of a frame, uint8 (h, w); all 255 where the clip has none."""
        if self._packed is None:
            return np.full((self.height, self.width), 255, np.uint8)
        flat = np.frombuffer(zlib.decompress(self._packed[index]), np.uint8)
        return flat.reshape(self.height, self.width)

    def alpha_half(self, index: int) -> NDArray[np.uint8]:
        """The matte at half size, uint8 (h // 2, w // 2)."""
        if self._half is None:
            return np.full((self.height // 2, self.width // 2), 255, np.uint8)
        return self._half[index]

    def cycle(self, tick: int) -> int:
        """The frame shown at a tick of the endless walk (tick >= 0, one every 40 ms)."""
        if not self.mirror or self.n < 3:
            return tick % self.n
        place = tick % (2 * self.n - 2)
        return place if place < self.n else 2 * self.n - 2 - place

    @classmethod
    def from_take(cls, take: PreparedTake, start: int, stop: int, mirror: bool = True) -> BaseClip:
        """Read a range of a take's frames into memory, with its matte where it has one."""
        from lipsync.media.video import read_frames

        folder = Path(take.folder)
        frames = _stack(read_frames(folder / "video.mp4", start, stop, "yuv420p"), stop - start)
        matte = folder / "alpha.mp4"
        alpha = read_frames(matte, start, stop, "gray") if matte.exists() else None
        return cls(frames, np.asarray(take.landmarks[start:stop], np.float32), alpha, mirror)

    @classmethod
    def load(cls, folder: Path) -> BaseClip:
        """Load what ``write_base`` wrote.

        Raises:
            BundleError: Files missing, or of lengths that do not fit each other.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from lipsync.media.video import read_frames

        folder = Path(folder)
        remedy = "Train or import the avatar again."
        try:
            points = load_file(str(folder / POINTS))
            landmarks, mirror = points["landmarks"], bool(points["mirror"][0])
        except (OSError, SafetensorError, KeyError) as error:
            raise BundleError(f"The base clip's landmarks cannot be read: {error}", remedy) from error
        if not (folder / VIDEO).is_file():
            raise BundleError("The base clip is missing.", remedy)
        frames = _stack(read_frames(folder / VIDEO, 0, len(landmarks), "yuv420p"), len(landmarks))
        if len(frames) != len(landmarks):
            raise BundleError(f"The base clip has {len(frames)} frames for {len(landmarks)} landmarks.", remedy)
        matte = folder / MATTE
        alpha = read_frames(matte, 0, len(landmarks), "gray") if matte.exists() else None
        return cls(frames, landmarks, alpha, mirror)


def write_base(take: PreparedTake, folder: Path, progress: Progress | None = None) -> tuple[str, ...]:
    """Choose a take's best stretch (within its training part) and write it as a base clip.

    Args:
        take: The take.
        folder: An existing folder.
        progress: Told how far it is.

    Returns:
        The names of the files written.
    """
    stretch = choose_stretch(take.landmarks, take.found, take.train, longest(take.width, take.height))
    return write_clip(take, stretch, folder, progress)


def write_clip(take: PreparedTake, stretch: Stretch, folder: Path, progress: Progress | None = None) -> tuple[str, ...]:
    """Write a stretch of a take as a clip that ``BaseClip.load`` reads.

    Args:
        take: The take.
        stretch: Which part. One that is to loop but whose ends do not meet is walked to and fro.
        folder: An existing folder.
        progress: Told how far it is.

    Returns:
        The names of the files written.
    """
    from safetensors.numpy import save_file

    from lipsync.media.video import VideoWriter, read_frames

    progress = progress or SilentProgress()
    count = stretch.stop - stretch.start
    source = Path(take.folder)
    ends: list[NDArray[np.uint8]] = []
    steps: list[float] = []
    before: NDArray[np.uint8] | None = None
    with VideoWriter(
        folder / VIDEO, take.width, take.height, fps=_FPS, crf=_CRF, pix="yuv420p", preset=_PRESET
    ) as writer:
        for k, frame in enumerate(read_frames(source / "video.mp4", stretch.start, stretch.stop, "yuv420p")):
            progress.update(k / count * 0.8)
            writer.write(frame)
            small = cv2.resize(frame[: take.height], None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            luma = np.asarray(small, np.uint8)
            if k in (0, count - 1):
                ends.append(luma)
            if before is not None:
                steps.append(_distance(luma, before))
            before = luma
    written = [VIDEO, POINTS]
    if (source / "alpha.mp4").exists():
        with VideoWriter(
            folder / MATTE, take.width, take.height, fps=_FPS, crf=_CRF, pix="gray", preset=_PRESET
        ) as writer:
            for matte in read_frames(source / "alpha.mp4", stretch.start, stretch.stop, "gray"):
                writer.write(matte)
        written.append(MATTE)
    jump = _distance(ends[0], ends[-1])
    mirror = stretch.mirror or jump > 1.5 * float(np.median(steps or [0.0]))
    points = np.ascontiguousarray(take.landmarks[stretch.start : stretch.stop], np.float32)
    save_file({"landmarks": points, "mirror": np.array([mirror], np.uint8)}, str(folder / POINTS))
    progress.update(1.0)
    return tuple(written)


def longest(width: int, height: int) -> int:
    """Frames a base clip of this size may have: ``MAX_SECONDS`` within ``MEMORY``."""
    return max(2, min(int(MAX_SECONDS * _FPS), MEMORY // (width * height * 3 // 2)))


def choose_stretch(landmarks: NDArray[np.float32], found: NDArray[np.bool_], part: range, most: int) -> Stretch:
    """Choose the stretch of a take to live on.

    Among stretches in which the face is always found, a forward loop whose last frame leads into its first (upper-face
    points, position and velocity, within an ordinary frame's motion) is best; else the calmest one, walked to and fro.

    Args:
        landmarks: (n, 478, 2), pixels.
        found: (n,), whether the face was found.
        part: Frames to choose from.
        most: Longest stretch in frames.

    Raises:
        InvalidInputError: No two frames in a row with a face.
    """
    start, stop = _longest_run(np.asarray(found, bool), part)
    if stop - start < 2:
        raise InvalidInputError("The take has no stretch with a face in it.", "Record the face in view all the time.")
    points = np.asarray(landmarks[start:stop], np.float64)[:, UPPER_FACE]
    span = float(np.median(np.linalg.norm(points[:, 0] - points[:, 3], axis=-1))) or 1.0
    flat = points.reshape(len(points), -1) / span
    length = min(most, len(flat))
    step = float(np.median(_rms(np.diff(flat, axis=0)))) if len(flat) > 1 else 0.0
    velocity = np.gradient(flat, axis=0) if len(flat) > 1 else np.zeros_like(flat)
    best: tuple[float, int, int] | None = None
    for a in range(0, len(flat) - length // 2, 5):
        ends = np.arange(a + max(length // 2, 2), min(a + length, len(flat) - 1))
        if not len(ends):
            continue
        cost = _rms(flat[ends] - flat[a]) + _rms(velocity[ends] - velocity[a])
        k = int(cost.argmin())
        if best is None or cost[k] < best[0]:
            best = (float(cost[k]), a, int(ends[k]))
    if best is not None and best[0] <= 1.5 * step:
        return Stretch(start + best[1], start + best[2], mirror=False)
    spread = [float(flat[a : a + length].std(0).mean()) for a in range(0, len(flat) - length + 1, 5)]
    a = int(np.argmin(spread)) * 5
    return Stretch(start + a, start + a + length, mirror=True)


def _longest_run(found: NDArray[np.bool_], part: range) -> tuple[int, int]:
    best, run = (part.start, part.start), part.start
    for i in part:
        if not found[i]:
            run = i + 1
        elif i + 1 - run > best[1] - best[0]:
            best = (run, i + 1)
    return best


def _rms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt((rows**2).mean(-1))


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(cv2.absdiff(a, b).mean())


def _stack(frames: Iterator[Any], count: int) -> NDArray[np.uint8]:
    out: NDArray[np.uint8] | None = None
    k = 0
    for frame in frames:
        if out is None:
            out = np.empty((count, *frame.shape), np.uint8)
        out[k] = frame
        k += 1
    if out is None:
        raise BundleError("The clip has no frames.", "Train or import the avatar again.")
    return out[:k]

"""Judging an avatar on the part of its take that was held out, at full resolution, as a viewer gets it.

The engine draws on the held-out frames themselves and hears nothing but their sound; the mouths are pasted back and
measured again by the face tracker. Every figure stands beside what was really recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.compositor import Compositor
from lipsync.engine import FPS, HOP, Engine
from lipsync.errors import InvalidInputError
from lipsync.face.square import FACE, MOUTH, REGION, SIDE, Squares, squares
from lipsync.frame_cycle import BaseClip
from lipsync.progress import PartProgress, Progress, SilentProgress

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

FIGURES = (
    "psnr",
    "psnr_mean_mouth",
    "lip_gap_corr",
    "lip_gap_corr_shuffled",
    "lag_ms",
    "gap_std_ratio",
    "sharpness",
    "jitter",
    "seam",
    "silence_motion_ratio",
    "closure_recall",
)
"""What ``judge`` measures, named as the bench ``train`` prints it."""
_GAPS = ((13, 14), (82, 87), (312, 317))
_MAX_LAG = 10
_SHUFFLES = 3
_STRIP = 10
_MIN_FRAMES = 50
_MIN_QUIET = 12


@dataclass(frozen=True)
class Judgement:
    """Figures of a bundle, and the same of what they are held against."""

    figures: dict[str, float]
    reference: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reel:
    """Generated frames with what the tracker finds in them.

    Attributes:
        frames: I420 frames, none where they were not kept.
        gap: (n,) inner lip gap, pixels.
        width: (n,) distance of the mouth's inner corners, pixels.
    """

    frames: list[U8]
    gap: F64
    width: F64


def judge(
    engine: Engine, take: PreparedTake, *, save: Path | None = None, progress: Progress | None = None
) -> Judgement:
    """Measure an engine on the held-out part of its take.

    Args:
        engine: Loaded from the bundle to judge.
        take: The take it was made from.
        save: A folder for ``real.mp4``, ``generated.mp4`` and ``strip.png``, or None.
        progress: Told how far it is.

    Returns:
        ``figures`` with the keys of ``FIGURES``, lip_width_corr and jitter_mouth; ``reference`` with the recorded
        part's own values.

    Raises:
        InvalidInputError: The held-out part is shorter than two seconds.
    """
    progress = progress or SilentProgress()
    part = take.held_out
    if len(part) < _MIN_FRAMES:
        raise InvalidInputError("The take is too short to judge an avatar on.", "Record at least 20 seconds.")
    progress.stage("judging")
    base = BaseClip.from_take(take, part.start, part.stop, mirror=True)
    actor = engine.rebase(base)
    sound = take.audio[part.start * HOP : part.stop * HOP]
    reel = perform(actor, sound, PartProgress(progress, 0.0, 0.3))
    real = _measure([base.i420(i) for i in range(base.n)])
    progress.update(0.4)
    shuffled = []
    for k in range(_SHUFFLES):
        turned = np.roll(sound, (k + 1) * len(sound) // (_SHUFFLES + 1))
        shuffled.append(
            correlation(
                perform(actor, turned, PartProgress(progress, 0.4 + 0.15 * k, 0.55 + 0.15 * k), keep=False).gap,
                real.gap,
            )
        )
    laid = squares(base.landmarks)
    figures = compare(reel, real, laid, base)
    figures["lip_gap_corr_shuffled"] = float(np.mean(shuffled))
    quiet = _quiet(sound, base.n)
    figures["silence_motion_ratio"] = _still(actor, reel, real, quiet, take)
    mean = _mean_mouth(take)
    figures["psnr_mean_mouth"] = _psnr_of_mean(mean, real.frames, laid)
    reference = {
        "gap_std": float(real.gap.std()),
        "sharpness": _sharpness(real.frames, laid),
        "frames": float(base.n),
        "quiet_frames": float(quiet.sum()),
        "shuffled_worst": float(np.max(shuffled)),
    }
    if save is not None:
        write_samples(Path(save), sound, real.frames, reel.frames, laid)
    progress.update(1.0)
    return Judgement(
        {k: round(float(v), 4) for k, v in figures.items()}, {k: round(v, 4) for k, v in reference.items()}
    )


def perform(engine: Engine, sound: NDArray[np.float32], progress: Progress | None = None, *, keep: bool = True) -> Reel:
    """Let an engine speak a sound on its base clip's frames in order, and measure what it drew.

    Without ``keep`` the frames are let go once they are measured.
    """
    progress = progress or SilentProgress()
    base = engine.base
    stream = engine.open_stream()
    drives = [*stream.push(sound), *stream.flush()]
    compositor = Compositor(base)

    def drawn() -> Iterator[U8]:
        for i, drive in enumerate(drives[: base.n]):
            yield compositor.compose(i, engine.infer([(i, drive)])[0])
            if i % 25 == 0:
                progress.update(i / base.n)

    return _measure(drawn(), keep)


def compare(reel: Reel, real: Reel, laid: Squares, base: BaseClip) -> dict[str, float]:
    """The figures of two reels of the same frames that need no more than their pictures and gaps."""
    lag, _ = best_lag(reel.gap, real.gap)
    return {
        "psnr": _psnr(reel.frames, real.frames, laid),
        "lip_gap_corr": correlation(reel.gap, real.gap),
        "lip_width_corr": correlation(reel.width, real.width),
        "lag_ms": lag * 1000.0 / FPS,
        "gap_std_ratio": float(reel.gap.std() / max(real.gap.std(), 1e-6)),
        "sharpness": _sharpness(reel.frames, laid) / max(_sharpness(real.frames, laid), 1e-6),
        "jitter": _jitter(reel.frames, real.frames, laid),
        "jitter_mouth": _jitter(reel.frames, real.frames, laid, MOUTH),
        "seam": _seam(reel.frames, real.frames, laid),
        "closure_recall": closure_recall(reel.gap, real.gap),
    }


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Pearson's correlation; 0 where one of the two does not move."""
    a, b = np.asarray(a, np.float64) - np.mean(a), np.asarray(b, np.float64) - np.mean(b)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else 0.0


def best_lag(generated: F64, real: F64, most: int = _MAX_LAG) -> tuple[int, float]:
    """The shift in frames at which the two agree best, positive where the generated comes late, and its correlation."""
    best = (0, -2.0)
    for lag in sorted(range(-most, most + 1), key=abs):
        a = generated[max(lag, 0) : len(generated) + min(lag, 0)]
        b = real[max(-lag, 0) : len(real) + min(-lag, 0)]
        value = correlation(a, b)
        if value > best[1] + 1e-9:
            best = (lag, value)
    return best


def closure_recall(generated: F64, real: F64) -> float:
    """Share of really closed frames (gap under its 25th percentile) among as many of the least open generated ones.

    As many are taken as are really closed, so recall and precision are equal.
    """
    count = max(1, len(real) // 4)
    closed = set(np.argsort(real, kind="stable")[:count].tolist())
    least = set(np.argsort(generated, kind="stable")[:count].tolist())
    return len(closed & least) / count


def write_samples(
    folder: Path, sound: NDArray[np.float32], real: Sequence[U8], generated: Sequence[U8], laid: Squares
) -> None:
    """Write ``real.mp4``, ``generated.mp4`` (with the sound, 16 kHz) and ``strip.png`` (real above generated)."""
    from lipsync.media.video import VideoWriter

    folder.mkdir(parents=True, exist_ok=True)
    height, width = real[0].shape[0] * 2 // 3, real[0].shape[1]
    for name, frames in (("real.mp4", real), ("generated.mp4", generated)):
        with VideoWriter(folder / name, width, height, audio_rate=16000, crf=12, pix="yuv420p") as writer:
            for k, frame in enumerate(frames):
                writer.write(frame)
                writer.write_audio(sound[k * HOP : (k + 1) * HOP])
    spread = np.linspace(0, len(real) - 1, _STRIP + 2).astype(int)[1:-1]
    middle = len(real) // 2
    row = np.arange(middle, min(middle + _STRIP, len(real)))
    rows = [strip(frames, laid, at) for at in (spread, row) for frames in (real, generated)]
    cv2.imwrite(str(folder / "strip.png"), np.vstack(rows))


def strip(frames: Sequence[U8], laid: Squares, at: NDArray[np.intp], height: int = 168) -> U8:
    """Lower faces of some frames side by side, BGR."""
    out = []
    for k in at:
        left, top, right, bottom = laid.box(int(k), REGION, frames[k].shape[1], frames[k].shape[0] * 2 // 3)
        width = round(height * (REGION[2] - REGION[0]) / (REGION[3] - REGION[1]))
        cut = _bgr(frames[k])[top:bottom, left:right]
        out.append(np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))
    return np.hstack(out)


def _measure(frames: Iterable[U8], keep: bool = True) -> Reel:
    from lipsync.face.landmarks import MOUTH_LEFT, MOUTH_RIGHT, FaceTracker

    gap: list[float] = []
    width: list[float] = []
    kept: list[U8] = []
    with FaceTracker() as tracker:
        for frame in frames:
            if keep:
                kept.append(frame)
            points = tracker.track(_bgr(frame))
            if points is None:
                gap.append(gap[-1] if gap else 0.0)
                width.append(width[-1] if width else 0.0)
                continue
            gap.append(float(np.mean([points[low, 1] - points[high, 1] for high, low in _GAPS])))
            width.append(float(np.linalg.norm(points[MOUTH_LEFT] - points[MOUTH_RIGHT])))
    return Reel(kept, np.array(gap), np.array(width))


def _bgr(frame: U8) -> U8:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _boxes(frames: Sequence[U8], laid: Squares, area: tuple[int, int, int, int]) -> Iterator[tuple[slice, slice]]:
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    for k in range(len(frames)):
        left, top, right, bottom = laid.box(k, area, width, height)
        yield slice(top, bottom), slice(left, right)


def _psnr(generated: Sequence[U8], real: Sequence[U8], laid: Squares) -> float:
    values = []
    for a, b, box in zip(generated, real, _boxes(real, laid, MOUTH), strict=True):
        error = _bgr(a)[box].astype(np.float64) - _bgr(b)[box]
        values.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-2)))
    return float(np.mean(values))


def _sharpness(frames: Sequence[U8], laid: Squares) -> float:
    values = [
        np.abs(cv2.Laplacian(f[box].astype(np.float32), cv2.CV_32F)).mean()
        for f, box in zip(frames, _boxes(frames, laid, MOUTH), strict=True)
    ]
    return float(np.mean(values))


def _jitter(
    generated: Sequence[U8], real: Sequence[U8], laid: Squares, area: tuple[int, int, int, int] = FACE
) -> float:
    """Mean absolute frame-to-frame change of the luma error over an area."""
    before: NDArray[np.int16] | None = None
    values = []
    for a, b, box in zip(generated, real, _boxes(real, laid, area), strict=True):
        height = len(a) * 2 // 3
        error = a[:height].astype(np.int16) - b[:height]
        if before is not None:
            values.append(np.abs(error - before)[box].mean())
        before = error
    return float(np.mean(values))


def _seam(generated: Sequence[U8], real: Sequence[U8], laid: Squares) -> float:
    """Luma gradient along the outline of what was changed, generated against real."""
    ours, theirs = [], []
    kernel = np.ones((5, 5), np.uint8)
    for a, b, box in zip(generated, real, _boxes(real, laid, REGION), strict=True):
        x, y = a[: len(a) * 2 // 3][box], b[: len(b) * 2 // 3][box]
        changed = cv2.morphologyEx((cv2.absdiff(x, y) > 3).astype(np.uint8), cv2.MORPH_CLOSE, kernel, iterations=2)
        changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, kernel)
        edge = cv2.morphologyEx(changed, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        if edge.any():
            ours.append(_gradient(x)[edge].mean())
            theirs.append(_gradient(y)[edge].mean())
    return float(np.mean(ours) / max(float(np.mean(theirs)), 1e-6)) if ours else 1.0


def _gradient(luma: U8) -> NDArray[np.float32]:
    return np.asarray(
        cv2.magnitude(cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125)),
        np.float32,
    )


def _quiet(sound: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Frames in which, and 120 ms round which, nobody speaks."""
    from lipsync.media.audio import speech_activity

    active = np.asarray(speech_activity(sound), bool)
    share = np.interp(np.arange(count) + 0.5, np.linspace(0, count, len(active)), active.astype(float)) > 0.1
    return ~np.convolve(share, np.ones(7), "same").astype(bool)


def _still(actor: Engine, reel: Reel, real: Reel, quiet: NDArray[np.bool_], take: PreparedTake) -> float:
    """Lip motion in silence, generated against real.

    Measured where the held-out part is silent; where it hardly is, the avatar is given digital silence and held against
    the calmest tenth of the real frames.
    """
    both = quiet[1:] & quiet[:-1]
    if both.sum() >= _MIN_QUIET:
        ours = np.abs(np.diff(reel.gap))[both].mean()
        theirs = np.abs(np.diff(real.gap))[both].mean()
    else:
        silent = perform(actor, np.zeros(len(real.gap) * HOP, np.float32), keep=False)
        ours = np.abs(np.diff(silent.gap))[FPS:].mean()
        theirs = np.convolve(np.abs(np.diff(real.gap)), np.ones(FPS) / FPS, "valid")
        theirs = np.sort(theirs)[: max(1, len(theirs) // 10)].mean()
    return float(ours / max(float(theirs), 1e-6))


def _mean_mouth(take: PreparedTake) -> NDArray[np.float32]:
    """The mean of the training part's squares, BGR float (160, 160, 3): every fifth frame."""
    part = take.train
    laid = squares(take.landmarks[part.start : part.stop])
    total, count = np.zeros((SIDE, SIDE, 3), np.float64), 0
    for k, frame in enumerate(take.frames(part.start, part.stop)):
        if k % 5 == 0:
            matrix = laid.matrix(k)
            total += cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            count += 1
    return (total / max(count, 1)).astype(np.float32)


def _psnr_of_mean(mean: NDArray[np.float32], real: Sequence[U8], laid: Squares) -> float:
    values = []
    for k, (frame, box) in enumerate(zip(real, _boxes(real, laid, MOUTH), strict=True)):
        picture = _bgr(frame)
        matrix = laid.matrix(k)
        size = (picture.shape[1], picture.shape[0])
        worn = cv2.warpAffine(mean, matrix, size, flags=cv2.INTER_LINEAR)
        error = worn[box].astype(np.float64) - picture[box]
        values.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-2)))
    return float(np.mean(values))

"""Judging an avatar on the part of its take that was held out, at full resolution, as a viewer gets it.

The engine draws on the held-out frames themselves and hears nothing but their sound; the mouths are pasted back and
measured again by the face tracker. Every figure stands beside what was really recorded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipsync import picture_figures as pictures
from lipsync.compositor import Compositor
from lipsync.engine import FPS, HOP, Engine
from lipsync.errors import InvalidInputError
from lipsync.face.square import MOUTH, Squares, squares
from lipsync.frame_cycle import BaseClip
from lipsync.picture_figures import bgr, strip, write_samples
from lipsync.progress import PartProgress, Progress, SilentProgress
from lipsync.sync_score import Listener

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

__all__ = [
    "FIGURES",
    "Judgement",
    "Reel",
    "best_lag",
    "closure_recall",
    "compare",
    "correlation",
    "judge",
    "perform",
    "strip",
    "write_samples",
]

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
"""What ``judge`` always measures, named as the bench ``train`` prints it."""
_GAPS = ((13, 14), (82, 87), (312, 317))
LIPS = (
    *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
)
"""MediaPipe ids round the inner and the outer lip."""
_MAX_LAG = 10
_SHUFFLES = 3
_MIN_FRAMES = 50
_MIN_QUIET = 12
_LOOKS = 8
_FILM_CRF = 23


@dataclass(frozen=True)
class Judgement:
    """Figures of a bundle, and the same of what they are held against.

    Attributes:
        figures: Of the generated pictures.
        reference: Facts of the recording that are no figures of their own.
        real: The figures of the recording itself, by the same names; those that compare with it are of the recording
            after it was compressed as films are, which is as near as any picture that is sent can come.
    """

    figures: dict[str, float]
    reference: dict[str, float] = field(default_factory=dict)
    real: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reel:
    """Frames with what the tracker finds in them.

    Attributes:
        frames: I420 frames, none where they were not kept.
        gap: (n,) inner lip gap, pixels.
        width: (n,) distance of the mouth's inner corners, pixels.
        lips: (n, 40, 2) points of ``LIPS``, pixels; NaN where no face was found; None where they were not kept.
    """

    frames: list[U8]
    gap: F64
    width: F64
    lips: F64 | None = None


def judge(
    engine: Engine,
    take: PreparedTake,
    *,
    save: Path | None = None,
    progress: Progress | None = None,
    beside: bool = False,
    lpips: Path | None = None,
) -> Judgement:
    """Measure an engine on the held-out part of its take.

    Args:
        engine: Loaded from the bundle to judge.
        take: The take it was made from.
        save: A folder for ``real.mp4``, ``generated.mp4`` and ``strip.png``, or None.
        progress: Told how far it is.
        beside: Also measure the recording itself, for ``real``; takes one more tracking of the held-out part.
        lpips: The network of ``picture_figures.lpips``, or None where it is not on this machine.

    Returns:
        ``figures`` with the keys of ``FIGURES``, lip_width_corr, jitter_mouth, ssim, psnr_gain (over the mean mouth),
        and where they can be measured lip_l1 and lip_l2 (distance of the lips' points in percent of the eyes'
        distance), sync, sync_offset_ms, faces_found, person (likeness to the take's, 0..1) and lpips.

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
    shuffled, own_shuffled = [], []
    for k in range(_SHUFFLES):
        turn = (k + 1) * base.n // (_SHUFFLES + 1)
        turned = np.roll(sound, turn * HOP)
        there = PartProgress(progress, 0.4 + 0.15 * k, 0.55 + 0.15 * k)
        shuffled.append(correlation(perform(actor, turned, there, keep=False).gap, real.gap))
        own_shuffled.append(correlation(np.roll(real.gap, turn), real.gap))
    laid = squares(base.landmarks)
    figures = compare(reel, real, laid, base)
    figures["lip_gap_corr_shuffled"] = float(np.mean(shuffled))
    quiet = _quiet(sound, base.n)
    figures["silence_motion_ratio"] = _still(actor, reel, real, quiet)
    listener = _listener(take)
    figures |= _synchrony(listener, sound, reel)
    figures["psnr_mean_mouth"] = pictures.psnr_of_mean(pictures.mean_mouth(take), real.frames, laid)
    figures["psnr_gain"] = figures["psnr"] - figures["psnr_mean_mouth"]
    figures |= _person(engine, take)
    if lpips is not None:
        figures["lpips"] = pictures.lpips(reel.frames, real.frames, laid, lpips)
    reference = {
        "gap_std": float(real.gap.std()),
        "sharpness": pictures.sharpness(real.frames, laid),
        "frames": float(base.n),
        "quiet_frames": float(quiet.sum()),
        "shuffled_worst": float(np.max(shuffled)),
    }
    own: dict[str, float] = {}
    if beside:
        sent = _as_film(real.frames)
        own = compare(sent, real, laid, base)
        own |= {"lip_gap_corr_shuffled": float(np.mean(own_shuffled)), "silence_motion_ratio": 1.0}
        own |= _synchrony(listener, sound, real)
        own["psnr_mean_mouth"] = figures["psnr_mean_mouth"]
        own["psnr_gain"] = own["psnr"] - own["psnr_mean_mouth"]
        if "person" in figures:
            own["person"] = 1.0
        if lpips is not None:
            own["lpips"] = pictures.lpips(sent.frames, real.frames, laid, lpips)
    if save is not None:
        write_samples(Path(save), sound, real.frames, reel.frames, laid)
    progress.update(1.0)
    return Judgement(*({k: round(float(v), 4) for k, v in part.items()} for part in (figures, reference, own)))


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
    """The figures of two reels of the same frames that need no more than their pictures and points."""
    lag, _ = best_lag(reel.gap, real.gap)
    return {
        "psnr": pictures.psnr(reel.frames, real.frames, laid),
        "ssim": pictures.ssim(reel.frames, real.frames, laid),
        "lip_gap_corr": correlation(reel.gap, real.gap),
        "lip_width_corr": correlation(reel.width, real.width),
        "lag_ms": lag * 1000.0 / FPS,
        "gap_std_ratio": float(reel.gap.std() / max(real.gap.std(), 1e-6)),
        "sharpness": pictures.sharpness(reel.frames, laid) / max(pictures.sharpness(real.frames, laid), 1e-6),
        "jitter": pictures.jitter(reel.frames, real.frames, laid),
        "jitter_mouth": pictures.jitter(reel.frames, real.frames, laid, MOUTH),
        "seam": pictures.seam(reel.frames, real.frames, laid),
        "closure_recall": closure_recall(reel.gap, real.gap),
        **_lip_distance(reel, real, base),
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


def _measure(frames: Iterable[U8], keep: bool = True) -> Reel:
    from lipsync.face.landmarks import MOUTH_LEFT, MOUTH_RIGHT, FaceTracker

    gap: list[float] = []
    width: list[float] = []
    lips: list[NDArray[np.floating]] = []
    kept: list[U8] = []
    with FaceTracker() as tracker:
        for frame in frames:
            if keep:
                kept.append(frame)
            points = tracker.track(bgr(frame))
            if points is None:
                gap.append(gap[-1] if gap else 0.0)
                width.append(width[-1] if width else 0.0)
                lips.append(np.full((len(LIPS), 2), np.nan))
                continue
            gap.append(float(_gaps(points[None])[0]))
            width.append(float(np.linalg.norm(points[MOUTH_LEFT] - points[MOUTH_RIGHT])))
            lips.append(points[list(LIPS)])
    return Reel(kept, np.array(gap), np.array(width), np.array(lips, np.float64) if keep else None)


def _gaps(points: NDArray[np.floating]) -> F64:
    """The inner lips' gap (n,) of faces (n, 478, 2), pixels."""
    return np.asarray(np.mean([points[:, low, 1] - points[:, high, 1] for high, low in _GAPS], axis=0), np.float64)


def _lip_distance(reel: Reel, real: Reel, base: BaseClip) -> dict[str, float]:
    """How far the lips' points lie from the recorded ones, in percent of the distance of the eyes' outer corners."""
    if reel.lips is None or real.lips is None or not len(real.lips):
        return {}
    from lipsync.face.landmarks import EYE_LEFT, EYE_RIGHT

    there, wanted = np.isfinite(reel.lips).all((1, 2)), np.isfinite(real.lips).all((1, 2))
    if not wanted.any():
        return {}
    figures = {"faces_found": float((there & wanted).sum() / wanted.sum())}
    both = there & wanted
    if both.any():
        eyes = np.linalg.norm(base.landmarks[:, EYE_LEFT] - base.landmarks[:, EYE_RIGHT], axis=-1)[both]
        apart = (reel.lips[both] - real.lips[both]) / np.maximum(eyes, 1e-3)[:, None, None] * 100
        figures["lip_l1"] = float(np.abs(apart).sum(-1).mean())
        figures["lip_l2"] = float(np.linalg.norm(apart, axis=-1).mean())
    return figures


def _listener(take: PreparedTake) -> Listener | None:
    """What sound tells of this mouth, learned on the training part; None where the mouth never moves."""
    part = take.train
    try:
        return Listener.fit(take.audio[: part.stop * HOP], _gaps(take.landmarks[: part.stop]))
    except InvalidInputError:
        return None


def _synchrony(listener: Listener | None, sound: NDArray[np.float32], reel: Reel) -> dict[str, float]:
    if listener is None:
        return {}
    found = listener.score(sound, reel.gap)
    return {"sync": found.score, "sync_offset_ms": found.offset_ms}


def _person(engine: Engine, take: PreparedTake) -> dict[str, float]:
    """Likeness of the avatar's own footage to the take's person; nothing where faces are not found."""
    from lipsync.face.identity import embed, similarity
    from lipsync.face.landmarks import FaceTracker

    base = engine.base
    own = [bgr(base.i420(int(k))) for k in np.linspace(0, base.n - 1, _LOOKS)]
    spread = {int(k) for k in np.linspace(0, take.held_out.start - 1, _LOOKS)}
    theirs = [next(iter(take.frames(k, k + 1))) for k in sorted(spread)]
    looks = []
    with FaceTracker(tracking=False) as tracker:
        for side in (own, theirs):
            seen = [(picture, faces[0]) for picture in side if (faces := tracker.track_3d(picture))]
            if len(seen) < _LOOKS // 2:
                return {}
            looks.append(embed([p for p, _ in seen], [f for _, f in seen]))
    return {"person": similarity(*looks)}


def _as_film(frames: Sequence[U8]) -> Reel:
    """The same frames after they were compressed as films are, and measured again."""
    from lipsync.media.video import VideoWriter, read_frames

    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
        path = Path(scratch) / "film.mp4"
        with VideoWriter(path, width, height, crf=_FILM_CRF, pix="yuv420p") as writer:
            for frame in frames:
                writer.write(frame)
        return _measure(read_frames(path, fmt="yuv420p"))


def _quiet(sound: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Frames in which, and 120 ms round which, nobody speaks."""
    from lipsync.media.audio import speech_activity

    active = np.asarray(speech_activity(sound), bool)
    share = np.interp(np.arange(count) + 0.5, np.linspace(0, count, len(active)), active.astype(float)) > 0.1
    return ~np.convolve(share, np.ones(7), "same").astype(bool)


def _still(actor: Engine, reel: Reel, real: Reel, quiet: NDArray[np.bool_]) -> float:
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

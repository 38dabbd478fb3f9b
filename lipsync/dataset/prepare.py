"""From a recording to a prepared take: normalised, tracked, keyed and measured, in one pass over the pictures."""

from __future__ import annotations

import json
import os
import queue
import shutil
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.looks import KEYS, LOOK, LookWriter
from lipsync.dataset.take import (
    ALPHA,
    AUDIO,
    LANDMARKS,
    META,
    REPORT,
    SCHEMA,
    SCREEN,
    VIDEO,
    VOICE,
    VOICE_RATE,
    PreparedTake,
    load_take,
)
from lipsync.engine import FPS, HOP, SAMPLE_RATE
from lipsync.errors import InvalidInputError, NoSpaceError
from lipsync.face.landmarks import POINTS, FaceTracker
from lipsync.media.audio import load_audio, save_wav
from lipsync.media.matting import Keyer, Screen, fit_screen
from lipsync.media.video import VideoWriter, normalise, probe, read_frames
from lipsync.progress import PartProgress, Progress, SilentProgress

_SAMPLES = 24
"""Pictures the screen and the face embedding are learned from."""


def prepare_take(
    source_video: Path | str,
    voice: Path | str | None,
    folder: Path | str,
    progress: Progress | None = None,
    report: dict[str, Any] | None = None,
) -> PreparedTake:
    """Make the folder of a prepared take.

    Written aside and renamed: until the end nothing is at ``folder``, and what an interrupted run left aside is
    cleared by the next one. A folder that holds a whole prepared take already is replaced.

    Args:
        source_video: The recording, with sound.
        voice: A reference voice of its own; the recording's sound without one.
        folder: Where the prepared take shall be.
        progress: Told stages ``check``, ``normalise``, ``screen``, ``track_and_key``, ``sound``, ``finish``.
        report: ``TakeReport.as_dict`` of a check already made; without it the take is checked here.

    Raises:
        InvalidInputError: the check found errors; ``detail["reasons"]`` lists them.
        NoSpaceError: the disk is too small.
        CancelledError: from ``progress``; nothing stays.
    """
    progress = progress or SilentProgress()
    source, folder = Path(source_video), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(folder)
    report = report if report is not None else _checked(source, voice, PartProgress(progress, 0.0, 0.15))
    _refuse(report.get("findings", []))
    _need_space(source, folder.parent)
    aside = folder.parent / f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.making"
    aside.mkdir()
    try:
        _make(source, Path(voice) if voice is not None else None, aside, report, PartProgress(progress, 0.15, 1.0))
        _replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    progress.update(1.0)
    return load_take(folder)


def _make(source: Path, voice: Path | None, aside: Path, report: dict[str, Any], progress: Progress) -> None:
    progress.stage("normalise")
    original = probe(source)
    video = aside / VIDEO
    info = normalise(source, video, PartProgress(progress, 0.0, 0.25))
    progress.stage("screen")
    sampled, learned = _learn(video, info.frames)
    progress.update(0.32)
    progress.stage("track_and_key")
    tracked = _track_and_key(video, aside / ALPHA, learned, PartProgress(progress, 0.32, 0.92))
    n = len(tracked.faces)
    landmarks, found = _complete(tracked.faces)
    np.savez(aside / LANDMARKS, landmarks=landmarks, found=found)
    if learned.field is not None:
        np.savez(aside / SCREEN, field=learned.field)
    progress.stage("sound")
    progress.update(0.92)
    pcm = load_audio(source, SAMPLE_RATE)[: n * HOP]
    save_wav(aside / AUDIO, np.pad(pcm, (0, n * HOP - pcm.size)), SAMPLE_RATE)
    speech = load_audio(voice if voice is not None else source, VOICE_RATE)
    save_wav(aside / VOICE, speech, VOICE_RATE)
    progress.stage("finish")
    from lipsync.dataset.sound_profile import mic_profile

    native = load_audio(voice, 48_000) if voice is not None else load_audio(source, 48_000)
    meta = {
        "schema": SCHEMA,
        "frames": n,
        "fps": FPS,
        "width": tracked.width,
        "height": tracked.height,
        "found_share": round(float(found.mean()), 4),
        "source": original.as_dict(),
        "own_voice": voice is not None,
        "chroma_info": learned.as_dict(),
        "screen": {"kind": learned.kind, "colour": learned.colour, "low": learned.low, "high": learned.high},
        "mic_profile": mic_profile(native, 48_000),
        "face_embedding": sampled,
        "prepared_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    whole = _judged(tracked.faces, pcm)
    _refuse(whole["findings"])
    (aside / REPORT).write_text(json.dumps(merge(report, whole), ensure_ascii=False), "utf-8")
    # Last, for it is what makes the folder a take.
    (aside / META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), "utf-8")


def _refuse(findings: list[dict[str, Any]]) -> None:
    reasons = [f for f in findings if f.get("severity") == "error"]
    if reasons:
        raise InvalidInputError(
            "The take cannot be used: " + "; ".join(r["message"]["en"] for r in reasons),
            "Follow the remedies and record again.",
            {"reasons": reasons},
        )


def _judged(faces: list[NDArray[np.float32] | None], pcm: NDArray[np.float32]) -> dict[str, Any]:
    """What every picture of the mouth tells, where the check looked at stretches."""
    from lipsync.dataset.check_mouth import check_prepared
    from lipsync.dataset.findings import TakeReport

    whole = TakeReport()
    check_prepared(whole, faces, pcm)
    return whole.as_dict()


def merge(report: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """A report in which the newer one's findings take the place of those of the same code."""
    codes = {f["code"] for f in newer["findings"]}
    findings = [f for f in report.get("findings", []) if f["code"] not in codes] + newer["findings"]
    return {**report, "ok": not any(f["severity"] == "error" for f in findings), "findings": findings}


def _learn(video: Path, frames: int) -> tuple[list[float], Screen]:
    """The face embedding and the screen, from pictures spread over the whole take."""
    from lipsync.face.identity import embed
    from lipsync.face.segmentation import PersonSegmenter

    step = max(1, frames // _SAMPLES)
    pictures = list(read_frames(video, fps=Fraction(FPS, step)))
    pictures = pictures[:_SAMPLES]
    with PersonSegmenter() as segmenter:
        persons = [segmenter.segment(picture) for picture in pictures]
    screen = fit_screen(pictures, persons)
    with FaceTracker(tracking=False) as tracker:
        pairs = [(p, f[0]) for p in pictures[::2] if (f := tracker.track_3d(p))]
    if not pairs:
        return [], screen
    vector = embed([p for p, _ in pairs], [f for _, f in pairs])
    return [round(float(v), 5) for v in vector], screen


@dataclass
class _Tracked:
    width: int = 0
    height: int = 0
    faces: list[NDArray[np.float32] | None] = field(default_factory=list)


class _KeyThread:
    """Keys and encodes in a thread of its own what it is handed; owned by ``_track_and_key``, which joins it."""

    def __init__(self, path: Path, screen: Screen) -> None:
        self._path, self._screen = path, screen
        self._queue: queue.Queue[NDArray[np.uint8] | None] = queue.Queue(maxsize=8)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="key", daemon=True)
        self._thread.start()

    def put(self, picture: NDArray[np.uint8] | None) -> None:
        """Hand over a picture; None ends. Raises what the thread failed with."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(picture, timeout=1.0)
                return
            except queue.Full:
                continue

    def join(self) -> None:
        """Wait for the end of the work handed over."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """End without finishing."""
        self._error = self._error or RuntimeError("abandoned")
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                try:
                    self._queue.put_nowait(None)
                except queue.Full:
                    continue
            self._thread.join(0.05)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:
            self._error = exc

    def _work(self) -> None:
        from lipsync.face.segmentation import PersonSegmenter

        picture = self._queue.get()
        if picture is None:
            return
        height, width = picture.shape[:2]
        keyer = Keyer(self._screen, width, height)
        with (
            PersonSegmenter() as segmenter,
            VideoWriter(self._path, width, height, crf=10, pix="gray", keys=2 * KEYS) as writer,
            LookWriter(self._path.with_name(LOOK), width, height) as look,
        ):
            while picture is not None and self._error is None:
                writer.write(keyer.key(picture, segmenter.segment(picture)))
                look.write(picture)
                picture = self._queue.get()


def _track_and_key(video: Path, alpha: Path, screen: Screen, progress: Progress) -> _Tracked:
    """One decoding: faces here, mattes in the other thread."""
    total = max(1, probe(video).frames)
    out = _Tracked()
    keying = _KeyThread(alpha, screen)
    try:
        with FaceTracker() as tracker:
            for picture in read_frames(video):
                keying.put(picture)
                out.faces.append(tracker.track(picture))
                out.height, out.width = picture.shape[:2]
                if len(out.faces) % 25 == 0:
                    progress.update(len(out.faces) / total)
        keying.join()
    except BaseException:
        keying.abandon()
        raise
    return out


def _complete(faces: list[NDArray[np.float32] | None]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Fill pictures without a face in between their neighbours, so that every picture has points."""
    found = np.array([face is not None for face in faces], bool)
    if not found.any():
        raise InvalidInputError("No face was found in the take.", "Record one person facing the camera, in good light.")
    n = len(faces)
    known = np.flatnonzero(found)
    values = np.stack([faces[k] for k in known]).astype(np.float32)  # type: ignore[misc]
    if found.all():
        return values, found
    landmarks = np.empty((n, POINTS, 2), np.float32)
    right = np.clip(np.searchsorted(known, np.arange(n)), 0, known.size - 1)
    left = np.clip(np.where(known[right] > np.arange(n), right - 1, right), 0, known.size - 1)
    span = np.maximum(known[right] - known[left], 1)
    weight = np.clip((np.arange(n) - known[left]) / span, 0, 1).astype(np.float32)[:, None, None]
    landmarks[:] = values[left] * (1 - weight) + values[right] * weight
    return landmarks, found


def _checked(source: Path, voice: Path | str | None, progress: Progress) -> dict[str, Any]:
    from lipsync.dataset.check import check_take

    progress.stage("check")
    report = check_take(source, voice)
    progress.update(1.0)
    return report.as_dict()


def _need_space(source: Path, where: Path) -> None:
    """A take needs its own size again, twice where it is encoded anew, and its sound and mattes."""
    wanted = 3 * source.stat().st_size + 200_000_000
    free = shutil.disk_usage(where).free
    if free < wanted:
        raise NoSpaceError(
            "The disk has too little room to prepare the take.",
            "Free some space and try again.",
            {"free_bytes": free, "wanted_bytes": wanted},
        )


def _replace(aside: Path, folder: Path) -> None:
    """Put the finished folder in its place; an older one goes first, to a name that does not load."""
    if folder.exists():
        old = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.old"
        folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        aside.rename(folder)


def _clear_leftovers(folder: Path) -> None:
    """Remove what runs that were killed left of this take. Two runs of one take at once are the caller's to prevent."""
    for pattern in (f".{folder.name}.*.making", f".{folder.name}.*.old"):
        for path in folder.parent.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)

"""What the mouth does over a take: whether it opens, whether what it does is heard, whether the film was cut.

Judged on the stretches the quick check follows, and again on every picture once the take is prepared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.check_sound import offset_of, speech_by_picture, speech_energy
from lipsync.dataset.findings import TakeReport
from lipsync.engine import FPS, HOP
from lipsync.face.landmarks import EYE_LEFT, EYE_RIGHT, inner_gap, lip_height

_SHUT = 0.015
"""Opening over the eyes' distance that a mouth which never opens stays under: real ones reach 0.1, masks 0.01."""
_STILL = 0.02
_CUT = 0.08
"""Eyes' distances a head does not go from one picture to the next, and ..."""
_ALONE = 0.35
"""... how much of that the pictures round it may move: a nod goes on, a cut does not."""
_UNHEARD = 0.8
"""Motion of the mouth in silence over that in speech; people who speak have 0.03 to 0.4."""
_PAUSE = 4


@dataclass
class FaceSeries:
    """The mouth through one stretch of a take.

    Attributes:
        start: First picture, 25 a second.
        gap: Opening of the inner lips over the eyes' distance, NaN without a face, (n,).
        height: Height of the mouth with its lips, likewise.
        place: Middle of the eyes over the eyes' usual distance in this stretch, likewise, (n, 2).
    """

    start: int
    gap: NDArray[np.float32]
    height: NDArray[np.float32]
    place: NDArray[np.float32]


def series_of(faces: Sequence[NDArray[np.float32] | None], start: int = 0) -> FaceSeries:
    """The mouth in consecutive pictures, whose faces are (478, 2 or 3) in pixels, None where none was found."""
    gap, height = np.full(len(faces), np.nan, np.float32), np.full(len(faces), np.nan, np.float32)
    place, apart = np.full((len(faces), 2), np.nan, np.float32), np.full(len(faces), np.nan, np.float32)
    for k, face in enumerate(faces):
        if face is None:
            continue
        gap[k], height[k] = inner_gap(face), lip_height(face)
        left, right = face[EYE_LEFT, :2], face[EYE_RIGHT, :2]
        place[k], apart[k] = (left + right) / 2, np.linalg.norm(right - left)
    if np.isfinite(apart).any():
        place /= max(float(np.nanmedian(apart)), 1e-3)
    return FaceSeries(start, gap, height, place)


def check_mouth(report: TakeReport, series: Sequence[FaceSeries], pcm: NDArray[np.float32]) -> None:
    """Add what the mouth's motion tells; findings of these codes that are there already are replaced.

    Args:
        report: Added to.
        series: Stretches of the take.
        pcm: The take's whole sound, 16 kHz.
    """
    report.findings = [f for f in report.findings if f.code not in CODES]
    speech = speech_by_picture(pcm)
    gaps, spoken, moving, resting = [], [], [], []
    cuts, seen = 0, 0
    for part in series:
        said = np.zeros(len(part.gap), bool)
        heard = speech[part.start : part.start + len(part.gap)]
        said[: len(heard)] = heard
        quiet = ~np.convolve(said, np.ones(2 * _PAUSE + 1), "same").astype(bool)
        change = np.abs(np.diff(part.gap))
        gaps.append(part.gap)
        spoken.append(part.gap[said])
        moving.append(change[said[1:]])
        resting.append(change[quiet[1:]])
        cuts += len(cuts_in(part.place))
        seen += int(np.isfinite(part.gap).sum())
    opening = _known(gaps)
    if opening.size <= FPS:
        return
    widest = float(np.percentile(opening, 97))
    report.add("mouth_shut", "ok" if widest > _SHUT else "error", widest, f"> {_SHUT:g}")
    while_speaking = _known(spoken)
    if while_speaking.size > FPS and widest > _SHUT:
        opened = float(np.percentile(while_speaking, 90) - np.percentile(while_speaking, 10))
        report.add("mouth_still", "ok" if opened > _STILL else "warning", opened, f"> {_STILL:g}")
    in_speech, in_silence = _known(moving), _known(resting)
    if in_speech.size > FPS and in_silence.size > FPS and widest > _SHUT:
        share = float(in_silence.mean() / max(float(in_speech.mean()), 1e-4))
        report.grade("mouth_moves_unheard", share, warn=(None, _UNHEARD))
    report.grade("joined_clips", cuts, warn=(None, 0))


def check_fit(report: TakeReport, series: Sequence[FaceSeries], pcm: NDArray[np.float32]) -> None:
    """Lips against sound. A person's lips lead or trail by up to 80 ms, so only more than that counts."""
    report.findings = [f for f in report.findings if f.code not in FIT_CODES]
    energy = speech_energy(pcm)
    lips, sounds, offsets = [], [], []
    for part in series:
        sound = energy[part.start : part.start + part.gap.size]
        if sound.size < 2 * FPS:
            continue
        height = part.height[: sound.size]
        # A pause between parts, so that one sweep can weigh all of them without mixing them.
        lips += [height, np.full(20, np.nan, np.float32)]
        sounds += [sound, np.full(20, sound.min(), np.float32)]
        offset, _, confidence = offset_of(height, sound)
        if confidence > 0.3:
            offsets.append(offset)
    if not lips:
        return
    offset, r, confidence = offset_of(np.concatenate(lips), np.concatenate(sounds))
    report.info["sync"] = {
        "offset_ms": round(offset * 1000),
        "correlation": round(r, 3),
        "confidence": round(confidence, 2),
        "parts_ms": [round(o * 1000) for o in offsets],
    }
    if confidence < 0.2:
        report.add("sync_unsure", "warning", r, ">= 0.3")
        return
    bearable = (-320.0, 320.0) if confidence > 0.6 else (None, None)
    report.grade("sync_offset", float(round(offset * 1000)), warn=(-125.0, 125.0), error=bearable)
    if len(offsets) > 1 and max(offsets) - min(offsets) > 0.15:
        report.add("sync_jumps", "warning", round((max(offsets) - min(offsets)) * 1000), "<= 150")


def check_prepared(report: TakeReport, faces: Sequence[NDArray[np.float32] | None], pcm: NDArray[np.float32]) -> None:
    """Judge every picture of a take: as ``check_mouth``, and how many seconds show the face while it speaks.

    Args:
        report: Added to.
        faces: Landmarks of every picture, None where no face was found.
        pcm: The sound, 16 kHz.
    """
    whole = series_of(faces)
    check_mouth(report, [whole], pcm)
    speech = speech_by_picture(np.pad(pcm, (0, max(0, len(faces) * HOP - len(pcm)))))[: len(faces)]
    usable = float((np.isfinite(whole.gap) & speech).sum() / FPS)
    report.findings = [f for f in report.findings if f.code != "usable_speech"]
    report.grade("usable_speech", usable, warn=(20.0, None))


def cuts_in(place: NDArray[np.floating]) -> NDArray[np.intp]:
    """Pictures before which a film was cut: the head goes further than a head can, and neither before nor after.

    Args:
        place: (n, 2), where the face is, in its own size, NaN where there is none.
    """
    step = np.linalg.norm(np.diff(np.asarray(place, np.float64), axis=0), axis=1)
    step = np.where(np.isfinite(step), step, 0.0)
    around = np.pad(step, 2)
    others = np.max([around[k : k + len(step)] for k in (0, 1, 3, 4)], axis=0) if len(step) else step
    return np.flatnonzero((step > _CUT) & (others < _ALONE * step)) + 1


def _known(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    whole = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return whole[np.isfinite(whole)]


CODES = frozenset({"mouth_shut", "mouth_still", "mouth_moves_unheard", "joined_clips"})
FIT_CODES = frozenset({"sync_unsure", "sync_offset", "sync_jumps"})

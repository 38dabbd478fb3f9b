"""What the mouth's motion tells of a take, on faces drawn by code: each bad take has a verdict of its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipsync.dataset.check_mouth import check_fit, check_prepared, cuts_in, series_of
from lipsync.dataset.check_picture import lip_contrast
from lipsync.dataset.findings import TakeReport
from lipsync.dataset.prepare import merge
from lipsync.engine import HOP
from tests.fakes.drawn_take import face_points, paint, syllables

SECONDS = 40
N = SECONDS * 25


@pytest.fixture(scope="module")
def talk() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Openings, landmarks and sound of somebody who speaks most of the time, with pauses of a second."""
    opening, sound = syllables(N, 0)
    for k in range(0, N, 150):
        opening[k : k + 30] = 0
        sound[k * HOP : (k + 30) * HOP] *= 1e-3
    return opening, face_points(opening, 0), sound


def judged(faces: np.ndarray, sound: np.ndarray, found: np.ndarray | None = None) -> dict[str, str]:
    report = TakeReport()
    seen = [face if found is None or found[k] else None for k, face in enumerate(faces)]
    check_prepared(report, seen, sound)
    check_fit(report, [series_of(seen)], sound)
    return {f.code: f.severity for f in report.findings}


def test_somebody_who_talks_passes(talk: tuple[np.ndarray, ...]) -> None:
    _, faces, sound = talk
    assert set(judged(faces, sound).values()) == {"ok"}


def test_a_mouth_kept_shut_is_refused(talk: tuple[np.ndarray, ...]) -> None:
    _, _, sound = talk
    found = judged(face_points(np.zeros(N), 0), sound)
    assert found["mouth_shut"] == "error" and "mouth_still" not in found


def test_chewing_is_told_from_talking(talk: tuple[np.ndarray, ...]) -> None:
    opening, _, sound = talk
    chewing = np.where(opening > 0, opening, 8 + 8 * np.sin(np.arange(N) * 0.9))
    assert judged(face_points(chewing, 0), sound)["mouth_moves_unheard"] == "warning"


def test_sound_of_somebody_else_is_said(talk: tuple[np.ndarray, ...]) -> None:
    _, faces, sound = talk
    assert judged(faces, sound)["sync_offset"] == "ok"
    assert judged(faces, syllables(N, 7)[1])["sync_unsure"] == "warning"


def test_somebody_who_hardly_speaks_has_little_that_can_be_used(talk: tuple[np.ndarray, ...]) -> None:
    _, faces, sound = talk
    few = sound.copy()
    few[8 * 16_000 :] *= 1e-4
    assert judged(faces, few)["usable_speech"] == "warning"
    assert judged(faces, sound, np.arange(N) < 5 * 25)["usable_speech"] == "warning"


def test_joined_clips_are_counted_and_a_nod_is_none(talk: tuple[np.ndarray, ...]) -> None:
    _, faces, sound = talk
    joined = faces.copy()
    joined[300:] += (22, 5)
    joined[700:] -= (31, 0)
    assert judged(joined, sound)["joined_clips"] == "warning"
    assert cuts_in(series_of(joined).place).tolist() == [300, 700]
    nodding = faces.copy()
    nodding[..., 1] += 40 * np.sin(np.arange(N) * 0.35)[:, None]  # 0.14 of the eyes' distance a picture
    assert not len(cuts_in(series_of(nodding).place))
    lost = [face if k % 50 else None for k, face in enumerate(faces)]
    assert not len(cuts_in(series_of(lost).place))


def test_lips_are_seen_and_a_mask_hides_them() -> None:
    face = face_points(np.zeros(1), 0)[0]
    flat, _ = paint(face, 512, np.zeros((512, 512)))
    picture = cv2.cvtColor(flat, cv2.COLOR_YUV2BGR_I420)
    masked = picture.copy()
    masked[270:400, 150:362] = np.random.default_rng(0).normal((190, 170, 150), 4, (130, 212, 3))
    assert lip_contrast(picture, face) > 7
    assert lip_contrast(masked, face) < 3
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert lip_contrast(grey, face) > 7, "a camera without colour shows lips too"


def test_what_all_pictures_tell_takes_the_place_of_what_some_told() -> None:
    old, new = TakeReport(), TakeReport()
    old.add("mouth_shut", "error", 0.0)
    old.add("screen", "ok", "green")
    new.add("mouth_shut", "ok", 0.1)
    merged = merge(old.as_dict(), new.as_dict())
    assert merged["ok"] and [f["code"] for f in merged["findings"]] == ["screen", "mouth_shut"]

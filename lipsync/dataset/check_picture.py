"""The part of the take check that looks: faces, light, sharpness, the screen."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.check_mouth import FaceSeries, series_of
from lipsync.dataset.findings import TakeReport
from lipsync.face.landmarks import EYE_LEFT, EYE_RIGHT, LIPS_INNER, LIPS_OUTER, OVAL, FaceTracker
from lipsync.media.matting import Keyer, Screen, fit_screen
from lipsync.media.video import read_frames

Picture = NDArray[np.uint8]
_PATCH = 32
_NO_LIPS = 3.0
_TOO_DARK = 40.0
"""Mean level of a face under which there is no texture to be seen, whoever it is."""


def check_faces(report: TakeReport, samples: Sequence[Picture], scale: float) -> bool:
    """Judge faces in pictures spread over the take.

    Args:
        report: Added to.
        samples: BGR pictures, perhaps smaller than the take's own.
        scale: Size of the take's pictures over that of the samples.

    Returns:
        Whether there is a face to go on with.
    """
    counts: list[int] = []
    faces: list[tuple[Picture, NDArray[np.float32]]] = []
    with FaceTracker(max_faces=3, tracking=False) as tracker:
        for picture in samples:
            found = tracker.track_3d(picture)
            largest = _width(found[0]) if found else 0.0
            # A face on a far poster is as good as none.
            counts.append(sum(_width(face) > 0.35 * largest for face in found))
            if found:
                faces.append((picture, found[0]))
    share = len(faces) / max(len(samples), 1)
    if not faces:
        report.add("no_face", "error", 0.0, ">= 0.95")
        return False
    report.grade("face_found", share, warn=(0.95, None), error=(0.5, None))
    several = float(np.mean([c > 1 for c in counts]))
    report.grade("face_count", several, warn=(None, 0.02), error=(None, 0.25))
    size = scale * float(np.median([_eyes(face) for _, face in faces]))
    report.grade("face_size", size, warn=(90.0, None), error=(32.0, None))
    turn = float(np.median([_turn(face) for _, face in faces]))
    worst = float(np.percentile([_turn(face) for _, face in faces], 90))
    report.grade("head_turn", max(turn, worst - 10), warn=(None, 22.0), error=(None, 42.0))
    edge = float(np.mean([_leaves(picture, face) for picture, face in faces]))
    report.grade("face_edge", edge, warn=(None, 0.0), error=(None, 0.3))
    _check_light(report, faces)
    covered = _covered(faces)
    report.grade("mouth_covered", covered, warn=(None, 0.03), error=(None, 0.5))
    hidden = float(np.mean([lip_contrast(picture, face) < _NO_LIPS for picture, face in faces]))
    report.grade("mouth_hidden", hidden, warn=(None, 0.2), error=(None, 0.6))
    motion = _motion(samples)
    report.add("still_picture", "ok" if motion > 0.15 else "error", motion, "> 0.15")
    return True


def _check_light(report: TakeReport, faces: Sequence[tuple[Picture, NDArray[np.float32]]]) -> None:
    sharp, bright, flat = [], [], []
    for picture, face in faces:
        crop = _aligned(picture, face, 160)
        grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        inner = grey[30:130, 30:130]
        contrast = max(float(inner.std()), 8.0)
        sharp.append(float(np.abs(cv2.Laplacian(inner, cv2.CV_32F)).mean()) / contrast * 10)
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(face[list(OVAL), :2]).astype(np.int32)], (1,))
        luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[mask > 0]
        if luma.size:
            bright.append(float(luma.mean()))
            if bright[-1] >= _TOO_DARK:
                flat.append(float((_ranges(picture)[mask > 0] <= 1).mean()))
    report.grade("blur", float(np.median(sharp)), warn=(0.75, None))
    report.grade("exposure", float(np.median(bright)) if bright else 0.0, warn=(65.0, 205.0), error=(20.0, 245.0))
    # Faces of cameras: up to 0.2, out of focus 0.25, coded at a tenth of the rate 0.4; drawings in flat colours: 0.9.
    if flat:
        report.grade("face_texture", float(np.median(flat)), warn=(None, 0.5), error=(None, 0.75))


def _ranges(picture: Picture) -> Picture:
    """Lightest minus darkest of each pixel and its eight neighbours; 0 and 1 are what no camera gives of skin."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    around = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(grey, around), cv2.erode(grey, around)), np.uint8)


def follow_mouth(video: Path, starts: Sequence[int], length: int) -> list[FaceSeries]:
    """The mouth's opening in stretches of ``length`` pictures beginning at ``starts``."""
    out = []
    for start in starts:
        with FaceTracker() as tracker:
            faces = [tracker.track(_bounded(picture)) for picture in read_frames(video, start, start + length)]
        out.append(series_of(faces, start))
    return out


def check_screen(report: TakeReport, samples: Sequence[Picture]) -> Screen:
    """Judge the screen and how the person stands before it."""
    from lipsync.face.segmentation import PersonSegmenter

    with PersonSegmenter() as segmenter:
        persons = [segmenter.segment(picture) for picture in samples]
    screen = fit_screen(samples, persons)
    report.info["chroma_info"] = screen.as_dict()
    touching = float(np.mean([_touches(person) for person in persons]))
    report.grade("person_edge", touching, warn=(None, 0.05))
    if screen.kind == "none":
        report.add("screen", "warning", "none", "green / blue")
        return screen
    report.add("screen", "ok", screen.kind, "green / blue")
    report.grade("screen_evenness", screen.unevenness, warn=(None, 0.15))
    report.grade("screen_spill", screen.spill, warn=(None, 0.08))
    height, width = samples[0].shape[:2]
    holes = []
    keyer = Keyer(screen, width, height)
    for picture, person in zip(samples, persons, strict=True):
        inside = cv2.erode((cv2.resize(person, (width, height)) > 0.97).astype(np.uint8), np.ones((15, 15), np.uint8))
        torn = (keyer.raw(picture) < 128) & (inside > 0)
        holes.append(float(torn.sum()) / max(float(inside.sum()), 1.0))
    report.grade("screen_holes", float(np.mean(holes)), warn=(None, 0.004), error=(None, 0.4))
    return screen


def _bounded(picture: Picture) -> Picture:
    scale = 720 / min(picture.shape[:2])
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _width(face: NDArray[np.float32]) -> float:
    return float(np.ptp(face[:, 0]))


def _eyes(face: NDArray[np.float32]) -> float:
    """Distance of the eyes' outer corners; depth counts, so that a turned head is not a small one."""
    return float(np.linalg.norm(face[EYE_RIGHT] - face[EYE_LEFT]))


def _turn(face: NDArray[np.float32]) -> float:
    """Degrees the head is turned aside: how far the line of the cheeks leaves the picture's plane."""
    across = face[454] - face[234]
    return float(abs(np.degrees(np.arctan2(across[2], max(float(np.hypot(across[0], across[1])), 1e-3)))))


def _leaves(picture: Picture, face: NDArray[np.float32]) -> bool:
    height, width = picture.shape[:2]
    oval = face[list(OVAL), :2]
    return bool((oval < -1).any() or (oval[:, 0] > width).any() or (oval[:, 1] > height).any())


def _touches(person: NDArray[np.float32]) -> bool:
    """Whether the person reaches the upper border, or a side border above the shoulders."""
    size = person.shape[0]
    sides = person[: size // 3, [1, -2]]
    return bool((person[1] > 0.8).mean() > 0.02 or (sides > 0.8).any(1).mean() > 0.2)


def _aligned(picture: Picture, face: NDArray[np.float32], size: int) -> Picture:
    """The face upright in a square, eyes at a third of its height, 0.45 of its width apart."""
    left, right = face[EYE_LEFT, :2], face[EYE_RIGHT, :2]
    centre = (left + right) / 2
    across = right - left
    scale = size * 0.45 / max(float(np.hypot(*across)), 1e-3)
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    matrix = np.asarray(cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, scale), np.float64)
    matrix[:, 2] += np.array([size / 2, size * 0.35]) - centre
    return np.asarray(
        cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _covered(faces: Sequence[tuple[Picture, NDArray[np.float32]]]) -> float:
    """Share of the pictures whose lower face does not look like that of the others.

    Each is compared with the median lower face by colour, coarse enough that speech hardly changes it.
    """
    patches = []
    for picture, face in faces:
        crop = _aligned(picture, face, _PATCH * 4)[int(_PATCH * 2.1) : int(_PATCH * 3.7), _PATCH:-_PATCH]
        small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2LAB), (8, 8), interpolation=cv2.INTER_AREA)
        patches.append(small.astype(np.float32))
    stack = np.stack(patches)
    usual = np.median(stack, axis=0)
    distance = np.abs(stack - usual).mean((1, 2, 3))
    return float((distance > max(22.0, 5.0 * float(np.median(distance)))).mean())


def lip_contrast(picture: Picture, face: NDArray[np.floating]) -> float:
    """How far the lips' colour is from that of the skin round them, in levels of Lab.

    Lips give 7 to 60, by the light; under a mask the tracker puts a mouth where there is none, and that gives under 1.
    """
    eyes = float(np.linalg.norm(face[EYE_RIGHT, :2] - face[EYE_LEFT, :2]))

    def area(ids: tuple[int, ...]) -> Picture:
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(face[list(ids), :2]).astype(np.int32)], (1,))
        return mask

    one = np.ones((3, 3), np.uint8)
    wide = max(5, round(eyes * 0.12))
    whole = area(LIPS_OUTER)
    ring = cv2.subtract(cv2.dilate(whole, np.ones((wide, wide), np.uint8)), cv2.dilate(whole, one))
    lips = cv2.subtract(cv2.erode(whole, one), area(LIPS_INNER))
    if lips.sum() < 12 or ring.sum() < 12:
        return float("inf")  # too small to tell
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    return float(np.linalg.norm(lab[lips > 0].mean(0) - lab[ring > 0].mean(0)))


def _motion(samples: Sequence[Picture]) -> float:
    """Mean absolute change between samples, grey levels; a photo's is nothing but coding noise."""
    small = [
        cv2.resize(cv2.cvtColor(s, cv2.COLOR_BGR2GRAY), (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32)
        for s in samples
    ]
    if len(small) < 2:
        return 0.0
    return float(np.median([np.abs(b - a).mean() for a, b in itertools.pairwise(small)]))

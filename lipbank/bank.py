"""The bank: a person's own mouths, cut from the training part of takes, and what is known of each.

Pictures are kept as I420 cuts (the form they are drawn in): 1.5 bytes a pixel of the face's lower half, and on disk as
one lossless H.264 film. Everything that can be computed again from pictures, landmarks and the mouth space is computed
when the bank is loaded, so a bundle holds no value twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbank.config import BANK_MEMORY, SearchConfig
from lipbank.face import BANK, CONTROL, INNER_RING, OUTER_RING, unit_of
from lipbank.mouth_space import DIMENSIONS, GAP, WIDTH, MouthSpace
from lipbank.search import Units
from lipbank.tone import small_picture
from lipsync.errors import BundleError, InvalidInputError
from lipsync.face.square import MOUTH, Squares, squares
from lipsync.progress import Progress, SilentProgress

FILM = "bank.mp4"
_LOOK = (16, 12)
_MIN_MOUTHS = 50
_INSIDE = 3
"""Measures of an inner mouth: its mean and brightest luma, and how much of the mouth it is."""

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


class Bank:
    """A person's mouths in memory.

    Attributes:
        luma: uint8 (n, h, w), cuts.
        chroma: uint8 (n, h // 2, w // 2, 2), U and V side by side.
        corner: int32 (n, 2), where each cut lay in its frame.
        boxes: The face's square in each frame.
        points: float32 (n, 80, 2), control points in units.
        coef: float32 (n, 12), the mouths in the mouth space.
        small: uint8 (n, 64, 72, 4), small pictures for colour and shade: Y, U, V and the face's mask.
        units: What the search needs.
    """

    def __init__(
        self, pictures: Iterable[U8], tensors: Mapping[str, NDArray[Any]], space: MouthSpace, config: SearchConfig
    ) -> None:
        try:
            self.corner = np.asarray(tensors["corner"], np.int32)
            self.landmarks = np.asarray(tensors["landmarks"], np.float32)
            self.boxes = Squares(np.asarray(tensors["origin"], np.float32), np.asarray(tensors["scale"], np.float32))
            self.coef = np.asarray(tensors["coef"], np.float32)
            self.following = np.asarray(tensors["following"], np.int64)
            height, width = (int(v) for v in tensors["size"])
        except KeyError as error:
            raise BundleError(f"The bank lacks {error}.", "Train the avatar again.") from error
        n = len(self.corner)
        if not n or self.coef.shape != (n, DIMENSIONS) or self.following.shape != (n,) or self.following.max() >= n:
            raise BundleError("The bank's parts do not fit each other.", "Train the avatar again.")
        self.n, self.width, self.height = n, width, height
        self.luma = np.empty((n, height, width), np.uint8)
        self.chroma = np.empty((n, height // 2, width // 2, 2), np.uint8)
        k = -1
        for k, picture in enumerate(pictures):
            if k >= n or picture.shape != (height * 3 // 2, width):
                raise BundleError("The bank's film does not fit its landmarks.", "Train the avatar again.")
            split(picture, self.luma[k], self.chroma[k])
        if k + 1 != n:
            raise BundleError(f"The bank's film has {k + 1} pictures for {n} mouths.", "Train the avatar again.")
        units = self.boxes.units(self.landmarks)
        self.points = np.ascontiguousarray(units[:, CONTROL])
        self.small = np.stack(
            [small_picture((self.luma[j], self.chroma[j]), self.offset(j), self.scale(j), units[j]) for j in range(n)]
        )
        looks = np.stack([self._look(j) for j in range(n)])
        self.inside = np.stack([self._inside(j, units[j]) for j in range(n)])
        self.shape = ShapeFeatures(space, config, self.coef, self.inside)
        features = self.shape.of_bank(self.coef, self.inside)
        spread = float(features.var(0).sum())
        looks = (looks - looks.mean(0)) * np.float32(np.sqrt(spread / max(float(looks.var(0).sum()), 1e-6)))
        self.units = Units(features, looks, self.following)

    def offset(self, j: int) -> F32:
        """Where the square's corner lies in cut ``j``, pixels (2,)."""
        return (self.boxes.origin[j] - self.corner[j]).astype(np.float32)

    def scale(self, j: int) -> float:
        """Pixels to a unit in the frame mouth ``j`` came from."""
        return float(self.boxes.scale[j])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What the constructor needs beside the pictures."""
        return {
            "corner": self.corner,
            "landmarks": self.landmarks,
            "origin": self.boxes.origin,
            "scale": self.boxes.scale,
            "coef": self.coef,
            "following": self.following,
            "size": np.array([self.height, self.width], np.int32),
        }

    def pictures(self) -> Iterator[U8]:
        """The cuts as I420, uint8 (h * 3 // 2, w)."""
        for j in range(self.n):
            yield join(self.luma[j], self.chroma[j])

    def _look(self, j: int) -> F32:
        left, top, right, bottom = MOUTH
        scale = self.scale(j)
        offset = self.offset(j)
        w, h = (right - left) // 2, (bottom - top) // 2
        matrix = np.array([[2 * scale, 0, offset[0] + left * scale], [0, 2 * scale, offset[1] + top * scale]])
        patch = cv2.warpAffine(self.luma[j], matrix, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return cv2.resize(patch, _LOOK, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()

    def _inside(self, j: int, units: F32) -> F32:
        offset = self.offset(j)
        ring = units[INNER_RING] * self.scale(j) + offset
        lip = units[OUTER_RING] * self.scale(j) + offset
        return inner_measures(self.luma[j], ring, lip)


class ShapeFeatures:
    """Weighted features a wanted shape and the bank's mouths are compared by.

    Beside the outline they hold how the inner mouth looks: a regression from the shape says what is usual (dark, or a
    row of teeth), so that a mouth of the right outline with teeth where this shape shows none is passed over.
    """

    def __init__(self, space: MouthSpace, config: SearchConfig, coef: F32, inside: F32) -> None:
        self._space, self._config = space, config
        self._unit = unit_of(space)
        x = self._inputs(coef)
        self._mean, self._spread = x.mean(0), np.maximum(x.std(0), 1e-4)
        x = (x - self._mean) / self._spread
        self._level, self._range = inside.mean(0), np.maximum(inside.std(0), 1e-3)
        y = (inside - self._level) / self._range
        self._weights = np.linalg.solve(x.T @ x + 0.02 * len(x) * np.eye(x.shape[1]), x.T @ y)

    def of_bank(self, coef: F32, inside: F32) -> F32:
        """Features of mouths with known pictures: coef (n, 12), inside (n, 3)."""
        return self._join(coef, (inside - self._level) / self._range)

    def wanted(self, coef: F32) -> F32:
        """Features of wanted shapes: coef (n, 12)."""
        return self._join(coef, ((self._inputs(coef) - self._mean) / self._spread) @ self._weights)

    def _inputs(self, coef: F32) -> NDArray[np.float64]:
        coef = np.asarray(coef, np.float64)
        gap = np.maximum(coef[:, GAP], 0)
        return np.column_stack([coef, np.sqrt(gap), coef[:, WIDTH] * np.sqrt(gap), coef[:, :3] ** 2])

    def _join(self, coef: F32, inside: NDArray[np.floating]) -> F32:
        config, space = self._config, self._space
        points = space.canonical(coef) / self._unit
        parts = [
            points[:, space.OUTER].reshape(len(coef), -1) * config.outer,
            points[:, space.INNER].reshape(len(coef), -1) * config.inner,
            points[:, space.JAW_LINE].reshape(len(coef), -1) * config.jaw,
            np.maximum(coef[:, GAP : GAP + 1], 0) / self._unit * config.gap,
            coef[:, WIDTH : WIDTH + 1] / self._unit * config.width,
            inside * config.appearance,
        ]
        return np.ascontiguousarray(np.concatenate(parts, 1), np.float32)


def cut_bank(
    frames: Iterable[U8],
    landmarks: NDArray[np.floating],
    found: NDArray[np.bool_],
    space: MouthSpace,
    config: SearchConfig | None = None,
    *,
    memory: int = BANK_MEMORY,
    progress: Progress | None = None,
) -> Bank:
    """Cut a bank from consecutive frames.

    Args:
        frames: I420 frames, in order, as many as landmarks.
        landmarks: (n, 478, 2) pixels.
        found: (n,), whether the face was found; other frames are left out.
        space: The person's mouth space.
        config: How mouths are compared.
        memory: Bytes the pictures may take; frames that look most like their neighbours are left out beyond it.
        progress: Told how far it is.

    Raises:
        InvalidInputError: Fewer than two seconds of usable mouths, or a mouth that never opens.
    """
    progress = progress or SilentProgress()
    landmarks = np.asarray(landmarks, np.float32)
    coef = space.encode(landmarks, found)
    if np.percentile(coef[found, GAP], 97) < 0.02 * np.median(coef[found, WIDTH]):
        raise InvalidInputError("The mouth never opens in this take.", "Record at least a minute of clear speech.")
    laid = squares(landmarks)
    left, top, right, bottom = BANK
    largest = float(laid.scale.max())
    width = int(np.ceil((right - left) * largest / 2)) * 2 + 2
    height = int(np.ceil((bottom - top) * largest / 2)) * 2 + 2
    kept = _choose(coef, found, max(_MIN_MOUTHS, memory // (width * height * 3 // 2)))
    if len(kept) < _MIN_MOUTHS:
        raise InvalidInputError(
            f"Only {len(kept)} frames of this take show a usable mouth.", "Record at least a minute of clear speech."
        )
    place = {int(i): k for k, i in enumerate(kept)}
    exact = laid.origin[kept] + np.array([left, top]) * laid.scale[kept, None]
    corner = np.floor(exact / 2).astype(np.int32) * 2
    following = np.array([place.get(int(i) + 1, k) for k, i in enumerate(kept)], np.int64)
    cuts: list[U8] = []
    for i, frame in enumerate(frames):
        if i in place:
            cuts.append(cut(frame, corner[place[i]], width, height))
        if i % 25 == 0:
            progress.update(i / len(landmarks))
    tensors = {
        "corner": corner,
        "landmarks": landmarks[kept],
        "origin": laid.origin[kept],
        "scale": laid.scale[kept],
        "coef": coef[kept],
        "following": following,
        "size": np.array([height, width], np.int32),
    }
    return Bank(cuts, tensors, space, config or SearchConfig())


def join_banks(banks: Sequence[Bank], space: MouthSpace, config: SearchConfig, *, memory: int = BANK_MEMORY) -> Bank:
    """One bank of several takes of the same person; the first take's space measures all mouths.

    Args:
        banks: At least one. Smaller cuts are padded by repeating their edge.
        space: The mouth space of the joined bank.
        config: How mouths are compared.
        memory: Bytes the pictures may take; later banks give up their most ordinary seconds first.
    """
    height, width = max(b.height for b in banks), max(b.width for b in banks)
    room = max(_MIN_MOUTHS, memory // (width * height * 3 // 2))
    parts: list[dict[str, NDArray[Any]]] = []
    pictures: list[U8] = []
    begin = 0
    for bank in banks:
        coef = space.encode(bank.landmarks)
        kept = _choose(coef, np.ones(bank.n, bool), max(0, room - begin))
        if not len(kept):
            continue
        place = np.full(bank.n + 1, -1, np.int64)
        place[kept] = begin + np.arange(len(kept))
        after = place[bank.following[kept]]
        tensors = bank.tensors()
        part = {name: tensors[name][kept] for name in ("corner", "landmarks", "origin", "scale")}
        part["coef"] = coef[kept]
        part["following"] = np.where(after < 0, place[kept], after)
        parts.append(part)
        pad = (0, height - bank.height), (0, width - bank.width)
        half = (0, pad[0][1] // 2), (0, pad[1][1] // 2), (0, 0)
        for j in kept:
            luma = np.pad(bank.luma[j], pad, mode="edge")
            pictures.append(join(luma, np.pad(bank.chroma[j], half, mode="edge")))
        begin += len(kept)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Bank(pictures, joined | {"size": np.array([height, width], np.int32)}, space, config)


def _choose(coef: F32, found: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Frames to keep: all with a face; beyond ``most``, runs of a second without a rare mouth are dropped first."""
    usable = np.flatnonzero(found)
    if len(usable) <= most:
        return usable
    spread = np.maximum(coef[usable].std(0), 1e-6)
    rare = (((coef[usable] - np.median(coef[usable], 0)) / spread) ** 2).sum(1)
    runs = np.array_split(np.arange(len(usable)), max(1, len(usable) // 25))
    order = np.argsort([-rare[run].max() for run in runs])
    kept: list[int] = []
    for run in (runs[k] for k in order):
        if len(kept) + len(run) <= most:
            kept += usable[run].tolist()
    return np.array(sorted(kept), np.int64)


def write_film(bank: Bank, path: Path) -> None:
    """Write the bank's pictures as a lossless film."""
    from lipsync.media.video import VideoWriter

    with VideoWriter(path, bank.width, bank.height, crf=0, pix="yuv420p", preset="ultrafast") as writer:
        for picture in bank.pictures():
            writer.write(picture)


def cut(frame: U8, corner: NDArray[np.int32], width: int, height: int) -> U8:
    """A region of an I420 frame, I420 itself; what lies outside the frame repeats its edge."""
    rows = frame.shape[0] * 2 // 3
    flat = frame.reshape(-1)
    size = rows * frame.shape[1]
    planes = [flat[:size].reshape(rows, -1)]
    planes += [flat[size + q * size // 4 : size + (q + 1) * size // 4].reshape(rows // 2, -1) for q in (0, 1)]
    out = np.empty(width * height * 3 // 2, np.uint8)
    begin = 0
    for plane, half in zip(planes, (1, 2, 2), strict=True):
        y = np.clip(np.arange(corner[1] // half, corner[1] // half + height // half), 0, plane.shape[0] - 1)
        x = np.clip(np.arange(corner[0] // half, corner[0] // half + width // half), 0, plane.shape[1] - 1)
        part = plane[y[:, None], x[None]]
        out[begin : begin + part.size] = part.ravel()
        begin += part.size
    return out.reshape(height * 3 // 2, width)


def split(picture: U8, luma: U8, chroma: U8) -> None:
    """Take an I420 picture apart into luma (h, w) and interleaved chroma (h // 2, w // 2, 2)."""
    height, width = luma.shape
    flat = picture.reshape(-1)
    size = height * width
    luma[:] = flat[:size].reshape(height, width)
    chroma[..., 0] = flat[size : size + size // 4].reshape(height // 2, width // 2)
    chroma[..., 1] = flat[size + size // 4 :].reshape(height // 2, width // 2)


def join(luma: U8, chroma: U8) -> U8:
    """The reverse of ``split``."""
    height, width = luma.shape
    out = np.empty(height * width * 3 // 2, np.uint8)
    size = height * width
    out[:size] = luma.ravel()
    out[size : size + size // 4] = chroma[..., 0].ravel()
    out[size + size // 4 :] = chroma[..., 1].ravel()
    return out.reshape(height * 3 // 2, width)


def inner_measures(luma: U8, ring: F32, lip: F32) -> F32:
    """How an inner mouth looks: mean luma, 90th percentile, and its share of the mouth's area; (3,).

    Args:
        luma: A picture.
        ring: Inner lip in its pixels, (20, 2).
        lip: Outer lip.
    """
    low = np.floor(lip.min(0)).astype(int) - 1
    high = np.ceil(lip.max(0)).astype(int) + 2
    low, high = np.maximum(low, 0), np.minimum(high, luma.shape[::-1])
    if (high - low < 2).any():
        return np.zeros(_INSIDE, np.float32)
    part = luma[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [np.round((ring - low) * 16).astype(np.int32)], 255, shift=4)
    inside = part[mask > 0]
    share = cv2.contourArea(ring.astype(np.float32)) / max(cv2.contourArea(lip.astype(np.float32)), 1.0)
    if inside.size < 4:
        around = float(part.mean())
        return np.array([around, around, share], np.float32)
    return np.array([inside.mean(), np.percentile(inside, 90), share], np.float32)

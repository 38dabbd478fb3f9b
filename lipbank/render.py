"""Bringing a mouth of the bank onto a frame: one warp, one resampling, colours of the skin round it, the neck's move.

All of it happens on the target frame's own pixels and in I420: luma is resampled by a cubic, chroma (which the eye sees
less sharply, and which is stored at half the size) linearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbank.bank import Bank
from lipbank.config import RenderConfig
from lipbank.face import CONTROL, OVAL, SOLID, CheekModel, wear
from lipbank.mouth_space import MouthSpace
from lipbank.tone import PIXEL, Tone, small_picture
from lipbank.warp import Grid
from lipsync.engine import Patch
from lipsync.errors import StudioError
from lipsync.face.square import REGION, SIDE, squares
from lipsync.frame_cycle import BaseClip

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
_CHROMA_MARGIN = 12
_MASK = 80
_KERNEL = np.ones((3, 3), np.uint8)
_FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True)
class Drive:
    """What is drawn for 40 ms of sound, whichever frame it is drawn on.

    Attributes:
        sources: Mouths of the bank.
        weights: Their shares in a cross-fade, summing to 1.
        coef: float32 (12,), the shape.
        near: Mouths of nearly this shape, whose mean gives the shading; none for the shown mouths' own.
        near_weights: Their shares, summing to 1.
    """

    sources: tuple[int, ...]
    weights: tuple[float, ...]
    coef: F32
    near: tuple[int, ...] = ()
    near_weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Frame:
    """What is known beforehand of a base frame."""

    x: int
    y: int
    w: int
    h: int
    columns: F32
    rows: F32
    half_columns: F32
    half_rows: F32


class Renderer:
    """Draws mouths on the frames of one base clip. Stateless between calls but for memoised frame geometry."""

    def __init__(
        self, base: BaseClip, bank: Bank, space: MouthSpace, cheeks: CheekModel, config: RenderConfig | None = None
    ) -> None:
        self._base, self._bank, self._space, self._cheeks = base, bank, space, cheeks
        self._config = config or RenderConfig()
        self._grid = Grid()
        self._alignment = space.align(base.landmarks)
        self._boxes = squares(base.landmarks)
        self._units = self._boxes.units(base.landmarks)
        # The frames' own mouths as the mouth space sees them: the neck's move is the difference of two such mouths, so
        # that a landmark's jitter, which the space does not hold, does not shake the collar.
        own = wear(space, cheeks, space.encode(base.landmarks), base.landmarks, self._alignment)
        self._own = self._boxes.units(own)[:, CONTROL]
        self._frames: dict[int, _Frame] = {}
        self._small: dict[int, U8] = {}
        self._feather = _feather(self._grid)
        place = np.clip(np.round((self._grid.points - 0.5) / 2), 0, _MASK - 1).astype(np.intp)
        shape = self._grid.ny, self._grid.nx
        self._cells = place[:, 0].reshape(shape), place[:, 1].reshape(shape)
        self._nodes = self._grid.points.reshape(*shape, 2)
        self._tone = Tone(self._grid, self._config)

    def landmarks(self, index: int, coef: F32) -> F32:
        """The frame's landmarks (478, 2) in pixels, wearing a mouth."""
        alignment = self._alignment.take(slice(index, index + 1))
        own = self._base.landmarks[index : index + 1]
        return wear(self._space, self._cheeks, coef[None], own, alignment)[0]

    def draw(self, index: int, drive: Drive) -> Patch:
        """The patch of a base frame."""
        frame = self._frame(index)
        origin, scale = self._boxes.origin[index], float(self._boxes.scale[index])
        units = ((self.landmarks(index, drive.coef) - origin) / scale).astype(np.float32)
        target = units[CONTROL]
        own = self._own[index]
        mouths = list(dict.fromkeys((*drive.sources, *drive.near)))
        sides = [self._bank.points[j] - target for j in mouths]
        if self._config.neck:
            sides.append(own - target)
        shifts = self._grid.displacement(target, np.concatenate(sides, 1), self._config.stiffness)
        places = {j: self._nodes + shifts[..., 2 * k : 2 * k + 2] for k, j in enumerate(mouths)}
        luma, chroma = self._shown(frame, drive, places)
        luma, chroma = self._toned(index, frame, luma, chroma, self._change(index, drive, places, units))
        mask80 = face_mask(units)
        ground = self._ground(index, frame, shifts[..., -2:] if self._config.neck else None, mask80)
        mask = self._mask(frame, origin, scale, mask80)
        return Patch(frame.x, frame.y, _blend(luma, chroma, ground, mask))

    def _shown(self, frame: _Frame, drive: Drive, places: dict[int, F32]) -> tuple[U8, U8]:
        """The shown mouths warped and faded into one: luma (h, w) and chroma (h / 2, w / 2, 2)."""
        bank = self._bank
        luma: U8 | None = None
        chroma: U8 | None = None
        done = 0.0
        for j, weight in zip(drive.sources, drive.weights, strict=True):
            at = places[j] * np.float32(bank.scale(j)) + bank.offset(j)
            y = _sample(bank.luma[j], _maps(at, frame.rows, frame.columns), cv2.INTER_CUBIC)
            half = _maps((at - np.float32(0.5)) * np.float32(0.5), frame.half_rows, frame.half_columns)
            uv = _sample(bank.chroma[j], half)
            done += weight
            share = weight / done
            luma = y if luma is None else _mixed(luma, y, share)
            chroma = uv if chroma is None else _mixed(chroma, uv, share)
        if luma is None or chroma is None:
            raise StudioError("A drive without a mouth cannot be drawn.")
        return luma, chroma

    def _change(self, index: int, drive: Drive, places: dict[int, F32], units: F32) -> F32:
        """What colours must change by: float32 (56, 64, 3)."""
        small, mean = self._bank.small, self._tone.mean
        shown = mean([small[j] for j in drive.sources], [places[j] for j in drive.sources], drive.weights)
        near = None
        if drive.near:
            near = mean([small[j] for j in drive.near], [places[j] for j in drive.near], drive.near_weights)
        return self._tone.change(self._own_small(index), shown, near, units)

    def _toned(self, index: int, frame: _Frame, luma: U8, chroma: U8, change: F32) -> tuple[U8, U8]:
        """Lay a change found on the small picture over the full one."""
        origin, scale = self._boxes.origin[index], float(self._boxes.scale[index])
        step = 1 / (scale * PIXEL)
        x = (frame.x - origin[0]) * step - (REGION[0] + 0.5) / PIXEL
        y = (frame.y - origin[1]) * step - (REGION[1] + 0.5) / PIXEL
        levels = np.clip(np.rint(change * 2 + 128), 0, 255).astype(np.uint8)
        matrix = np.array([[step, 0, x], [0, step, y]])
        size = (frame.w, frame.h)
        up = cv2.warpAffine(levels[..., 0], matrix, size, flags=_FLAGS, borderMode=cv2.BORDER_REPLICATE)
        luma = np.asarray(cv2.addWeighted(luma, 1, up, 0.5, -64), np.uint8)
        half = np.array([[2 * step, 0, x + 0.5 * step], [0, 2 * step, y + 0.5 * step]])
        size = (frame.w // 2, frame.h // 2)
        up = cv2.warpAffine(
            np.ascontiguousarray(levels[..., 1:]), half, size, flags=_FLAGS, borderMode=cv2.BORDER_REPLICATE
        )
        return luma, np.asarray(cv2.addWeighted(chroma, 1, up, 0.5, -64), np.uint8)

    def _ground(self, index: int, frame: _Frame, shifts: F32 | None, mask80: U8) -> tuple[U8, U8]:
        """The frame's own region, its neck moved with the jaw where ``shifts`` say so."""
        whole = self._base.i420(index)
        height = self._base.height
        box = slice(frame.y, frame.y + frame.h), slice(frame.x, frame.x + frame.w)
        chroma, *corner = self._chroma(index, frame, 0 if shifts is None else _CHROMA_MARGIN)
        if shifts is None:
            return whole[box], chroma
        place = self._nodes + shifts * (self._feather * self._near(mask80))[..., None]
        at = place * self._boxes.scale[index] + self._boxes.origin[index]
        y = _sample(whole[:height], _maps(at, frame.rows, frame.columns))
        half_maps = _maps(
            (at - np.float32(0.5)) * np.float32(0.5) - np.array(corner, np.float32), frame.half_rows, frame.half_columns
        )
        return y, _sample(chroma, half_maps)

    def _chroma(self, index: int, frame: _Frame, margin: int) -> tuple[U8, int, int]:
        """The chroma round the frame's region, (h', w', 2), and where its corner lies in the chroma planes."""
        width, height = self._base.width // 2, self._base.height // 2
        flat = self._base.i420(index).reshape(-1)
        planes = flat[4 * width * height :].reshape(2, height, width)
        x, y = max(0, frame.x // 2 - margin), max(0, frame.y // 2 - margin)
        right, bottom = frame.x // 2 + frame.w // 2 + margin, frame.y // 2 + frame.h // 2 + margin
        return np.ascontiguousarray(planes[:, y:bottom, x:right].transpose(1, 2, 0)), x, y

    def _near(self, mask80: U8) -> F32:
        """1 in and close to the face falling to 0 some way below the jaw, where collars are, on the grid."""
        soft = cv2.GaussianBlur(cv2.dilate(mask80, _KERNEL, iterations=3), (0, 0), 4.0)
        columns, rows = self._cells
        return soft[rows, columns].astype(np.float32) * np.float32(1 / 255)

    def _mask(self, frame: _Frame, origin: F32, scale: float, mask80: U8) -> U8:
        """Where the drawn mouth covers the ground: inside the face and inside the region, softly; (h, w)."""
        soft = cv2.GaussianBlur(cv2.erode(mask80, _KERNEL, iterations=3), (0, 0), 1.5)
        soft = cv2.multiply(soft, _EDGE, scale=1 / 255)
        step = 1 / scale
        matrix = np.array(
            [
                [step / 2, 0, ((frame.x - origin[0]) * step - 0.5) / 2],
                [0, step / 2, ((frame.y - origin[1]) * step - 0.5) / 2],
            ]
        )
        return cv2.warpAffine(soft, matrix, (frame.w, frame.h), flags=_FLAGS, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]

    def _own_small(self, index: int) -> U8:
        small = self._small.get(index)
        if small is None:
            flat = self._base.i420(index).reshape(-1)
            size = self._base.width * self._base.height
            planes = flat[size:].reshape(2, self._base.height // 2, self._base.width // 2)
            small = self._small[index] = small_picture(
                (flat[:size].reshape(self._base.height, -1), planes.transpose(1, 2, 0).copy()),
                self._boxes.origin[index],
                float(self._boxes.scale[index]),
                self._units[index],
                REGION,
            )
        return small

    def _frame(self, index: int) -> _Frame:
        known = self._frames.get(index)
        if known is not None:
            return known
        origin, scale = self._boxes.origin[index], float(self._boxes.scale[index])
        left, top, right, bottom = REGION
        width, height = self._base.width, self._base.height
        x = max(0, int(np.floor((origin[0] + left * scale) / 2)) * 2)
        y = max(0, int(np.floor((origin[1] + top * scale) / 2)) * 2)
        w = min(width, int(np.ceil((origin[0] + right * scale) / 2)) * 2) - x
        h = min(height, int(np.ceil((origin[1] + bottom * scale) / 2)) * 2) - y
        x, y, w, h = _inside((x, y, w, h), width, height)
        step = 1 / scale
        ux, uy = (x - origin[0]) * step, (y - origin[1]) * step
        enlarge = self._grid.enlarge
        made = _Frame(
            x,
            y,
            w,
            h,
            np.ascontiguousarray(enlarge(ux, step, w, 0).T),
            enlarge(uy, step, h, 1),
            np.ascontiguousarray(enlarge(ux + 0.5 * step, 2 * step, w // 2, 0).T),
            enlarge(uy + 0.5 * step, 2 * step, h // 2, 1),
        )
        self._frames[index] = made
        return made


def crossfade(
    before: int | None, now: int, after: int | None, following: Sequence[int] | NDArray[np.int64], share: float
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Soften jumps of the search: mix in what would have followed before, and what would have led to what comes.

    Args:
        before: Mouth chosen for the frame before, None at the beginning.
        now: Mouth chosen for this frame.
        after: Mouth expected for the next, None at the end.
        following: The mouth after each in the recording.
        share: Weight of each neighbour at a jump, below 0.5.

    Returns:
        Sources and weights.
    """
    weights = {now: 1.0}
    if before is not None and following[before] != now and share > 0:
        weights[now] -= share
        other = int(following[before])
        weights[other] = weights.get(other, 0.0) + share
    if after is not None and following[now] != after and share > 0 and after > 0:
        weights[now] -= share
        other = after - 1
        weights[other] = weights.get(other, 0.0) + share
    return tuple(weights), tuple(weights.values())


def _sample(picture: U8, maps: tuple[F32, F32], how: int = cv2.INTER_LINEAR) -> U8:
    return np.asarray(cv2.remap(picture, *maps, how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _mixed(a: U8, b: U8, share: float) -> U8:
    return np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)


def _maps(at: F32, rows: F32, columns: F32) -> tuple[F32, F32]:
    return rows @ (at[..., 0] @ columns), rows @ (at[..., 1] @ columns)


def _blend(luma: U8, chroma: U8, ground: tuple[U8, U8], mask: U8) -> U8:
    h, w = mask.shape
    out = np.empty(h * w * 3 // 2, np.uint8)
    size = h * w
    top = cv2.multiply(luma, mask, scale=1 / 255)
    out[:size] = cv2.add(top, cv2.multiply(ground[0], cv2.bitwise_not(mask), scale=1 / 255)).ravel()
    half = cv2.resize(mask, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    two = cv2.merge([half, half])
    uv = cv2.add(cv2.multiply(chroma, two, scale=1 / 255), cv2.multiply(ground[1], cv2.bitwise_not(two), scale=1 / 255))
    out[size : size + size // 4] = uv[..., 0].ravel()
    out[size + size // 4 :] = uv[..., 1].ravel()
    return out.reshape(h * 3 // 2, w)


def _inside(box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Keep a region inside the frame and at least 16 pixels wide and high, even where the face leaves the frame."""
    x, y, w, h = box
    x, y = min(max(x, 0), width - 16), min(max(y, 0), height - 16)
    return x, y, max(16, min(w, width - x)) // 2 * 2, max(16, min(h, height - y)) // 2 * 2


def _rectangle() -> F32:
    """1 inside ``SOLID`` falling softly to 0 at its edge, float32 (160, 160)."""
    left, top, right, bottom = SOLID
    solid = np.zeros((SIDE, SIDE), np.float32)
    solid[top:bottom, left:right] = 1
    return np.clip(cv2.blur(solid, (13, 13), borderType=cv2.BORDER_CONSTANT) * solid * 2 - 1, 0, 1).astype(np.float32)


def _feather(grid: Grid) -> F32:
    """How far the neck may move at the grid's nodes: not at the region's edge; (ny, nx)."""
    place = np.clip(np.round(grid.points), 0, SIDE - 1).astype(int)
    return _rectangle()[place[:, 1], place[:, 0]].reshape(grid.ny, grid.nx)


def face_mask(units: F32) -> U8:
    """The face's oval, two units to a pixel: uint8 (80, 80)."""
    mask = np.zeros((_MASK, _MASK), np.uint8)
    ring = np.round((units[OVAL] - 0.5) * 8).astype(np.int32)
    cv2.fillPoly(mask, [ring], 255, lineType=cv2.LINE_AA, shift=4)
    return mask


_EDGE = np.clip(cv2.resize(_rectangle(), (_MASK, _MASK), interpolation=cv2.INTER_AREA) ** 2 * 255, 0, 255).astype(
    np.uint8
)

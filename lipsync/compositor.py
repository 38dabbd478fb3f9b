"""From a base frame and a mouth patch to the whole picture, in I420 and nowhere else.

The frame is copied once and only the mouth's region is touched. On another background the patch is laid in as a
*difference* from the base frame, weighed by the matte: whatever keying did to the colours of the baked frame (spill
taken out, edges softened) stays as it is, so no seam can appear where the patch equals the frame.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.engine import Patch
from lipsync.errors import InvalidInputError
from lipsync.frame_cycle import BaseClip
from lipsync.mark import Mark, MarkSpec, planes

__all__ = ["Background", "Compositor", "MarkSpec"]

_GREY = 12.0
"""Chroma below which a screen has no hue to speak of."""


@dataclass(frozen=True)
class Background:
    """What stands behind the person.

    Attributes:
        kind: "original" leaves the take's own; "blur" softens it; "colour", "image" and "video" replace it;
            "transparent" leaves the person alone, to be joined with ``Compositor.matte``.
        colour: "#rrggbb", for "colour".
        path: Picture or video file, for "image" and "video"; scaled to cover the frame.
    """

    kind: Literal["original", "colour", "image", "blur", "video", "transparent"] = "original"
    colour: str = "#1f2937"
    path: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("original", "colour", "image", "blur", "video", "transparent"):
            raise InvalidInputError(
                f"There is no background {self.kind!r}.", "Choose original, colour, image, blur, video or transparent."
            )
        if self.kind in ("image", "video") and self.path is None:
            raise InvalidInputError(f"The background {self.kind} needs a file.", "Upload one.")
        if self.kind == "colour":
            _rgb(self.colour)


class Compositor:
    """Draws whole frames of one session. ``compose`` is called from one thread at a time.

    Args:
        base: The avatar's base clip.
        background: What stands behind; anything but "original" needs a keyed clip.
        mark: The visible label, or None.

    Raises:
        InvalidInputError: The clip has no matte, or the background's file cannot be read.
    """

    def __init__(self, base: BaseClip, background: Background | None = None, mark: MarkSpec | None = None) -> None:
        self.base = base
        self.background = background or Background()
        self._mark = Mark(mark, base.width, base.height) if mark else None
        self._video: Iterator[NDArray[np.uint8]] | None = None
        self._behind: NDArray[np.uint8] | None = None
        self._baked: NDArray[np.uint8] | None = None
        self._done = np.zeros(base.n, bool)
        self._lock = threading.Lock()
        kind = self.background.kind
        if kind == "original":
            return
        if not base.keyed:
            raise InvalidInputError("This avatar was not filmed before a screen.", "Keep the original background.")
        if kind == "video":
            self._video = _endless(self.background.path, base.width, base.height)
            self._behind = next(self._video)
            return
        if kind not in ("blur", "transparent"):
            self._behind = _still(self.background, base.width, base.height)
        self._baked = np.empty((base.n, base.height * 3 // 2, base.width), np.uint8)

    def share_video(self, other: Compositor) -> None:
        """Go on where another compositor's background film is, so that changing between clips does not restart it."""
        self._video = other._video

    def bake(self, first: int = 0, count: int | None = None) -> None:
        """Bake static backgrounds ahead (any thread); frames not baked by then are baked when first shown."""
        for index in range(first, self.base.n if count is None else min(self.base.n, first + count)):
            self._ground(index)

    def compose(self, index: int, patch: Patch | None, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The whole frame.

        Args:
            index: Frame of the base clip.
            patch: The drawn mouth, or None for the frame as it was filmed.
            out: Array to fill instead of a new one, uint8 (h * 3 // 2, w) contiguous.

        Returns:
            uint8 (h * 3 // 2, w), I420.
        """
        if self._video is not None:
            self._behind = next(self._video)
            ground = over(self.base.i420(index), self._behind, self.base.alpha(index))
        else:
            ground = self._ground(index)
        if out is None:
            out = ground if self._video is not None else ground.copy()
        else:
            np.copyto(out, ground)
        if patch is not None:
            paste(out, patch) if self.background.kind == "original" else self._add(out, index, patch)
        if self._mark is not None:
            self._mark.draw(out)
        return out

    def matte(self, index: int) -> NDArray[np.uint8]:
        """What of a composed frame is solid, for a transparent background: uint8 (h, w); the label is solid."""
        alpha = self.base.alpha(index)
        if self._mark is None:
            return alpha
        alpha, mark = alpha.copy(), self._mark
        alpha[mark.y : mark.y + mark.h, mark.x : mark.x + mark.w] = 255
        return alpha

    def _ground(self, index: int) -> NDArray[np.uint8]:
        if self._baked is None:
            return self.base.i420(index)
        if not self._done[index]:
            with self._lock:
                frame, alpha = self.base.i420(index), self.base.alpha(index)
                if self.background.kind == "transparent":
                    self._baked[index] = alone(frame, alpha)
                else:
                    behind = blurred(frame, alpha) if self._behind is None else self._behind
                    self._baked[index] = over(frame, behind, alpha)
                self._done[index] = True
        return self._baked[index]

    def _add(self, out: NDArray[np.uint8], index: int, patch: Patch) -> None:
        """Add (patch - base frame) x matte x coverage to the region of ``out``."""
        own = self.base.i420(index)
        h, w = patch.i420.shape[0] * 2 // 3, patch.i420.shape[1]
        x, y = patch.x // 2, patch.y // 2
        half = self.base.alpha_half(index)[y : y + h // 2, x : x + w // 2]
        if patch.mask is not None:
            small = cv2.resize(patch.mask, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
            half = np.asarray(cv2.multiply(half, small, scale=1 / 255), np.uint8)
        solid = bool(half.min() == 255)
        full = half if solid else cv2.resize(half, (w, h), interpolation=cv2.INTER_LINEAR)
        for new, old, to, weight in zip(
            regions(patch.i420, h, (0, 0, w, h)),
            regions(own, self.base.height, (patch.x, patch.y, w, h)),
            regions(out, self.base.height, (patch.x, patch.y, w, h)),
            (full, half, half),
            strict=True,
        ):
            delta = cv2.subtract(new, old, dtype=cv2.CV_16S)
            if not solid:
                delta = cv2.multiply(delta, weight, scale=1 / 255, dtype=cv2.CV_16S)
            to[:] = cv2.add(to, delta, dtype=cv2.CV_8U)


def paste(frame: NDArray[np.uint8], patch: Patch) -> None:
    """Lay a patch over an I420 frame in place, through its mask where it has one."""
    h, w = patch.i420.shape[0] * 2 // 3, patch.i420.shape[1]
    height = frame.shape[0] * 2 // 3
    full = patch.mask
    half = None if full is None else cv2.resize(full, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    for new, to, mask in zip(
        regions(patch.i420, h, (0, 0, w, h)),
        regions(frame, height, (patch.x, patch.y, w, h)),
        (full, half, half),
        strict=True,
    ):
        to[:] = new if mask is None else _mix(new, to, np.asarray(mask, np.uint8))


def regions(
    frame: NDArray[np.uint8], height: int, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Views on the luma and chroma planes of a region (x, y, w, h), all even."""
    x, y, w, h = box
    u, v = planes(frame, height)
    half = slice(y // 2, (y + h) // 2), slice(x // 2, (x + w) // 2)
    return frame[y : y + h, x : x + w], u[half], v[half]


def over(front: NDArray[np.uint8], behind: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a keyed frame over another.

    Spill is taken out where the matte is not solid: what shows of the screen in such a pixel is its screen share of the
    frame's own screen colour, so chroma is unmixed, c = a f + (1 - a) k, with k the mean chroma of the pure background.

    Args:
        front: uint8 (h * 3 // 2, w), I420.
        behind: The same.
        alpha: uint8 (h, w).
    """
    height, width = alpha.shape
    out = np.empty_like(front)
    half = np.asarray(cv2.resize(alpha, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    luma, u, v = regions(front, height, (0, 0, width, height))
    u, v = _unspilled(u, v, half)
    behinds, outs = (regions(p, height, (0, 0, width, height)) for p in (behind, out))
    for f, b, o, mask in zip((luma, u, v), behinds, outs, (alpha, half, half), strict=True):
        o[:] = _mix(f, b, mask)
    return out


def alone(frame: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A keyed frame with the screen's share taken out of its edges' colours, for straight alpha: I420 as given.

    Where nothing is solid the colour is grey, so that no player that scales colours and matte apart gives a green rim.
    """
    height, width = alpha.shape
    out = frame.copy()
    half = np.asarray(cv2.resize(alpha, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    _, u, v = regions(out, height, (0, 0, width, height))
    u[:], v[:] = _unspilled(u, v, half)
    u[half == 0] = v[half == 0] = 128
    return out


def _unspilled(
    u: NDArray[np.uint8], v: NDArray[np.uint8], alpha: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Chroma with the screen's share taken out of edge pixels, and what still leans to the screen's hue held down."""
    screen = alpha == 0
    edge = (alpha > 0) & (alpha < 255)
    if not edge.any() or not screen.any():
        return u, v
    chroma = np.stack([u[edge], v[edge]], -1).astype(np.float32) - 128
    key = np.array([u[screen].mean(), v[screen].mean()], np.float32) - 128
    strength = float(np.linalg.norm(key))
    share = np.maximum(alpha[edge].astype(np.float32) / 255, 0.2)[:, None]
    chroma = ((chroma - (1 - share) * key) / share).astype(np.float32)
    if strength > _GREY:
        hue = key / strength
        lean = chroma @ hue
        chroma = chroma - np.maximum(lean - np.float32(0.1 * strength), 0)[:, None] * hue
    u, v = u.copy(), v.copy()
    u[edge], v[edge] = np.clip(chroma + 128, 16, 240).astype(np.uint8).T
    return u, v


def blurred(frame: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame's own background, softened, with the person's colours kept out of it (normalised blur)."""
    height, width = alpha.shape
    out = np.empty_like(frame)
    sigma = max(height, width) / 40
    for k, (source, target) in enumerate(
        zip(regions(frame, height, (0, 0, width, height)), regions(out, height, (0, 0, width, height)), strict=True)
    ):
        small = (width // 8, height // 8)
        mask = 1 - cv2.resize(alpha, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        plane = cv2.resize(source, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        top = cv2.GaussianBlur(plane * mask, (0, 0), sigma / 8)
        weight = cv2.GaussianBlur(mask, (0, 0), sigma / 8)
        fill = float((plane * mask).sum() / max(float(mask.sum()), 1e-3)) if mask.sum() > 0 else (128 if k else 16)
        soft = (top + 1e-3 * fill) / (weight + 1e-3)
        target[:] = cv2.resize(
            np.clip(soft, 0, 255).astype(np.uint8), target.shape[::-1], interpolation=cv2.INTER_CUBIC
        )
    return out


def _mix(top: NDArray[np.uint8], bottom: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    low = cv2.multiply(bottom, cv2.bitwise_not(mask), scale=1 / 255)
    return cv2.add(cv2.multiply(top, mask, scale=1 / 255), low)  # type: ignore[return-value]


def _rgb(colour: str) -> tuple[int, int, int]:
    digits = colour.removeprefix("#")
    try:
        if len(digits) != 6:
            raise ValueError
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    except ValueError:
        raise InvalidInputError(f"{colour!r} is not a colour.", "Write it as #rrggbb.") from None


def _still(background: Background, width: int, height: int) -> NDArray[np.uint8]:
    if background.kind == "colour":
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = _rgb(background.colour)[::-1]
    else:
        data = np.frombuffer(Path(str(background.path)).read_bytes(), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if decoded is None:
            raise InvalidInputError("The background picture cannot be read.", "Choose a PNG or JPEG.")
        picture = cover(np.asarray(decoded, np.uint8), width, height)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)


def cover(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a BGR picture so that it covers width x height, and cut the middle out."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    w, h = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    big = cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (w - width) // 2, (h - height) // 2
    return np.ascontiguousarray(big[y : y + height, x : x + width], np.uint8)


def _endless(path: Path | None, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    from lipsync.media.video import read_frames

    while True:
        empty = True
        for frame in read_frames(Path(str(path)), fmt="bgr24"):
            empty = False
            yield np.asarray(cv2.cvtColor(cover(frame, width, height), cv2.COLOR_BGR2YUV_I420), np.uint8)
        if empty:
            raise InvalidInputError("The background video has no frames.", "Choose another video.")

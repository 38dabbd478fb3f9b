"""Chroma key joined with person segmentation: who is in front of the screen, as a soft matte.

The screen's colour is found by itself (green or blue) and its light may be uneven: a smooth field holds how strongly
each place shows the key colour (the key difference ``G - max(R, B)``, the classic difference matte of Petro Vlahos).
A picture's share of that field is how much screen shows through. Segmentation says where a person can be at all: it
throws away what stands beside the screen, fills holes that clothes or glasses tear, and stands in for the key where
there is no screen.

Segmentation comes in as a small picture from ``lipsync.face.segmentation``; this module knows no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

WORK = 256
"""Side of the square, stretched picture that regions are decided in."""
_add: Any = cv2.add  # its types know no scalar
_CHANNEL = {"green": 1, "blue": 0}
_MIN_DIFFERENCE = 25.0
_MIN_SHARE = 0.08
_UNKNOWN = -1000.0
SMOOTH_FROM = 0.02
"""Noise of the raw key from which it is smoothed."""


@dataclass(frozen=True)
class Screen:
    """What stands behind the person.

    Attributes:
        kind: "green", "blue", or "none" for a plain background without a key colour.
        colour: Mean screen colour, BGR 0..255.
        field: float32 (64, 64), the key difference of the bare screen over the stretched picture; > 0.
        low, high: Raw key values (0 screen, 1 person) that become alpha 0 and 1: noise below, spill above.
        share: Share of the picture that shows screen.
        unevenness: Standard deviation of the field over its mean, inside the screen.
        noise: Standard deviation of the raw key on the bare screen.
        spill: Mean share of the screen's difference found on the person near the edge, 0 for none.
    """

    kind: str
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field: Plane | None = None
    low: float = 0.05
    high: float = 0.98
    share: float = 0.0
    unevenness: float = 0.0
    noise: float = 0.0
    spill: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """``chroma_info``: key colour, evenness, spill, tolerance; JSON-serialisable, the field left out."""
        return {
            "kind": self.kind,
            "colour_bgr": [round(c, 1) for c in self.colour],
            "share": round(self.share, 4),
            "unevenness": round(self.unevenness, 4),
            "noise": round(self.noise, 4),
            "spill": round(self.spill, 4),
            "tolerance": [round(self.low, 4), round(self.high, 4)],
        }


def key_difference(bgr: Picture, kind: str) -> Picture:
    """How much the key channel stands above both others: uint8 (h, w), 0 where it does not."""
    blue, green, red = cv2.split(bgr)
    channels = {"blue": blue, "green": green}
    key = channels.pop(kind)
    other = next(iter(channels.values()))
    return np.asarray(cv2.subtract(key, cv2.max(other, red)), np.uint8)


def _signed_difference(bgr: Picture, kind: str) -> Plane:
    """The same with its sign: float32 (h, w), below 0 where another channel is the stronger."""
    blue, green, red = cv2.split(bgr)
    key, other = (green, blue) if kind == "green" else (blue, green)
    return np.asarray(cv2.subtract(key, cv2.max(other, red), dtype=cv2.CV_32F), np.float32)


def fit_screen(frames: Sequence[Picture], persons: Sequence[Plane]) -> Screen:
    """Find the screen from some pictures of one take, ten or more spread over it.

    Args:
        frames: BGR (h, w, 3), all of one size.
        persons: Person probability (any size, stretched over the picture), one for each.

    Returns:
        The screen; kind "none" where less than 8 % of the picture shows a key colour.
    """
    small = [cv2.resize(frame, (WORK, WORK), interpolation=cv2.INTER_AREA) for frame in frames]
    away = [_fit(person) < 0.2 for person in persons]
    kind, threshold = _find_kind(small, away)
    if kind == "none":
        return Screen("none")
    total = np.zeros((WORK, WORK), np.float32)
    weight = np.zeros((WORK, WORK), np.float32)
    colour = np.zeros(3)
    differences = [key_difference(np.asarray(picture, np.uint8), kind) for picture in small]
    bare = [
        cv2.erode(((d > threshold) & free).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for d, free in zip(differences, away, strict=True)
    ]
    for picture, difference, mask in zip(small, differences, bare, strict=True):
        total += difference * mask
        weight += mask
        colour += picture[mask].sum(0)
    seen = weight > 0.02 * len(small)
    share = float(np.mean([mask.mean() for mask in bare]))
    if not seen.any() or share < _MIN_SHARE / 2:
        return Screen("none")
    field = _spread(np.where(seen, total / np.maximum(weight, 1), 0).astype(np.float32), seen)
    inside = field[seen]
    raw = [1 - d / field for d in differences]
    screen_values = np.concatenate([r[m][::7] for r, m in zip(raw, bare, strict=True)])
    noise = float(screen_values.std())
    # Two thirds of what is measured: mattes are smoothed where it is noise, and lifted shadows are rare.
    low = float(np.clip(0.67 * np.percentile(screen_values, 99.5), 0.05, 0.2))
    spill = _spill(raw, persons)
    return Screen(
        kind=kind,
        colour=tuple(float(c) for c in colour / max(weight.sum(), 1.0)),  # type: ignore[arg-type]
        field=np.asarray(cv2.resize(field, (64, 64), interpolation=cv2.INTER_AREA), np.float32),
        low=low,
        high=float(np.clip(1.0 - spill, 0.85, 0.98)),
        share=share,
        unevenness=float(inside.std() / inside.mean()),
        noise=noise,
        spill=spill,
    )


def _find_kind(small: Sequence[Any], away: Sequence[NDArray[np.bool_]]) -> tuple[str, float]:
    """The key colour most of the free picture shows, and the difference above which it counts (Otsu's split)."""
    best, share, threshold = "none", _MIN_SHARE, 0.0
    for kind in _CHANNEL:
        values = np.concatenate([key_difference(p, kind)[free] for p, free in zip(small, away, strict=True)])
        if not values.size:
            continue
        high = values[values > _MIN_DIFFERENCE]
        part = high.size / (len(small) * WORK * WORK)
        if part > share:
            best, share = kind, part
            threshold = max(_MIN_DIFFERENCE, 0.5 * float(np.median(high)))
    return best, threshold


def _spread(field: Plane, seen: NDArray[np.bool_]) -> Plane:
    """Carry a field from where it was seen to everywhere, ever more widely where it was seen nowhere near."""
    out = field.copy()
    missing = ~seen
    for sigma in (4, 12, 36, 108):
        if not missing.any():
            break
        weight = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), sigma)
        value = cv2.GaussianBlur(field * seen, (0, 0), sigma) / np.maximum(weight, 1e-6)
        take = missing & (weight > 0.02)
        out[take] = value[take]
        missing = missing & ~take
    out[missing] = float(field[seen].mean())
    return np.maximum(np.asarray(cv2.GaussianBlur(out, (0, 0), 2.0), np.float32), _MIN_DIFFERENCE / 2)


def _spill(raw: Sequence[Any], persons: Sequence[Plane]) -> float:
    """How far the key reaches into the person just inside the edge."""
    kernel = np.ones((9, 9), np.uint8)
    values = []
    for value, person in zip(raw, persons, strict=True):
        inner = cv2.erode((_fit(person) > 0.9).astype(np.uint8), kernel)
        ring = (inner > 0) & (cv2.erode(inner, kernel) == 0)
        values.append(value[ring])
    ring_values = np.concatenate(values)
    return float(np.clip(1 - ring_values, 0, 1).mean()) if ring_values.size else 0.0


def smoothing(noise: float) -> float:
    """Standard deviation in pixels of the blur that a screen of this noise asks for."""
    return 0.7 if noise < 0.05 else 1.1


def _fit(plane: Plane) -> Plane:
    if plane.shape == (WORK, WORK):
        return plane
    return np.asarray(cv2.resize(plane, (WORK, WORK), interpolation=cv2.INTER_LINEAR), np.float32)


class Keyer:
    """Mattes of one take, picture by picture. Not thread-safe: it keeps its buffers.

    Args:
        screen: From ``fit_screen``.
        width, height: Size of the pictures.
    """

    def __init__(self, screen: Screen, width: int, height: int) -> None:
        self.screen = screen
        self._size = (width, height)
        self._field: Plane | None = None
        self._small_field: Plane | None = None
        if screen.field is not None:
            self._field = np.asarray(cv2.resize(screen.field, self._size, interpolation=cv2.INTER_CUBIC), np.float32)
            self._small_field = np.asarray(cv2.resize(screen.field, (WORK, WORK)), np.float32)
        self._person: Plane | None = None

    def key(self, bgr: Picture, person: Plane) -> Picture:
        """The matte of one picture.

        Args:
            bgr: (h, w, 3).
            person: Person probability 0..1, any size, stretched over the picture.

        Returns:
            uint8 (h, w), 255 the person.
        """
        person = self._refined(bgr, _fit(person))
        if self._field is None or self._small_field is None:
            full = np.asarray(cv2.resize(person, self._size, interpolation=cv2.INTER_CUBIC), np.float32)
            return np.asarray(np.clip(_step(full, 0.25, 0.75) * 255 + 0.5, 0, 255), np.uint8)
        difference = self._smooth(_signed_difference(bgr, self.screen.kind))
        own = own_difference(_shrunk(difference), person, self._small_field)
        alpha = self._unmix(difference, cv2.resize(own, self._size, interpolation=cv2.INTER_LINEAR))
        lift, cap = regions(np.asarray(_shrunk(alpha), np.uint8), person)
        alpha = _bound(cv2.max, alpha, lift)
        return _bound(cv2.min, alpha, cap)

    def raw(self, bgr: Picture) -> Picture:
        """The key alone, without segmentation: uint8 (h, w); all 255 without a screen."""
        if self._field is None:
            return np.full(bgr.shape[:2], 255, np.uint8)
        difference = self._smooth(_signed_difference(bgr, self.screen.kind))
        return self._unmix(difference, np.zeros_like(self._field))

    def _smooth(self, difference: Plane) -> Plane:
        """Take noise off in the measure that the bare screen shows it; a clean recording keeps every hair."""
        noise = self.screen.noise
        if noise < SMOOTH_FROM:
            return difference
        return np.asarray(cv2.GaussianBlur(difference, (0, 0), smoothing(noise)), np.float32)

    def _unmix(self, difference: Any, own: Any) -> Picture:
        """Alpha where the screen shows ``field``, the person ``own`` and the picture ``difference``."""
        low, gain = self.screen.low, 255.0 / (self.screen.high - self.screen.low)
        field: Any = self._field
        value: Any = cv2.divide(cv2.subtract(field, difference), cv2.subtract(field, own), scale=gain)
        return np.asarray(_add(value, -low * gain, dtype=cv2.CV_8U), np.uint8)

    def _refined(self, bgr: Picture, person: Plane) -> Plane:
        """Segmentation whose outline follows the picture's edges (guided filter, He et al. 2010), steadied in time."""
        if self._person is not None:
            moved = np.abs(person - self._person)
            person = np.where(moved < 0.3, 0.5 * person + 0.5 * self._person, person).astype(np.float32)
        self._person = person
        grey = cv2.cvtColor(cv2.resize(bgr, (WORK, WORK), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        return guided_filter(grey.astype(np.float32) / np.float32(255), person, 6, 1e-3)


def regions(small: Picture, person: Plane) -> tuple[Picture, Picture]:
    """Lower and upper bounds of alpha from its small copy: what must be person, what cannot be."""
    reach = cv2.dilate((person > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    cap = np.full((WORK, WORK), 255, np.uint8)
    doubtful = _stray(small, person, reach)
    if doubtful.any():
        # Round such things only segmentation can draw the line.
        zone = cv2.dilate(doubtful, np.ones((7, 7), np.uint8))
        cap = np.where(zone > 0, _step(person, 0.35, 0.65) * 255, 255).astype(np.uint8)
    cap[(person < 0.02) & ~reach & (small < 200)] = 0
    return _lift(small, person), cap


def own_difference(small: Any, person: Plane, field: Plane) -> Plane:
    """The key difference of the person's own colours, carried outwards from inside the edge, small.

    Skin and dark cloth differ: a matte that took both for 0 would be too hard round a face and, before a blue
    screen, would let it shine through a blue jacket.
    """
    sure = ((person > 0.9) & (small < 0.5 * field)) | ((person > 0.3) & (small < 0.1 * field))
    inner = cv2.erode(sure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # The colour nearest to the screen's among those inside: a mean would make holes where hair meets skin.
    known = np.where(inner, small, np.float32(_UNKNOWN))
    reach = cv2.dilate(known, np.ones((11, 11), np.uint8))
    reach = np.where(reach > _UNKNOWN / 2, reach, 0).astype(np.float32)
    reach = np.asarray(cv2.blur(reach, (5, 5)), np.float32)
    return np.clip(reach, -field, 0.5 * field)


def _stray(small: Picture, person: Plane, reach: NDArray[np.bool_]) -> Picture:
    """Solid things that are not the person: a wall beside the screen, a lamp, a stand. uint8 0 or 1.

    A hand that segmentation missed hangs on the person and leaves the picture's border alone; so do wisps of hair.
    """
    solid = ((small > 127) & (person < 0.5)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    out = np.zeros((WORK, WORK), np.uint8)
    for label in range(1, count):
        left, top, width, height, area = stats[label]
        box = (slice(top, top + height), slice(left, left + width))
        part = labels[box] == label
        attached = bool((part & reach[box]).any())
        border = left == 0 or top == 0 or left + width == WORK
        beyond = int((part & ~reach[box]).sum())
        if beyond > 0 and (not attached or (border and beyond > 0.2 * area)):
            out[box][part] = 1
    return out


def _lift(small: Picture, person: Plane) -> Picture:
    """Holes inside the person, to be filled: all but those the bare screen shows through (an arm akimbo).

    Where segmentation is quite sure of the person, as on a tie of the screen's colour, there is no such hole.
    """
    inner = np.asarray(cv2.erode(person, np.ones((5, 5), np.uint8)), np.float32)
    lift = (_step(inner, 0.8, 0.97) * 255).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((small < 30).astype(np.uint8), connectivity=4)
    for label in range(1, count):
        part = labels == label
        if stats[label, cv2.CC_STAT_AREA] >= 0.002 * WORK * WORK and float(person[part].mean()) < 0.95:
            lift[cv2.dilate(part.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0] = 0
    return lift


def _shrunk(plane: Any) -> Any:
    return cv2.resize(plane, (WORK, WORK), interpolation=cv2.INTER_AREA)


def _bound(choose: Callable[..., Any], alpha: Picture, small: Picture) -> Picture:
    bound = cv2.resize(small, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(choose(alpha, bound), np.uint8)


def _step(value: Plane, low: float, high: float) -> Plane:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def guided_filter(guide: Plane, value: Plane, radius: int, eps: float) -> Plane:
    """Smooth ``value`` so that its edges fall on those of ``guide`` (both float32 (h, w))."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: Any) -> Any:
        return cv2.blur(x, size, borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_value = mean(guide), mean(value)
    variance = mean(guide * guide) - mean_guide * mean_guide
    slope = (mean(guide * value) - mean_guide * mean_value) / (variance + eps)
    offset = mean_value - slope * mean_guide
    return np.asarray(mean(slope) * guide + mean(offset), np.float32)


def despill(bgr: Picture, alpha: Picture, screen: Screen) -> Picture:
    """Take the screen's colour off the person: (h, w, 3) uint8, a new array, to be laid over with ``alpha``.

    Where the matte is soft the person's own colour is worked out (blur fusion after Forte, "Approximate fast
    foreground colour estimation", 2021); then the key channel is held below the other two there, and below the larger
    of them a little inside, where the screen only shines on the person.
    """
    out = bgr.copy()
    size = max(5, round(min(alpha.shape) / 50)) | 1
    near = cv2.dilate((alpha < 250).astype(np.uint8), np.ones((size, size), np.uint8))
    near = cv2.bitwise_and(near, cv2.dilate((alpha > 0).astype(np.uint8), np.ones((size, size), np.uint8)))
    if screen.kind == "none" or not near.any():
        return out
    # Only where the person's edge is, with as much about it as the blurs reach.
    x, y, w, h = cv2.boundingRect(near)
    reach = 3 * size
    part = np.s_[max(0, y - reach) : y + h + reach, max(0, x - reach) : x + w + reach]
    seen, matte, near = bgr[part].astype(np.float32), alpha[part], near[part]
    picture, weight = seen, matte.astype(np.float32)[..., None] / np.float32(255)
    for box in (3 * size, size):
        picture = _own_colour(seen, picture, weight, box)
    key = _CHANNEL[screen.kind]
    first, second = (picture[..., c] for c in range(3) if c != key)
    high, mean = np.maximum(first, second), (first + second) / 2
    soft = cv2.blur((matte < 250).astype(np.float32), (size, size))
    limit = high + (mean - high) * np.minimum(soft * 3, 1)
    excess = np.maximum(picture[..., key] - limit, 0)
    picture[..., key] -= excess
    picture += (excess * 0.25)[..., None]
    clean = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    cv2.copyTo(clean, near, out[part])
    return out


def _own_colour(seen: Any, person: Any, weight: Any, box: int) -> Any:
    """One pass of blur fusion: seen = weight * person + (1 - weight) * background, solved for the person."""

    def blur(x: Any) -> Any:
        return cv2.blur(x, (box, box), borderType=cv2.BORDER_REFLECT)

    inner = blur(weight[..., 0])[..., None]
    local = blur(person * weight) / np.maximum(inner, 1e-3)
    behind = blur(seen * (1 - weight)) / np.maximum(1 - inner, 1e-3)
    found = local + weight * (seen - weight * local - (1 - weight) * behind)
    return np.clip(np.where(inner > 1e-3, found, seen), 0, 255).astype(np.float32)

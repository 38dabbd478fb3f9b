"""Which frames a session shows: an endless cycle, into which actions are cut where poses match.

The walk is counted in poses, one a picture. It is planned only ahead of what was drawn already, so a picture once
drawn stays true. A clip begins where the head stands as in its first frame, and leaves where the cycle is nearest to
its last one; both joins dissolve over ``FADE`` frames. Where no frame stands near enough the clip comes with a cut, for
a dissolve would lay two heads beside each other. So does another avatar, as one camera follows another: two faces are
never laid over each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.footage import Footage
from apps.control_api.live_runtime.look import Look
from lipsync.frame_cycle import UPPER_FACE, BaseClip

FADE = 5
"""Frames over which a clip and the cycle pass into each other (0.2 s)."""
SEEK = 25
"""Frames within which a clip's entry is sought (1 s)."""
SEEK_FAR = 60
"""Frames within which it is sought where none of the first ones will do (2.4 s)."""
CLOSE = 0.04
"""Of the face's width: heads this far apart may be dissolved into each other."""
SHORTEST = 2 * FADE + 1
"""Frames a clip must have."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a pose shows.

    Attributes:
        look: Whose.
        shots: (footage, frame), one, or two while one passes into the other.
        share: Of the second.
        filmed: The mouth stays as it was filmed.
    """

    look: Look
    shots: tuple[tuple[Footage, int], ...]
    share: float = 0.0
    filmed: bool = False


@dataclass(frozen=True, eq=False)
class _Part:
    start: int
    look: Look
    clip: Footage | None = None
    tick: int = 0
    filmed: bool = False
    fade: int = FADE

    def shot(self, pose: int) -> tuple[Footage, int]:
        if self.clip is None:
            base = self.look.footage
            return base, base.base.cycle(self.tick + pose - self.start)
        return self.clip, min(pose - self.start, self.clip.base.n - 1)


class Walk:
    """One session's order of frames.

    Args:
        look: What it begins with.
    """

    def __init__(self, look: Look) -> None:
        self._parts = [_Part(0, look)]

    @property
    def look(self) -> Look:
        """The look the walk ends in."""
        return self._parts[-1].look

    def at(self, pose: int) -> Step:
        """What is shown at a pose."""
        k = max((k for k, part in enumerate(self._parts) if part.start <= pose), default=0)
        part = self._parts[k]
        before = self._parts[k - 1] if k else None
        if before is None or before.look is not part.look or pose - part.start >= part.fade:
            return Step(part.look, (part.shot(pose),), filmed=part.filmed)
        share = (pose - part.start + 1) / (part.fade + 1)
        return Step(part.look, (before.shot(pose), part.shot(pose)), share, part.filmed or before.filmed)

    def change(self, look: Look, pose: int) -> None:
        """Show another look from a pose on; what was planned after it is off."""
        now = next(part for part in reversed(self._parts) if part.start <= pose or part is self._parts[0])
        same = look.engine is now.look.engine and now.clip is None
        self._parts = [part for part in self._parts if part.start < pose]
        self._parts.append(_Part(pose, look, tick=now.tick + pose - now.start if same else 0))

    def play(self, clip: Footage, pose: int, *, seek: int = SEEK, filmed: bool = False) -> tuple[int, int]:
        """Cut a clip of the same look in, at the pose from ``pose`` on where the head stands most alike.

        Args:
            clip: At least ``SHORTEST`` frames.
            pose: The first one not yet drawn.
            seek: Poses among which the entry is sought; 1 begins at ``pose``.
            filmed: The mouth stays as it was filmed.

        Returns:
            The first pose of the clip, and the first after it.
        """
        base = self.look.footage.base
        first = max(pose, self._parts[-1].start + FADE)
        far = SEEK_FAR if seek > 1 else 1
        places = [self.at(first + k).shots[-1][1] for k in range(far)]
        apart = _apart(base.landmarks[places], clip.base.landmarks[0])
        close = CLOSE * float(np.ptp(_points(clip.base.landmarks[0])[..., 0]))
        entry = int(np.argmin(apart[:seek]))
        if apart[entry] > close:
            entry = int(np.argmin(apart))
        start = first + entry
        end = start + clip.base.n
        leave = clip.base.n - FADE
        tick = _nearest(base, clip.base, leave)
        back = _apart(base.landmarks[[base.cycle(tick)]], clip.base.landmarks[leave])[0]
        self._parts.append(_Part(start, self.look, clip, filmed=filmed, fade=FADE if apart[entry] <= close else 0))
        self._parts.append(_Part(end - FADE, self.look, tick=tick, fade=FADE if back <= close else 0))
        return start, end

    def playing(self, pose: int) -> bool:
        """Whether a clip is on or still to come at a pose."""
        return any(part.clip is not None and part.start + part.clip.base.n > pose for part in self._parts)

    def passed(self, pose: int) -> list[Look]:
        """Forget what lies behind a pose; the looks that no longer show."""
        behind = [part.look for part in self._parts]
        while len(self._parts) > 1 and self._parts[1].start + FADE <= pose:
            self._parts.pop(0)
        kept = [part.look for part in self._parts]
        return [look for look in dict.fromkeys(behind) if look not in kept]

    def looks(self) -> list[Look]:
        """Every look still in the walk."""
        return list(dict.fromkeys(part.look for part in self._parts))


def _points(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Upper-face points (n, 24, 2): what speech hardly moves."""
    return np.asarray(landmarks, np.float64)[..., UPPER_FACE, :]


def _apart(many: NDArray[np.float32], one: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square distance of the upper face, pixels, (n,)."""
    return np.sqrt(((_points(many) - _points(one)) ** 2).mean((-1, -2)))


def _nearest(base: BaseClip, clip: BaseClip, frame: int) -> int:
    """The tick of ``base``'s walk whose head stands, and moves, most like ``clip``'s at ``frame``."""
    period = base.n if not base.mirror or base.n < 3 else 2 * base.n - 2
    order = np.array([base.cycle(tick) for tick in range(period)])
    points = _points(base.landmarks)[order]
    moves = np.roll(points, -1, 0) - points
    own = _points(clip.landmarks)
    move = own[min(frame + 1, clip.n - 1)] - own[max(frame - 1, 0)]
    place = ((points - own[frame]) ** 2).mean((-1, -2))
    motion = ((moves - move / 2) ** 2).mean((-1, -2))
    return int(np.argmin(place + motion))

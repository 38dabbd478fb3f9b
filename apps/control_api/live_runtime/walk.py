"""Which frames a session shows: an endless cycle, into which actions are cut where poses match.

The walk is counted in poses, one a picture. It is planned only ahead of what was drawn already, so a picture once
drawn stays true. A clip begins where the head stands as in its first frame, and leaves where the cycle is nearest to
its last one; both joins dissolve over ``FADE`` frames. Another avatar comes with a cut, as one camera follows another:
two faces are never laid over each other.
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
        if before is None or before.look is not part.look or pose - part.start >= FADE:
            return Step(part.look, (part.shot(pose),), filmed=part.filmed)
        share = (pose - part.start + 1) / (FADE + 1)
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
        places = [self.at(first + k).shots[-1][1] for k in range(max(1, seek))]
        start = first + int(np.argmin(_apart(base.landmarks[places], clip.base.landmarks[0])))
        end = start + clip.base.n
        leave = clip.base.n - FADE
        tick = _nearest(base, clip.base, leave)
        self._parts.append(_Part(start, self.look, clip, filmed=filmed))
        self._parts.append(_Part(end - FADE, self.look, tick=tick))
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

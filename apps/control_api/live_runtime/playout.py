"""The buffer between making and showing: speech frames with a place for their picture, and the idle cycle around them.

One object, one thread (the event loop), no waiting: makers put in, the clock takes one frame every 40 ms and always
gets one. Sound never waits for pictures: a frame whose picture is late is heard, and the last picture is held. Where
the base clip stands is counted in ``pose``: one step a picture, through idle and speech alike, so the head moves on
without a jump; a speech frame is given its pose only when it is about to be drawn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import FRAME_S, FRAME_SAMPLES, DrivenFrame, MediaFrame
from apps.control_api.live_runtime.pictures import FADE_IN, Picture

AHEAD = 16
"""Drawn frames kept ready: 0.64 s, enough for the machine's hiccups."""
WAITING = 50
"""Speech frames that wait undrawn before the animator is held back: two seconds."""
IDLE_AHEAD = 8
MAX_START = 6
_CUT_SHARE = 0.25
"""How much of the last spoken picture is left in the first one after a cut: a mouth that shuts quickly."""
_RAMP = 240
"""Samples over which cut sound dies away (5 ms), so that a stop does not click."""
_RUNS = 8
"""Runs of speech the jitter is judged by."""
_JUDGED = 50
"""Frames of a run that are judged: two seconds."""
_STAND = 4
"""Ticks the head may stand still before speech."""
_PATIENCE = 15
"""Ticks after which speech begins even with no picture drawn."""


@dataclass(eq=False)
class Entry:
    """A speech frame waiting to be played."""

    frame: DrivenFrame | None
    turn: int
    first: bool = False
    pose: int = -1
    weight: float = 1.0
    place: int = 0
    taken: bool = False
    gone: bool = False
    picture: Picture | None = field(default=None, repr=False)
    look: int = 0


class Playout:
    """One session's buffer.

    Args:
        still: The picture to begin with, I420.
        look: Whose it is. Pictures of different looks are never laid over each other.
    """

    def __init__(self, still: Picture, look: int = 0) -> None:
        self.watched = False
        self.speaking = False
        self.pose = 0
        self.number = 0
        self.jitter = 0
        self._learned = 2
        self.held = self.gaps = 0
        self.work = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.cuts = 0
        self.quiet_until = 0
        self._entries: deque[Entry] = deque()
        self._idle: dict[int, tuple[Picture, int]] = {}
        self._idle_taken = 0
        self._last_pose = 0
        self._run = 0
        self._clean_runs = 0
        self._drawn_from = 0
        self._lates: deque[int] = deque(maxlen=_RUNS)
        self._late = 0
        self._patience = self._stood = 0
        self._still, self._still_look = still, look
        self._shown_speech = False
        self._leaving = 0.5
        self._turn_seen = self._open_turn = 0
        self._ended: list[int] = []
        self._fading: NDArray[np.int16] | None = None
        self._silence = np.zeros(FRAME_SAMPLES, np.int16)

    @property
    def buffered(self) -> int:
        """Speech frames waiting."""
        return sum(1 for entry in self._entries if entry.frame is not None)

    @property
    def _hushed(self) -> bool:
        """Whether speech waits for the end of an action: ``quiet_until`` is the first pose after it."""
        return self.watched and not self.speaking and self.pose + 1 < self.quiet_until

    def nearly_over(self, frames: int) -> bool:
        """Whether what waits is whole (a turn's end is the last of it) and at most ``frames`` long."""
        return self.buffered <= frames and (not self._entries or self._entries[-1].frame is None)

    @property
    def start_frames(self) -> int:
        """Drawn frames a run of speech waits for: as many as pictures came late by lately, at least two."""
        return min(MAX_START, max(self._learned, self.jitter + 1))

    # -- makers ------------------------------------------------------------------------------------------------------

    def add(self, frame: DrivenFrame) -> None:
        """Take a speech frame."""
        self._entries.append(Entry(frame, frame.turn, first=frame.turn != self._turn_seen, weight=frame.weight))
        self._turn_seen = frame.turn
        if len(self._entries) >= WAITING:
            self.room.clear()
        self.work.set()

    def end(self, turn: int) -> None:
        """Note that a turn has no more frames."""
        self._entries.append(Entry(None, turn))
        self.work.set()

    def cut(self) -> None:
        """Drop all speech, at once: the sound dies away within 5 ms, the next picture turns to rest."""
        self.cuts += 1
        self._fading = None
        if self.speaking:
            head = next((e.frame for e in self._entries if e.frame is not None), None)
            if head is not None:
                self._fading = faded(head.sound)
        for entry in self._entries:
            entry.gone = True
        self._entries.clear()
        self.speaking = False
        self._leaving = _CUT_SHARE
        self._run = self._open_turn = 0
        self._idle.clear()
        self._idle_taken = self._last_pose = self.pose
        self.room.set()
        self.work.set()

    # -- the painter -------------------------------------------------------------------------------------------------

    def take_speech(self, most: int, each_s: float) -> list[Entry]:
        """The next frames to draw, in order, with their poses; empty where enough are drawn.

        Args:
            most: Frames at most.
            each_s: How long the caller expects to draw one. No more are given than can be drawn in time, and frames
                that will have been played before theirs is drawn are left without: so an engine slower than real time
                shows every picture it makes.
        """
        if self._hushed:
            return []
        ready = sum(1 for e in self._entries if e.frame is not None and e.taken)
        chosen: list[Entry] = []
        missed = int(each_s / FRAME_S + 0.6) if self.speaking else 0
        until = -1
        for entry in self._entries:
            until += entry.frame is not None
            if entry.frame is None or entry.taken:
                continue
            if self.speaking and not chosen:
                most = min(most, max(1, int(until * FRAME_S / max(each_s, 1e-6))))
            if len(chosen) >= most or ready + len(chosen) >= AHEAD:
                break
            if self._run == 0:
                self._last_pose = self.pose + 1 + int(self.start_frames * each_s / FRAME_S)
            if self._run < len(FADE_IN):
                entry.weight = min(entry.weight, FADE_IN[self._run])
            self._last_pose += 1
            self._run += 1
            entry.pose, entry.taken, entry.place = self._last_pose, True, self._run
            if until >= missed:
                chosen.append(entry)
        return chosen

    def draw_done(self, entry: Entry, picture: Picture | None, look: int = 0) -> None:
        """Hand a drawn frame in; one that was played or cut meanwhile is ignored. None: it could not be drawn."""
        if entry.place == 1:
            self._drawn_from, self._late = self.number, 0
        elif entry.place < _JUDGED:
            self._late = max(self._late, self.number - self._drawn_from - entry.place + 1)
        if not entry.gone:
            entry.picture, entry.look = picture, look

    def take_idle(self) -> int | None:
        """The next pose whose resting picture will be wanted soon and is not yet being drawn."""
        waiting = [e for e in self._entries if e.frame is not None]
        base = self.pose
        if self.speaking:
            if len(waiting) > IDLE_AHEAD or any(not e.taken for e in waiting):
                return None
            base = max(self._last_pose, self.pose)
        pose = max(base, self._idle_taken) + 1
        if pose > base + IDLE_AHEAD:
            return None
        self._idle_taken = pose
        return pose

    def idle_done(self, pose: int, picture: Picture, look: int = 0) -> None:
        """Hand a resting picture in."""
        self._idle[pose] = picture, look

    # -- the clock ---------------------------------------------------------------------------------------------------

    def next(self) -> MediaFrame:
        """The next 40 ms. Never waits, never fails."""
        number, self.number = self.number, self.number + 1
        self._pop_ends()
        head = self._entries[0] if self._entries else None
        if head is not None and (self.speaking or self._may_start()):
            out = self._speech(number, head)
        else:
            if self.speaking:
                self._stop_run(ran_dry=self._open_turn != 0)
            out = self._rest(number)
        self.work.set()
        return out

    def fade_done(self) -> None:
        """The cut sound has already died away in a frame's second half."""
        self._fading = None

    def take_ended(self) -> list[int]:
        """Turns that were played to their end since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def skip(self, frames: int) -> None:
        """Let time pass unseen (the machine stood still); speech waits."""
        self.number += frames

    def _speech(self, number: int, head: Entry) -> MediaFrame:
        self._entries.popleft()
        head.gone = True
        frame = head.frame
        assert frame is not None, "end marks are popped before"  # noqa: S101
        began = not self.speaking
        self.speaking = True
        self._patience = self._stood = 0
        held = head.picture is None and self.watched
        if head.picture is not None:
            picture = head.picture
            if began and head.pose != self.pose + 1 and head.look == self._still_look:
                picture = mixed(self._still, picture)
            self.pose = head.pose
            self._still, self._still_look = picture, head.look
        else:
            self.pose = head.pose if head.taken else self.pose + 1
            if held:
                self.held += 1
                self._clean_runs = 0
                self._learned = min(self._learned + 1, MAX_START) if self._run < 25 else self._learned
        if not head.taken:
            self._last_pose = max(self._last_pose, self.pose)
        self._shown_speech = True
        self._leaving = 0.5
        self._prune_idle()
        if len(self._entries) < WAITING:
            self.room.set()
        last = self._pop_ends(head.turn)
        self._open_turn = 0 if last else head.turn
        picture_out = self._still if self.watched else None
        return MediaFrame(head.turn, number, frame.sound, picture_out, held, head.first, last)

    def _rest(self, number: int) -> MediaFrame:
        head = next((e for e in self._entries if e.frame is not None), None)
        if head is not None and head.taken and head.pose <= self.pose + 1 and self._stood < _STAND:
            # Speech about to begin is drawn for the next pose: to stand still for a moment shows less than to go back.
            self._stood += 1
            picture, look, held = None, 0, False
        else:
            self.pose += 1
            self._stood = 0
            picture, look = self._idle.pop(self.pose, (None, 0))
            held = picture is None and self.watched
        if picture is not None:
            # Out of speech the picture dissolves over one frame: neighbours in the cycle differ by a breath of motion.
            joined = self._shown_speech and look == self._still_look
            self._still = mixed(self._still, picture, self._leaving) if joined else picture
            self._still_look, self._shown_speech = look, False
        elif held:
            self.held += 1
        self._prune_idle()
        sound, self._fading = (self._silence if self._fading is None else self._fading), None
        return MediaFrame(0, number, sound, self._still if self.watched else None, held)

    def _may_start(self) -> bool:
        if self._hushed:
            return False
        self._patience += 1
        if not self.watched or self._patience > _PATIENCE:
            return True
        drawn = total = 0
        whole = False
        for entry in self._entries:
            if entry.frame is None:
                whole = True
                break
            total += 1
            drawn += entry.picture is not None and drawn == total - 1
        return drawn >= min(self.start_frames, total) and (whole or total >= self.start_frames)

    def _stop_run(self, ran_dry: bool) -> None:
        self.speaking = False
        self._run = 0
        # One slow run in eight is an accident; two are how this machine is.
        self._lates.append(self._late)
        self.jitter = sorted(self._lates)[-2] if len(self._lates) > 1 else 0
        self._late = 0
        if ran_dry:
            self.gaps += 1
            self._clean_runs = 0
            self._learned = min(self._learned + 2, MAX_START)
        else:
            self._clean_runs += 1
            if self._clean_runs >= 3 and self._learned > 2:
                self._learned -= 1
                self._clean_runs = 0

    def _pop_ends(self, turn: int | None = None) -> bool:
        """Take end marks off the front; whether one was there (of ``turn`` where given)."""
        found = False
        while self._entries and self._entries[0].frame is None:
            entry = self._entries.popleft()
            self._ended.append(entry.turn)
            found = found or turn is None or entry.turn == turn
        return found

    def _prune_idle(self) -> None:
        for pose in [p for p in self._idle if p <= self.pose]:
            del self._idle[pose]


def faded(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """The first 5 ms of ``sound`` dying away, then silence; same length."""
    out = np.zeros_like(sound)
    n = min(_RAMP, len(sound))
    out[:n] = (sound[:n] * np.linspace(1.0, 0.0, n, dtype=np.float32)).astype(np.int16)
    return out


def mixed(a: Picture, b: Picture, share: float = 0.5) -> Picture:
    """``share`` of ``a``, the rest of ``b``."""
    out: Any = cv2.addWeighted(a, share, b, 1.0 - share, 0.0)
    return np.asarray(out, np.uint8)

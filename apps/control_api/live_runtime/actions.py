"""Actions: clips of the avatar that play on a command or a keyword and lead back into the cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apps.control_api.live_runtime.footage import Footage
from apps.control_api.live_runtime.playout import Playout
from apps.control_api.live_runtime.walk import SEEK, Walk
from lipsync.errors import NotFoundError

Speech = Literal["drive", "hold", "wait"]
MAX_CUES = 4
"""Actions that may wait for their moment in one session."""


@dataclass(frozen=True)
class ActionSpec:
    """One action of an avatar.

    Attributes:
        name: How it is asked for.
        folder: Its clip, as ``lipsync.frame_cycle`` writes clips.
        keywords: Words that begin it when they are said to or by the avatar.
        sound: Its own sound, spoken as a turn with the mouth as it was filmed; None for a silent one.
        speech: What speech does meanwhile: "drive" moves the mouth, "hold" is heard with the mouth as filmed, "wait"
            waits until the clip is over.
    """

    name: str
    folder: Path
    keywords: tuple[str, ...] = ()
    sound: Path | None = None
    speech: Speech = "drive"


class ActionCue:
    """An action that waits for its moment; see ``painter.Cue``.

    Args:
        spec: Which.
        clip: Its pictures.
        playout: Holds speech back where the action wants it.
        turn: Begin with this turn's pictures; None for the next ones, whatever they are.
        on_begun: Told the name.
    """

    def __init__(
        self, spec: ActionSpec, clip: Footage, playout: Playout, turn: int | None, on_begun: Callable[[str], None]
    ) -> None:
        self.spec, self.clip, self.turn = spec, clip, turn
        self._playout, self._on_begun = playout, on_begun

    def due(self, turn: int, speaking: bool) -> bool:
        """Whether it may begin with the next picture, one of ``turn`` (0: idle)."""
        if self.turn is not None:
            return turn == self.turn
        return self.spec.speech != "wait" or (turn == 0 and not speaking)

    def begin(self, walk: Walk, pose: int) -> None:
        """Cut it into the walk from ``pose`` on."""
        # A clip with its own sound begins with that sound; another where the head stands most like in its first frame.
        exact = self.spec.sound is not None
        filmed = exact or self.spec.speech != "drive"
        _, end = walk.play(self.clip, pose, seek=1 if exact else SEEK, filmed=filmed)
        if self.spec.speech == "wait" and not exact:
            self._playout.quiet_until = end
        self._on_begun(self.spec.name)


class ActionBook:
    """The actions a session knows, by name and by keyword."""

    def __init__(self, specs: Sequence[ActionSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._heard: dict[int, str] = {}
        self._done: set[tuple[int, str]] = set()

    def get(self, name: str) -> ActionSpec:
        """An action.

        Raises:
            NotFoundError: There is none of that name.
        """
        if name not in self._specs:
            raise NotFoundError(
                f"The avatar has no action {name!r}.", "Choose one of the list, or add it.", {"actions": [*self._specs]}
            )
        return self._specs[name]

    def heard(self, turn: int, text: str) -> list[ActionSpec]:
        """Actions whose keywords came up in a turn with this piece of text; each once a turn."""
        if not self._specs:
            return []
        for old in [t for t in self._heard if t < turn - 50]:
            del self._heard[old]
        self._done = {(t, name) for t, name in self._done if t >= turn - 50}
        said = self._heard[turn] = (self._heard.get(turn, "") + text.casefold())[-400:]
        found = []
        for spec in self._specs.values():
            if (turn, spec.name) not in self._done and any(word.casefold() in said for word in spec.keywords):
                self._done.add((turn, spec.name))
                found.append(spec)
        return found

"""Actions of an avatar: clips cut out of its person's takes, kept in the avatar's own folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlmodel import Session

from apps.control_api import log
from apps.control_api.services import consents
from apps.control_api.services.avatars import find
from apps.control_api.services.events import emit
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, Consent, TakeRow
from lipsync.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from apps.control_api.live_runtime.actions import ActionSpec

_log = log.get(__name__)
MOST = 50
"""Actions an avatar may have."""
SHORTEST_S = 0.48
"""Below this there is nothing left between the dissolves at both ends."""
_RATE = 48_000
_NOTE, _SOUND = "action.json", "sound.wav"


@dataclass(frozen=True)
class Action:
    """An action as it is kept.

    Attributes:
        keywords: Words that begin it when they are said to or by the avatar.
        sound: Whether the clip's own sound is heard, its mouth as filmed.
        speech: What speech does meanwhile: drive, hold or wait.
        seconds: Its length.
        take_id, start_s, end_s: Where it was cut out.
    """

    id: str
    name: str
    keywords: list[str]
    sound: bool
    speech: str
    seconds: float
    take_id: str
    start_s: float
    end_s: float
    created_at: str


class Actions:
    """The use-cases of actions."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def list(self, avatar_id: str) -> list[Action]:
        """The actions of an avatar, oldest first."""
        with self._tools.database.read() as session:
            find(session, avatar_id)
        return [action for action, _ in self._kept(avatar_id)]

    def specs(self, avatar_id: str) -> tuple[ActionSpec, ...]:
        """The same as the live runtime takes them."""
        from apps.control_api.live_runtime.actions import ActionSpec

        return tuple(
            ActionSpec(a.name, folder, tuple(a.keywords), folder / _SOUND if a.sound else None, a.speech)  # type: ignore[arg-type]
            for a, folder in self._kept(avatar_id)
        )

    def add(self, avatar_id: str, wanted: dict[str, Any]) -> Action:
        """Cut a new action out of a take. Blocking: it is read and written anew, about a second for each of the clip's.

        Args:
            avatar_id: Whose.
            wanted: name, take_id (None: the avatar's own), start_s, end_s, keywords, sound, speech.

        Raises:
            ConflictError: The name is taken, there are too many, or the take is not prepared.
            ForbiddenError: The take shows another person, or its consent does not cover going live.
            InvalidInputError: The range is none, or the face is out of view in it while speech is to drive it.
        """
        with self._tools.database.read() as session:
            avatar = find(session, avatar_id)
            take = self._take(session, avatar, wanted["take_id"])
        there = self._kept(avatar_id)
        if len(there) >= MOST:
            raise ConflictError(f"The avatar has {MOST} actions.", "Delete one first.")
        if any(action.name == wanted["name"] for action, _ in there):
            raise ConflictError("There is an action of this name.", "Choose another name, or delete that one.")
        action = Action(
            id=str(uuid4()),
            name=wanted["name"],
            keywords=wanted["keywords"],
            sound=wanted["sound"],
            speech=wanted["speech"],
            seconds=0.0,
            take_id=take.id,
            start_s=wanted["start_s"],
            end_s=wanted["end_s"],
            created_at=now().isoformat(),
        )
        aside = self._tools.files.new_incoming()
        try:
            seconds = self._cut(take.id, action, aside)
            action = replace(action, seconds=seconds)
            (aside / _NOTE).write_text(json.dumps(asdict(action), ensure_ascii=False), "utf-8")
            folder = self._folder(avatar_id)
            folder.mkdir(parents=True, exist_ok=True)
            aside.rename(folder / action.id)
        finally:
            self._tools.files.remove(aside)
        self._tell(avatar_id)
        return action

    def delete(self, avatar_id: str, action_id: str) -> None:
        """Delete an action; sessions that know it already play it until they end."""
        for action, folder in self._kept(avatar_id):
            if action.id == action_id:
                self._tools.files.remove(folder)
                self._tell(avatar_id)
                return
        raise NotFoundError("There is no such action.", "List the avatar's actions.")

    def _folder(self, avatar_id: str) -> Path:
        return self._tools.files.avatar(avatar_id) / "actions"

    def _kept(self, avatar_id: str) -> Sequence[tuple[Action, Path]]:
        found = []
        for note in self._folder(avatar_id).glob(f"*/{_NOTE}"):
            try:
                found.append((Action(**json.loads(note.read_text("utf-8"))), note.parent))
            except (OSError, ValueError, TypeError) as error:
                _log.warning("an action cannot be read", folder=note.parent.name, error=str(error))
        return sorted(found, key=lambda pair: (datetime.fromisoformat(pair[0].created_at), pair[0].id))

    def _take(self, session: Session, avatar: AvatarRow, take_id: str | None) -> TakeRow:
        take = session.get(TakeRow, take_id or avatar.take_id or "")
        if take is None:
            raise NotFoundError("The take is not there.", "Name one of the same person with `take_id`.")
        if take.state != "prepared":
            raise ConflictError(f"The take is {take.state}.", "Wait until it is prepared.", {"job_id": take.job_id})
        given = consents.require(session, take.consent_id, "live")
        own = session.get(Consent, avatar.consent_id) if avatar.consent_id else None
        if take.id != avatar.take_id and (own is None or given is None or own.person != given.person):
            raise ForbiddenError("The take shows another person than the avatar.", "Choose a take of the same person.")
        return take

    def _cut(self, take_id: str, action: Action, target: Path) -> float:
        from lipsync.dataset.take import load_take
        from lipsync.engine import FPS, SAMPLE_RATE
        from lipsync.frame_cycle import Stretch, longest, write_clip
        from lipsync.media.audio import load_audio, save_wav

        take = load_take(self._tools.files.take(take_id))
        start, stop = round(action.start_s * FPS), round(action.end_s * FPS)
        most = longest(take.width, take.height)
        if not 0 <= start < stop <= take.n:
            raise InvalidInputError(
                f"The range is not within the take's {take.n / FPS:.2f} s.", "Choose start_s and end_s within it."
            )
        if not round(SHORTEST_S * FPS) <= stop - start <= most:
            raise InvalidInputError(
                f"An action lasts {SHORTEST_S:g} to {most / FPS:g} s at this size.", "Choose another range."
            )
        hidden = [k for k in range(start, stop) if not take.found[k]]
        if hidden and action.speech == "drive" and not action.sound:
            raise InvalidInputError(
                f"The face is out of view at {hidden[0] / FPS:.2f} s, so speech cannot move its mouth.",
                "Choose another range, or speech hold or wait.",
            )
        write_clip(take, Stretch(start, stop, mirror=False), target)
        if action.sound:
            # As it was recorded where the film is still there; else what the engine hears of it.
            film = self._tools.files.source(take_id) / "video"
            pcm, rate = (load_audio(film, _RATE), _RATE) if film.is_file() else (take.audio, SAMPLE_RATE)
            save_wav(target / _SOUND, pcm[start * rate // FPS : stop * rate // FPS], rate)
        return round((stop - start) / FPS, 2)

    def _tell(self, avatar_id: str) -> None:
        with self._tools.database.write() as session:
            emit(session, "system", {"name": "avatar_changed", "data": {"avatar_id": avatar_id}})

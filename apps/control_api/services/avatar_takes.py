"""Further takes of a person for an avatar there is already: whether they may join it, and what it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from apps.control_api.services import consents
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import AvatarRow, Consent, ModelRow, TakeRow
from lipsync.errors import ForbiddenError, InvalidInputError


@dataclass(frozen=True)
class Earlier:
    """What a new version builds on.

    Attributes:
        takes: Ids of the earlier takes that are learned from again.
        folders: Where they lie.
        parent: Folder of the version before, whose mouths stand for takes that were deleted; None where none was.
        left_out: Why, for each take that is not learned from again.
    """

    takes: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    parent: Path | None = None
    left_out: tuple[str, ...] = ()


def require_same_person(session: Session, avatar: AvatarRow, take: TakeRow) -> None:
    """Raise ``InvalidInputError`` unless a take shows the person of an avatar.

    Faces decide. Where none was found to compare (an avatar brought in, a drawn figure) the consents have to agree.
    """
    known = {avatar.take_id} | set(_learned_from(session, avatar))
    if take.id in known:
        return
    rows = session.exec(select(TakeRow).where(col(TakeRow.id).in_(known - {None}))).all()
    faces = {row.face_id for row in rows} - {None}
    same = take.face_id in faces if faces and take.face_id is not None else avatar.consent_id == take.consent_id
    if not same:
        raise InvalidInputError(
            "The take shows another person than the avatar.",
            "Name no avatar, so that the take becomes one of its own.",
            {"avatar_id": avatar.id, "take_id": take.id},
        )


def earlier(session: Session, tools: Tools, parent: ModelRow | None, take: TakeRow) -> Earlier:
    """What the version before was learned from, as far as it is there and may be used for this one.

    An earlier take joins only while its consent allows all that the new take's does, for as long: the new version
    rests on the new take's consent.
    """
    if parent is None:
        return Earlier()
    takes, folders, left_out = [], [], []
    usable = _covers(session, parent.consent_id, take.consent_id)
    deleted = False
    for id_ in parent.take_ids:
        if id_ == take.id:
            continue
        row = session.get(TakeRow, id_)
        if row is None or not tools.files.take(id_).is_dir():
            deleted = True
        elif (reason := _covers(session, row.consent_id, take.consent_id)) is not None:
            left_out.append(f"{row.name}: {reason}")
            usable = usable or reason  # the version before holds that take's mouths
        else:
            takes.append(id_)
            folders.append(tools.files.take(id_))
    folder = tools.files.model_path(parent.path)
    mouths = folder if deleted and usable is None and (folder / "manifest.json").is_file() else None
    return Earlier(tuple(takes), tuple(folders), mouths, tuple(left_out))


def _learned_from(session: Session, avatar: AvatarRow) -> list[str]:
    model = session.get(ModelRow, avatar.model_id) if avatar.model_id else None
    return list(model.take_ids) if model is not None else []


def _covers(session: Session, older: str | None, newer: str | None) -> str | None:
    """Why a consent does not allow all that another one does; None if it does."""
    if older == newer or older is None:
        return None
    try:
        given = consents.require(session, older, "train")
    except ForbiddenError as error:
        return error.message
    wanted = session.get(Consent, newer) if newer else None
    if given is None or wanted is None:
        return "its consent does not say that it holds for this one."
    if not set(wanted.scope) <= set(given.scope):
        return "its consent does not cover all that the new take's does."
    if given.until is not None and (wanted.until is None or wanted.until > given.until):
        return "its consent ends before the new take's does."
    return None

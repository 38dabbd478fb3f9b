"""Consent: asked for before every use of what a person gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from apps.control_api.services.events import emit
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, Consent, ModelRow, VoiceRow
from lipsync.errors import ConflictError, ForbiddenError, NotFoundError

_WORDS = {
    "train": "training a model",
    "live": "talking live or making films",
    "export": "taking the model out of this studio",
    "market": "offering the model to others",
}


def add(session: Session, given: dict[str, Any]) -> Consent:
    """Keep a consent. ``given`` has person, purpose, scope, statement, statement_version, until (aware time, None)."""
    until: datetime | None = given.get("until")
    row = Consent(
        person=given["person"],
        purpose=given.get("purpose", ""),
        scope=sorted(set(given["scope"])),
        statement=given["statement"],
        statement_version=given.get("statement_version", "1"),
        until=until,
    )
    session.add(row)
    session.flush()
    return row


def withdraw(session: Session, table: type[AvatarRow] | type[VoiceRow], id_: str) -> Consent:
    """Withdraw the consents that an avatar or a voice and its versions rest on; returns the one of what is live.

    What else was made under them (the take, other avatars) stops with it: it is the person who takes it back.

    Raises:
        NotFoundError: no such avatar or voice.
        ConflictError: it shows nobody, so nobody agreed to anything.
    """
    row: Any = session.get(table, id_)
    if row is None:
        raise NotFoundError("There is no such object.", "List them to see those there are.")
    versions = session.exec(select(ModelRow.consent_id).where(ModelRow.owner_id == id_))
    ids = {row.consent_id, *versions} - {None}
    if row.consent_id is None or not ids:
        raise ConflictError("This was made from nobody, so there is no consent to withdraw.", "Delete it instead.")
    for consent in session.exec(select(Consent).where(col(Consent.id).in_(ids))):
        consent.withdrawn_at = consent.withdrawn_at or now()
    emit(session, "system", {"name": "consent_withdrawn", "data": {"id": id_, "consents": sorted(str(i) for i in ids)}})
    return session.exec(select(Consent).where(Consent.id == row.consent_id)).one()


def require(session: Session, consent_id: str | None, scope: str) -> Consent | None:
    """Return the consent if it allows ``scope`` now; things that show nobody (no consent id) need none.

    Raises:
        ForbiddenError: with what is missing: withdrawn, ended, or never given for this.
    """
    if consent_id is None:
        return None
    consent = session.get(Consent, consent_id)
    detail = {"consent_id": consent_id, "scope": scope}
    if consent is None:
        raise ForbiddenError("The consent for this cannot be found.", "Upload the take again with a consent.", detail)
    if consent.withdrawn_at is not None:
        raise ForbiddenError(
            f"{consent.person} has withdrawn the consent.", "Ask for a new one and upload the take again.", detail
        )
    if consent.until is not None and consent.until < now():
        raise ForbiddenError(
            f"The consent of {consent.person} has ended.", "Ask for a new one and upload the take again.", detail
        )
    if scope not in consent.scope:
        raise ForbiddenError(
            f"The consent of {consent.person} does not cover {_WORDS.get(scope, scope)}.",
            f"Ask for a consent whose scope includes '{scope}'.",
            detail,
        )
    return consent

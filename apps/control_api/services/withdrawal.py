"""What was made before a consent ended stays where it is, but is handed out no more."""

from __future__ import annotations

from sqlmodel import Session

from apps.control_api.services import consents
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import AvatarRow, JobRow, ModelRow, VoiceRow


def require_servable(tools: Tools, job: JobRow) -> None:
    """Raise unless the consents still allow what a job made to be handed out.

    Raises:
        ForbiddenError: an export whose consent no longer covers export, or a film whose covers live no more.
    """
    with tools.database.read() as session:
        if job.kind.endswith(":export"):
            model = session.get(ModelRow, job.request.get("model_id") or "")
            consents.require(session, model.consent_id if model else None, "export")
        elif job.kind == "inference:video":
            _require(session, AvatarRow, job.request.get("avatar_id"))
            _require(session, VoiceRow, job.request.get("voice_id"))


def require_showable(tools: Tools, avatar_id: str) -> None:
    """Raise ``ForbiddenError`` unless an avatar may still be shown (one that is gone leaves nothing to ask)."""
    with tools.database.read() as session:
        _require(session, AvatarRow, avatar_id)


def _require(session: Session, table: type[AvatarRow] | type[VoiceRow], id_: str | None) -> None:
    row: AvatarRow | VoiceRow | None = session.get(table, id_) if id_ else None
    consents.require(session, row.consent_id if row is not None else None, "live")

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
            _require(session, session.get(AvatarRow, job.request.get("avatar_id") or ""))
            _require(session, session.get(VoiceRow, job.request.get("voice_id") or ""))


def require_showable(tools: Tools, avatar_id: str) -> None:
    """Raise ``ForbiddenError`` unless an avatar may still be shown (one that is gone leaves nothing to ask)."""
    with tools.database.read() as session:
        _require(session, session.get(AvatarRow, avatar_id))


def _require(session: Session, row: AvatarRow | VoiceRow | None) -> None:
    consents.require(session, row.consent_id if row is not None else None, "live")

"""Database rows. Importing this package registers every table."""

from apps.control_api.storage.tables.assets import AvatarRow, Consent, ModelRow, TakeRow, VoiceRow
from apps.control_api.storage.tables.room import MessageRow, PlaylistRow, RecordingRow, ScriptRow
from apps.control_api.storage.tables.trust import AuditRow, TokenRow
from apps.control_api.storage.tables.work import EventRow, JobLogRow, JobRow, StateRow

__all__ = [
    "AuditRow",
    "AvatarRow",
    "Consent",
    "EventRow",
    "JobLogRow",
    "JobRow",
    "MessageRow",
    "ModelRow",
    "PlaylistRow",
    "RecordingRow",
    "ScriptRow",
    "StateRow",
    "TakeRow",
    "TokenRow",
    "VoiceRow",
]

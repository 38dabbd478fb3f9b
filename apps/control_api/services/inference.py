"""Films made from a text or a sound, as jobs."""

from __future__ import annotations

from typing import Any

from apps.control_api.services.avatars import Avatars
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voices import Voices
from apps.control_api.storage.tables import JobRow
from lipsync.errors import InvalidInputError


class Inference:
    """The use-cases of films."""

    def __init__(self, tools: Tools, avatars: Avatars, voices: Voices, uploads: Uploads) -> None:
        self._tools, self._avatars, self._voices, self._uploads = tools, avatars, voices, uploads

    def video(self, wanted: dict[str, Any], priority: str) -> JobRow:
        """Queue a film. ``wanted``: avatar_id, voice_id, text or audio_upload_id, background, mark."""
        if (wanted.get("text") is None) == (wanted.get("audio_upload_id") is None):
            raise InvalidInputError(
                "A film needs a text or a sound, and not both.", "Send `text` or `audio_upload_id`."
            )
        avatar, _ = self._avatars.usable(wanted["avatar_id"], "live")
        if wanted.get("audio_upload_id"):
            self._uploads.finished(wanted["audio_upload_id"])
        else:
            wanted = {**wanted, "voice_id": self._voices.usable(wanted.get("voice_id"), "live").id}
        return self._tools.jobs.submit("inference:video", wanted, subject_id=avatar.id, priority=priority)

"""The job that makes a film of an avatar speaking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlmodel import Session

from apps.control_api.services.avatars import Avatars
from apps.control_api.services.bodies import Done
from apps.control_api.services.live import session_spec
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voices import Voices
from apps.control_api.storage.tables import JobRow
from lipsync.progress import Progress

NAME, NAME_THROUGH = "film.mp4", "film.webm"


class RenderVideo:
    """``inference:video {avatar_id, voice_id, text or audio_upload_id, background, mark}`` -> file, avatar_id."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._uploads = Uploads(tools.files)

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Render through the live pipeline, faster than real time."""
        from apps.control_api.live_runtime.render_file import render_video

        wanted = job.request
        avatar, bundle = Avatars(self._tools).usable(wanted["avatar_id"], "live")
        voices = Voices(self._tools, self._uploads)
        voice = voices.usable(wanted.get("voice_id"), "live")
        spec = session_spec(bundle, voices, voice, wanted, self._uploads, owner=self._tools.owner)
        folder = self._tools.files.result(job.id)
        self._tools.files.remove(folder)
        folder.mkdir(parents=True)
        name = NAME_THROUGH if wanted["background"]["kind"] == "transparent" else NAME
        render_video(spec, self._words(wanted), folder / name, progress)
        return Done({"file": name, "avatar_id": avatar.id})

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Take away what was rendered."""
        self._tools.files.remove(self._tools.files.result(job.id))
        return None

    def _words(self, wanted: dict[str, Any]) -> Any:
        if wanted.get("text"):
            return wanted["text"]
        from lipsync.engine import SAMPLE_RATE
        from lipsync.media.audio import load_audio

        return load_audio(self._uploads.finished(wanted["audio_upload_id"]).path, SAMPLE_RATE)

"""Rows into wire types: the one place that knows both."""

from __future__ import annotations

from typing import Any

from apps.control_api.api.roles import caller_role
from apps.control_api.api.security import Signer
from apps.control_api.api.wire import avatars as wa
from apps.control_api.api.wire import jobs as wj
from apps.control_api.api.wire import live as wl
from apps.control_api.api.wire import system as ws
from apps.control_api.api.wire import takes as wt
from apps.control_api.services.events import Event
from apps.control_api.services.packages import PASSPHRASE_FIELD
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import AvatarRow, Consent, JobRow, ModelRow, RecordingRow, TakeRow, VoiceRow
from apps.control_api.storage.tables.work import PRIORITIES

_PRIORITY_NAMES = {v: k for k, v in PRIORITIES.items()}


class Present:
    """Builds wire types, with signed addresses where there is a file to look at."""

    def __init__(self, prefix: str, signer: Signer, tools: Tools) -> None:
        self._prefix, self._signer, self._tools = prefix, signer, tools

    def url(self, path: str) -> str | None:
        """Return the signed address of ``path`` below the API's prefix; None to those who may read no picture."""
        if caller_role.get() == "auditor":
            return None
        return self._signer.url(self._prefix + path)

    def take(self, row: TakeRow, consent: Consent) -> wt.Take:
        """Present a take."""
        prepared = row.state == "prepared"
        report = {k: v for k, v in row.report.items() if k != "duplicate_of"}
        return wt.Take(
            **row.model_dump(exclude={"report", "consent_id", "video_sha256", "voice_sha256", "face_embedding"}),
            report=wt.TakeReport.model_validate(report or {"ok": False, "findings": []}),
            consent=wt.Consent.model_validate(consent),
            duplicate_of=row.report.get("duplicate_of"),
            video_url=self.url(f"/takes/{row.id}/video") if prepared else None,
            sheet_url=self.url(f"/takes/{row.id}/sheet") if prepared else None,
            preview_url=self.url(f"/takes/{row.id}/preview") if row.state in ("preparing", "prepared") else None,
        )

    def avatar(self, row: AvatarRow) -> wa.Avatar:
        """Present an avatar."""
        thumbnail = self._tools.files.avatar(row.id) / "thumbnail.jpg"
        made = self._tools.files.shelf is not None or thumbnail.is_file()  # a shared store is not asked for each row
        return wa.Avatar(
            **row.model_dump(),
            thumbnail_url=self.url(f"/avatars/{row.id}/thumbnail") if made else None,
        )

    def voice(self, row: VoiceRow) -> wa.Voice:
        """Present a voice."""
        return wa.Voice(**row.model_dump())

    def model(self, row: ModelRow, live: bool) -> wa.Model:
        """Present a model version."""
        return wa.Model(**row.model_dump(), live=live)

    def recording(self, row: RecordingRow) -> wl.Recording:
        """Present a recording."""
        url = self.url(f"/live/recordings/{row.id}/file") if row.state == "ready" else None
        return wl.Recording(**row.model_dump(), file_url=url)

    def job(self, row: JobRow | dict[str, Any]) -> wj.Job:
        """Present a job, from its row or from the copy of it that an event carries."""
        data = row if isinstance(row, dict) else row.model_dump()
        file = (data["result"] or {}).get("file")
        return wj.Job.model_validate(
            {
                **data,
                "request": {k: v for k, v in data["request"].items() if k != PASSPHRASE_FIELD},
                "priority": _PRIORITY_NAMES[data["priority"]],
                "file_url": self.url(f"/jobs/{data['id']}/file") if file else None,
            }
        )

    def event(self, event: Event) -> str:
        """Return an event as the text that goes to listeners."""
        head = {"seq": event.seq, "at": event.at}
        told: ws.JobEvent | ws.JobLogEvent | ws.LiveEvent | ws.SystemEvent
        if event.type == "job":
            told = ws.JobEvent(**head, job=self.job(event.data))
        elif event.type == "job_log":
            told = ws.JobLogEvent(**head, **event.data)
        elif event.type == "live":
            told = ws.LiveEvent(**head, **event.data)
        else:
            told = ws.SystemEvent(**head, **event.data)
        return told.model_dump_json()

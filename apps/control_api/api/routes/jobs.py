"""The task center."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from apps.control_api.api.deps import Cursor, Limit, Studio
from apps.control_api.api.wire.base import Command
from apps.control_api.api.wire.jobs import Job, JobLogLine, JobLogPage, JobPage, JobState, Priority
from apps.control_api.services import withdrawal
from lipsync.errors import NotFoundError

router = APIRouter(prefix="/jobs", tags=["jobs"])
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".zip": "application/zip", ".wav": "audio/wav"}


class JobPriority(Command):
    """Where a queued job is moved."""

    priority: Priority


@router.get("")
def list_jobs(
    studio: Studio,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: Annotated[list[JobState] | None, Query(description="Any of these states.")] = None,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    subject_id: Annotated[str | None, Query(max_length=64)] = None,
) -> JobPage:
    """List jobs, newest first."""
    states = [str(s) for s in state] if state else None
    part = studio.tools.jobs.page(limit, cursor, states=states, kind=kind, subject_id=subject_id)
    return JobPage(items=[studio.present.job(row) for row in part.items], next_cursor=part.next_cursor)


@router.get("/{job_id}")
def get_job(job_id: str, studio: Studio) -> Job:
    """One job."""
    return studio.present.job(studio.tools.jobs.get(job_id))


@router.get("/{job_id}/logs")
def list_job_logs(job_id: str, studio: Studio, limit: Limit = 200, cursor: Cursor = None) -> JobLogPage:
    """A job's lines in order."""
    part = studio.tools.jobs.logs(job_id, limit, cursor)
    return JobLogPage(
        items=[JobLogLine.model_validate(row.model_dump()) for row in part.items], next_cursor=part.next_cursor
    )


@router.get("/{job_id}/file", response_class=FileResponse)
def get_job_file(job_id: str, request: Request, studio: Studio) -> FileResponse:
    """What a job made, for download (ranges allowed)."""
    row = studio.tools.jobs.get(job_id)
    if row.kind.endswith(":export"):
        request.state.audit_as = "download_export"  # here a person's likeness leaves the studio
    withdrawal.require_servable(studio.tools, row)
    name = (row.result or {}).get("file")
    if not name:
        raise NotFoundError("This job made no file.", "Wait for its end, or choose a film or an export.")
    folder = studio.tools.files.bring(studio.tools.files.result(row.id))
    path = studio.tools.files.existing(folder / str(name).rsplit("/", 1)[-1])
    inline = path.suffix in (".mp4", ".webm", ".wav")
    return FileResponse(
        path,
        media_type=_TYPES.get(path.suffix, "application/octet-stream"),
        filename=path.name,
        content_disposition_type="inline" if inline else "attachment",
    )


@router.post("/{job_id}:cancel")
def cancel_job(job_id: str, studio: Studio) -> Job:
    """Cancel a job: at once if queued, at its next safe point if running."""
    return studio.present.job(studio.tools.jobs.cancel(job_id))


@router.post("/{job_id}:retry")
def retry_job(job_id: str, studio: Studio) -> Job:
    """Try a failed or cancelled job again."""
    return studio.present.job(studio.tools.jobs.retry(job_id))


@router.patch("/{job_id}")
def update_job(job_id: str, wanted: JobPriority, studio: Studio) -> Job:
    """Move a queued job to another priority."""
    return studio.present.job(studio.tools.jobs.prioritise(job_id, wanted.priority))

"""Live sessions, their recordings, and films."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object
from apps.control_api.api.routes import listening
from apps.control_api.api.wire.jobs import Job
from apps.control_api.api.wire.live import (
    Answer,
    Offer,
    Record,
    Recording,
    RecordingPage,
    Say,
    Session,
    SessionCreate,
    SessionPage,
    SessionStats,
    Turn,
    VideoCreate,
)

router = APIRouter(tags=["live"])
router.include_router(listening.router)
_SOUNDS = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "application/octet-stream")


@router.post("/live/sessions", status_code=201)
async def create_live_session(wanted: SessionCreate, request: Request, studio: Studio) -> Session:
    """Open a live session with an avatar that is ready or a preview."""
    opened = await studio.outputs.open(wanted.model_dump())
    note_object(request, opened.id)
    return Session.model_validate(opened)


@router.get("/live/sessions")
async def list_live_sessions(studio: Studio, ended: bool = False) -> SessionPage:
    """Sessions open now; or with ``ended`` those that ended since the start or were cut off by a crash before it."""
    sessions = studio.live.ended() if ended else studio.live.opened()
    return SessionPage(items=[Session.model_validate(s) for s in sessions])


@router.get("/live/sessions/{session_id}")
async def get_live_session(session_id: str, studio: Studio) -> Session:
    """One session."""
    return Session.model_validate(studio.live.get(session_id))


@router.delete("/live/sessions/{session_id}", status_code=204)
async def close_live_session(session_id: str, studio: Studio) -> None:
    """End a session."""
    await studio.live.close(session_id)


@router.post("/live/sessions/{session_id}/offer")
async def offer_live_session(session_id: str, wanted: Offer, studio: Studio) -> Answer:
    """Connect a browser: its offer in, the studio's answer out (no trickling: candidates are in the answer)."""
    return Answer.model_validate(await studio.live.offer(session_id, wanted.sdp, wanted.type))


@router.post("/live/sessions/{session_id}:say", status_code=202)
async def say_in_live_session(session_id: str, wanted: Say, studio: Studio) -> Turn:
    """Speak a text as it is."""
    turn = await studio.live.speak(session_id, "say", wanted.text, wanted.interrupt)
    return Turn(session_id=session_id, turn=turn)


@router.post("/live/sessions/{session_id}:chat", status_code=202)
async def chat_in_live_session(session_id: str, wanted: Say, studio: Studio) -> Turn:
    """Answer a text."""
    turn = await studio.live.speak(session_id, "chat", wanted.text, wanted.interrupt)
    return Turn(session_id=session_id, turn=turn)


@router.post(
    "/live/sessions/{session_id}:audio",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _SOUNDS},
        }
    },
)
async def play_in_live_session(session_id: str, request: Request, studio: Studio, interrupt: bool = False) -> Turn:
    """Speak a ready sound: the body is a WAV, FLAC, OGG or MP3 file."""
    turn = await studio.live.audio(session_id, await request.body(), interrupt)
    return Turn(session_id=session_id, turn=turn)


@router.post("/live/sessions/{session_id}:interrupt", status_code=204)
async def interrupt_live_session(session_id: str, studio: Studio) -> None:
    """Stop speaking now."""
    studio.live.interrupt(session_id)


@router.post("/live/sessions/{session_id}:record")
async def record_live_session(session_id: str, wanted: Record, request: Request, studio: Studio) -> Recording:
    """Begin or end a recording of what people get; one that runs ends with its session."""
    act = studio.live.start_recording if wanted.action == "start" else studio.live.stop_recording
    request.state.audit_detail = {"action": wanted.action}
    row = await act(session_id)
    request.state.audit_detail = {"action": wanted.action, "recording_id": row.id}
    return studio.present.recording(row)


@router.get("/live/recordings")
def list_recordings(
    studio: Studio,
    limit: Limit = 50,
    cursor: Cursor = None,
    session_id: Annotated[str | None, Query(max_length=64)] = None,
) -> RecordingPage:
    """List recordings of live sessions, newest first."""
    part = studio.recordings.list(limit, cursor, session_id)
    return RecordingPage(items=[studio.present.recording(row) for row in part.items], next_cursor=part.next_cursor)


@router.get("/live/recordings/{recording_id}")
def get_recording(recording_id: str, studio: Studio) -> Recording:
    """One recording."""
    return studio.present.recording(studio.recordings.get(recording_id))


@router.get(
    "/live/recordings/{recording_id}/file",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}},
)
def get_recording_file(recording_id: str, studio: Studio) -> FileResponse:
    """The MP4 of a recording (ranges allowed)."""
    row, path = studio.recordings.file(recording_id)
    name = f"recording-{row.created_at:%Y%m%d-%H%M%S}.mp4"
    return FileResponse(path, media_type="video/mp4", filename=name, content_disposition_type="inline")


@router.delete("/live/recordings/{recording_id}", status_code=204)
def delete_recording(recording_id: str, studio: Studio) -> None:
    """Delete a recording with its file."""
    studio.recordings.delete(recording_id)


@router.get("/live/sessions/{session_id}/stats")
async def get_live_stats(session_id: str, studio: Studio) -> SessionStats:
    """How the session runs."""
    return SessionStats.model_validate(studio.live.stats(session_id))


@router.post("/inference/video", status_code=202, tags=["inference"])
def create_video(wanted: VideoCreate, request: Request, studio: Studio) -> Job:
    """Make a film of an avatar speaking; the job's file_url serves the MP4."""
    note_object(request, wanted.avatar_id)
    return studio.present.job(studio.inference.video(wanted.model_dump(exclude={"priority"}), wanted.priority))

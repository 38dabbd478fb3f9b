"""Takes: upload, report, preview, delete."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object
from apps.control_api.api.multipart import read_form
from apps.control_api.api.wire.takes import ConsentCreate, Layer, Take, TakeFromUploads, TakePage, TakeState
from apps.control_api.container import Container
from apps.control_api.services.takes import Received
from lipsync.errors import InvalidInputError

router = APIRouter(prefix="/takes", tags=["takes"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video", "consent"],
                    "properties": {
                        "video": {"type": "string", "format": "binary", "description": "The recording."},
                        "voice": {"type": "string", "format": "binary", "description": "A reference voice, WAV."},
                        "consent": {"type": "string", "description": "A ConsentCreate as JSON text."},
                        "name": {"type": "string", "maxLength": 120},
                    },
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/TakeFromUploads"}},
        },
    }
}


@router.post("", status_code=201, response_model=Take, openapi_extra=_BODY)
async def create_take(request: Request, studio: Studio) -> Take:
    """Send a recording with its consent; answers when it has been judged. Preparing starts by itself."""
    if request.headers.get("content-type", "").startswith("application/json"):
        wanted = _parse(TakeFromUploads, await request.body(), "body")
        given = wanted.consent.model_dump()
        task = studio.takes.from_uploads(wanted.video_upload_id, wanted.voice_upload_id, given, wanted.name)
        take_id = await task
    else:
        take_id = await _receive(request, studio)
    note_object(request, take_id)
    row, consent = await asyncio.to_thread(studio.takes.get, take_id)
    return studio.present.take(row, consent)


@router.get("")
def list_takes(studio: Studio, limit: Limit = 50, cursor: Cursor = None, state: TakeState | None = None) -> TakePage:
    """List takes, newest first."""
    part = studio.takes.list(limit, cursor, state)
    return TakePage(items=[studio.present.take(*item) for item in part.items], next_cursor=part.next_cursor)


@router.get("/{take_id}")
def get_take(take_id: str, studio: Studio) -> Take:
    """One take with its report."""
    return studio.present.take(*studio.takes.get(take_id))


@router.get(
    "/{take_id}/preview", response_class=Response, responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}}
)
def preview_take(
    take_id: str,
    studio: Studio,
    t: Annotated[float, Query(ge=0, le=24 * 3600, description="Seconds from the start.")] = 0.0,
    layer: Layer = "keyed",
    width: Annotated[
        int | None, Query(ge=16, le=4096, description="Scaled down to this width; 720 without it.")
    ] = None,
) -> Response:
    """One picture of the take: JPEG for `original` and `alpha`, PNG with transparency for the others."""
    picture, kind = studio.takes.picture(take_id, t, layer, width)
    return Response(picture, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/{take_id}/sheet", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def get_take_sheet(
    take_id: str,
    studio: Studio,
    columns: Annotated[int, Query(ge=1, le=12)] = 4,
    rows: Annotated[int, Query(ge=1, le=12)] = 2,
    cell: Annotated[int, Query(ge=64, le=640, description="Width of a cell in pixels.")] = 240,
) -> Response:
    """The take at one look (JPEG): moments spread over it, as filmed and cut out."""
    picture = studio.takes.sheet(take_id, columns, rows, cell)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/{take_id}/video", response_class=FileResponse, responses={200: {"content": {"video/mp4": {}}}})
def get_take_video(take_id: str, studio: Studio) -> FileResponse:
    """The prepared video (ranges allowed)."""
    row, _ = studio.takes.get(take_id)
    path = studio.tools.files.existing(studio.tools.files.bring(studio.tools.files.take(row.id)) / "video.mp4")
    return FileResponse(path, media_type="video/mp4")


@router.post("/{take_id}:withdraw")
async def withdraw_consent(take_id: str, studio: Studio) -> Take:
    """Withdraw the consent: what was made from the take can no longer be trained, go live or be exported.

    Live sessions with it end at once.
    """
    row, consent = await asyncio.to_thread(studio.takes.withdraw, take_id)
    await studio.live.end_forbidden()
    return studio.present.take(row, consent)


@router.delete("/{take_id}", status_code=204)
def delete_take(take_id: str, studio: Studio) -> None:
    """Delete a take with its files."""
    studio.takes.delete(take_id)


async def _receive(request: Request, studio: Container) -> str:
    settings, files = studio.settings, studio.tools.files
    declared = request.headers.get("content-length", "")
    await asyncio.to_thread(studio.takes.need_room, int(declared) if declared.isdigit() else 0)
    folder = await asyncio.to_thread(files.new_incoming)
    try:
        form = await read_form(request, folder, {"video": settings.upload_limit, "voice": settings.voice_limit})
        video, consent = _complete(form.files.get("video"), form.fields.get("consent"))
        name = form.fields.get("name", "").strip()[:120] or None
        return await studio.takes.admit(video, form.files.get("voice"), consent.model_dump(), name)
    finally:
        await asyncio.to_thread(files.remove, folder)


def _complete(video: Received | None, consent: str | None) -> tuple[Received, ConsentCreate]:
    reasons = []
    parsed: ConsentCreate | None = None
    if consent is None:
        reasons.append(
            _reason(
                "no_consent",
                "The person's consent is missing.",
                "缺少本人同意书。",
                "Send the field `consent` with person, scope, statement and agreed: true.",
                "请提交 consent 字段：person、scope、statement、agreed: true。",
            )
        )
    else:
        try:
            parsed = _parse(ConsentCreate, consent.encode(), "consent")
        except InvalidInputError as error:
            reasons.extend(error.detail["reasons"])
    if video is None:
        reasons.append(
            _reason(
                "no_video",
                "There is no video.",
                "缺少视频文件。",
                "Send the file in the field `video`.",
                "请在 video 字段提交视频文件。",
            )
        )
    elif video.size == 0:
        reasons.append(
            _reason(
                "empty_file",
                "The video file is empty.",
                "视频文件是空的。",
                "Choose the file again.",
                "请重新选择文件。",
            )
        )
    if reasons or video is None or parsed is None:
        raise InvalidInputError(
            "The take cannot be accepted: " + "; ".join(r["message"]["en"] for r in reasons),
            "Correct each reason and send it again.",
            {"reasons": reasons},
        )
    return video, parsed


def _parse(kind: type[Any], text: bytes, where: str) -> Any:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        reasons = []
        for item in error.errors(include_input=False, include_url=False, include_context=False):
            place = ".".join([where, *(str(p) for p in item["loc"])])
            code = "no_consent" if place.endswith("agreed") else "invalid_field"
            reasons.append(
                {
                    "where": place,
                    **_reason(
                        code,
                        f"{place}: {item['msg']}",
                        f"{place} 无效：{item['msg']}",
                        "Correct this field.",
                        "请修改此字段。",
                    ),
                }
            )
        raise InvalidInputError(
            "The take cannot be accepted: " + "; ".join(r["message"]["en"] for r in reasons),
            "Correct each reason and send it again.",
            {"reasons": reasons},
        ) from None


def _reason(code: str, en: str, zh: str, remedy_en: str, remedy_zh: str) -> dict[str, Any]:
    return {
        "code": code,
        "severity": "error",
        "value": None,
        "wanted": None,
        "message": {"zh-CN": zh, "en": en},
        "remedy": {"zh-CN": remedy_zh, "en": remedy_en},
    }

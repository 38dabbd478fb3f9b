"""Uploads that go wrong on their way: the client leaves, the disk fills, names that no file may have."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from apps.control_api.api import multipart
from apps.control_api.storage.tables import TakeRow
from tests.apps.control_api.conftest import CONSENT, TOKEN, Api
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import judged, left_over, send, tus
from tests.fakes.mutated import mutations, originals

__all__ = ["judged"]


async def vanish(
    api: Api, method: str, path: str, headers: dict[str, str], part: bytes, stall: bool = False
) -> list[int]:
    """Send ``part`` of a body in pieces, then hang up (or say nothing more); returns the statuses answered."""
    pieces = [part[at : at + 65_536] for at in range(0, len(part), 65_536)]
    answered: list[int] = []

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": True}
        if stall:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def answer(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    sent = {"host": "127.0.0.1:9001", "authorization": f"Bearer {TOKEN}", **headers}
    await api.app(
        {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
            "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 9001),
        },
        receive,
        answer,
    )  # fmt: skip
    return answered


async def test_a_client_that_leaves_in_the_middle_of_a_form_leaves_nothing(api: Api, judged: dict[str, Any]) -> None:
    consent = f'--b\r\nContent-Disposition: form-data; name="consent"\r\n\r\n{json.dumps(CONSENT)}\r\n'
    head = '--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
    body = consent.encode() + head.encode() + os.urandom(3 << 20)
    kind = {"content-type": "multipart/form-data; boundary=b", "content-length": str(2 * len(body))}
    answered = await vanish(api, "POST", "/api/v1/takes", kind, body)
    assert all(status == 422 for status in answered), "going away is no mistake of the studio"
    assert left_over(api) == [] and judged["saw"] == []
    assert (await api.client.get("/takes")).json()["items"] == []
    assert (await send(api, b"after that")).status_code == 201


async def test_a_client_that_leaves_at_half_of_an_upload_goes_on_from_there(api: Api, judged: dict[str, Any]) -> None:
    data = os.urandom(1 << 20)
    metadata = f"filename {base64.b64encode(b'me.mp4').decode()},filetype {base64.b64encode(b'video/mp4').decode()}"
    made = await api.client.post("/uploads", headers=tus(Upload_Length=len(data), Upload_Metadata=metadata))
    url = made.headers["location"]
    path, kind = url.removeprefix("http://127.0.0.1:9001"), "application/offset+octet-stream"
    half = len(data) // 2
    headers = tus(Upload_Offset=0, Content_Type=kind, Content_Length=len(data))
    answered = await vanish(api, "PATCH", path, headers, data[:half])
    assert all(status < 500 for status in answered)
    offset = int((await api.client.head(url, headers=tus())).headers["upload-offset"])
    assert 0 < offset <= half
    sent = await api.client.patch(url, content=data[offset:], headers=tus(Upload_Offset=offset, Content_Type=kind))
    assert sent.status_code == 204, sent.text
    answer = await api.client.post("/takes", json={"video_upload_id": url.rsplit("/", 1)[-1], "consent": CONSENT})
    assert answer.status_code == 201, answer.text
    assert judged["saw"] == [(data, None)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_disk_that_fills_while_receiving_is_said_and_leaves_nothing(
    api: Api, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(self: multipart._Reader) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(multipart._Reader, "flush", full)
        body = assert_error(await send(api, os.urandom(3 << 20)), 507, "no_space")
    assert "disk is full" in body["message"] and body["remedy"]
    assert left_over(api) == [] and judged["saw"] == []
    assert (await send(api, b"room again")).status_code == 201


async def test_a_resumable_upload_larger_than_the_disk_is_refused_before(make_api: Any) -> None:
    api = await make_api(free_space=1 << 60)
    answer = await api.client.post("/uploads", headers=tus(Upload_Length=1000))
    assert_error(answer, 507, "no_space")
    assert list((api.studio.settings.data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\0b\n\x1b[31m.mp4", "ab[31m.mp4"),
        ("😀 录像.mp4", "😀 录像.mp4"),
        ("..", ".."),
        ("/", "file"),
        ("x" * 300 + ".mp4", ("x" * 300 + ".mp4")[-200:]),
    ],
)
async def test_names_of_resumable_uploads_are_only_shown(
    api: Api, judged: dict[str, Any], name: str, shown: str
) -> None:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    made = await api.client.post("/uploads", headers=tus(Upload_Length=5, Upload_Metadata=metadata))
    assert made.status_code == 201, made.text
    url = made.headers["location"]
    kind = tus(Upload_Offset=0, Content_Type="application/offset+octet-stream")
    assert (await api.client.patch(url, content=b"video", headers=kind)).status_code == 204
    answer = await api.client.post("/takes", json={"video_upload_id": url.rsplit("/", 1)[-1], "consent": CONSENT})
    assert answer.status_code == 201, answer.text
    take = answer.json()
    assert take["video_name"] == shown and "\0" not in take["name"] and "/" not in take["name"]
    folder = api.studio.settings.data_dir / "sources" / take["id"]
    assert [p.name for p in folder.iterdir()] == ["video"]
    with api.studio.tools.database.read() as session:
        row = session.get(TakeRow, take["id"])
        assert row is not None and row.video_name == shown


@pytest.mark.slow
async def test_damaged_recordings_are_answered_and_never_end_the_studio(
    make_api: Any, demo_take: Path, tmp_path: Path
) -> None:
    """A few of the hundreds that ``tests/fakes/mutated.py`` can make, through the real check and the real form."""
    api = await make_api(check_timeout=60)
    files = originals(demo_take, tmp_path)
    for name, data in mutations(files, 6, seed=11):
        if "-wav-" in name:
            answer = await send(api, files[0].read_bytes(), voice=("v.wav", data, "audio/wav"))
        else:
            answer = await send(api, data, name=name)
        assert answer.status_code in (201, 422), (name, answer.text)
        if answer.status_code == 422:
            told = {reason["code"] for reason in answer.json()["detail"]["reasons"]}
            assert told and not told & {"unreadable", "check_timeout"}, (name, told)
    assert (await api.client.get("/health")).status_code == 200

"""Resumable uploads: limits are looked at before, and whatever broke off goes on where its bytes end."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import http.client
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apps.control_api.api import security
from apps.control_api.api.upload_store import PIECE
from tests.apps.control_api.conftest import CONSENT, TOKEN, Api
from tests.apps.control_api.test_bad_uploads import vanish
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import judged, send, tus
from tests.conftest import Studio, start_studio, stop_studio

__all__ = ["judged"]
KIND = "application/offset+octet-stream"


def lying(api: Api) -> list[str]:
    return sorted(p.name for p in (api.studio.settings.data_dir / "uploads").iterdir() if p.is_file())


async def begin(api: Api, **headers: Any) -> str:
    made = await api.client.post("/uploads", headers=tus(**headers))
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


async def offset_of(api: Api, url: str) -> int:
    told = await api.client.head(url, headers=tus())
    assert told.status_code == 200
    return int(told.headers["upload-offset"])


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 65_536):
        yield data[at : at + 65_536]


async def test_what_an_upload_is_called_need_not_be_said(api: Api, judged: dict[str, Any]) -> None:
    url = await begin(api, Upload_Length=6)
    told = await api.client.head(url, headers=tus())
    assert told.status_code == 200 and "upload-metadata" not in told.headers
    assert (told.headers["upload-offset"], told.headers["upload-length"]) == ("0", "6")
    named = await begin(api, Upload_Length=6, Upload_Metadata=f"colour {base64.b64encode(b'red').decode()},empty")
    told = await api.client.head(named, headers=tus())
    assert told.headers["upload-metadata"] == f"colour {base64.b64encode(b'red').decode()},empty"
    for part, at in ((b"abc", 0), (b"def", 3)):
        sent = await api.client.patch(url, content=part, headers=tus(Upload_Offset=at, Content_Type=KIND))
        assert sent.status_code == 204 and sent.headers["upload-offset"] == str(at + 3)
    id_ = url.rsplit("/", 1)[-1]
    answer = await api.client.post("/takes", json={"video_upload_id": id_, "consent": CONSENT})
    assert answer.status_code == 201 and answer.json()["video_name"] == id_
    for gone in (url, url[:-1], "/uploads/%2e%2e", "/uploads/" + "0" * 32):
        assert (await api.client.head(gone, headers=tus())).status_code == 404
    can = await api.client.options("/uploads", headers=tus())
    assert can.status_code == 204 and "creation" in can.headers["tus-extension"].split(",")


async def test_what_is_too_large_is_refused_before_a_byte_is_sent(make_api: Any) -> None:
    api = await make_api(upload_limit=1 << 20)
    body = assert_error(await api.client.post("/uploads", headers=tus(Upload_Length=(1 << 20) + 1)), 413, "too_large")
    assert body["detail"]["limit"] == 1 << 20 and body["remedy"]
    assert_error(await api.client.post("/uploads", headers=tus()), 422, "invalid_input")
    assert_error(await api.client.post("/uploads", headers=tus(Upload_Length=-1)), 422, "invalid_input")
    assert lying(api) == []
    later = await begin(api, Upload_Defer_Length=1)
    headers = tus(Upload_Offset=0, Upload_Length=2 << 20, Content_Type=KIND)
    assert_error(await api.client.patch(later, content=b"x", headers=headers), 413, "too_large")
    headers = tus(Upload_Offset=0, Upload_Length=3, Content_Type=KIND)
    assert (await api.client.patch(later, content=b"xyz", headers=headers)).status_code == 204
    assert (await api.client.head(later, headers=tus())).headers["upload-length"] == "3"


async def test_a_voice_over_its_limit_is_refused_as_an_upload_too(make_api: Any, judged: dict[str, Any]) -> None:
    api = await make_api(voice_limit=1 << 20)
    ids = []
    for size in (10, (1 << 20) + 1):
        url = await begin(api, Upload_Length=size)
        sent = await api.client.patch(url, content=bytes(size), headers=tus(Upload_Offset=0, Content_Type=KIND))
        assert sent.status_code == 204
        ids.append(url.rsplit("/", 1)[-1])
    wanted = {"video_upload_id": ids[0], "voice_upload_id": ids[1], "consent": CONSENT}
    assert_error(await api.client.post("/takes", json=wanted), 413, "too_large")
    assert judged["saw"] == []


async def test_room_promised_to_one_upload_is_not_promised_twice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    real = shutil.disk_usage(api.studio.settings.data_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: real._replace(free=1000))
    first = await begin(api, Upload_Length=600)
    assert_error(await api.client.post("/uploads", headers=tus(Upload_Length=600)), 507, "no_space")
    assert_error(await send(api, b"x" * 600), 507, "no_space")
    assert (await api.client.delete(first, headers=tus())).status_code == 204
    await begin(api, Upload_Length=600)


async def test_all_recordings_together_have_a_limit(make_api: Any, judged: dict[str, Any]) -> None:
    api = await make_api(total_limit=2 << 20)
    assert (await send(api, os.urandom(1 << 20))).status_code == 201
    body = assert_error(await send(api, os.urandom(1 << 20)), 507, "no_space")
    assert "together" in body["message"] and body["detail"]["kept"] >= 1 << 20
    await begin(api, Upload_Length=512 << 10)
    assert_error(await api.client.post("/uploads", headers=tus(Upload_Length=768 << 10)), 507, "no_space")


async def test_bytes_nobody_counted_are_gone_on_from(api: Api, judged: dict[str, Any]) -> None:
    """A killed process leaves what it had written, and a count from before."""
    data = os.urandom(300_000)
    url = await begin(api, Upload_Length=len(data))
    id_ = url.rsplit("/", 1)[-1]
    await api.client.patch(url, content=data[:100_000], headers=tus(Upload_Offset=0, Content_Type=KIND))
    with (api.studio.settings.data_dir / "uploads" / id_).open("ab") as file:
        file.write(data[100_000:170_001])
    assert await offset_of(api, url) == 170_001
    wrong = await api.client.patch(url, content=data[100_000:], headers=tus(Upload_Offset=100_000, Content_Type=KIND))
    assert_error(wrong, 409, "conflict")
    rest = await api.client.patch(url, content=data[170_001:], headers=tus(Upload_Offset=170_001, Content_Type=KIND))
    assert rest.status_code == 204
    assert (await api.client.post("/takes", json={"video_upload_id": id_, "consent": CONSENT})).status_code == 201
    assert judged["saw"] == [(data, None)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
async def test_a_disk_that_fails_in_the_middle_is_said_and_gone_on_from(
    api: Api, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    data = os.urandom(3 * PIECE + 17)
    url = await begin(api, Upload_Length=len(data))
    id_ = url.rsplit("/", 1)[-1]
    real = Path.open

    class Small:
        """A file on a disk that takes half of the second piece."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Small:
            return self

        def __exit__(self, *_: Any) -> None:
            self._file.close()

        def write(self, view: memoryview) -> int:
            end = os.fstat(self._file.fileno()).st_size
            if end >= 3 * PIECE // 2:
                raise OSError(number, os.strerror(number))
            return int(self._file.write(view[: 3 * PIECE // 2 - end]))

    def opened(self: Path, mode: str = "r", **more: Any) -> Any:
        file = real(self, mode, **more)
        return Small(file) if mode == "ab" else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        headers = tus(Upload_Offset=0, Content_Type=KIND, Content_Length=len(data))
        full = await api.client.patch(url, content=in_pieces(data), headers=headers)
    assert_error(full, *((507, "no_space") if number == errno.ENOSPC else (503, "unavailable")))
    at = await offset_of(api, url)
    assert 0 < at < len(data) and (api.studio.settings.data_dir / "uploads" / id_).read_bytes() == data[:at]
    rest = await api.client.patch(url, content=data[at:], headers=tus(Upload_Offset=at, Content_Type=KIND))
    assert rest.status_code == 204
    assert (await api.client.post("/takes", json={"video_upload_id": id_, "consent": CONSENT})).status_code == 201
    assert judged["saw"] == [(data, None)]


async def test_too_many_bytes_are_refused_and_harm_nothing(api: Api) -> None:
    url = await begin(api, Upload_Length=10)
    over = await api.client.patch(url, content=b"x" * 11, headers=tus(Upload_Offset=0, Content_Type=KIND))
    assert_error(over, 400, "bad_request")
    assert await offset_of(api, url) == 0
    assert (
        await api.client.patch(url, content=b"y" * 10, headers=tus(Upload_Offset=0, Content_Type=KIND))
    ).status_code == 204


async def test_a_client_that_stalls_is_let_go_and_the_next_one_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that lost its network holds a dead connection open: its upload must not be locked for ever."""
    monkeypatch.setattr(security, "BODY_STALLS_S", 0.05)
    data = os.urandom(200_000)
    url = await begin(api, Upload_Length=len(data))
    path = url.removeprefix("http://127.0.0.1:9001")
    headers = tus(Upload_Offset=0, Content_Type=KIND, Content_Length=len(data))
    await asyncio.wait_for(vanish(api, "PATCH", path, headers, data[:70_000], stall=True), 20)
    at = await offset_of(api, url)
    assert at == 70_000
    rest = await api.client.patch(url, content=data[at:], headers=tus(Upload_Offset=at, Content_Type=KIND))
    assert rest.status_code == 204


def _ask(studio: Studio, method: str, path: str, body: bytes = b"", **headers: Any) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(studio.url.removeprefix("http://"), timeout=30)
    connection.request(method, path, body=body, headers={**studio.headers, **tus(**headers)})
    answer = connection.getresponse()
    answer.read()
    return answer


def _begin_part(studio: Studio, path: str, data: bytes, offset: int, stop: int) -> http.client.HTTPConnection:
    """Announce all that is left, send up to ``stop``, and leave the connection so."""
    connection = http.client.HTTPConnection(studio.url.removeprefix("http://"), timeout=30)
    connection.putrequest("PATCH", path)
    headers = tus(Upload_Offset=offset, Content_Type=KIND, Content_Length=len(data) - offset)
    for name, value in {**studio.headers, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data[offset:stop])
    return connection


def _go_on(studio: Studio, path: str, data: bytes, size: int) -> tuple[int, int]:
    """Send ``size`` bytes from where the upload is; returns where that was and where it is now."""
    while True:
        at = int(_ask(studio, "HEAD", path).headers["Upload-Offset"])
        sent = _ask(studio, "PATCH", path, data[at : at + size], Upload_Offset=at, Content_Type=KIND)
        if sent.status == 204:
            return at, int(sent.headers["Upload-Offset"])
        assert sent.status == 409, "the connection that broke off was still being read"


def test_a_dropped_connection_and_a_killed_studio_lose_nothing(tmp_path: Path) -> None:
    data = os.urandom(24 << 20)
    studio = start_studio(tmp_path / "data", workers="0", token=TOKEN)
    try:
        made = _ask(studio, "POST", "/api/v1/uploads", Upload_Length=len(data))
        assert made.status == 201
        path = "/" + made.headers["Location"].split("/", 3)[3]
        file = studio.data_dir / "uploads" / path.rsplit("/", 1)[-1]
        connection = _begin_part(studio, path, data, 0, 7_000_001)
        assert connection.sock is not None
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        dropped, at = _go_on(studio, path, data, 1000)
        assert 0 < dropped <= 7_000_001 and at == dropped + 1000
        connection = _begin_part(studio, path, data, at, 16_000_003)
        while file.stat().st_size <= at + PIECE:  # the part is on its way
            assert studio.process.poll() is None
        os.killpg(studio.process.pid, signal.SIGKILL)
        studio.process.wait()
        connection.close()
        studio = start_studio(tmp_path / "data", workers="0", token=TOKEN)
        killed, end = _go_on(studio, path, data, len(data))
        assert at < killed <= 16_000_003 and end == len(data)
        with file.open("rb") as kept:
            assert hashlib.file_digest(kept, "sha256").digest() == hashlib.sha256(data).digest()
    finally:
        stop_studio(studio)

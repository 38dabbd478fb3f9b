"""Takes over HTTP: every refusal with its reasons, resumable upload, duplicates, withdrawal, deletion."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.control_api.services.takes import Takes
from apps.control_api.storage.tables import TakeRow
from apps.control_api.worker.loop import Worker
from tests.apps.control_api.conftest import CONSENT, Api
from tests.apps.control_api.test_guard import assert_error

PARTS = ("keyed", "face", "hair", "shoulders")
REPORT_OK = {"ok": True, "findings": [], "info": {"mic_profile": {"snr_db": 40.0}}}


async def send(
    api: Api, video: bytes | None, consent: Any = CONSENT, name: str = "me.mp4", **more: Any
) -> httpx.Response:
    files = {} if video is None else {"video": (name, video, "video/mp4")}
    files |= more
    data = {} if consent is None else {"consent": consent if isinstance(consent, str) else json.dumps(consent)}
    if not files:
        files = {"none": (None, b"")}
    return await api.client.post("/takes", files=files, data=data)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The verdict on every take; the real check has tests of its own and one below."""
    verdict = {"report": REPORT_OK, "saw": []}

    async def check(self: Takes, video: Path, voice: Path | None) -> dict[str, Any]:
        verdict["saw"].append((video.read_bytes(), voice.read_bytes() if voice else None))
        return dict(verdict["report"])

    monkeypatch.setattr(Takes, "check", check)
    return verdict


def left_over(api: Api) -> list[str]:
    data = api.studio.settings.data_dir
    return [str(p) for d in ("incoming", "sources", "trash", "takes") for p in (data / d).iterdir()]


def codes(answer: httpx.Response) -> set[str]:
    return {r["code"] for r in answer.json()["detail"]["reasons"]}


async def test_a_take_is_kept_judged_and_prepared_by_a_job(api: Api, judged: dict[str, Any]) -> None:
    video = os.urandom(3 << 20)
    answer = await send(api, video, voice=("v.wav", b"RIFFvoice", "audio/wav"))
    assert answer.status_code == 201, answer.text
    take = answer.json()
    assert judged["saw"] == [(video, b"RIFFvoice")]
    assert (take["state"], take["name"], take["video_name"], take["size_bytes"]) == (
        "preparing", "me", "me.mp4", len(video) + 9,
    )  # fmt: skip
    assert take["consent"]["person"] == "Ada" and take["consent"]["scope"] == ["export", "live", "train"]
    job = (await api.client.get(f"/jobs/{take['job_id']}")).json()
    assert (job["kind"], job["state"], job["priority"], job["subject_id"]) == (
        "takes:prepare", "queued", "urgent", take["id"],
    )  # fmt: skip
    assert (await api.client.get("/takes")).json()["items"] == [(await api.client.get(f"/takes/{take['id']}")).json()]
    assert not any("incoming" in p for p in left_over(api))
    assert_error(await api.client.delete(f"/takes/{take['id']}"), 409, "conflict")
    await api.client.post(f"/jobs/{take['job_id']}:cancel")
    assert (await api.client.delete(f"/takes/{take['id']}")).status_code == 204
    assert left_over(api) == []
    assert_error(await api.client.get(f"/takes/{take['id']}"), 404, "not_found")


async def test_without_consent_nothing_is_kept(api: Api, judged: dict[str, Any]) -> None:
    disagreed, no_scope = {**CONSENT, "agreed": False}, {**CONSENT, "scope": []}
    wrong = {**CONSENT, "scope": ["everything"], "person": ""}
    for consent, wanted in (
        (None, {"no_consent"}),
        (disagreed, {"no_consent"}),
        (no_scope, {"invalid_field"}),
        (wrong, {"invalid_field"}),
        ("{not json", {"invalid_field"}),
        ("[]", {"invalid_field"}),
    ):
        answer = await send(api, b"video", consent)
        assert_error(answer, 422, "invalid_input")
        assert codes(answer) == wanted
    assert len((await send(api, b"video", wrong)).json()["detail"]["reasons"]) == 2
    assert codes(await send(api, None, None)) == {"no_consent", "no_video"}
    assert codes(await send(api, b"", None)) == {"no_consent", "empty_file"}
    assert judged["saw"] == [] and left_over(api) == []
    assert (await api.client.get("/takes")).json()["items"] == []


async def test_a_refused_take_stays_with_its_report_and_can_be_deleted(api: Api, judged: dict[str, Any]) -> None:
    finding = {
        "code": "no_face", "severity": "error", "value": 0.0, "wanted": 0.98,
        "message": {"zh-CN": "没有脸", "en": "No face."}, "remedy": {"zh-CN": "重录", "en": "Record again."},
    }  # fmt: skip
    judged["report"] = {"ok": False, "findings": [finding, {**finding, "code": "no_sound"}], "info": {}}
    answer = await send(api, b"video")
    body = assert_error(answer, 422, "invalid_input")
    assert codes(answer) == {"no_face", "no_sound"}
    take = (await api.client.get(f"/takes/{body['detail']['take_id']}")).json()
    assert take["state"] == "rejected" and take["job_id"] is None
    assert take["report"]["findings"][0]["remedy"]["zh-CN"] == "重录"
    assert (await api.client.get("/jobs")).json()["items"] == []
    assert_error(await api.client.get(f"/takes/{take['id']}/preview"), 409, "conflict")
    assert (await api.client.delete(f"/takes/{take['id']}")).status_code == 204
    assert left_over(api) == []


async def test_a_text_file_named_mp4_is_refused_by_the_real_check(api: Api) -> None:
    answer = await send(api, b"This is no film.\n" * 100)
    body = assert_error(answer, 422, "invalid_input")
    for reason in body["detail"]["reasons"]:
        assert reason["message"]["zh-CN"] and reason["remedy"]["en"]
    assert (await api.client.get("/takes", params={"state": "rejected"})).json()["items"][0]["id"]


async def test_a_check_that_hangs_or_crashes_is_a_refusal(make_api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await make_api(check_timeout=0.05)
    answer = await send(api, b"anything")
    assert_error(answer, 422, "invalid_input")
    assert codes(answer) == {"check_timeout"}
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    api.studio.settings.check_timeout = 30
    answer = await send(api, b"anything else")
    assert codes(answer) == {"unreadable"}


async def test_the_same_file_is_recognised(api: Api, judged: dict[str, Any]) -> None:
    first = (await send(api, b"the same")).json()
    second = (await send(api, b"the same")).json()
    other = (await send(api, b"another")).json()
    assert first["duplicate_of"] is None and other["duplicate_of"] is None
    assert second["duplicate_of"] == first["id"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("a\x00b.mp4", "ab.mp4"),
        ("😀.mp4", "😀.mp4"),
        ("x" * 300 + ".mp4", None),
    ],
)
async def test_names_are_only_shown(api: Api, judged: dict[str, Any], name: str, shown: str | None) -> None:
    boundary = "----b"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="{name}"\r\n\r\n'
    consent = f'--{boundary}\r\nContent-Disposition: form-data; name="consent"\r\n\r\n{json.dumps(CONSENT)}\r\n'
    body = consent.encode() + head.encode() + b"video\r\n" + f"--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = await api.client.post("/takes", content=body, headers=kind)
    assert answer.status_code == 201, answer.text
    take = answer.json()
    assert len(take["video_name"]) <= 200 and (shown is None or take["video_name"] == shown)
    assert Path(api.studio.settings.data_dir / "sources" / take["id"] / "video").is_file()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\nContent-Disposition: form-data; name=\"video\"; filename=\"a.mp4\"\r\n\r\nhalf of",
        b"nonsense",
        b"--b\r\nContent-Disposition: form-data; name=\"evil\"; filename=\"a.mp4\"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"video\"; filename=\"a\"\r\n\r\nx\r\n" * 2 + b"--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"consent\"\r\n\r\n\xff\xfe\r\n--b--\r\n",
    ],
)  # fmt: skip
async def test_damaged_bodies_leave_nothing(api: Api, judged: dict[str, Any], body: bytes) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert_error(await api.client.post("/takes", content=body, headers=kind), 422, "invalid_input")
    for other in ("text/plain", "multipart/form-data", "multipart/form-data; boundary=" + "b" * 300):
        answer = await api.client.post("/takes", content=body, headers={"Content-Type": other})
        assert_error(answer, 422, "invalid_input")
    assert judged["saw"] == [] and left_over(api) == []


async def test_a_file_over_its_limit_is_refused(make_api: Any, judged: dict[str, Any]) -> None:
    api = await make_api(upload_limit=1 << 20, voice_limit=1 << 20)
    assert_error(await send(api, b"x" * ((1 << 20) + 1)), 413, "too_large")
    assert_error(await send(api, b"x" * (4 << 20)), 413, "too_large")
    assert left_over(api) == []
    assert (await send(api, b"x" * (1 << 20))).status_code == 201


async def test_a_full_disk_is_said_before(make_api: Any, judged: dict[str, Any]) -> None:
    api = await make_api(free_space=1 << 60)
    assert_error(await send(api, b"video"), 507, "no_space")
    assert left_over(api) == []


async def test_a_client_that_leaves_while_its_take_is_judged_leaves_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def check(self: Takes, video: Path, voice: Path | None) -> dict[str, Any]:
        begun.set()
        await asyncio.sleep(60)
        return REPORT_OK

    monkeypatch.setattr(Takes, "check", check)
    sending = asyncio.create_task(send(api, b"video"))
    await begun.wait()
    assert (await api.client.get("/takes")).json()["items"] == []
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for _ in range(100):
        if left_over(api) == []:
            break
        await asyncio.sleep(0.02)
    assert left_over(api) == []


async def test_what_a_killed_studio_left_half_judged_is_swept(make_api: Any, judged: dict[str, Any]) -> None:
    api = await make_api()
    take = (await send(api, b"video")).json()
    (api.studio.tools.files.new_incoming() / "video").write_bytes(b"half")
    with api.studio.tools.database.write() as session:
        session.get(TakeRow, take["id"]).state = "checking"
    again = await make_api()
    assert (await again.client.get("/takes")).json()["items"] == [] and left_over(again) == []


def tus(**headers: Any) -> dict[str, str]:
    return {"Tus-Resumable": "1.0.0", **{k.replace("_", "-"): str(v) for k, v in headers.items()}}


async def upload(api: Api, data: bytes, name: str = "me.mp4", cut: int | None = None) -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()},filetype {base64.b64encode(b'video/mp4').decode()}"
    made = await api.client.post("/uploads", headers=tus(Upload_Length=len(data), Upload_Metadata=metadata))
    assert made.status_code == 201, made.text
    url = made.headers["location"]
    assert url.startswith("http://127.0.0.1:9001/api/v1/uploads/")
    kind = "application/offset+octet-stream"
    for start, stop in ((0, cut or len(data)), (cut or len(data), len(data))):
        if start < stop:
            at = (await api.client.head(url, headers=tus())).headers["upload-offset"]
            assert int(at) == start
            headers = tus(Upload_Offset=start, Content_Type=kind)
            sent = await api.client.patch(url, content=data[start:stop], headers=headers)
            assert sent.status_code == 204, sent.text
    return url.rsplit("/", 1)[-1]


async def test_a_resumed_upload_becomes_a_take(api: Api, judged: dict[str, Any]) -> None:
    data = os.urandom(300_000)
    video, voice = await upload(api, data, "große Aufnahme.mp4", cut=123_456), await upload(api, b"RIFF", "v.wav")
    wanted = {"video_upload_id": video, "voice_upload_id": voice, "consent": CONSENT, "name": "By parts"}
    answer = await api.client.post("/takes", json=wanted)
    assert answer.status_code == 201, answer.text
    assert judged["saw"] == [(data, b"RIFF")]
    assert (answer.json()["name"], answer.json()["video_name"]) == ("By parts", "große Aufnahme.mp4")
    assert list((api.studio.settings.data_dir / "uploads").glob(f"{video}*")) == []
    assert_error(await api.client.post("/takes", json=wanted), 404, "not_found")


async def test_uploads_need_the_token_and_are_whole_before_use(api: Api, judged: dict[str, Any]) -> None:
    assert_error(await api.stranger.post("/uploads", headers=tus(Upload_Length=5)), 401, "unauthorised")
    made = await api.client.post("/uploads", headers=tus(Upload_Length=5))
    half = made.headers["location"].rsplit("/", 1)[-1]
    answer = await api.client.post("/takes", json={"video_upload_id": half, "consent": CONSENT})
    assert_error(answer, 409, "conflict")
    for bad in ("../../token", "0" * 32, "x"):
        answer = await api.client.post("/takes", json={"video_upload_id": bad, "consent": CONSENT})
        assert answer.status_code in (404, 422), answer.text
    body = assert_error(await api.client.post("/takes", json={"video_upload_id": half}), 422, "invalid_input")
    assert body["detail"]["reasons"][0]["where"] == "body.consent"


async def test_a_withdrawn_consent_ends_every_use(api: Api, judged: dict[str, Any]) -> None:
    take = (await send(api, b"video")).json()
    with api.studio.tools.database.write() as session:
        session.get(TakeRow, take["id"]).state = "prepared"
    told = (await api.client.post(f"/takes/{take['id']}:withdraw")).json()
    assert told["consent"]["withdrawn_at"] is not None
    answer = await api.client.post("/avatars:train", json={"take_id": take["id"], "name": "Ada"})
    body = assert_error(answer, 403, "forbidden")
    assert "withdrawn" in body["message"]


async def test_consent_is_asked_for_what_it_covers(api: Api, judged: dict[str, Any]) -> None:
    for change, status in (
        ({"scope": ["live"]}, 403),
        ({"until": "2020-01-01T00:00:00Z"}, 403),
        ({"until": "2120-01-01T00:00:00Z"}, 202),
    ):
        take = (await send(api, b"video", {**CONSENT, **change})).json()
        with api.studio.tools.database.write() as session:
            session.get(TakeRow, take["id"]).state = "prepared"
        answer = await api.client.post("/avatars:train", json={"take_id": take["id"], "name": "Ada"})
        assert answer.status_code == status, answer.text


@pytest.mark.slow
async def test_a_real_take_is_prepared_and_previewed(api: Api, demo_take: Path) -> None:
    answer = await send(api, demo_take.read_bytes())
    assert answer.status_code == 201, answer.text
    take = answer.json()
    picture = await api.client.get(f"/takes/{take['id']}/preview", params={"layer": "original", "t": 1})
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    assert_error(await api.client.get(f"/takes/{take['id']}/preview", params={"layer": "keyed"}), 409, "conflict")
    worker = Worker(api.studio.tools, "w", threading.Event())
    assert await asyncio.to_thread(worker.once)
    job = (await api.client.get(f"/jobs/{take['job_id']}")).json()
    assert job["state"] == "succeeded", job["error"]
    take = (await api.client.get(f"/takes/{take['id']}")).json()
    assert take["state"] == "prepared" and take["preview_avatar_id"] == job["result"]["preview_avatar_id"]
    for layer, kind in (*((jpeg, "jpeg") for jpeg in ("original", "alpha")), *((png, "png") for png in PARTS)):
        url = "http://127.0.0.1:9001" + take["preview_url"]
        picture = await api.stranger.get(f"{url}&t=2&layer={layer}&width=200")
        assert picture.status_code == 200 and picture.headers["content-type"] == f"image/{kind}"
    part = await api.stranger.get("http://127.0.0.1:9001" + take["video_url"], headers={"Range": "bytes=0-99"})
    assert part.status_code == 206 and len(part.content) == 100
    avatar = (await api.client.get(f"/avatars/{take['preview_avatar_id']}")).json()
    assert (avatar["state"], avatar["width"], avatar["height"]) == ("preview", 512, 512)
    assert (await api.stranger.get("http://127.0.0.1:9001" + avatar["thumbnail_url"])).content[:2] == b"\xff\xd8"

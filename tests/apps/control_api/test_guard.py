"""Who may call, and how much: token, Host, Origin, body sizes, rates, redaction, the shape of errors."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import Any

import httpx
import pytest

from apps.control_api import log
from apps.control_api.api.security import Signer, Tickets, make_token
from apps.control_api.settings import Settings
from tests.apps.control_api.conftest import TOKEN, Api

ERROR_KEYS = {"code", "message", "remedy", "detail"}


def assert_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == ERROR_KEYS and body["code"] == code and body["message"]
    return body


async def test_health_is_open_and_everything_else_is_not(api: Api) -> None:
    assert (await api.stranger.get("/health")).json() == {"status": "ok", "version": api.studio.settings.version}
    for path in ("/takes", "/jobs/x", "/metrics", "/openapi.json", "/live/sessions", "/nothing"):
        assert_error(await api.stranger.get(path), 401, "unauthorised")
    for header in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ÿ"):
        answer = await api.stranger.get("/takes", headers={"Authorization": header.encode("latin-1")})
        assert_error(answer, 401, "unauthorised")
    assert (await api.client.get("/takes")).status_code == 200


async def test_wrong_tokens_are_audited_and_slowed(make_api: Any) -> None:
    api = await make_api(failed_logins_per_minute=5)
    codes = [(await api.stranger.get("/takes", headers={"Authorization": "Bearer no"})).status_code for _ in range(8)]
    assert codes == [401] * 5 + [429] * 3
    assert (await api.client.get("/takes")).status_code == 200
    rows = (await api.client.get("/audit/events", params={"action": "sign_in_failed"})).json()["items"]
    assert len(rows) == 5 and rows[0]["actor"] == "unknown"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9001", "127.0.0.1.evil.example", "", "localhost.:80"])
async def test_a_foreign_host_is_refused(api: Api, host: str) -> None:
    for path in ("/health", "/takes"):
        assert_error(await api.client.get(path, headers={"Host": host}), 403, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "[::1]:9001", "127.0.0.1"])
async def test_loopback_names_are_ours(api: Api, host: str) -> None:
    assert (await api.client.get("/takes", headers={"Host": host})).status_code == 200


async def test_pages_of_other_origins_may_not_call(make_api: Any) -> None:
    api = await make_api(allowed_origins=["app://studio"])
    for origin in ("http://evil.example", "http://127.0.0.1:9002", "null", "https://127.0.0.1:9001.evil.example"):
        answer = await api.client.get("/takes", headers={"Origin": origin})
        assert_error(answer, 403, "wrong_origin")
        assert "access-control-allow-origin" not in answer.headers
    assert (await api.client.get("/takes", headers={"Origin": "http://127.0.0.1:9001"})).status_code == 200
    answer = await api.client.get("/takes", headers={"Origin": "app://studio"})
    assert answer.headers["access-control-allow-origin"] == "app://studio"
    preflight = await api.stranger.options(
        "/takes",
        headers={
            "Origin": "app://studio",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.status_code == 200 and "access-control-allow-credentials" not in preflight.headers


async def test_a_large_body_is_refused_before_it_is_read(make_api: Any) -> None:
    api = await make_api(json_limit=2048)
    sent = 0

    async def chunks(count: int) -> Any:
        nonlocal sent
        for _ in range(count):
            sent += 1024
            yield b"x" * 1024

    declared = {"Content-Length": str(10**9), "Content-Type": "application/json"}
    body = assert_error(await api.client.post("/scripts", content=chunks(1000), headers=declared), 413, "too_large")
    assert sent <= 1024 and body["detail"] == {"limit": 2048}
    sent = 0  # no length declared: counted while it comes in
    answer = await api.client.post("/scripts", content=chunks(1000), headers={"Content-Type": "application/json"})
    assert_error(answer, 413, "too_large")
    assert sent <= 4096


async def test_calls_have_a_rate(make_api: Any) -> None:
    api = await make_api(requests_per_second=5)
    codes = [(await api.client.get("/jobs")).status_code for _ in range(14)]
    assert codes.count(200) in (10, 11) and codes[-1] == 429


async def test_signed_addresses_open_one_path_for_reading(api: Api) -> None:
    signed = api.studio.signer.url("/api/v1/jobs/nothing/file")
    base = "http://127.0.0.1:9001"
    assert_error(await api.stranger.get(base + signed), 404, "not_found")  # let in, and not found
    assert_error(await api.stranger.get(base + signed.replace("nothing", "other")), 401, "unauthorised")
    assert_error(await api.stranger.get(base + signed[:-1] + ("0" if signed[-1] != "0" else "1")), 401, "unauthorised")
    assert_error(await api.stranger.get(base + signed.replace("exp=1", "exp=2")), 401, "unauthorised")
    assert_error(await api.stranger.post(base + signed), 401, "unauthorised")
    old = Signer(TOKEN, hours=-2).url("/api/v1/jobs/nothing/file")
    assert_error(await api.stranger.get(base + old), 401, "unauthorised")


async def test_every_error_has_one_shape(api: Api) -> None:
    assert_error(await api.client.get("/nothing"), 404, "not_found")
    assert_error(await api.client.put("/takes"), 405, "method_not_allowed")
    assert_error(await api.client.get("/takes/nothing"), 404, "not_found")
    body = assert_error(await api.client.post("/scripts", json={"title": "", "nonsense": 1}), 422, "invalid_input")
    assert {r["where"] for r in body["detail"]["reasons"]} == {"body.title", "body.text", "body.nonsense"}
    assert all(set(r["message"]) == {"zh-CN", "en"} for r in body["detail"]["reasons"])
    assert_error(await api.client.get("/jobs", params={"cursor": "%%%"}), 422, "invalid_input")
    broken = await api.client.post("/scripts", content=b"{", headers={"Content-Type": "application/json"})
    assert_error(broken, 422, "invalid_input")


async def test_mutating_calls_are_audited_and_the_chain_holds(api: Api) -> None:
    made = (await api.client.post("/scripts", json={"title": "Hello", "text": "World"})).json()
    await api.client.patch(f"/scripts/{made['id']}", json={"text": "Moon"})
    await api.client.delete(f"/scripts/{made['id']}")
    await api.client.delete(f"/scripts/{made['id']}")
    await api.client.get("/scripts")
    rows = (await api.client.get("/audit/events")).json()["items"]
    told = [(r["action"], r["object_id"], r["result"], r["object_kind"]) for r in rows]
    assert told == [
        ("delete_script", made["id"], 404, "scripts"),
        ("delete_script", made["id"], 204, "scripts"),
        ("update_script", made["id"], 200, "scripts"),
        ("create_script", made["id"], 201, "scripts"),
    ]
    assert rows[0]["source"] == "127.0.0.1" and rows[0]["actor"] == "owner"
    first = (await api.client.get("/audit/events", params={"limit": 3})).json()
    second = (await api.client.get("/audit/events", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [r["id"] for r in first["items"] + second["items"]] == [r["id"] for r in rows]
    assert second["next_cursor"] is None
    assert (await api.client.get("/audit/verify")).json() == {"ok": True, "rows": 4, "broken_at": None}


def test_the_token_is_made_once_and_kept_from_others(tmp_path: Any) -> None:
    settings = Settings(data_dir=tmp_path / "data", token=None)
    token = make_token(settings)
    path = tmp_path / "data" / "token"
    assert len(token) >= 40 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_token(settings) == token
    assert make_token(Settings(data_dir=tmp_path / "data", token="given")) == "given"
    assert "given" not in repr(Settings(data_dir=tmp_path, token="given"))


def test_tickets_open_once() -> None:
    tickets = Tickets()
    ticket = tickets.issue()
    assert tickets.redeem(ticket) and not tickets.redeem(ticket) and not tickets.redeem("")
    assert not Tickets(seconds=-1).redeem(Tickets(seconds=-1).issue())


def test_secrets_stay_out_of_logs() -> None:
    told = log.redact(
        {
            "api_key": "k-123",
            "nested": [{"Authorization": "Bearer abc.def"}, "GET /events?ticket=xyz&x=1", "sk-abcdefghijkl"],
            "url": "http://127.0.0.1/#token=s3cr3t",
            "job": "fine",
        }
    )
    text = json.dumps(told)
    for secret in ("k-123", "abc.def", "xyz", "abcdefghijkl", "s3cr3t"):
        assert secret not in text
    assert "fine" in text and "x=1" in text


async def test_the_page_is_served_without_a_token_under_a_strict_policy(make_api: Any, tmp_path: Any) -> None:
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>Studio</title>")
    (page / "assets" / "a-1.js").write_text("1")
    (tmp_path / "secret.txt").write_text("no")
    api = await make_api(page_dir=page)
    base = "http://127.0.0.1:9001"
    for path in ("/", "/takes/5", "/live"):
        answer = await api.stranger.get(base + path)
        assert answer.status_code == 200 and "Studio" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    script = await api.stranger.get(base + "/assets/a-1.js")
    assert "immutable" in script.headers["cache-control"] and "javascript" in script.headers["content-type"]
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/assets/none.js"):
        answer = await api.stranger.get(base + path)
        assert answer.status_code in (200, 404) and answer.text != "no"
    assert (await api.stranger.get(base + "/api/v2")).status_code == 404
    assert (await api.stranger.get(base + "/health")).json()["status"] == "ok"


async def test_metrics_are_prometheus(api: Api) -> None:
    await api.client.get("/jobs")
    await asyncio.to_thread(api.studio.tools.jobs.submit, "k", {})
    text = (await api.client.get("/metrics")).text
    assert 'studio_jobs{state="queued"} 1.0' in text
    assert 'studio_http_requests_total{operation="list_jobs",status="200"} 1.0' in text
    assert "studio_uptime_seconds" in text and TOKEN not in text


async def test_checks_say_what_to_do(api: Api) -> None:
    told = (await api.client.get("/system/checks")).json()
    assert {c["id"] for c in told["checks"]} >= {"database", "disk", "memory", "cpu", "gpu", "worker", "virtual_camera"}
    for check in told["checks"]:
        assert check["title"]["zh-CN"] and check["title"]["en"] and check["message"]["en"]
        if check["state"] != "ok":
            assert check["remedy"]["zh-CN"] and check["remedy"]["en"]


async def test_capabilities_name_what_is_there(api: Api) -> None:
    told = (await api.client.get("/system/capabilities")).json()
    assert "lipbank" in {e["name"] for e in told["engines"] if e["available"]}
    assert "local" in {v["name"] for v in told["voice_backends"] if v["available"]}
    assert "takes:prepare" in told["job_kinds"]

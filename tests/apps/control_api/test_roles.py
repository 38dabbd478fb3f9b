"""Tokens with roles: every operation of the OpenAPI against every role; made, ended and never told again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from apps.control_api.api.roles import may
from apps.control_api.storage.tables import TokenRow
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import judged, send

__all__ = ["judged"]

AUDITOR = {
    "GET /health",
    "GET /whoami",
    "GET /models",
    "GET /models/{model_id}",
    "GET /takes",
    "GET /takes/{take_id}",
    "GET /audit/events",
    "GET /audit/verify",
}
OWNER_ALONE = {
    "GET /tokens",
    "POST /tokens",
    "DELETE /tokens/{token_id}",
    "POST /persons:delete",
    "POST /persons:withdraw",
    "GET /audit/events",
    "GET /audit/verify",
    "POST /models/register",
    "POST /models/{model_id}:promote",
    "POST /models/{model_id}:rollback",
    "POST /models/{model_id}:approve",
    "POST /models/{model_id}:reject",
    "DELETE /models/{model_id}",
    "POST /avatars:export",
    "POST /voices:export",
    "PATCH /settings",
    "GET /settings/services",
    "PATCH /settings/services/{kind}/{name}",
    "POST /settings/services/{kind}/{name}:check",
    "GET /system/diagnostics",
    "POST /system/storage:clean",
}


def operations(api: Api) -> Iterator[tuple[str, str]]:
    for path, item in api.app.openapi()["paths"].items():
        for method in item:
            yield method.upper(), path.removeprefix("/api/v1")


async def token(api: Api, role: str, **more: Any) -> dict[str, Any]:
    answer = await api.client.post("/tokens", json={"name": f"{role}'s", "role": role, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@asynccontextmanager
async def caller(api: Api, secret: str) -> Any:
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False, client=("127.0.0.1", 5))
    headers = {"Authorization": f"Bearer {secret}"}
    base = "http://127.0.0.1:9001/api/v1"
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        yield client


async def test_every_operation_against_every_role(make_api: Any) -> None:
    api = await make_api(requests_per_second=1e6)
    known = {f"{method} {path}" for method, path in operations(api)}
    assert known >= AUDITOR | OWNER_ALONE, "the table names what is not there"
    for role, allowed in (("auditor", AUDITOR), ("operator", known - OWNER_ALONE)):
        async with caller(api, (await token(api, role))["token"]) as client:
            for method, path in operations(api):
                answer = await client.request(method, re.sub(r"\{\w+\}", "none", path), timeout=20)
                refused = answer.status_code == 403 and f"The role {role} may not" in answer.text
                assert refused != (f"{method} {path}" in allowed), (role, method, path, answer.status_code)
                assert answer.status_code < 500 or answer.status_code == 503, (method, path, answer.text)
    for method, path in operations(api):
        assert may("owner", method, re.sub(r"\{\w+\}", "none", path))


@pytest.mark.parametrize("path", ["/new-room", "/tokensx", "/models/x/y/z", "/takes/x/video/more", "/../tokens", ""])
def test_what_the_matrix_does_not_name_is_never_the_auditors(path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        assert not may("auditor", method, path)
    assert may("auditor", "HEAD", "/models") and not may("operator", "GET", "/new-room")


async def test_an_auditor_sees_a_take_without_a_way_to_its_pictures(api: Api, judged: dict[str, Any]) -> None:
    take = (await send(api, b"video")).json()
    assert take["preview_url"]
    async with caller(api, (await token(api, "auditor"))["token"]) as auditor:
        seen = (await auditor.get(f"/takes/{take['id']}")).json()
        listed = (await auditor.get("/takes")).json()["items"][0]
        assert seen["consent"] == take["consent"] and seen["report"] == take["report"]
        for told in (seen, listed):
            assert not [k for k, v in told.items() if k.endswith("_url") and v], "an address that opens a picture"
        assert (await auditor.get("/whoami")).json() == {"actor": "auditor/auditor's", "role": "auditor"}
        for path in ("preview", "video", "sheet"):
            assert_error(await auditor.get(f"/takes/{take['id']}/{path}"), 403, "forbidden")
        assert_error(await auditor.post("/events/ticket"), 403, "forbidden")
        assert_error(await auditor.post("/uploads/"), 403, "forbidden")


async def test_a_token_is_told_once_kept_as_a_hash_and_ends_at_once(api: Api) -> None:
    made = await token(api, "operator")
    assert len(made["token"]) >= 40
    listed = (await api.client.get("/tokens")).json()["items"]
    assert [t["id"] for t in listed] == [made["id"]] and "token" not in listed[0] and "hash" not in listed[0]
    with api.studio.tools.database.read() as session:
        (row,) = session.exec(select(TokenRow))
        assert made["token"] not in str(row.model_dump())
    async with caller(api, made["token"]) as operator:
        assert (await operator.get("/takes")).status_code == 200
        await operator.post("/scripts", json={"title": "T", "text": "t"})
        assert_error(await operator.post("/tokens", json={"name": "x", "role": "owner"}), 403, "forbidden")
        assert (await api.client.delete(f"/tokens/{made['id']}")).status_code == 204
        assert_error(await operator.get("/takes"), 401, "unauthorised")
    assert_error(await api.client.delete(f"/tokens/{made['id']}"), 404, "not_found")
    rows = (await api.client.get("/audit/events")).json()["items"]
    told = [(r["actor"], r["action"], r["result"]) for r in reversed(rows)]
    assert told[:3] == [
        ("owner", "create_token", 201),
        ("operator/operator's", "create_script", 201),
        ("operator/operator's", "refused_by_role", 403),
    ]
    assert ("owner", "revoke_token", 204) in told and made["token"] not in str(rows)


async def test_a_token_has_an_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    refused = await api.client.post("/tokens", json={"name": "x", "role": "auditor", "until": past.isoformat()})
    assert_error(refused, 422, "invalid_input")
    made = await token(api, "auditor", until="2099-01-01T00:00:00Z")
    async with caller(api, made["token"]) as auditor:
        assert (await auditor.get("/models")).status_code == 200
        monkeypatch.setattr("apps.control_api.services.tokens.now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
        assert_error(await auditor.get("/models"), 401, "unauthorised")


async def test_a_second_owner_is_an_owner(api: Api) -> None:
    async with caller(api, (await token(api, "owner"))["token"]) as owner:
        assert (await owner.get("/tokens")).status_code == 200
    fresh = await token(api, "operator")
    api.studio.tokens.load()  # as after a restart
    async with caller(api, fresh["token"]) as operator:
        assert (await operator.get("/jobs")).status_code == 200

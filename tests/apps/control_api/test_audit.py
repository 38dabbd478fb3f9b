"""Every mutating call leaves a row; the chain tells what was changed or taken away; filters and pages."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.control_api import audit_verify
from apps.control_api.services.audit import Audit
from apps.control_api.storage.database import Database
from tests.apps.control_api.conftest import TOKEN, Api
from tests.apps.control_api.test_guard import assert_error

UNNOTED = {"create_event_ticket", "check_take_name"}
"""They change nothing of the studio's."""


async def test_every_mutating_operation_leaves_a_row(make_api: Any) -> None:
    api: Api = await make_api(requests_per_second=1e6)
    document = api.app.openapi()
    tried = 0
    for path, item in document["paths"].items():
        for method, what in item.items():
            if method == "get" or what["operationId"] in UNNOTED:
                continue
            before = api.studio.audit.list(1, None).items
            url = re.sub(r"\{\w+\}", "none", path.removeprefix("/api/v1"))
            answer = await api.client.request(method.upper(), url, timeout=30)
            (row,) = api.studio.audit.list(1, None).items
            assert not before or row.id > before[0].id, f"{method} {path} left no row"
            assert (row.action, row.result) == (what["operationId"], answer.status_code), (method, path)
            assert row.actor == "owner" and row.source == "127.0.0.1" and row.at
            assert row.object_kind == url.strip("/").split("/")[0].split(":")[0]
            tried += 1
    assert tried > 40
    assert api.studio.audit.verify().ok


async def test_reading_leaves_none(make_api: Any) -> None:
    api: Api = await make_api()
    for path in ("/takes", "/jobs", "/models", "/system/checks", "/audit/events"):
        await api.client.get(path)
    assert api.studio.audit.list(1, None).items == []


async def test_filters_and_pages(make_api: Any) -> None:
    api: Api = await make_api()
    for i in range(5):
        await api.client.post("/scripts", json={"title": f"{i}", "text": "t"})
    await api.client.delete("/scripts/none")
    middle = datetime.now(UTC) + timedelta(seconds=1)

    async def found(**filters: Any) -> list[dict[str, Any]]:
        answer = await api.client.get("/audit/events", params=filters)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    assert len(await found(action="create_script")) == 5
    assert [r["result"] for r in await found(refused=True)] == [404]
    assert len(await found(refused=False, object_kind="scripts")) == 5
    assert await found(since=middle.isoformat()) == [] and len(await found(until=middle.isoformat())) == 6
    assert await found(actor="nobody") == [] and await found(source="10.0.0.1") == []
    seen, cursor = [], None
    while True:
        page = (
            await api.client.get("/audit/events", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [r["id"] for r in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == 6
    assert_error(await api.client.get("/audit/events", params={"since": "yesterday"}), 422, "invalid_input")
    assert_error(await api.client.get("/audit/events", params={"since": "2026-01-01T00:00:00"}), 422, "invalid_input")


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A data folder with a trail of ten rows."""
    database = Database(f"sqlite:///{tmp_path / 'meta.db'}")
    database.migrate()
    audit = Audit(database)
    for i in range(10):
        audit.record("owner", f"act_{i}", 200, object_id=str(i), source="127.0.0.1", detail={"n": i})
    assert audit.verify().rows == 10
    database.close()
    return tmp_path


def said(trail: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = audit_verify.main(["--data-dir", str(trail)])
    return code, json.loads(capsys.readouterr().out)


CHANGES = {
    "another actor": ("update audit_events set actor = 'mallory' where id = 4", 4),
    "another time": ("update audit_events set at = '2020-01-01 00:00:00.000000' where id = 7", 7),
    "another result": ("update audit_events set result = 404 where id = 1", 1),
    "another detail": ("""update audit_events set detail = '{"n": 99}' where id = 10""", 10),
    "another object": ("update audit_events set object_id = 'x' where id = 2", 2),
    "a row gone": ("delete from audit_events where id = 5", 6),
    "the first row gone": ("delete from audit_events where id = 1", 2),
    "the last row gone": ("delete from audit_events where id = 10", 10),
    "all rows gone": ("delete from audit_events", 10),
    "two rows swapped": ("update audit_events set id = case id when 3 then -4 when 4 then -3 else id end", -4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_command_finds_what_was_changed(trail: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    assert said(trail, capsys) == (0, {"ok": True, "rows": 10, "broken_at": None})
    statement, at = CHANGES[change]
    with sqlite3.connect(trail / "meta.db") as connection:
        connection.execute(statement)
    code, told = said(trail, capsys)
    assert code == 1 and not told["ok"] and told["broken_at"] == at


def test_the_command_says_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = said(tmp_path, capsys)
    assert code == 2 and "no database" in told["error"]
    (tmp_path / "meta.db").write_bytes(b"this is no database at all, only words" * 50)
    assert said(tmp_path, capsys)[0] == 2


async def test_no_secret_reaches_the_logs(make_api: Any, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # the caller's own log, not the studio's
    api: Api = await make_api(log_level="DEBUG")
    made = (await api.client.post("/tokens", json={"name": "x", "role": "operator"})).json()["token"]
    ticket = (await api.client.post("/events/ticket")).json()["ticket"]
    await api.stranger.get("/takes", headers={"Authorization": "Bearer a-wrong-but-secret-token"})
    await api.client.get(f"/takes?token={made}")
    wanted = {"avatar_id": "none", "passphrase": "a very secret phrase"}
    await api.client.post("/avatars:export", json=wanted)
    await api.client.post("/avatars:export", json={**wanted, "wrong": 1})
    out, err = capfd.readouterr()
    told = out + err + caplog.text + str([r.model_dump() for r in api.studio.audit.list(100, None).items])
    for secret in (TOKEN, made, ticket, "a-wrong-but-secret-token", "a very secret phrase"):
        assert secret not in told

"""Voice back-ends over HTTP: listed with what they can do, checked with the owner's settings, no credential told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from speech.tts import registry
from speech.tts.setup import HINTS, problem_of
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_guard import assert_error
from tests.fakes.tts_services import SECRET, Plan, service

TONE = (np.sin(np.arange(12_000) * 0.1) * 8000).astype(np.int16)


async def listed(api: Api) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in (await api.client.get("/voices/backends")).json()["items"]}


async def keep(api: Api, name: str, **fields: Any) -> None:
    answer = await api.client.patch(f"/settings/services/voice/{name}", json={"fields": fields})
    assert answer.status_code == 200, answer.text


async def check(api: Api, name: str) -> dict[str, Any]:
    answer = await api.client.post(f"/voices/backends/{name}:check")
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_every_backend_is_listed_with_how_to_get_it(api: Api) -> None:
    told = await listed(api)
    assert set(told) == set(registry.names()) and set(told) <= set(HINTS)
    assert (told["local"]["state"], told["clone"]["state"], told["edge"]["state"]) == ("ready",) * 3
    assert (told["azure"]["state"], told["azure"]["missing"]) == ("not_configured", ["key"])
    assert told["tencent"]["missing"] == ["app_id", "secret_id", "secret_key"]
    assert told["cosyvoice"]["missing"] == ["reference_wav", "reference_text"]
    assert told["gpt_sovits"]["missing"] == ["reference_path"] and told["xtts"]["missing"] == ["reference_wav"]
    assert all(item["setup"]["en"] and item["setup"]["zh-CN"] for item in told.values())
    assert told["local"]["capabilities"]["word_timings"] and told["fish"]["capabilities"]["cloning"]
    await keep(api, "azure", key=SECRET)
    assert (await listed(api))["azure"]["state"] == "ready"


async def test_the_local_voice_speaks(api: Api) -> None:
    found = await check(api, "local")
    assert found["ok"] and found["problem"] == "none" and found["took_ms"] > 0


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("", "none"),
        ("unauthorised", "refused"),
        ("page", "not_the_service"),
        ("500", "failed"),
        ("empty", "not_the_service"),
    ],
)
async def test_what_is_wrong_is_said(api: Api, fault: str, problem: str) -> None:
    async with service("azure", Plan(TONE, 24_000, fault=fault)) as server:
        await keep(api, "azure", base_url=server.url, key=SECRET)
        found = await check(api, "azure")
    assert (found["ok"], found["problem"]) == (not fault, problem)
    assert found["message"] and bool(found["remedy"]) == bool(fault)


async def test_without_a_key_nobody_is_asked(api: Api) -> None:
    async with service("azure", Plan(TONE, 24_000)) as server:
        await keep(api, "azure", base_url=server.url)
        found = await check(api, "azure")
        assert not server.requests
    assert (found["problem"], found["detail"]["missing"]) == ("not_configured", ["key"])


async def test_nobody_there_and_a_wrong_address(api: Api) -> None:
    await keep(api, "openai_speech", base_url="http://127.0.0.1:9/v1")
    found = await check(api, "openai_speech")
    assert (found["problem"], "127.0.0.1:9" in found["message"]) == ("unreachable", True)
    await keep(api, "openai_speech", base_url="127.0.0.1")
    assert (await check(api, "openai_speech"))["problem"] == "wrong_place"


async def test_a_region_that_is_not_there_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The region makes the host's name; one that does not resolve is a wrong region or no network."""

    async def no_such_host(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_host)
    await keep(api, "azure", key=SECRET, region="atlantis")
    found = await check(api, "azure")
    assert found["problem"] == "wrong_place" and "atlantis" in found["remedy"]
    for region in ("evil.example/", "a b", ""):
        wrong = {"fields": {"region": region}}
        assert (await api.client.patch("/settings/services/voice/azure", json=wrong)).status_code == 422


async def test_no_credential_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for fault in ("unauthorised", "page", ""):
            async with service("openai_speech", Plan(TONE, 24_000, fault=fault)) as server:
                await keep(api, "openai_speech", base_url=f"{server.url}/v1", api_key=SECRET)
                await check(api, "openai_speech")
                await listed(api)
    assert caplog.records
    assert SECRET not in "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


async def test_an_unknown_name_and_a_stranger(api: Api) -> None:
    assert_error(await api.client.post("/voices/backends/nobody:check"), 404, "not_found")
    assert (await api.stranger.get("/voices/backends")).status_code == 401
    assert (await api.stranger.post("/voices/backends/local:check")).status_code == 401


@pytest.mark.parametrize(
    ("code", "detail", "message", "problem"),
    [
        ("speech_unauthorised", {}, "No credentials are set: key.", "not_configured"),
        ("speech_unauthorised", {"status": 401}, "The service refuses the credentials (401)", "refused"),
        ("speech_timeout", {}, "went silent", "silent"),
        ("speech_failed", {"status": 404}, "x", "wrong_place"),
        ("speech_failed", {"status": 429}, "x", "busy"),
        ("unavailable", {"missing": "TTS"}, "x", "not_installed"),
        ("internal", {}, "x", "failed"),
    ],
)
def test_one_word_for_each_problem(code: str, detail: dict[str, Any], message: str, problem: str) -> None:
    assert problem_of(code, detail, message) == problem

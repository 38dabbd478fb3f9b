"""The owner's settings: kept, in force, and no credential ever told."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.control_api.services.settings_store import SettingsStore
from lipsync.errors import UnavailableError
from tests.apps.control_api.conftest import Api

KEY = "sk-very-secret-key-123456"


async def test_values_are_those_of_the_start_until_they_are_changed(make_api: Callable[..., Any]) -> None:
    api: Api = await make_api(max_sessions=3, free_space=77 << 20)
    before = (await api.client.get("/settings")).json()
    assert (before["max_sessions"], before["free_space"], before["language"]) == (3, 77 << 20, "auto")
    changed = (await api.client.patch("/settings", json={"max_sessions": 5, "update_channel": "beta"})).json()
    assert (changed["max_sessions"], changed["update_channel"], changed["free_space"]) == (5, "beta", 77 << 20)
    assert api.studio.tools.owner.in_force().max_sessions == 5
    assert (await api.client.get("/system/capabilities")).json()["limits"]["sessions"] == 5
    back = (await api.client.patch("/settings", json={"max_sessions": None})).json()
    assert back["max_sessions"] == 3 and back["update_channel"] == "beta"


@pytest.mark.parametrize(
    "wrong", [{"max_sessions": 0}, {"device": "tpu"}, {"token": "x"}, {"minimum_metrics": {"a": "b"}}]
)
async def test_a_value_that_does_not_fit_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    assert (await api.client.patch("/settings", json=wrong)).status_code == 422
    assert (await api.client.get("/settings")).json()["max_sessions"] == 2


async def test_a_change_is_told(api: Api) -> None:
    listener = api.studio.hub.subscribe()
    await api.client.patch("/settings", json={"device": "cpu"})
    while (event := json.loads(await listener.queue.get()))["type"] != "system":
        continue
    assert (event["name"], event["data"]) == ("settings_changed", {"names": ["device"]})


async def test_a_credential_is_written_and_never_read(api: Api) -> None:
    path = "/settings/services/voice/azure"
    answer = await api.client.patch(path, json={"fields": {"key": KEY, "region": "westeurope"}})
    assert answer.status_code == 200
    told = {field["name"]: field for field in answer.json()["fields"]}
    assert (told["key"]["kind"], told["key"]["is_set"], told["key"]["value"]) == ("secret", True, None)
    assert (told["region"]["value"], told["region"]["by_owner"]) == ("westeurope", True)
    listed = await api.client.get("/settings/services")
    assert KEY not in answer.text + listed.text
    assert {"azure", "openai", "ollama"} <= {item["name"] for item in listed.json()["items"]}
    assert api.studio.tools.owner.service("voice", "azure") == {"key": KEY, "region": "westeurope"}


async def test_what_lies_on_the_disk_gives_no_credential_away(api: Api) -> None:
    await api.client.patch("/settings/services/reply/openai", json={"fields": {"api_key": KEY}})
    data = api.studio.settings.data_dir
    for file in [path for path in data.rglob("*") if path.is_file()]:
        assert KEY.encode() not in file.read_bytes(), file
    assert stat.S_IMODE((data / "settings.key").stat().st_mode) == 0o600
    (data / "settings.key").unlink()
    with pytest.raises(UnavailableError, match="key it was sealed with"):
        api.studio.tools.owner.service("reply", "openai")


async def test_a_setting_is_taken_back(make_api: Callable[..., Any]) -> None:
    api: Api = await make_api(voice_services={"azure": {"region": "eastus"}})
    path = "/settings/services/voice/azure"
    await api.client.patch(path, json={"fields": {"region": "westeurope", "key": KEY}})
    fields = (await api.client.patch(path, json={"fields": {"region": None, "key": None}})).json()["fields"]
    told = {field["name"]: (field["value"], field["is_set"], field["by_owner"]) for field in fields}
    assert told["region"] == ("eastus", True, False) and told["key"] == (None, False, False)


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("voice/azure", {"colour": "red"}, 422),
        ("voice/cosyvoice", {"mode": "opera"}, 422),
        ("voice/fish", {"chunk_length": 5}, 422),
        ("voice/nobody", {"key": "x"}, 404),
        ("film/azure", {"key": "x"}, 422),
    ],
)
async def test_what_a_service_would_refuse_is_refused(api: Api, path: str, fields: dict[str, Any], status: int) -> None:
    assert (await api.client.patch(f"/settings/services/{path}", json={"fields": fields})).status_code == status


async def test_a_stranger_sees_nothing(api: Api) -> None:
    for path in ("/settings", "/settings/services"):
        assert (await api.stranger.get(path)).status_code == 401


async def test_another_process_sees_a_change(api: Api) -> None:
    await api.client.patch("/settings", json={"minimum_metrics": {"psnr": 30.0}, "training_yields_to_live": False})
    tools = api.studio.tools
    worker = SettingsStore(tools.database, tools.settings).in_force()
    assert (worker.minimum_metrics, worker.training_yields_to_live) == ({"psnr": 30.0}, False)


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of a server that answers like Ollama, over a real socket."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"message": {"content": "ok"}, "done": false}\n{"message": {"content": ""}, "done": true}\n'
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_service_says_whether_it_can_be_used(api: Api, answering: str) -> None:
    path = "/settings/services/reply/ollama"
    await api.client.patch(path, json={"fields": {"base_url": answering, "model": "qwen2.5:3b"}})
    assert (await api.client.post(f"{path}:check")).json()["ok"] is True
    await api.client.patch(path, json={"fields": {"base_url": "http://127.0.0.1:9"}})
    refused = (await api.client.post(f"{path}:check")).json()
    assert refused["ok"] is False and refused["message"] and refused["remedy"]


async def test_a_service_without_its_credential_says_so(api: Api) -> None:
    verdict = (await api.client.post("/settings/services/voice/azure:check")).json()
    assert verdict["ok"] is False and "key" in (verdict["message"] + verdict["remedy"]).lower()

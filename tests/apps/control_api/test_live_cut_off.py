"""A studio killed while live says at its next start what it was cut off in."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lipsync.bundle import pack
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in, packed  # noqa: F401  (a fixture)
from tests.conftest import ROOT
from tests.fakes.bar_engine import write_bar_bundle

LIVE = """
import asyncio, sys
from pathlib import Path
import httpx
from apps.control_api.app import create_app
from apps.control_api.settings import Settings
from tests.apps.control_api.conftest import TOKEN, Api
from tests.apps.control_api.test_avatars import bring_in

async def main(data, bundle):
    app = create_app(Settings(data_dir=data, token=TOKEN, workers=0, free_space=0))
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("127.0.0.1", 5)),
            base_url="http://127.0.0.1:9001/api/v1", headers={"Authorization": f"Bearer {TOKEN}"},
        )
        api = Api(app.state.container, client, client, app)
        avatar_id = await bring_in(api, bundle)
        opened = (await client.post("/live/sessions", json={"avatar_id": avatar_id})).json()
        await client.post(f"/live/sessions/{opened['id']}:say", json={"text": "One sentence. " * 50})
        print("LIVE", opened["id"], avatar_id, flush=True)
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
"""


async def test_a_studio_killed_while_live_says_so_at_its_next_start(tmp_path: Path, make_api: Any) -> None:
    write_bar_bundle(tmp_path / "bundle", frames=30, width=128, height=128)
    bundle = pack(tmp_path / "bundle", tmp_path / "bar.zip")
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(tmp_path / "data"), str(bundle)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("LIVE ")), "")
        assert line, "the studio did not come up"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, session_id, avatar_id = line.split()
    api: Api = await make_api(data_dir=tmp_path / "data")
    listed = (await api.client.get("/live/sessions", params={"ended": True})).json()["items"]
    assert [(s["id"], s["state"], s["avatar_id"]) for s in listed] == [(session_id, "failed", avatar_id)]
    assert "in the middle" in listed[0]["reason"]
    assert (await api.client.get("/live/sessions")).json()["items"] == []
    assert (await api.client.get(f"/live/sessions/{session_id}")).json()["state"] == "failed"
    say = await api.client.post(f"/live/sessions/{session_id}:say", json={"text": "Hello."})
    assert say.status_code in (404, 409)
    trail = (await api.client.get("/audit/events", params={"action": "live_session_cut_off"})).json()["items"]
    assert [e["object_id"] for e in trail] == [session_id] and trail[0]["detail"]["avatar_id"] == avatar_id
    again: Api = await make_api(data_dir=tmp_path / "data")
    assert (await again.client.get("/live/sessions", params={"ended": True})).json()["items"] == [], "told once"


async def test_what_ended_is_listed_with_its_reason(api: Api, packed: bytes) -> None:  # noqa: F811  (a fixture)
    avatar_id = await bring_in(api, packed)
    closed = (await api.client.post("/live/sessions", json={"avatar_id": avatar_id})).json()
    assert (await api.client.delete(f"/live/sessions/{closed['id']}")).status_code == 204
    ended = (await api.client.get("/live/sessions", params={"ended": True})).json()["items"]
    assert [(s["id"], s["state"], s["reason"]) for s in ended] == [(closed["id"], "closed", "asked")]

"""A real control API with an avatar that paints a bar for loudness, for tests of the page in a real browser.

``python -m tests.fakes.live_studio DATA_DIR``: its first line on standard output is the control API's ready line with
``avatar_id`` added. It ends with its standard input. The token is STUDIO_TOKEN's, other settings are STUDIO_<NAME>'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx
import uvicorn

from apps.control_api import log
from apps.control_api.__main__ import bind, ready_line
from apps.control_api.app import create_app
from apps.control_api.settings import Settings
from lipsync.bundle import pack
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_avatars import bring_in
from tests.fakes.bar_engine import write_bar_bundle


async def main(folder: Path) -> None:
    token = os.environ["STUDIO_TOKEN"]
    app = create_app(Settings(data_dir=folder / "data", workers=0, free_space=0))
    write_bar_bundle(folder / "bundle", frames=50, width=256, height=256)
    packed = pack(folder / "bundle", folder / "bar.zip").read_bytes()
    sock = bind("127.0.0.1", 0)
    ready = json.loads(ready_line(sock, "127.0.0.1"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws_per_message_deflate=False))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        await asyncio.sleep(0.05)
    headers = {"Authorization": f"Bearer {token}"}
    inside = httpx.ASGITransport(app, client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=inside, base_url="http://127.0.0.1:9001/api/v1", headers=headers) as client:
        ready["avatar_id"] = await bring_in(Api(app.state.container, client, client, app), packed)
    print(json.dumps(ready), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    log.configure("WARNING", True)
    asyncio.run(main(Path(sys.argv[1])))

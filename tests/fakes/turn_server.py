"""A real TURN server: Debian's coturn on loopback, for one test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.rtmp_server import free_port, listening

USER, PASSWORD = "studio", "a-turn-password"


@asynccontextmanager
async def turn_server(folder: Path) -> AsyncIterator[int]:
    """Serve UDP and TCP on one port of loopback, which is given."""
    binary = shutil.which("turnserver")
    if binary is None:
        pytest.skip("coturn is not on this machine")
    port = free_port()
    options = (
        f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--lt-cred-mech",
        f"--user={USER}:{PASSWORD}", "--realm=studio", "--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls",
        "--log-file=stdout", f"--pidfile={folder / 'turn.pid'}", f"--userdb={folder / 'turn.db'}",
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        binary, "-n", *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            await listening(port, "0100007F")
        yield port
    finally:
        process.terminate()
        await process.wait()

"""The control API in this process, over ASGI, on a data folder of its own; no worker process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.control_api.app import create_app
from apps.control_api.container import Container
from apps.control_api.settings import Settings

TOKEN = "the-token-of-the-tests"
CONSENT = {"person": "Ada", "scope": ["train", "live", "export"], "statement": "I agree.", "agreed": True}


@dataclass
class Api:
    """A started application: its services, a client that knows the token, and one that does not."""

    studio: Container
    client: httpx.AsyncClient
    stranger: httpx.AsyncClient
    app: Any


@pytest.fixture
async def make_api(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start an application with the settings given; ended after the test."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Api:
            wanted = {"data_dir": tmp_path / "data", "token": TOKEN, "workers": 0, "free_space": 0, **settings}
            app = create_app(Settings(**wanted))
            await stack.enter_async_context(app.router.lifespan_context(app))

            def client(**headers: str) -> httpx.AsyncClient:
                transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 5))
                return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9001/api/v1", headers=headers)

            known = await stack.enter_async_context(client(Authorization=f"Bearer {TOKEN}"))
            stranger = await stack.enter_async_context(client())
            return Api(app.state.container, known, stranger, app)

        yield make


@pytest.fixture
async def api(make_api: Callable[..., Any]) -> Api:
    """An application with the default settings."""
    return await make_api()

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from apps.control_api.live_runtime.events import LiveEvent
from apps.control_api.live_runtime.manager import LiveManager
from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec, SessionSpec
from lipsync.engine import Engine
from tests.apps.control_api.live_runtime.fakes import ToneVoice
from tests.fakes.bar_engine import BarEngine, write_bar_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bar_bundle(tmp_path_factory.mktemp("bar") / "bundle", frames=50, width=256, height=256)


class World:
    """A manager with fakes around it, and what it told."""

    def __init__(self, bundle: Path, limits: LiveLimits, voice: ToneVoice, load: Callable[[Path], Engine]) -> None:
        self.bundle, self.voice = bundle, voice
        self.events: list[LiveEvent] = []
        self.engines: list[Engine] = []

        def loaded(path: Path) -> Engine:
            self.engines.append(load(path))
            return self.engines[-1]

        self.manager = LiveManager(limits, self.events.append, load=loaded, voice=lambda name, settings: voice)

    def spec(self, **changes: Any) -> SessionSpec:
        return SessionSpec(**{"avatar": self.bundle, "reply": ReplySpec("echo"), "mark": None, **changes})

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]


@pytest_asyncio.fixture
async def make_world(bundle: Path) -> AsyncIterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(
        limits: LiveLimits | None = None,
        voice: ToneVoice | None = None,
        load: Callable[[Path], Engine] = BarEngine.load,
    ) -> World:
        worlds.append(World(bundle, limits or LiveLimits(unload_after_s=0), voice or ToneVoice(), load))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.manager.shutdown()

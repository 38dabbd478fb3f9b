"""A sound device of the machine as a microphone; the driver's edge is the only fake."""

from __future__ import annotations

import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.ear import ListenSpec
from lipsync.errors import UnavailableError
from tests.apps.control_api.live_runtime.fakes import until
from tests.apps.control_api.live_runtime.talking import spoken

RATE = 44_100
ASKED = "What can you do?"


class Driver:
    """Stands in for ``sounddevice``: one stereo input whose thread plays what it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: dict[str, Any] = {}
        self.closed = threading.Event()
        driver, module = self, types.ModuleType("sounddevice")

        class InputStream:
            def __init__(self, **settings: Any) -> None:
                driver.opened = settings

            def start(self) -> None:
                driver.started = True

            def close(self, ignore_errors: bool = True) -> None:
                driver.closed.set()

        def query(device: Any, kind: str) -> dict[str, Any]:
            if device == "none":
                raise ValueError("no input device matching 'none'")
            return {"name": "Desk microphone", "default_samplerate": float(RATE), "max_input_channels": 2}

        vars(module).update(InputStream=InputStream, query_devices=query, PortAudioError=OSError)
        monkeypatch.setitem(sys.modules, "sounddevice", module)

    def play(self, sound: np.ndarray) -> None:
        """Call back block by block in another thread, as PortAudio does, in a buffer that is used again."""
        block = self.opened["blocksize"]

        def run() -> None:
            buffer = np.zeros((block, 2), np.float32)
            for at in range(0, len(sound) - block, block):
                buffer[:] = sound[at : at + block, None]
                self.opened["callback"](buffer, block, None, None)
            buffer[:] = 9.0

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()


async def test_a_device_is_heard_and_let_go(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, world = Driver(monkeypatch), make_world()
    session = await world.manager.open(world.spec(listen=ListenSpec(language="en", phrases=(ASKED,))))
    assert await session.listener.use_device(None) == "Desk microphone"
    sound = np.concatenate([np.zeros(RATE // 2), spoken(ASKED, RATE), np.zeros(RATE // 5)])
    monkeypatch.setattr("apps.control_api.live_runtime.listen._BACKLOG", 1000)
    driver.play(sound)
    await until(lambda: any(w["final"] for w in world.told("transcript")), 30)
    assert world.told("transcript")[-1]["text"] == ASKED
    assert session.listener.dropped == 0
    await world.manager.close(session.id)
    assert driver.closed.is_set()


async def test_a_device_that_is_unplugged_is_told(make_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, world = Driver(monkeypatch), make_world()
    session = await world.manager.open(world.spec(listen=ListenSpec(language="en")))
    await session.listener.use_device("Desk microphone")
    threading.Thread(target=driver.opened["finished_callback"]).start()
    await until(lambda: world.told("warning"), 10)
    assert world.told("warning")[0]["remedy"]
    assert session.state == "ready"


@pytest.mark.parametrize("missing", [True, False])
async def test_no_device_says_what_to_do(make_world: Any, monkeypatch: pytest.MonkeyPatch, missing: bool) -> None:
    world = make_world()
    Driver(monkeypatch)
    if missing:
        monkeypatch.setitem(sys.modules, "sounddevice", None)
    session = await world.manager.open(world.spec(listen=ListenSpec(language="en")))
    with pytest.raises(UnavailableError) as caught:
        await session.listener.use_device("none")
    assert caught.value.remedy

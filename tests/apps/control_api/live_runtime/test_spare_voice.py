"""A live session whose voice service is down, slow, refuses, or answers with a page goes on with the studio's voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime.events import LiveEvent
from apps.control_api.live_runtime.manager import LiveManager
from apps.control_api.live_runtime.spare_voice import CODE, tell_of_fallback
from apps.control_api.live_runtime.spec import LiveLimits, ReplySpec, SessionSpec
from speech.tts import create
from speech.tts.base import Voice
from speech.tts.fallback import FallbackSpeech
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import BarEngine
from tests.fakes.tts_services import SECRET, Plan, service

TONE = (np.sin(np.arange(12_000) * 0.1) * 8000).astype(np.int16)


@pytest.mark.parametrize("fault", ["down", "silent", "stall", "unauthorised", "page", "error_in_200", "drop", ""])
async def test_a_live_session_goes_on(bundle: Path, fault: str) -> None:
    events: list[LiveEvent] = []
    manager = LiveManager(LiveLimits(unload_after_s=0), events.append, load=BarEngine.load)
    told = lambda kind: [event.data for event in events if event.kind == kind]  # noqa: E731
    async with service("openai_speech", Plan(TONE, 24_000, fault=fault)) as server:
        address = "http://127.0.0.1:9/v1" if fault == "down" else f"{server.url}/v1"
        spec = SessionSpec(
            avatar=bundle,
            reply=ReplySpec("echo"),
            mark=None,
            voice=Voice("openai_speech"),
            voice_settings={
                "base_url": address,
                "api_key": SECRET,
                "attempts": 1,
                "timeouts": {"connect_s": 1.0, "first_s": 0.3, "stall_s": 0.3},
            },
        )
        try:
            session = await manager.open(spec)
            turn = await session.say("One two three four.")
            await until(lambda: told("turn_ended"), 20)
            ended, warned = told("turn_ended"), told("warning")
        finally:
            await manager.shutdown()
    assert ended == [{"turn": turn, "outcome": "spoken"}] and not told("error")
    assert [w["code"] for w in warned] == ([CODE] if fault else [])
    assert SECRET not in repr(events)
    if fault:
        assert "'openai_speech' failed and 'local' speaks" in warned[0]["message"]


async def test_what_failed_before_anyone_listened_is_told() -> None:
    voice = FallbackSpeech(create("clone", {"bundle": "/nowhere"}), create("local"))
    await voice.warm_up()
    told: list[dict[str, Any]] = []
    tell_of_fallback(voice, lambda kind, **data: told.append({"kind": kind, **data}))
    assert [(t["kind"], t["code"]) for t in told] == [("warning", CODE)]
    tell_of_fallback(create("local"), lambda kind, **data: told.append(data))
    assert len(told) == 1
    await voice.close()

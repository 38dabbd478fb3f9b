"""Recordings of a session: what was heard and seen, in step, and what happens when the disk refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.control_api.live_runtime import recorder
from apps.control_api.live_runtime.film import FilmWriter
from lipsync.errors import ConflictError, NoSpaceError
from lipsync.media.audio import load_audio
from lipsync.media.video import read_frames
from tests.apps.control_api.live_runtime.fakes import until
from tests.fakes.bar_engine import bar_length


async def test_a_recording_is_in_step(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    out = tmp_path / "a.mp4"
    await session.record(out)
    with pytest.raises(ConflictError):
        await session.record(tmp_path / "b.mp4")
    await session.say("aaaaa   aaaaa")
    await until(lambda: world.told("turn_ended"))
    assert not out.exists(), "half a film has no name"
    assert await session.stop_recording() == out
    with pytest.raises(ConflictError):
        await session.stop_recording()
    base = session.host.engine.base
    bars = np.array([bar_length(f, base) for f in read_frames(out, fmt="yuv420p")])
    sound = load_audio(out, 48_000)[: len(bars) * 1920]
    level = np.sqrt(np.mean(sound[: len(sound) // 1920 * 1920].reshape(-1, 1920) ** 2, 1))
    fits = {k: np.corrcoef(np.roll(level, k)[5:-5], bars[: len(level)][5:-5])[0, 1] for k in range(-4, 5)}
    assert max(fits, key=fits.get) == 0 and fits[0] > 0.9


async def test_closing_the_session_keeps_the_recording(make_world: Any, tmp_path: Path) -> None:
    world = make_world()
    session = await world.manager.open(world.spec())
    await session.record(tmp_path / "a.mp4")
    await session.say("aaa")
    await until(lambda: world.told("turn_ended"))
    await session.close()
    assert sum(1 for _ in read_frames(tmp_path / "a.mp4")) > 10


async def test_a_full_disk_ends_the_recording_not_the_session(
    make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(FilmWriter):
        def write(self, picture: Any, sound: Any) -> None:
            if self.frames == 10:
                raise NoSpaceError("The disk is full.")
            super().write(picture, sound)

    monkeypatch.setattr(recorder, "FilmWriter", Full)
    world = make_world()
    session = await world.manager.open(world.spec())
    await session.record(tmp_path / "a.mp4")
    await until(lambda: world.told("warning"))
    assert world.told("warning")[0]["code"] == "no_space"
    assert not list(tmp_path.iterdir())
    with pytest.raises(NoSpaceError):
        await session.stop_recording()
    await session.say("ok")
    await until(lambda: world.told("turn_ended"))

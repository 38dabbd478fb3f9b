"""Films: in step, marked, whole or not there."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from apps.control_api.live_runtime.film import FilmWriter
from apps.control_api.live_runtime.render_file import LEAD, render_video
from apps.control_api.live_runtime.spec import SessionSpec
from lipsync.errors import CancelledError, InvalidInputError
from lipsync.media.audio import load_audio, save_wav
from lipsync.media.video import read_frames
from lipsync.progress import SilentProgress
from tests.apps.control_api.live_runtime.fakes import ToneVoice, tone
from tests.fakes.bar_engine import BarEngine, bar_length


def voice(name: str, settings: Any) -> ToneVoice:
    return ToneVoice()


def test_a_film_of_text_is_in_step_and_marked(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    spec = SessionSpec(avatar=bundle)
    film = render_video(spec, "aaaaa aaaaa", out, load=BarEngine.load, voice=voice)
    base = BarEngine.load(bundle).base
    bars = np.array([bar_length(f, base) for f in read_frames(out, fmt="yuv420p")])
    sound = load_audio(out, 48_000)
    assert len(bars) == film.frames and film.duration_s == pytest.approx(len(sound) / 48_000, abs=0.05)
    level = np.sqrt(np.mean(sound[: len(bars) * 1920].reshape(-1, 1920) ** 2, 1))
    open_, loud = bars > 0.4, level > 0.15
    assert loud.sum() == pytest.approx(25, abs=2)
    assert np.flatnonzero(loud)[0] == LEAD
    # Two frames fade in; beyond them the bar follows the sound frame by frame.
    assert (open_ != loud).sum() <= 3
    with av.open(str(out)) as container:
        field = json.loads(container.metadata["AIGC"])
    assert field["Label"] == "1" and field["ProduceID"] == spec.id
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_of_sound(bundle: Path, tmp_path: Path) -> None:
    save_wav(tmp_path / "in.wav", tone(1.0, 16_000, 0.4), 16_000)
    for source in (tmp_path / "in.wav", (tone(1.0, 22_050, 0.4), 22_050), tone(1.0, 16_000, 0.4)):
        film = render_video(SessionSpec(avatar=bundle), source, tmp_path / "out.mp4", load=BarEngine.load, voice=voice)
        assert film.frames == LEAD + 25 + 3 + 12


class Stopped(SilentProgress):
    def update(self, fraction: float) -> None:
        if fraction > 0.3:
            raise CancelledError("Stop.")


def test_a_film_cut_short_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        render_video(
            SessionSpec(avatar=bundle), "aaaaaaaaaa", tmp_path / "x.mp4", Stopped(), load=BarEngine.load, voice=voice
        )
    with pytest.raises(InvalidInputError):
        render_video(SessionSpec(avatar=bundle), "  ", tmp_path / "x.mp4", load=BarEngine.load, voice=voice)
    with pytest.raises(InvalidInputError):
        render_video(
            SessionSpec(avatar=bundle), (np.zeros(0, np.float32), 16_000), tmp_path / "x.mp4", load=BarEngine.load
        )
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import signal

    # A file-size limit stands in for a full disk: the kernel refuses the write in the same place, with EFBIG.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    noise = np.random.default_rng(0)
    try:
        with pytest.raises(OSError), FilmWriter(tmp_path / "x.mp4", 256, 256, "1", crf=5) as film:
            for _ in range(100):
                picture = noise.integers(16, 235, (384, 256), np.uint8)
                film.write(picture, noise.integers(-9000, 9000, 1920, np.int16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert not list(tmp_path.iterdir())

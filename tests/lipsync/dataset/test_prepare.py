from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lipsync.dataset.prepare import prepare_take
from lipsync.dataset.take import PreparedTake, TakeError, load_take
from lipsync.errors import CancelledError, InvalidInputError
from lipsync.media.audio import load_audio
from lipsync.media.video import read_frames
from lipsync.progress import SilentProgress
from tests.lipsync.dataset.recordings import remake
from tests.lipsync.media.clips import constant, make_clip

ROOT = Path(__file__).resolve().parents[3]
CHECKED = {"ok": True, "findings": [], "info": {}}


class Watched(SilentProgress):
    """Remembers what it was told; cancels at a stage if asked to."""

    def __init__(self, cancel_at: str | None = None) -> None:
        self.stages: list[str] = []
        self.fractions: list[float] = []
        self._cancel_at = cancel_at

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def update(self, fraction: float) -> None:
        self.fractions.append(fraction)
        if self._cancel_at in self.stages:
            raise CancelledError("Cancelled.")


@pytest.fixture(scope="module")
def prepared(demo_take: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedTake, Watched]:
    progress = Watched()
    short = remake(demo_take, tmp_path_factory.mktemp("source") / "a.mp4", stop=150)
    take = prepare_take(short, None, tmp_path_factory.mktemp("takes") / "one", progress, CHECKED)
    return take, progress


def test_a_prepared_take_holds_everything_in_step(prepared: tuple[PreparedTake, Watched]) -> None:
    take, progress = prepared
    assert (take.n, take.width, take.height, take.fps) == (150, 512, 512, 25)
    assert take.landmarks.shape == (150, 478, 2) and take.landmarks.dtype == np.float32 and take.found.all()
    assert take.audio.size == 150 * 640 and take.audio.dtype == np.float32
    assert take.train == range(120) and take.held_out == range(120, 150)
    assert {p.name for p in take.folder.iterdir()} == {
        "video.mp4", "alpha.mp4", "audio.wav", "voice.wav", "landmarks.npz", "screen.npz", "take.json", "report.json",
        "look.mp4",
    }  # fmt: skip
    frames, mattes = list(take.frames()), list(take.alpha())
    assert len(frames) == len(mattes) == 150
    assert frames[0].shape == (512, 512, 3) and mattes[0].shape == (512, 512)
    assert soundfile.info(take.voice_path).samplerate == 24_000
    assert progress.stages == ["normalise", "screen", "track_and_key", "sound", "finish"]
    assert np.diff(progress.fractions).min() > -1e-9 and progress.fractions[-1] == 1.0
    assert load_take(take.folder).n == 150
    assert not [p for p in take.folder.parent.iterdir() if p != take.folder]


def test_parts_of_a_take_are_those_of_the_whole(prepared: tuple[PreparedTake, Watched]) -> None:
    take, _ = prepared
    whole = list(take.frames())
    part = list(take.frames(120, 130))
    assert len(part) == 10 and all(np.array_equal(a, b) for a, b in zip(part, whole[120:130], strict=True))
    assert len(list(take.alpha(140, 999))) == 10 and len(list(take.i420(0, 3))) == 3


def test_a_look_is_the_take_at_that_moment(prepared: tuple[PreparedTake, Watched], tmp_path: Path) -> None:
    take, _ = prepared
    frames, mattes = list(take.frames()), list(take.alpha())
    for k in (0, 5, 77, 149):
        picture, matte = take.look(k)
        assert np.abs(picture.astype(int) - frames[k]).mean() < 3 and np.array_equal(matte, mattes[k])
        nearest = [np.abs(picture.astype(int) - other).mean() for other in frames]
        assert np.abs(np.argmin(nearest) - k) <= 1
    old = tmp_path / "old"
    shutil.copytree(take.folder, old)
    (old / "look.mp4").unlink()
    assert np.array_equal(load_take(old).look(77)[0], frames[77])


def test_its_matte_is_the_person_and_its_colour_is_clean(prepared: tuple[PreparedTake, Watched]) -> None:
    take, _ = prepared
    picture, matte = next(take.foreground(40, 41))
    face = take.landmarks[40]
    inside = matte[face[:, 1].astype(int), face[:, 0].astype(int)]
    assert np.percentile(inside, 5) > 240 and matte[:40, :40].max() == 0 and 0.2 < (matte > 127).mean() < 0.8
    edge = (matte > 30) & (matte < 220)
    colour = picture[edge].astype(int)
    assert (colour[:, 1] - colour[:, [0, 2]].max(1)).mean() < 3
    assert take.screen.kind == "green" and take.screen.field is not None


def test_its_metadata_are_those_named(prepared: tuple[PreparedTake, Watched]) -> None:
    meta = json.loads((prepared[0].folder / "take.json").read_text("utf-8"))
    assert meta["chroma_info"]["kind"] == "green" and len(meta["chroma_info"]["tolerance"]) == 2
    assert {"noise_floor_dbfs", "loudness_lufs", "bandwidth_hz", "clipped_share"} <= set(meta["mic_profile"])
    assert len(meta["face_embedding"]) == 256 and meta["source"]["codec"] == "h264"
    report = prepared[0].report
    found = {f["code"]: f["severity"] for f in report["findings"]}
    assert report["ok"] and {"mouth_shut", "joined_clips", "usable_speech"} <= set(found)
    assert found["joined_clips"] == "ok" and found["mouth_shut"] == "ok"
    assert {**report, "findings": []} == CHECKED


def test_30_pictures_a_second_are_brought_to_25_in_step(demo_take: Path, tmp_path: Path) -> None:
    import av

    fast = tmp_path / "fast.mkv"
    pictures = list(read_frames(demo_take, 0, 90, fps=30))
    with av.open(str(fast), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for p in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(p, format="bgr24")))
        out.mux(stream.encode(None))
        pcm = (load_audio(demo_take)[: 3 * 16_000] * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        out.mux(sound.encode(frame))
    take = prepare_take(fast, None, tmp_path / "take", report=CHECKED)
    assert take.n == 75
    truth = load_audio(demo_take)[: take.n * 640]
    assert np.corrcoef(take.audio, truth)[0, 1] > 0.98


def test_a_take_with_errors_is_refused_with_every_reason(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", constant(4, 25), sound=None, size=(320, 320))
    with pytest.raises(InvalidInputError) as caught:
        prepare_take(clip, None, tmp_path / "takes" / "one")
    assert {r["code"] for r in caught.value.detail["reasons"]} == {"no_audio", "no_face"}
    assert list((tmp_path / "takes").iterdir()) == []


@pytest.mark.parametrize("stage", ["normalise", "track_and_key"])
def test_cancelling_leaves_nothing(demo_take: Path, tmp_path: Path, stage: str) -> None:
    with pytest.raises(CancelledError):
        prepare_take(demo_take, None, tmp_path / "takes" / "one", Watched(stage), CHECKED)
    assert list((tmp_path / "takes").iterdir()) == []


def test_a_killed_run_leaves_nothing_that_loads_and_the_next_one_works(demo_take: Path, tmp_path: Path) -> None:
    folder = tmp_path / "takes" / "one"
    code = (
        "import sys; from lipsync.dataset.prepare import prepare_take;"
        "prepare_take(sys.argv[1], None, sys.argv[2], report={'findings': []})"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(demo_take), str(folder)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "takes").glob(".one.*/alpha.mp4")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not folder.exists()
    with pytest.raises(TakeError):
        load_take(folder)
    for left in (tmp_path / "takes").iterdir():
        with pytest.raises(TakeError):
            load_take(left)
    short = remake(demo_take, tmp_path / "short.mp4", stop=60)
    assert prepare_take(short, None, folder, report=CHECKED).n == 60
    assert [p.name for p in folder.parent.iterdir()] == ["one"]


def test_damaged_takes_do_not_load(prepared: tuple[PreparedTake, Watched], tmp_path: Path) -> None:
    import shutil

    for name, spoil in (
        ("take.json", b"{"),
        ("landmarks.npz", b"PK nonsense"),
        ("video.mp4", None),
        ("take.json", b'{"schema": 99}'),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(prepared[0].folder, copy)
        if spoil is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(spoil)
        with pytest.raises(TakeError):
            load_take(copy)
        shutil.rmtree(copy)


def test_pictures_without_a_face_are_filled_in_from_their_neighbours(demo_take: Path, tmp_path: Path) -> None:
    def picture(k: int, p: np.ndarray) -> np.ndarray:
        return np.full_like(p, 90) if 20 <= k < 30 else p

    take = prepare_take(
        remake(demo_take, tmp_path / "a.mp4", picture=picture, stop=50), None, tmp_path / "t", report=CHECKED
    )
    assert not take.found[20:30].any() and take.found[:20].all() and take.found[32:].all()
    assert np.isfinite(take.landmarks).all()
    middle = (take.landmarks[19] + take.landmarks[30]) / 2
    assert np.abs(take.landmarks[24] - middle).max() < 5

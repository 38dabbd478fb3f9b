from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipsync.media.audio import load_audio
from lipsync.media.video import MediaError, VideoWriter, conforms, normalise, probe, read_frames
from tests.fakes.mutated import originals
from tests.lipsync.media.clips import constant, first_beep, first_flash, make_clip, varying


def test_probe_tells_what_a_plain_file_is(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", constant(2, 25)))
    assert (info.codec, info.pix_fmt, info.width, info.height) == ("h264", "yuv420p", 128, 96)
    assert info.frames == 50 and info.fps == pytest.approx(25) and not info.variable_rate
    assert info.duration == pytest.approx(2.0, abs=0.01) and info.start == 0
    assert info.audio is not None and info.audio.codec == "aac" and info.audio.channels == 1
    assert conforms(info)


@pytest.mark.parametrize(
    ("times", "sound", "container"),
    [
        (constant(2.4, 30), 0.0, "mp4"),
        (constant(2.4, 60), 0.0, "mov"),
        (constant(2.4, 24), 0.0, "mkv"),
        (varying(2.4), 0.0, "mp4"),
        (varying(2.4, 1), 0.0, "mkv"),
        (constant(2.4, 25, start=0.08), 0.0, "mp4"),
        (constant(2.4, 25), 0.32, "mp4"),
        (constant(2.4, 30, start=0.5), 0.1, "mkv"),
    ],
    ids=["30", "60", "24", "varying", "varying-mkv", "late-picture", "late-sound", "late-both"],
)
def test_normalising_keeps_flash_and_beep_together(
    tmp_path: Path, times: list[float], sound: float, container: str
) -> None:
    """The flash is drawn on the first source picture at or after 1 s; the beep begins at 1 s exactly."""
    source = make_clip(tmp_path / f"a.{container}", times, sound=sound)
    drawn = next(t for t in times if t >= 1.0) - times[0]
    info = normalise(source, tmp_path / "out.mp4")
    assert conforms(info) and info.fps == pytest.approx(25)
    pictures = list(read_frames(tmp_path / "out.mp4"))
    assert abs(len(pictures) / 25 - (times[-1] - times[0])) < 0.09
    # The nearest point of the grid: half a picture off at the most, in either direction.
    assert abs(first_flash(pictures) / 25 - drawn) <= 0.0201
    assert first_beep(load_audio(tmp_path / "out.mp4", 48_000), 48_000) == pytest.approx(1.0 - times[0], abs=0.006)
    assert load_audio(source).size == pytest.approx(load_audio(tmp_path / "out.mp4").size, abs=2000)


def test_a_late_first_picture_shifts_the_sound_with_it(tmp_path: Path) -> None:
    late = make_clip(tmp_path / "a.mp4", constant(2, 25, start=0.08))
    assert probe(late).start == pytest.approx(0.08)
    assert first_beep(load_audio(late, 48_000), 48_000) == pytest.approx(0.92, abs=0.006)


def test_a_part_is_what_the_whole_has_there(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", constant(6, 25), options={"g": "60", "bf": "3"})
    whole = list(read_frames(path))
    assert len(whole) == 150
    for start, stop in ((0, 1), (1, 4), (59, 62), (61, 90), (140, 150), (149, 200), (150, 160)):
        part = list(read_frames(path, start, stop))
        assert len(part) == max(0, min(stop, 150) - start)
        assert all(np.array_equal(a, b) for a, b in zip(part, whole[start:stop], strict=False))
    assert list(read_frames(path, 5, 5)) == []


def test_a_file_that_conforms_is_not_encoded_again(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", constant(2, 25))
    normalise(source, tmp_path / "b.mp4")

    def packets(path: Path) -> list[tuple[int | None, bytes]]:
        with av.open(str(path)) as container:
            return [(p.pts, bytes(p)) for p in container.demux(video=0) if p.size]

    assert packets(source) == packets(tmp_path / "b.mp4")


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pictures_come_out_upright(tmp_path: Path, turn: int) -> None:
    plain = make_clip(tmp_path / "plain.mp4", constant(1, 25), flash=9, sound=None)
    turned = make_clip(tmp_path / "turned.mp4", constant(1, 25), flash=9, rotation=turn, sound=None)
    info = probe(turned)
    assert info.rotation == (360 - turn) % 360
    upright = next(read_frames(turned))
    expected = np.rot90(next(read_frames(plain)), turn // 90)
    assert upright.shape == expected.shape == (info.height, info.width, 3)
    assert np.abs(upright.astype(int) - expected).mean() < 2
    normalise(turned, tmp_path / "out.mp4")
    again = next(read_frames(tmp_path / "out.mp4"))
    assert probe(tmp_path / "out.mp4").rotation == 0 and np.abs(again.astype(int) - expected).mean() < 4


def test_odd_sizes_lose_one_row_and_column(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", constant(1, 25), size=(101, 75), codec="ffv1", pix_fmt="yuv444p")
    assert (probe(path).width, probe(path).height) == (101, 75)
    assert next(read_frames(path)).shape == (74, 100, 3)
    assert next(read_frames(path, fmt="yuv420p")).shape == (111, 100)
    info = normalise(path, tmp_path / "b.mp4")
    assert (info.width, info.height) == (100, 74)


@pytest.mark.parametrize("space", [1, 6])
def test_bgr_and_i420_are_tied_by_one_matrix(tmp_path: Path, space: int) -> None:
    """A BT.709 file must not change colour where a patch made in BGR meets I420."""
    path = make_clip(tmp_path / "a.mp4", constant(1, 25), flash=9, colorspace=space)
    assert probe(path).colour == {1: "bt709", 6: "bt601"}[space]
    bgr = next(read_frames(path))
    back = cv2.cvtColor(next(read_frames(path, fmt="yuv420p")), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(back[2:10, 2:14].astype(int).mean((0, 1)) - bgr[2:10, 2:14].mean((0, 1))).max() < 6
    assert np.abs(bgr[4:8, 4:12].astype(int) - (0, 0, 255)).max() < 25
    assert conforms(probe(path)) == (space == 6)


def test_colours_are_rounded_and_not_cut_off(tmp_path: Path) -> None:
    """Half a level lost at each step would be a picture two levels darker after the way through the studio."""
    rng = np.random.default_rng(5)
    small = rng.integers(30, 226, (24, 32, 3)).astype(np.float32)
    picture = np.clip(cv2.resize(small, (256, 192), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 256, 192, crf=0) as writer:
        writer.write(picture)
    back = next(read_frames(tmp_path / "a.mp4")).astype(float)
    assert np.abs((back - picture).mean((0, 1))).max() < 0.3
    stored = next(read_frames(tmp_path / "a.mp4", fmt="yuv420p"))[:192].astype(float)
    luma = 16 + picture.astype(float) @ (np.array([24.966, 128.553, 65.481]) / 255)
    assert abs((stored - luma).mean()) < 0.1


def test_the_writer_keeps_pictures_and_sound(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 6)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    with VideoWriter(tmp_path / "a.mp4", 96, 64, audio_rate=48_000) as writer:
        for k in range(25):
            writer.write(ground)
            writer.write_audio(tone[k * 1920 : (k + 1) * 1920])
        with pytest.raises(ValueError, match="expected uint8"):
            writer.write(ground[:32])
    info = probe(tmp_path / "a.mp4")
    assert info.frames == 25 and info.colour == "bt601" and conforms(info)
    assert np.abs(next(read_frames(tmp_path / "a.mp4")).astype(int) - ground).mean() < 3
    heard = load_audio(tmp_path / "a.mp4", 48_000)[4800:40_000]
    assert np.corrcoef(heard, tone[4800:40_000])[0, 1] > 0.99


def test_grey_pictures_keep_their_levels(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    with VideoWriter(tmp_path / "a.mp4", 256, 64, pix="gray", crf=6) as writer:
        for _ in range(5):
            writer.write(ramp)
    back = next(read_frames(tmp_path / "a.mp4", fmt="gray"))
    assert back.shape == ramp.shape and np.abs(back.astype(int) - ramp).max() <= 3
    assert back.min() <= 1 and back.max() >= 254


@pytest.mark.parametrize("size", [(95, 64), (0, 64), (96, 63)])
def test_the_writer_refuses_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even"):
        VideoWriter(tmp_path / "a.mp4", *size)


def _refused(path: Path, reason: str) -> None:
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.reason == reason and caught.value.message


def test_files_that_are_no_video_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    _refused(tmp_path / "empty.mp4", "empty")
    (tmp_path / "text.mp4").write_text("This is not a video.\n" * 200)
    _refused(tmp_path / "text.mp4", "not_media")
    _refused(tmp_path / "missing.mp4", "missing")
    _refused(tmp_path, "missing")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _refused(tmp_path / "sound.mp4", "no_video")


def test_a_playlist_cannot_name_other_files(tmp_path: Path) -> None:
    real = make_clip(tmp_path / "real.mp4", constant(1, 25))
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {real}\n")
    _refused(tmp_path / "list.mp4", "not_media")
    (tmp_path / "hls.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{real}\n#EXT-X-ENDLIST\n")
    _refused(tmp_path / "hls.mp4", "not_media")


@pytest.mark.parametrize("name", ["😀 录像 take.mp4", "concat:a|b.mp4", "a" * 200 + ".mp4", "x.txt"])
def test_names_mean_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(make_clip(tmp_path / "plain.mp4", constant(1, 25)), path)
    assert probe(path).frames == 25
    with pytest.raises(MediaError):
        probe(f"{path}\0.mp4")


def test_a_truncated_file_is_refused_or_shorter(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", constant(4, 25)).read_bytes()
    (tmp_path / "head.mp4").write_bytes(whole[: len(whole) // 2])
    _refused(tmp_path / "head.mp4", "not_media")
    mkv = make_clip(tmp_path / "a.mkv", constant(4, 25)).read_bytes()
    (tmp_path / "half.mkv").write_bytes(mkv[: len(mkv) // 2])
    assert 10 < len(list(read_frames(tmp_path / "half.mkv"))) < 100


def test_a_picture_without_sound_says_so(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", constant(1, 25), sound=None)
    assert probe(path).audio is None
    with pytest.raises(MediaError) as caught:
        load_audio(path)
    assert caught.value.reason == "no_audio"


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", constant(4, 25), options={"g": "25"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4 + (len(data) - data.index(b"mdat")) // 3
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    pictures = list(read_frames(path))
    assert 95 <= len(pictures) <= 100 and first_flash(pictures) == 25


_FUZZ = """
import sys, time
from pathlib import Path
from lipsync.media.audio import load_audio
from lipsync.media.frames import scan
from lipsync.media.video import MediaError, probe
from tests.fakes.mutated import mutations
folder, counts, slowest = Path(sys.argv[1]), {}, 0.0
for name, data in mutations([Path(p) for p in sys.argv[2:]], 100, seed=7):
    path = folder / "fuzz.bin"
    path.write_bytes(data)
    (folder / "last").write_text(name)
    began = time.monotonic()
    for step in (lambda: probe(path), lambda: scan(path, budget=2), lambda: load_audio(path, max_seconds=60)):
        try:
            step()
            word = "read"
        except MediaError as exc:
            word = exc.reason
        counts[word] = counts.get(word, 0) + 1
    slowest = max(slowest, time.monotonic() - began)
print(slowest, counts)
"""


def test_mutated_files_never_crash_or_hang(demo_take: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FUZZ, str(tmp_path), *map(str, originals(demo_take, tmp_path))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).resolve().parents[3],
    )
    last = (tmp_path / "last").read_text()
    assert done.returncode == 0, f"{last} ended the process: {done.stderr[-2000:]}"
    slowest, counts = done.stdout.split(" ", 1)
    assert float(slowest) < 20, done.stdout
    assert "read" in counts and "not_media" in counts

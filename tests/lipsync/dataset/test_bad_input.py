"""Recordings that are no good takes: each refused or warned of by its own code, in words that say what is wrong."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile

from lipsync.dataset import check_picture
from lipsync.dataset.check import check_take
from lipsync.dataset.findings import Finding, TakeReport
from lipsync.face.landmarks import FaceTracker
from lipsync.media.audio import load_audio
from lipsync.media.tone import to_standard
from lipsync.media.video import MediaError, conforms, normalise, probe, read_frames
from tests.lipsync.dataset.recordings import remake, write
from tests.lipsync.media.clips import constant, first_beep, first_flash, make_clip

_KEY = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def of(report: TakeReport, code: str) -> Finding:
    found = [f for f in report.findings if f.code == code]
    assert found, f"no {code} among {[(f.code, f.severity) for f in report.findings]}"
    return found[0]


def explained(finding: Finding, severity: str, *words: str) -> None:
    """The finding has this severity, both languages, a remedy, and says these words in English."""
    assert finding.severity == severity, finding
    assert finding.message["zh-CN"] and finding.remedy["zh-CN"] and finding.remedy["en"]
    for word in words:
        assert word in finding.message["en"], finding.message["en"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "plain.mp4", constant(3, 25), size=(320, 320))


def encrypted(source: Path, target: Path, **options: str) -> Path:
    """A copy under Common Encryption (ISO 23001-7), as DRM shops make it."""
    with av.open(str(source)) as old, av.open(str(target), "w", format="mp4", options={**_KEY, **options}) as new:
        streams = {s.index: new.add_stream_from_template(s) for s in (*old.streams.video, *old.streams.audio)}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}, {"movflags": "+frag_keyframe+empty_moov"}])
def test_an_encrypted_file_is_named_as_such(clip: Path, tmp_path: Path, options: dict[str, str]) -> None:
    path = encrypted(clip, tmp_path / "drm.mp4", **options)
    report = check_take(path)
    assert [f.code for f in report.errors] == ["file_encrypted"]
    explained(report.errors[0], "error", "encrypted")
    assert "copy protection" in report.errors[0].remedy["en"]


def test_words_of_encryption_in_a_plain_file_are_only_words(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    path.write_bytes(clip.read_bytes() + b"\0\0\0\x1cfree" + b"encv sinf schm free ")
    assert probe(path).codec == "h264"


def test_three_hours_are_refused_at_once(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", constant(3 * 3600, 0.1), size=(64, 64), sound=None)
    report = check_take(path)
    explained(of(report, "too_long"), "error", "over the limit of 1800 s")
    assert "30 minutes" in of(report, "too_long").remedy["en"] and report.info["seconds"] < 20


def test_one_second_is_refused(tmp_path: Path) -> None:
    report = check_take(make_clip(tmp_path / "a.mp4", constant(1, 25), size=(320, 320)))
    explained(of(report, "duration"), "error", "It is 1 s long", "between 30 and 900")


def test_slow_motion_is_refused(tmp_path: Path) -> None:
    report = check_take(make_clip(tmp_path / "a.mp4", constant(1, 240), size=(64, 64), sound=None))
    explained(of(report, "frame_rate"), "error", "240 pictures a second", "between 24 and 60")


def test_8k_is_refused_without_looking_at_all_of_it(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "a.mp4", constant(0.12, 25), size=(7680, 4320), sound=None, options={"preset": "ultrafast"}
    )
    report = check_take(path)
    explained(of(report, "too_large_picture"), "error", "7680x4320", "4K")
    assert not any(f.code == "face_found" for f in report.findings)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_converted_and_said(tmp_path: Path, transfer: int, name: str) -> None:
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p10le"
        context: Any = video.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 128, np.uint8), format="bgr24")
            container.mux(video.encode(frame.reformat(format="yuv420p10le", dst_colorspace="ITU709")))
        container.mux(video.encode(None))
    info = probe(path)
    assert (info.hdr, info.bit_depth, info.colour) == (name, 10, "bt2020") and not conforms(info)
    report = check_take(path)
    explained(of(report, "hdr"), "warning", name)
    explained(of(report, "pixel_format"), "warning", "yuv420p10le")
    made = normalise(path, tmp_path / "out.mp4")
    assert made.hdr is None and made.bit_depth == 8 and conforms(made)
    wanted = to_standard(np.full((1, 3), 0.5), name).mean() * 255
    assert abs(int(next(read_frames(tmp_path / "out.mp4")).mean()) - wanted) < 6


def test_half_pictures_are_joined_and_said(tmp_path: Path) -> None:
    """A bar that moves between the two fields of a picture stands as a comb; no comb may be left."""
    path = tmp_path / "interlaced.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "4", "x264-params": "tff=1:interlaced=1"})
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        for k in range(30):
            picture = np.full((96, 160, 3), 40, np.uint8)
            for field in (0, 1):
                at = 10 + 4 * (2 * k + field) % 120
                picture[field::2, at : at + 16] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    info = probe(path)
    assert info.interlaced and not conforms(info)
    explained(of(check_take(path), "interlaced"), "warning", "interlaced")
    pictures = [p.astype(int)[..., 1] for p in read_frames(path)]
    assert len(pictures) == 30
    combs = [np.abs(p[1:-1] - (p[:-2] + p[2:]) / 2).mean() for p in pictures[2:-2]]
    assert np.mean(combs) < 4, "lines of the two fields still stand side by side"


def test_damage_in_the_middle_is_counted(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", constant(6, 25), size=(320, 320), options={"g": "25"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    rng = np.random.default_rng(3)
    for part in (0.3, 0.5, 0.7):
        at = start + int(part * (len(data) - start) * 0.8)
        data[at : at + 600] = rng.integers(0, 256, 600, np.uint8).tobytes()
    path.write_bytes(data)
    report = check_take(path)
    damaged = of(report, "damaged_frames")
    explained(damaged, "warning", "are damaged")
    assert isinstance(damaged.value, int) and damaged.value >= 1
    pictures = list(read_frames(path))
    assert 140 <= len(pictures) <= 150 and first_flash(pictures) == 25


# --- what stands before the camera ------------------------------------------------------------------------------------


def test_two_people_are_refused(demo_take: Path, tmp_path: Path) -> None:
    path = remake(demo_take, tmp_path / "a.mp4", picture=lambda k, p: np.hstack([p, p[:, ::-1]]), sound=None, stop=80)
    explained(of(check_take(path), "face_count"), "error", "more than one face", "100 % of the pictures")


def test_half_a_face_is_refused(demo_take: Path, tmp_path: Path) -> None:
    path = remake(demo_take, tmp_path / "a.mp4", picture=lambda k, p: p[:, 200:], sound=None, stop=80)
    report = check_take(path)
    assert {f.code for f in report.errors} & {"no_face", "face_edge"}, [(f.code, f.value) for f in report.findings]
    for finding in report.errors:
        explained(finding, "error")


@pytest.mark.parametrize(("degrees", "severity"), [(0, "ok"), (32, "warning"), (60, "error")])
def test_a_face_seen_from_the_side_is_judged_by_its_turn(
    demo_take: Path, monkeypatch: pytest.MonkeyPatch, degrees: int, severity: str
) -> None:
    """The mesh of a real face, turned about the vertical axis; there is no free picture of a person at such angles."""
    pictures = list(read_frames(demo_take, 0, 8))
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32)
    real = FaceTracker.track_3d

    def turned(self: FaceTracker, bgr: np.ndarray) -> list[np.ndarray]:
        return [(f - f.mean(0)) @ turn.T + f.mean(0) for f in real(self, bgr)]

    monkeypatch.setattr(check_picture.FaceTracker, "track_3d", turned)
    report = TakeReport()
    assert check_picture.check_faces(report, pictures, 1.0)
    finding = of(report, "head_turn")
    assert finding.severity == severity, finding
    if severity != "ok":
        explained(finding, severity, "degrees", "at most 22")


def cartoon(k: int) -> np.ndarray:
    """A drawn head whose mouth opens and shuts."""
    picture = np.full((480, 480, 3), (60, 200, 60), np.uint8)
    cv2.circle(picture, (240 + k % 5, 240), 130, (90, 220, 250), -1)
    for x in (190, 290):
        cv2.circle(picture, (x, 205), 24, (255, 255, 255), -1)
        cv2.circle(picture, (x + k % 3, 205), 9, (0, 0, 0), -1)
    cv2.ellipse(picture, (240, 300), (50, 6 + 22 * (k % 6) // 5), 0, 0, 360, (40, 40, 150), -1)
    return picture


def test_a_cartoon_is_refused_as_a_drawing(tmp_path: Path) -> None:
    tone = 0.2 * np.sin(np.arange(4 * 48_000) * 2 * np.pi * 150 / 48_000).astype(np.float32)
    report = check_take(write(tmp_path / "a.mp4", (cartoon(k) for k in range(100)), tone))
    assert not report.ok
    explained(of(report, "face_texture"), "error", "no texture", "a drawing")
    assert "real person" in of(report, "face_texture").remedy["en"]


def test_a_real_face_is_no_drawing_even_out_of_focus(demo_take: Path) -> None:
    pictures = list(read_frames(demo_take, 0, 6))
    for sigma, severity in ((0, "ok"), (2, "ok")):
        report = TakeReport()
        seen = [cv2.GaussianBlur(p, (0, 0), sigma) if sigma else p for p in pictures]
        check_picture.check_faces(report, [np.asarray(p, np.uint8) for p in seen], 1.0)
        assert of(report, "face_texture").severity == severity


def test_a_photo_is_refused_as_video_and_as_file(demo_take: Path, tmp_path: Path) -> None:
    first = next(read_frames(demo_take))
    path = remake(demo_take, tmp_path / "a.mp4", picture=lambda k, p: first, stop=80)
    explained(of(check_take(path), "still_picture"), "error", "still photo")
    cv2.imwrite(str(tmp_path / "photo.png"), first)
    shutil.copy(tmp_path / "photo.png", tmp_path / "photo.mp4")
    report = check_take(tmp_path / "photo.mp4")
    assert [f.code for f in report.errors] == ["file_not_media"]
    explained(report.errors[0], "error", "not a video")


# --- voices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subtype", "rate", "channels", "words"),
    [
        ("FLOAT", 48_000, 1, "pcm_f32le 48000 Hz x1"),
        ("PCM_U8", 16_000, 1, "pcm_u8 16000 Hz x1"),
        ("PCM_16", 24_000, 2, "pcm_s16le 24000 Hz x2"),
        ("PCM_24", 192_000, 1, "pcm_s24le 192000 Hz x1"),
    ],
)
def test_other_wavs_are_converted_and_said(
    clip: Path, tmp_path: Path, subtype: str, rate: int, channels: int, words: str
) -> None:
    wave = 0.4 * np.sin(np.arange(3 * rate) * 2 * np.pi * 440 / rate)
    wave[:rate] = 0
    soundfile.write(tmp_path / "a.wav", np.repeat(wave[:, None], channels, 1), rate, subtype=subtype)
    finding = of(check_take(clip, tmp_path / "a.wav"), "voice_file")
    explained(finding, "warning", words, "converted to 24 kHz mono")
    heard = load_audio(tmp_path / "a.wav", 24_000)
    assert abs(heard.size - 72_000) < 10 and first_beep(heard, 24_000) == pytest.approx(1.0, abs=0.01)
    assert np.abs(heard[30_000:60_000]).max() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_U8"])
def test_a_wav_without_samples_is_refused(clip: Path, tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 24_000, subtype=subtype)
    finding = of(check_take(clip, tmp_path / "a.wav"), "voice_unreadable")
    explained(finding, "error", "holds no sound")


def test_a_wav_cut_off_or_full_of_nonsense_is_no_crash(clip: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(48_000, np.nan), 24_000, subtype="FLOAT")
    assert of(check_take(clip, tmp_path / "a.wav"), "voice_unreadable").severity == "error"
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:30])
    explained(of(check_take(clip, tmp_path / "b.wav"), "voice_unreadable"), "error")


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["-i.mp4", "%05d.mp4", "a\nb.mp4", "🎬" * 60 + ".mp4", "file:x?y#z.mp4", " .mp4"])
def test_odd_names_are_read_as_they_are(clip: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(clip, tmp_path / name)
    assert probe(tmp_path / name).codec == "h264"


def test_names_no_disk_takes_are_refused_in_words(tmp_path: Path) -> None:
    for name in ("a\0b.mp4", "x" * 300 + ".mp4", "../" * 40 + "nowhere.mp4"):
        with pytest.raises(MediaError) as caught:
            probe(f"{tmp_path}/{name}")
        assert caught.value.reason == "missing" and "cannot be read" in caught.value.message
        assert [f.code for f in check_take(f"{tmp_path}/{name}").errors] == ["file_missing"]

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile

from lipsync.dataset.check import check_take, main
from lipsync.dataset.check_sound import offset_of
from lipsync.dataset.finding_texts import TEXTS
from lipsync.dataset.findings import TakeReport
from tests.lipsync.dataset.recordings import remake, write
from tests.lipsync.media.clips import constant, make_clip

ROOT = Path(__file__).resolve().parents[3]


def severity(report: TakeReport) -> dict[str, str]:
    return {f.code: f.severity for f in report.findings}


@pytest.fixture(scope="module")
def good(demo_take: Path) -> TakeReport:
    return check_take(demo_take)


def test_a_good_take_passes_and_says_what_was_measured(good: TakeReport) -> None:
    assert good.ok, [f.message["en"] for f in good.errors]
    found = severity(good)
    wanted = {
        "container", "codec", "pixel_format", "variable_frame_rate", "frame_rate", "resolution", "duration", "no_audio",
        "loudness", "clipping", "speech_present", "silence_ends", "background_noise", "face_found", "face_size",
        "face_count", "head_turn", "blur", "exposure", "mouth_covered", "still_picture", "person_edge", "screen",
        "screen_evenness", "screen_spill", "screen_holes", "sync_offset", "damaged_frames", "face_edge",
    }  # fmt: skip
    assert wanted <= set(found)
    for code in ("face_found", "face_count", "screen", "sync_offset", "mouth_covered", "still_picture", "screen_holes"):
        assert found[code] == "ok", code
    assert found["resolution"] == "warning"  # 512 pixels are under 720
    assert good.info["chroma_info"]["kind"] == "green" and good.info["mic_profile"]["speech_s"] > 3
    assert abs(good.info["sync"]["offset_ms"]) < 80 and good.info["sync"]["confidence"] > 0.5


def test_every_finding_has_words_in_both_languages(good: TakeReport) -> None:
    for finding in good.findings:
        assert finding.message["zh-CN"] and finding.message["en"] and "{" not in finding.message["en"]
        assert (finding.severity == "ok") == (finding.remedy["en"] == "")
    for code, text in TEXTS.items():
        assert text.bad["en"] or code == "rotation", code
        for part in (text.good, text.bad, text.remedy):
            assert bool(part["en"]) == bool(part["zh-CN"]), code
        assert not text.bad["en"] or text.remedy["en"], code
    copy = json.loads(json.dumps(good.as_dict(), ensure_ascii=False))
    assert copy["ok"] and len(copy["findings"]) == len(good.findings)


@pytest.mark.parametrize(
    ("code", "value", "limits", "zh", "en"),
    [
        (
            "resolution",
            512,
            {"warn": (720, None)},
            "512 像素\uff0c建议至少 720。",
            "512 pixels; it should be at least 720.",
        ),
        (
            "blur",
            0.5,
            {"warn": (0.75, None)},
            "模糊\uff080.5\uff09\uff0c建议至少 0.75。",
            "(0.5); it should be at least 0.75.",
        ),
        ("screen_spill", 0.2, {"warn": (None, 0.08)}, "建议不超过 0.08。", "it should be at most 0.08."),
        ("duration", 12.0, {"warn": (30.0, 900.0)}, "建议 30 到 900。", "it should be between 30 and 900."),
        ("face_found", 0.51234, {"warn": (0.95, None)}, "只有 51.2 % 的画面", "in only 51.2 % of the pictures"),
        ("face_found", 0.5, {"warn": (0.95, None)}, "需要至少 95 %。", "it should be at least 95 %."),
        ("screen", "green", None, "幕布颜色\uff1a绿色。", "Screen colour: green."),
    ],
)
def test_figures_are_said_as_people_say_them(
    code: str, value: float | str, limits: dict[str, Any] | None, zh: str, en: str
) -> None:
    report = TakeReport()
    if limits is None:
        report.add(code, "ok", value)
    else:
        report.grade(code, float(value), **limits)
    (finding,) = report.findings
    assert zh in finding.message["zh-CN"] and en in finding.message["en"], finding.message


def test_chinese_words_have_chinese_punctuation() -> None:
    for code, text in TEXTS.items():
        for part in (text.good, text.bad, text.remedy):
            assert not re.search(r"[\u4e00-\u9fff} ][,;:()?!]|[,;:()?!][\u4e00-\u9fff]", part["zh-CN"]), code
            assert not re.search(r"[>=<]=? ?\d|\.\. ", part["en"] + part["zh-CN"]), code


def test_files_that_are_no_take_have_codes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 500)
    cases = {"empty.mp4": "file_empty", "text.mp4": "file_not_media", "missing.mp4": "file_missing"}
    for name, code in cases.items():
        report = check_take(tmp_path / name)
        assert not report.ok and [f.code for f in report.errors] == [code]


def test_a_video_without_face_or_sound_says_both(tmp_path: Path) -> None:
    report = check_take(make_clip(tmp_path / "a.mp4", constant(5, 25), sound=None, size=(320, 320)))
    assert {f.code for f in report.errors} == {"no_audio", "no_face"}
    silent = check_take(make_clip(tmp_path / "b.mp4", constant(5, 25), flash=99, size=(320, 320)))
    assert {f.code for f in silent.errors} == {"no_audio", "no_face"}  # a track of zeros is no sound
    short = check_take(make_clip(tmp_path / "c.mp4", constant(1, 25), size=(320, 320)))
    assert severity(short)["duration"] == "error"


def test_form_is_judged(tmp_path: Path) -> None:
    fast = severity(check_take(make_clip(tmp_path / "a.mp4", constant(1, 240), sound=None)))
    assert fast["frame_rate"] == "error" and fast["resolution"] == "error"
    slow = severity(check_take(make_clip(tmp_path / "b.mp4", constant(4, 20), sound=None)))
    assert slow["frame_rate"] == "warning"
    odd = make_clip(tmp_path / "c.mkv", constant(3, 25), size=(321, 241), codec="ffv1", pix_fmt="yuv444p", sound=None)
    found = severity(check_take(odd))
    assert [found[c] for c in ("container", "codec", "pixel_format", "odd_size")] == ["warning"] * 4
    turned = severity(check_take(make_clip(tmp_path / "d.mp4", constant(3, 25), rotation=90, sound=None)))
    assert turned["rotation"] == "ok"
    big = make_clip(
        tmp_path / "e.mp4", constant(0.2, 25), size=(7680, 4320), sound=None, options={"preset": "ultrafast"}
    )
    assert severity(check_take(big))["too_large_picture"] == "error"


@pytest.mark.parametrize(
    ("change", "code", "level"),
    [
        ("still", "still_picture", "error"),
        ("two", "face_count", "error"),
        ("dark", "exposure", "warning"),
        ("blurred", "blur", "warning"),
        ("half", "face_edge", "error"),
        ("plain", "screen", "warning"),
        ("covered", "mouth_covered", "warning"),
    ],
)
def test_pictures_are_judged(demo_take: Path, tmp_path: Path, change: str, code: str, level: str) -> None:
    first: list[np.ndarray] = []

    def picture(k: int, p: np.ndarray) -> np.ndarray:
        first.append(p) if not first else None
        if change == "still":
            return first[0]
        if change == "two":
            return np.hstack([p, p[:, ::-1]])
        if change == "dark":
            return (p * 0.25).astype(np.uint8)
        if change == "blurred":
            return cv2.GaussianBlur(p, (0, 0), 7)
        if change == "half":
            return p[:, 256:]
        if change == "plain":
            return cv2.merge([p[..., 1]] * 3) if k >= 0 else p
        p = p.copy()
        if k > 60:
            p[290:460, 150:362] = (40, 30, 30)
        return p

    found = check_take(remake(demo_take, tmp_path / "a.mp4", picture=picture, stop=100))
    levels = severity(found)
    if change == "half" and "no_face" in levels:
        assert levels["no_face"] == "error"
    else:
        assert levels[code] in (level, "error"), [(f.code, f.value) for f in found.findings]


@pytest.mark.parametrize("shift", [-0.4, 0.4])
def test_shifted_sound_is_found_with_its_size(demo_take: Path, tmp_path: Path, shift: float) -> None:
    count = round(abs(shift) * 48_000)

    def sound(pcm: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(count, np.float32), pcm]) if shift > 0 else pcm[count:]

    report = check_take(remake(demo_take, tmp_path / "a.mp4", sound=sound))
    assert severity(report)["sync_offset"] == "error"
    assert report.info["sync"]["offset_ms"] == pytest.approx(shift * 1000, abs=60)


def test_an_offset_is_believed_only_where_sound_and_lips_agree() -> None:
    rng = np.random.default_rng(0)
    lips = np.convolve(rng.standard_normal(500), np.ones(4) / 4, "same")
    heard = np.roll(lips, 6) + 0.5 * rng.standard_normal(500)
    offset, r, confidence = offset_of(lips, heard)
    assert offset == pytest.approx(0.24, abs=0.02) and r > 0.5 and confidence > 0.8
    unrelated = [offset_of(lips, np.roll(heard, 100 + 40 * k))[2] for k in range(7)]
    assert np.median(unrelated) < 0.2
    assert offset_of(np.full(500, np.nan), heard)[2] == 0
    assert offset_of(lips, np.zeros(500))[2] == 0


def test_noise_and_clipping_are_heard(demo_take: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def spoil(pcm: np.ndarray) -> np.ndarray:
        return np.clip(6 * (pcm + 0.02 * rng.standard_normal(pcm.size).astype(np.float32)), -1, 1)

    found = severity(check_take(remake(demo_take, tmp_path / "a.mp4", sound=spoil, stop=150)))
    assert found["background_noise"] == "warning" and found["clipping"] == "warning"
    assert found["duration"] == "warning"


@pytest.mark.parametrize(
    ("name", "pcm", "rate", "subtype", "expected"),
    [
        ("good.wav", 1.0, 24_000, "PCM_16", ("voice_file", "ok")),
        ("float.wav", 1.0, 48_000, "FLOAT", ("voice_file", "warning")),
        ("eight.wav", 1.0, 192_000, "PCM_U8", ("voice_file", "warning")),
        ("silent.wav", 0.0, 24_000, "PCM_16", ("voice_unreadable", "error")),
        ("none.wav", None, 24_000, "PCM_16", ("voice_unreadable", "error")),
    ],
)
def test_a_voice_of_its_own_is_judged(
    tmp_path: Path, name: str, pcm: float | None, rate: int, subtype: str, expected: tuple[str, str]
) -> None:
    clip = make_clip(tmp_path / "a.mp4", constant(3, 25), size=(320, 320))
    wave = np.zeros(0) if pcm is None else pcm * 0.3 * np.sin(np.arange(4 * rate) * 2 * np.pi * 200 / rate)
    soundfile.write(tmp_path / name, wave, rate, subtype=subtype)
    assert severity(check_take(clip, tmp_path / name))[expected[0]] == expected[1]
    (tmp_path / "text.wav").write_text("RIFF? no")
    assert severity(check_take(clip, tmp_path / "text.wav"))["voice_unreadable"] == "error"


def test_the_command_prints_one_json_line(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "😀.mp4", constant(2, 25), size=(320, 320))
    done = subprocess.run(
        [sys.executable, "-m", "lipsync.dataset.check", str(clip)],
        capture_output=True, text=True, timeout=90, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
    report = json.loads(done.stdout)
    assert not report["ok"] and {"code", "severity", "value", "wanted", "message", "remedy"} == set(
        report["findings"][0]
    )
    assert main([]) == 2


def test_broken_pictures_in_a_long_file_end_in_time(tmp_path: Path) -> None:
    """Time stamps that promise hours must not be believed for long."""
    path = make_clip(tmp_path / "a.mkv", [*constant(2, 25), 9000.0], size=(320, 320), sound=None)
    report = check_take(path)
    assert severity(report)["too_long"] == "error"


@pytest.mark.take
def test_the_measuring_take_passes_with_warnings_at_most(green_take: Path) -> None:
    report = check_take(green_take)
    assert report.ok
    assert {f.code for f in report.findings if f.severity == "warning"} == {
        "resolution",
        "silence_ends",
        "joined_clips",
    }
    assert abs(report.info["sync"]["offset_ms"]) < 60


def test_written_pictures_without_faces_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(rng.integers(0, 255, (320, 400, 3), np.uint8), (0, 0), 9)
    clip = write(tmp_path / "a.mp4", (np.roll(base, 3 * k, 1) for k in range(100)), 0.1 * rng.standard_normal(200_000))
    assert {f.code for f in check_take(clip).errors} >= {"no_face"}

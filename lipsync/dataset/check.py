"""Is this recording a good take? Every reason, with a figure and what to do, in two languages, within seconds.

``python -m lipsync.dataset.check VIDEO [VOICE]`` prints the report as one JSON line. It is meant to run in a process
of its own: foreign files go through decoders written in C.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import av.error
import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.check_mouth import FaceSeries, check_fit, check_mouth
from lipsync.dataset.check_sound import check_sound, check_voice
from lipsync.dataset.findings import TakeReport
from lipsync.engine import FPS
from lipsync.media.video import MediaError, VideoInfo, probe

_REASONS = {
    "missing": "file_missing",
    "empty": "file_empty",
    "not_media": "file_not_media",
    "no_video": "no_video",
    "encrypted": "file_encrypted",
    "undecodable": "file_undecodable",
}
_LONGEST = 1800.0
_WINDOW = 8 * FPS
_LARGEST = 4096


def check_take(video: Path | str, voice: Path | str | None = None, *, budget: float = 25.0) -> TakeReport:
    """Judge a recording, and a reference voice where there is one.

    Args:
        video: Any file; its content decides, not its name.
        voice: A sound file, or None to use the recording's own sound.
        budget: Seconds after which what is left is not looked at (and that is said in the report).

    Returns:
        The report; unusable files give findings of severity "error", never an exception.
    """
    began = time.monotonic()
    report = TakeReport()
    try:
        info = probe(video)
    except MediaError as exc:
        report.add(_REASONS.get(exc.reason, "file_undecodable"), "error")
        _check_voice(report, voice)
        return report
    report.info["video"] = info.as_dict()
    _check_form(report, info)
    pcm = check_sound(report, Path(video), info)
    _check_voice(report, voice)
    if max(info.coded_width, info.coded_height) <= _LARGEST and info.duration <= _LONGEST:
        try:
            _check_pictures(report, Path(video), info, pcm, began + budget)
        except (av.error.FFmpegError, MediaError) as exc:
            report.add("check_failed", "error", type(exc).__name__)
    report.info["seconds"] = round(time.monotonic() - began, 2)
    return report


def _check_voice(report: TakeReport, voice: Path | str | None) -> None:
    if voice is not None:
        check_voice(report, Path(voice))


def _check_form(report: TakeReport, info: VideoInfo) -> None:
    report.add("file_not_media", "ok", info.codec)
    names = info.container.split(",")
    report.add("container", "ok" if "mov" in names else "warning", names[0] if "mov" not in names else "mp4", "mp4")
    report.add("codec", "ok" if info.codec in ("h264", "hevc") else "warning", info.codec, "h264 / hevc")
    plain = info.pix_fmt in ("yuv420p", "yuvj420p", "nv12")
    report.add("pixel_format", "ok" if plain else "warning", info.pix_fmt, "yuv420p")
    report.add("hdr", "warning" if info.hdr else "ok", info.hdr or "SDR", "SDR")
    report.add("interlaced", "warning" if info.interlaced else "ok", "i" if info.interlaced else "p", "p")
    if info.rotation:
        report.add("rotation", "ok", info.rotation, "0")
    report.add("variable_frame_rate", "warning" if info.variable_rate else "ok", round(info.fps, 3), "constant")
    report.grade("frame_rate", round(info.fps, 3), warn=(23.5, 61.0), error=(14.0, 121.0), wanted="24 .. 60")
    largest = max(info.coded_width, info.coded_height)
    if largest > _LARGEST:
        report.add("too_large_picture", "error", f"{info.coded_width}x{info.coded_height}", "<= 4096")
    else:
        report.grade("resolution", min(info.width, info.height), warn=(720, None), error=(240, None))
    odd = info.width % 2 or info.height % 2
    report.add("odd_size", "warning" if odd else "ok", f"{info.width}x{info.height}", "even")
    if info.duration > _LONGEST:
        report.add("too_long", "error", info.duration, f"{_LONGEST:g}")
    else:
        report.grade("duration", info.duration, warn=(30.0, 900.0), error=(3.0, _LONGEST))


def _check_pictures(
    report: TakeReport, video: Path, info: VideoInfo, pcm: NDArray[np.float32] | None, deadline: float
) -> None:
    from lipsync.dataset.check_picture import check_faces, check_screen, follow_mouth
    from lipsync.media.frames import scan

    seen = scan(video, budget=max(1.0, min(6.0, (deadline - time.monotonic()) / 3)))
    if not seen.samples:
        report.add("file_undecodable", "error")
        return
    if seen.complete and info.duration - seen.last > 1.0:
        seen.failures += 1  # the index promises more than there is
    report.grade("damaged_frames", seen.failures, warn=(None, 0), error=(None, max(25, info.frames // 10)))
    samples = [picture for _, picture in seen.samples]
    short = min(samples[0].shape[:2])
    if not check_faces(report, samples[: _afford(deadline, 0.03)], min(info.width, info.height) / max(short, 1)):
        return
    if time.monotonic() > deadline:
        report.add("not_checked", "warning", "screen, sync")
        return
    check_screen(report, samples[:: max(1, len(samples) // 24)])
    if pcm is None:
        return
    if time.monotonic() > deadline - 4:
        report.add("not_checked", "warning", "sync")
        return
    frames = int(min(seen.last * FPS, pcm.size / 640))
    starts = [0] if frames <= 2 * _WINDOW else [frames // 8, frames // 2 - _WINDOW // 2, frames * 7 // 8 - _WINDOW]
    series: list[FaceSeries] = []
    for start in starts:
        series += follow_mouth(video, [start], _WINDOW if len(starts) > 1 else frames)
        if time.monotonic() > deadline:
            break
    check_mouth(report, series, pcm)
    check_fit(report, series, pcm)


def _afford(deadline: float, each: float) -> int:
    """How many steps of ``each`` seconds half of the time left pays for, at least eight."""
    return max(8, int((deadline - time.monotonic()) / 2 / each))


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0 for a usable take, 1 for one with errors, 2 for a wrong call."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m lipsync.dataset.check VIDEO [VOICE]", file=sys.stderr)
        return 2
    report = check_take(arguments[0], arguments[1] if len(arguments) > 1 else None)
    print(json.dumps(report.as_dict(), ensure_ascii=False), flush=True)
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())

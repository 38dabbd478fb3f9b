"""The part of the take check that listens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync.dataset.findings import TakeReport
from lipsync.dataset.sound_profile import mic_profile
from lipsync.engine import FPS, HOP, SAMPLE_RATE
from lipsync.media.audio import load_audio, speech_activity
from lipsync.media.probe import AUDIO_FORMATS, MediaError, VideoInfo, open_input

_MAX_SECONDS = 1800.0
_NATIVE = 48_000


def check_sound(report: TakeReport, video: Path, info: VideoInfo) -> NDArray[np.float32] | None:
    """Judge the recording's own sound; returns it (float32, 16 kHz mono, in step with the pictures) or None."""
    if info.audio is None:
        report.add("no_audio", "error")
        return None
    try:
        pcm = load_audio(video, _NATIVE, max_seconds=_MAX_SECONDS)
    except MediaError:
        report.add("no_audio", "error")
        return None
    if pcm.size < _NATIVE // 2 or float(np.abs(pcm).max()) < 1e-4:
        report.add("no_audio", "error")
        return None
    report.add("no_audio", "ok")
    report.grade("track_lengths", abs(pcm.size / _NATIVE - info.duration), warn=(None, 0.5), error=(None, 5.0))
    profile = mic_profile(pcm, _NATIVE)
    report.info["mic_profile"] = profile
    _grade_profile(report, profile)
    from lipsync.media.audio import resample

    return resample(pcm, _NATIVE, SAMPLE_RATE)


def check_voice(report: TakeReport, voice: Path) -> None:
    """Judge a reference voice of its own; its ``mic_profile`` takes the place of the recording's."""
    try:
        with open_input(voice, AUDIO_FORMATS) as container:
            stream = container.streams.audio[0] if container.streams.audio else None
            context = stream.codec_context if stream is not None else None
            if context is None or not context.sample_rate:
                raise MediaError("no_audio", "The file has no sound track.")
            form = f"{container.format.name} {context.name} {context.sample_rate} Hz x{context.channels}"
            plain = context.name.startswith("pcm_s16") and context.channels == 1
            plain = plain and context.sample_rate in (16_000, 24_000) and container.format.name == "wav"
        pcm = load_audio(voice, _NATIVE, max_seconds=_MAX_SECONDS)
    except MediaError as exc:
        report.add("voice_unreadable", "error", exc.reason)
        return
    if pcm.size < _NATIVE // 2 or float(np.abs(pcm).max()) < 1e-4:
        report.add("voice_unreadable", "error", "empty")
        return
    # A conversion loses nothing that is heard, so it is said and held against nobody.
    report.add("voice_file", "ok" if plain else "warning", form, "wav pcm_s16le 16000/24000 Hz x1")
    profile = mic_profile(pcm, _NATIVE)
    report.info["mic_profile"] = profile
    report.info["voice_duration_s"] = profile["duration_s"]
    _grade_profile(report, profile)


def _grade_profile(report: TakeReport, profile: dict[str, float]) -> None:
    report.findings = [f for f in report.findings if f.code not in _PROFILE_CODES]
    report.grade("loudness", profile["loudness_lufs"], warn=(-32.0, -9.0), error=(-60.0, None))
    report.grade("clipping", profile["clipped_share"], warn=(None, 0.0005))
    report.grade("speech_present", profile["speech_s"], warn=(20.0, None), error=(2.0, None))
    ends = min(profile["lead_silence_s"], profile["tail_silence_s"])
    report.grade("silence_ends", ends, warn=(1.0, None))
    report.grade("background_noise", profile["snr_db"], warn=(18.0, None))
    report.grade("bandwidth", profile["bandwidth_hz"], warn=(6000.0, None))


_PROFILE_CODES = frozenset({"loudness", "clipping", "speech_present", "silence_ends", "background_noise", "bandwidth"})


def speech_energy(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strongly open vowels sound, for each picture: float32 (n,), 25 a second.

    The fourth root of the power from 500 to 1500 Hz, where open vowels have their formants and closed lips have none.
    On a real take it follows the height of the mouth better (r 0.50) than log energy of the whole voice (0.39).
    """
    from scipy.signal import butter, sosfilt

    n = pcm.size // HOP
    band = sosfilt(butter(4, (500, 1500), "bandpass", fs=SAMPLE_RATE, output="sos"), pcm)
    power = (band[: n * HOP].reshape(n, HOP) ** 2).mean(1)
    return np.asarray(power**0.25, np.float32)


def speech_by_picture(pcm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether somebody speaks, for each picture."""
    active = np.repeat(speech_activity(pcm), 320)[: pcm.size // HOP * HOP]
    active = np.pad(active, (0, pcm.size // HOP * HOP - active.size))
    return np.asarray(active.reshape(-1, HOP).mean(1) > 0.5)


def offset_of(lips: NDArray[np.floating], energy: NDArray[np.floating], reach: int = 15) -> tuple[float, float, float]:
    """How far the sound lies behind the picture, from lips and loudness.

    Both are freed of slow change and correlated at every shift.

    Args:
        lips: Height of the mouth, one a picture; NaN where unknown.
        energy: From ``speech_energy``, of the same pictures.
        reach: Pictures the shift may go either way.

    Returns:
        Offset in seconds (above 0: the sound comes late), the correlation there, and a confidence 0..1: 0 for what
        unrelated sounds reach at their best shift, 1 from a correlation five times its standard error (some six
        pictures in a row tell the same).
    """
    n = min(lips.size, energy.size)
    known = int(np.isfinite(lips[:n]).sum())
    lips, energy = _banded(np.asarray(lips[:n], np.float64)), _banded(np.asarray(energy[:n], np.float64))
    shifts = np.arange(-reach, reach + 1)
    scores = np.array([_correlate(lips, energy, int(s)) for s in shifts])
    best = int(scores.argmax())
    confidence = float(np.clip((scores[best] * np.sqrt(known / 6) - 2.0) / 3.0, 0, 1))
    position = float(shifts[best])
    if 0 < best < len(shifts) - 1:
        left, middle, right = scores[best - 1 : best + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            position += 0.5 * (left - right) / bend
    return position / FPS, float(scores[best]), confidence


def _banded(value: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(value)
    if known.sum() < 2:
        return np.zeros_like(value)
    value = np.interp(np.arange(value.size), np.flatnonzero(known), value[known])
    return np.asarray(gaussian_filter1d(value, 1.0) - gaussian_filter1d(value, 8))


def _correlate(a: NDArray[np.float64], b: NDArray[np.float64], shift: int) -> float:
    """Correlation of a(t) with b(t + shift)."""
    x, y = (a[: a.size - shift], b[shift:]) if shift >= 0 else (a[-shift:], b[:shift])
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 1e-9 else 0.0

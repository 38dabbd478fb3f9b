"""What a recording says of its microphone and room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.media.audio import bandwidth, clipped_share, loudness, resample, snr, speech_activity


def mic_profile(pcm: NDArray[np.float32], rate: int) -> dict[str, Any]:
    """``mic_profile`` of a sound (float32 mono, any rate); JSON-serialisable.

    Keys: ``noise_floor_dbfs, loudness_lufs, snr_db, bandwidth_hz, clipped_share, peak_dbfs, speech_share,
    speech_s, lead_silence_s, tail_silence_s, duration_s``.
    """
    pcm = np.asarray(pcm, np.float32)
    low = resample(pcm, rate, 16_000)
    active = speech_activity(low)
    ratio, floor = snr(low, active)
    where = np.flatnonzero(active)
    peak = float(np.abs(pcm).max()) if pcm.size else 0.0
    return {
        "noise_floor_dbfs": round(float(floor), 1),
        "loudness_lufs": round(loudness(pcm, rate), 1),
        "snr_db": round(float(ratio), 1),
        "bandwidth_hz": round(bandwidth(pcm, rate)),
        "clipped_share": round(clipped_share(pcm), 6),
        "peak_dbfs": round(20 * np.log10(max(peak, 1e-5)), 1),
        "speech_share": round(float(active.mean()), 3) if active.size else 0.0,
        "speech_s": round(float(active.sum()) * 0.02, 2),
        "lead_silence_s": round(float(where[0]) * 0.02, 2) if where.size else round(pcm.size / rate, 2),
        "tail_silence_s": round((active.size - 1 - float(where[-1])) * 0.02, 2) if where.size else 0.0,
        "duration_s": round(pcm.size / rate, 2),
    }

"""Sound as float32 mono: reading with time stamps, writing, resampling, and what is measured of it."""

from __future__ import annotations

from pathlib import Path

import av
import av.audio.resampler
import av.error
import numpy as np
from numpy.typing import NDArray

from lipsync.media.probe import AUDIO_FORMATS, MediaError, open_input, picture_stream

_SPEECH_STEP = 0.02


def load_audio(path: Path | str, rate: int = 16_000, *, max_seconds: float | None = None) -> NDArray[np.float32]:
    """The first sound track of a sound or video file as float32 mono at ``rate``, -1..1.

    Where the file has pictures, sample 0 belongs to the presentation time of its first picture: sound before it is
    cut, a later beginning and gaps inside are filled with silence. Channels are averaged.

    Raises:
        MediaError: reason ``missing``, ``empty``, ``not_media``, ``no_audio`` or ``undecodable``.
    """
    with open_input(path, AUDIO_FORMATS) as container:
        if not container.streams.audio:
            raise MediaError("no_audio", "The file has no sound track.", "Record picture and sound together.")
        stream = container.streams.audio[0]
        video = picture_stream(container)
        origin = 0.0
        if video is not None and video.start_time is not None:
            origin = _seconds(video)
        elif video is None and stream.start_time is not None:
            origin = _seconds(stream)
        if stream.codec_context is None or not stream.codec_context.sample_rate:
            raise MediaError("undecodable", "The sound track cannot be decoded.", "Export the sound as WAV or AAC.")
        native = stream.codec_context.sample_rate
        pieces = _timed_pieces(container, stream, native, max_seconds)
        pcm = _lay_out(pieces, origin, native)
    return resample(pcm, native, rate)


def _seconds(stream: av.VideoStream | av.AudioStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _timed_pieces(
    container: av.container.InputContainer, stream: av.AudioStream, native: int, max_seconds: float | None
) -> list[tuple[float | None, NDArray[np.float32]]]:
    resampler = av.audio.resampler.AudioResampler(format="fltp", rate=native)
    pieces: list[tuple[float | None, NDArray[np.float32]]] = []
    total = failures = 0
    packets = container.demux(stream)
    while failures < 50:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            break
        try:
            for frame in packet.decode():
                failures = 0
                when = float(frame.pts * frame.time_base) if frame.pts is not None else None  # type: ignore[attr-defined, operator]
                for part in resampler.resample(frame):  # type: ignore[arg-type]
                    samples = np.asarray(part.to_ndarray(), np.float32).mean(0, dtype=np.float32)
                    pieces.append((when, np.nan_to_num(samples, posinf=1.0, neginf=-1.0)))
                    total += samples.size
                    when = None
        except (av.error.FFmpegError, ValueError):
            failures += 1
        if max_seconds is not None and total > max_seconds * native:
            break
    return pieces


def _lay_out(pieces: list[tuple[float | None, NDArray[np.float32]]], origin: float, rate: int) -> NDArray[np.float32]:
    """Join pieces by their times. Differences under 20 ms are rounding of time stamps and left alone."""
    out: list[NDArray[np.float32]] = []
    position: int | None = None
    for when, samples in pieces:
        if when is not None:
            wanted = round((when - origin) * rate)
            # A damaged time stamp must not ask for hours of silence.
            if position is None:
                position = 0
                if 0 < wanted < 600 * rate:
                    out.append(np.zeros(wanted, np.float32))
                    position = wanted
                elif wanted < 0:
                    position = wanted
            elif 0.02 * rate < wanted - position < 60 * rate:
                out.append(np.zeros(max(wanted, 0) - max(position, 0), np.float32))
                position = wanted
        position = position or 0
        cut = min(max(-position, 0), samples.size)
        out.append(samples[cut:])
        position += samples.size
    return np.concatenate(out) if out else np.zeros(0, np.float32)


def save_wav(path: Path | str, pcm: NDArray[np.floating], rate: int) -> None:
    """Write mono sound as 16-bit WAV; values beyond -1..1 are clipped."""
    import soundfile

    soundfile.write(str(path), np.clip(np.asarray(pcm, np.float32), -1.0, 1.0), rate, subtype="PCM_16", format="WAV")


def resample(pcm: NDArray[np.floating], source: int, target: int) -> NDArray[np.float32]:
    """Change the rate of a whole sound; length becomes ``round(len * target / source)``."""
    pcm = np.asarray(pcm, np.float32)
    if source == target or not pcm.size:
        return pcm
    import soxr

    return np.asarray(soxr.resample(pcm, source, target, quality="HQ"), np.float32)


class Resampler:
    """Change the rate of a sound that arrives in pieces; the pieces' joins are not heard.

    Output lags by the filter's delay; ``flush`` returns the rest, after which the object begins anew.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        self._make()

    def _make(self) -> None:
        import soxr

        self._stream = None
        if self.source != self.target:
            self._stream = soxr.ResampleStream(self.source, self.target, 1, dtype="float32", quality="HQ")

    def push(self, pcm: NDArray[np.floating]) -> NDArray[np.float32]:
        """Take a piece (float mono, any length) and return what is certain at the target rate."""
        pcm = np.asarray(pcm, np.float32)
        if self._stream is None:
            return pcm
        if not pcm.size:
            return pcm
        return np.asarray(self._stream.resample_chunk(pcm), np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End the sound: the samples still owed."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._make()
        return np.asarray(rest, np.float32)

    def reset(self) -> None:
        """Forget the sound so far."""
        self._make()


def loudness(pcm: NDArray[np.floating], rate: int) -> float:
    """Integrated loudness in LUFS after ITU-R BS.1770-4 (K weighting, 400 ms blocks, two gates).

    Silence, or less than 400 ms, gives -70.0.
    """
    from scipy.signal import lfilter

    pcm = np.asarray(pcm, np.float64)
    block, hop = round(0.4 * rate), round(0.1 * rate)
    if pcm.size < block:
        return -70.0
    for b, a in _k_weighting(rate):
        pcm = lfilter(b, a, pcm)
    power = np.concatenate([[0.0], np.cumsum(pcm * pcm)])
    starts = np.arange(0, pcm.size - block + 1, hop)
    mean = (power[starts + block] - power[starts]) / block
    mean = mean[mean > 10 ** ((-70 + 0.691) / 10)]
    if not mean.size:
        return -70.0
    loud = mean[mean > mean.mean() / 10]
    return float(-0.691 + 10 * np.log10(loud.mean()))


def _k_weighting(rate: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The shelf and the high pass of BS.1770 for any rate (coefficients after Brecht De Man's analogue match)."""
    out = []
    gain, q, centre = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k = np.tan(np.pi * centre / rate)
    vh = 10 ** (gain / 20)
    vb = vh**0.4996667741545416
    a0 = 1 + k / q + k * k
    out.append(
        (
            np.array([vh + vb * k / q + k * k, 2 * (k * k - vh), vh - vb * k / q + k * k]) / a0,
            np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]),
        )
    )
    q, centre = 0.5003270373238773, 38.13547087602444
    k = np.tan(np.pi * centre / rate)
    a0 = 1 + k / q + k * k
    out.append((np.array([1.0, -2.0, 1.0]), np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])))
    return out


def speech_activity(pcm: NDArray[np.floating], rate: int = 16_000, mode: int = 2) -> NDArray[np.bool_]:
    """Where somebody speaks: one bool per 20 ms, after WebRTC's detector with bridges of up to 100 ms.

    ``mode`` 0..3: how hard it is to take noise for speech.
    """
    import webrtcvad

    pcm = resample(pcm, rate, 16_000)
    peak = float(np.percentile(np.abs(pcm), 99.9)) if pcm.size else 0.0
    if peak > 0:
        pcm = pcm * min(0.5 / peak, 100.0)  # the detector has an absolute threshold
    samples = (np.clip(pcm, -1, 1) * 32767).astype("<i2")
    size = int(16_000 * _SPEECH_STEP)
    vad = webrtcvad.Vad(mode)
    n = samples.size // size
    raw = samples[: n * size].tobytes()
    active = np.array([vad.is_speech(raw[i * size * 2 : (i + 1) * size * 2], 16_000) for i in range(n)], bool)
    return _bridge(active, 5)


def _bridge(active: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Fill inner pauses of at most ``length`` steps, then drop bursts shorter than three."""
    active = active.copy()
    for value, limit in ((False, length), (True, 2)):
        edges = np.flatnonzero(np.diff(np.concatenate([[not value], active == value, [not value]]).astype(np.int8)))
        for begin, end in zip(edges[::2], edges[1::2], strict=False):
            inner = begin > 0 and end < active.size
            if end - begin <= limit and (inner or value):
                active[begin:end] = not value
    return active


def snr(pcm: NDArray[np.floating], active: NDArray[np.bool_], rate: int = 16_000) -> tuple[float, float]:
    """Signal to noise in dB, and the noise floor in dBFS.

    Noise is the 20th percentile of 20 ms frames without speech (the 5th percentile of all where speech never
    pauses); signal the mean power of the frames with speech, noise taken off. Digital silence counts as -90 dBFS.
    """
    size = int(rate * _SPEECH_STEP)
    n = min(pcm.size // size, active.size)
    if n == 0 or not active[:n].any():
        return 0.0, -90.0
    power = (np.asarray(pcm[: n * size], np.float64).reshape(n, size) ** 2).mean(1)
    quiet = power[~active[:n]]
    noise = float(np.percentile(quiet, 20) if quiet.size >= 25 else np.percentile(power, 5))
    noise = max(noise, 1e-9)
    signal = max(float(power[active[:n]].mean()) - noise, 1e-12)
    return 10 * np.log10(signal / noise), 10 * np.log10(noise)


def clipped_share(pcm: NDArray[np.floating]) -> float:
    """Share of samples that stand at the highest level there is.

    Either runs of three or more at one level, whatever that is; or, for lossy coding makes flat tops uneven, a heap
    of samples near full scale: more than stand just below it. Clean speech has ever fewer the higher up.
    """
    pcm = np.abs(np.asarray(pcm, np.float32))
    if pcm.size < 3:
        return 0.0
    peak = float(pcm.max())
    if peak < 0.5:
        return 0.0
    high = pcm >= max(0.985 * peak, min(0.99, peak))
    runs = float((high[:-2] & high[1:-1] & high[2:]).mean())
    top, below = float((pcm >= 0.8).mean()), float(((pcm >= 0.65) & (pcm < 0.8)).mean())
    return max(runs, top - below) if top > 1.3 * below else runs


def bandwidth(pcm: NDArray[np.floating], rate: int) -> float:
    """The frequency in Hz below which speech has energy: where the spectrum falls 60 dB under its peak."""
    from scipy.signal import welch

    if pcm.size < 2048:
        return 0.0
    frequency, power = welch(np.asarray(pcm, np.float64), rate, nperseg=2048)
    level = 10 * np.log10(power + 1e-20)
    above = np.flatnonzero(level > level.max() - 60)
    return float(frequency[above[-1]]) if above.size else 0.0

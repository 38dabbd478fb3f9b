"""Bringing a recording into the house form: 25 pictures a second, upright, even, H.264, sound in step."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from lipsync.engine import FPS
from lipsync.media.audio import load_audio
from lipsync.media.frames import VideoWriter, read_frames
from lipsync.media.probe import MediaError, VideoInfo, open_input, picture_stream, probe
from lipsync.progress import Progress, SilentProgress

_AUDIO_RATE = 48_000


def conforms(info: VideoInfo) -> bool:
    """Whether a file's streams can be taken over bit by bit."""
    return (
        info.codec == "h264"
        and info.pix_fmt == "yuv420p"
        and not info.variable_rate
        and abs(info.fps - FPS) < 0.01
        and info.rotation == 0
        and abs(info.sample_aspect - 1) < 1e-6
        and info.width % 2 == 0
        and info.height % 2 == 0
        and not info.interlaced
        and info.hdr is None
        and not info.full_range
        and (info.colour == "bt601" or (info.colour == "unknown" and info.height < 720))
        and "mov" in info.container.split(",")
        and info.corrupt_packets == 0
        and info.start >= 0
        and (info.audio is None or (info.audio.codec == "aac" and abs(info.audio.start - info.start) < 0.005))
    )


def normalise(src: Path | str, dst: Path | str, progress: Progress | None = None) -> VideoInfo:
    """Write ``dst`` (an MP4 in the house form) from any video the studio reads.

    Picture k is the one nearest in presentation time to k / 25 s after the first picture; sound begins with that
    picture and ends with the last one. A source that conforms already is remuxed without a new encoding.

    Args:
        src: The recording.
        dst: File to write; not written aside: callers do that for a whole folder.
        progress: Told the share done.

    Returns:
        What ``dst`` is.

    Raises:
        MediaError: the source cannot be read.
    """
    progress = progress or SilentProgress()
    info = probe(src)
    if conforms(info):
        _remux(Path(src), Path(dst))
    else:
        _encode(Path(src), Path(dst), info, progress)
    progress.update(1.0)
    return probe(dst)


def _remux(src: Path, dst: Path) -> None:
    with open_input(src) as source, av.open(str(dst), "w", format="mp4", options={"movflags": "+faststart"}) as target:
        picture = picture_stream(source)
        streams = [picture] if picture is not None else []
        if source.streams.audio:
            streams.append(source.streams.audio[0])  # type: ignore[arg-type]
        copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
        for packet in source.demux(*streams):
            if packet.dts is None:
                continue
            packet.stream = copies[packet.stream.index]
            target.mux(packet)


def _encode(src: Path, dst: Path, info: VideoInfo, progress: Progress) -> None:
    sound = load_audio(src, _AUDIO_RATE) if info.audio is not None else None
    step = _AUDIO_RATE // FPS
    total = max(1, round(info.duration * FPS))
    writer: VideoWriter | None = None
    count = 0
    try:
        for picture in read_frames(src, fmt="yuv420p"):
            if writer is None:
                height, width = picture.shape[0] * 2 // 3, picture.shape[1]
                rate = _AUDIO_RATE if sound is not None else None
                writer = VideoWriter(dst, width, height, audio_rate=rate, crf=14, pix="yuv420p")
            writer.write(picture)
            if sound is not None:
                part = sound[count * step : (count + 1) * step]
                writer.write_audio(np.pad(part, (0, step - part.size)))
            count += 1
            if count % 25 == 0:
                progress.update(count / total)
    finally:
        if writer is not None:
            writer.close()
    if not count:
        raise MediaError(
            "undecodable", "Not one picture could be decoded.", "Export it as H.264 MP4 and send it again."
        )

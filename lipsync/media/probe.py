"""What a media file is, read from its content; the extension counts for nothing."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.video.stream

from lipsync.errors import InvalidInputError

VIDEO_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
"""Containers a take may come in. The list is also a guard: playlists and concat scripts could name other files."""
AUDIO_FORMATS = VIDEO_FORMATS + ",wav,w64,aiff,flac,mp3,ogg,aac"
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_ENCRYPTED_ENTRY = re.compile(rb"enc[av]\0{6}")
"""A sample entry: its name, then six bytes that are always zero."""
_PACKET_LIMIT = 60_000
_SECONDS_LIMIT = 8.0


class MediaError(InvalidInputError):
    """A file that cannot be read as what it should be. ``detail["reason"]`` is a stable word."""

    code = "bad_media"

    def __init__(self, reason: str, message: str, remedy: str = "", **detail: Any) -> None:
        super().__init__(message, remedy, {"reason": reason, **detail})
        self.reason = reason


@dataclass(frozen=True)
class AudioInfo:
    """The first sound track.

    Attributes:
        codec: Codec name.
        rate: Samples a second.
        channels: Channels.
        start: Presentation time of its first sample, seconds.
        duration: Length in seconds; 0.0 where the file does not say.
    """

    codec: str
    rate: int
    channels: int
    start: float
    duration: float


@dataclass(frozen=True)
class VideoInfo:
    """What ``probe`` found.

    Attributes:
        container: Names of the container's format, comma separated.
        codec, pix_fmt: Names as FFmpeg gives them.
        bit_depth: Bits a luma sample.
        width, height: Pixels as shown: upright and with square pixels, not yet made even.
        coded_width, coded_height: Pixels as stored.
        rotation: Degrees clockwise a player must turn the picture: 0, 90, 180, 270.
        sample_aspect: Width of a pixel over its height.
        fps: Mean pictures a second, from the packets' presentation times.
        variable_rate: Whether steps between pictures differ by more than a quarter of the mean step.
        frames: Packets of pictures; an estimate where ``scanned_all`` is false.
        start: Presentation time of the first picture, seconds.
        duration: Length of the pictures in seconds.
        interlaced: Whether the stream says it is interlaced.
        hdr: "PQ", "HLG" or None.
        colour: "bt601", "bt709", "bt2020" or "unknown".
        full_range: Whether luma uses 0..255 rather than 16..235.
        audio: The sound track, None without one.
        size_bytes: Size of the file.
        scanned_all: Whether every packet was looked at.
        corrupt_packets: Packets the container marks as damaged.
    """

    container: str
    codec: str
    pix_fmt: str
    bit_depth: int
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    sample_aspect: float
    fps: float
    variable_rate: bool
    frames: int
    start: float
    duration: float
    interlaced: bool
    hdr: str | None
    colour: str
    full_range: bool
    audio: AudioInfo | None
    size_bytes: int
    scanned_all: bool = True
    corrupt_packets: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-serialisable copy."""
        return asdict(self)


def open_input(path: Path | str, formats: str = VIDEO_FORMATS) -> av.container.InputContainer:
    """Open a local media file for reading, of the containers named only.

    Raises:
        MediaError: reason ``missing``, ``empty`` or ``not_media``.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as exc:
        raise MediaError("missing", "The file does not exist or cannot be read.") from exc
    if not path.is_file():
        raise MediaError("missing", "The path does not name a file.")
    if size == 0:
        raise MediaError("empty", "The file is empty (0 bytes).", "Send the file again.")
    try:
        # "file:" keeps a name such as "concat:x" from being read as a protocol.
        return av.open(
            f"file:{path}",
            options={"format_whitelist": formats, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError, UnicodeError) as exc:
        raise MediaError(
            "not_media",
            "The file is not a video or sound file that the studio can read, or it is damaged at its beginning.",
            "Send an MP4, MOV, MKV or WebM video, or a WAV sound; a truncated file has to be sent again.",
        ) from exc


def picture_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream | None:
    """The first real picture track: cover art does not count."""
    for stream in container.streams.video:
        if not int(stream.disposition) & int(av.stream.Disposition.attached_pic):
            return stream
    return None


def probe(path: Path | str) -> VideoInfo:
    """Read what a video file is, from headers, packets and the first picture.

    Bounded: packets are scanned for at most 8 s or 60,000 packets; longer files are estimated from their header.

    Raises:
        MediaError: reason ``missing``, ``empty``, ``not_media``, ``no_video``, ``encrypted``, ``undecodable``.
    """
    path = Path(path)
    with open_input(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise MediaError("no_video", "The file has no picture track.", "Send a video with picture and sound.")
        if _encrypted(path):
            raise MediaError(
                "encrypted", "The video is encrypted (DRM).", "Export the recording without copy protection."
            )
        try:
            return _describe(path, container, stream, _packet_times(container, stream))
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            raise MediaError(
                "undecodable",
                "The picture track cannot be decoded: it is damaged, or its codec is not supported.",
                "Export it as H.264 MP4 and send it again.",
                codec=stream.codec_context.name if stream.codec_context else "",
            ) from exc


def _describe(
    path: Path,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    packets: tuple[list[float], bool, int],
) -> VideoInfo:
    times, scanned, corrupt = packets
    context = stream.codec_context
    if context is None:
        raise ValueError("no decoder for the picture track")
    container.seek(0)
    first = next(iter(container.decode(stream)), None)
    if first is None:
        raise ValueError("not one picture could be decoded")
    # The flag says how far the picture was turned anti-clockwise; players turn it back.
    rotation = round(-first.rotation / 90) % 4 * 90
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = round(first.width * aspect), first.height
    if rotation in (90, 270):
        width, height = height, width
    steps = [b - a for a, b in itertools.pairwise(times)]
    if steps:
        span = times[-1] - times[0]
        fps = len(steps) / span if span > 0 else 0.0
        mean = span / len(steps)
        # A container's clock may be as coarse as 1 ms, so small differences mean nothing.
        variable = any(abs(step - mean) > max(0.25 * mean, 0.0021) for step in steps)
    else:
        fps, variable = float(stream.average_rate or 0), False
    count = len(times)
    duration = (times[-1] - times[0] + (1 / fps if fps else 0.0)) if times else 0.0
    if not scanned:
        whole = _seconds(stream.duration, stream.time_base) or (container.duration or 0) / av.time_base
        duration = max(duration, whole)
        count = max(count, stream.frames, round(duration * fps))
    components = first.format.components
    return VideoInfo(
        container=container.format.name,
        codec=context.name,
        pix_fmt=first.format.name,
        bit_depth=components[0].bits if components else 8,
        width=width,
        height=height,
        coded_width=first.width,
        coded_height=first.height,
        rotation=rotation,
        sample_aspect=aspect,
        fps=fps,
        variable_rate=variable,
        frames=count,
        start=times[0] if times else 0.0,
        duration=duration,
        interlaced=bool(first.interlaced_frame),
        hdr=HDR_TRANSFERS.get(int(first.color_trc)),
        colour={1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}.get(int(first.colorspace), "unknown"),
        full_range=int(first.color_range) == 2 or first.format.name.startswith("yuvj"),
        audio=_audio_info(container),
        size_bytes=path.stat().st_size,
        scanned_all=scanned,
        corrupt_packets=corrupt,
    )


def _audio_info(container: av.container.InputContainer) -> AudioInfo | None:
    for stream in container.streams.audio:
        context = stream.codec_context
        if context is None or not context.sample_rate:
            continue
        return AudioInfo(
            codec=context.name,
            rate=context.sample_rate,
            channels=context.channels,
            start=_seconds(stream.start_time, stream.time_base),
            duration=_seconds(stream.duration, stream.time_base),
        )
    return None


def _packet_times(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> tuple[list[float], bool, int]:
    """Presentation times of the pictures in order, whether all were seen, and how many packets are damaged."""
    times: list[float] = []
    corrupt = 0
    deadline = time.monotonic() + _SECONDS_LIMIT
    scanned = True
    base = float(stream.time_base or 0)
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                times.append(packet.pts * base)
            elif packet.pts is None and packet.dts is not None:
                times.append(packet.dts * base)
            corrupt += bool(packet.is_corrupt)
            if len(times) >= _PACKET_LIMIT or time.monotonic() > deadline:
                scanned = False
                break
    except av.error.FFmpegError:
        # A broken tail: what came before it is still a video, and the check says how short it is.
        corrupt += 1
    return sorted(times), scanned, corrupt


def _encrypted(path: Path) -> bool:
    """Whether an MP4's sample description names common encryption: an entry ``encv`` or ``enca`` (ISO 23001-7)."""
    with path.open("rb") as file:
        head = file.read(2_000_000)
        file.seek(max(0, path.stat().st_size - 2_000_000))
        tail = file.read()
    for part in (head, tail):
        for found in _ENCRYPTED_ENTRY.finditer(part):
            begin = found.start() - 4
            entry = part[begin : begin + int.from_bytes(part[begin : begin + 4], "big")] if begin >= 0 else b""
            if b"sinf" in entry and b"schm" in entry:
                return True
    return False


def _seconds(ticks: int | None, base: Any) -> float:
    return float(ticks * base) if ticks is not None and base is not None else 0.0

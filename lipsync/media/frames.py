"""Reading and writing pictures by their presentation times.

Pictures inside the studio stand on a grid of 25 a second that begins with a file's first picture. A file of another
or of a varying rate is read onto that grid, each picture being the one nearest in time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av
import av.error
import av.filter
import av.video.stream
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from lipsync.engine import FPS
from lipsync.media.probe import MediaError, open_input, picture_stream
from lipsync.media.tone import tone_mapped

PixelFormat = Literal["bgr24", "gray", "yuv420p"]
_LONGEST_GAP = 60

# swscale's numbers for matrices and ranges; the keys are those of ISO 23091-2, which a picture is tagged with.
_BT709, _BT601, _BT2020 = Colorspace.ITU709, Colorspace.ITU601, Colorspace.BT2020
_LIMITED, _FULL = ColorRange.MPEG, ColorRange.JPEG
_SOURCE_SPACE = {1: _BT709, 4: Colorspace.FCC, 5: _BT601, 6: _BT601, 7: Colorspace.SMPTE240M, 9: _BT2020, 10: _BT2020}
# Without these swscale cuts off instead of rounding: pictures come back one to two levels darker.
_EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


def read_frames(
    path: Path | str,
    start: int = 0,
    stop: int | None = None,
    fmt: PixelFormat = "bgr24",
    fps: Fraction | int = FPS,
    *,
    threads: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """Pictures ``start`` to ``stop`` (excluded) of the grid, decoded as they are asked for.

    They are upright, deinterlaced, with square pixels, cropped to even sizes; BGR and I420 are tied by BT.601 limited
    range whatever the file used (a file that does not say is taken for BT.709 from 720 lines on).

    Args:
        path: A video file.
        start: First picture wanted, 0 being the file's first.
        stop: One past the last; None for all there are.
        fmt: "bgr24" gives (h, w, 3), "gray" (h, w), "yuv420p" (h * 3 // 2, w); always uint8 and contiguous.
        fps: Pictures a second of the grid.
        threads: The decoder's; 0 for its own choice. One finds a single picture sooner than several, which each want
            a picture of their own before the first comes out.

    Raises:
        MediaError: the file cannot be opened or has no pictures. Damaged pictures inside are passed over: the
            nearest good one stands in.
    """
    if stop is not None and stop <= start:
        return
    with open_input(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise MediaError("no_video", "The file has no picture track.", "Send a video with picture and sound.")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        first_pts = _first_pts(container, stream)
        base = Fraction(stream.time_base or Fraction(1, 1000))
        if start > 0:
            # Two pictures early, so that the one nearest to ``start`` is never before the key frame found.
            target = first_pts + int(Fraction(max(start - 2, 0)) / fps / base)
            container.seek(target, stream=stream, backward=True)
        convert = _Converter(fmt, float(stream.sample_aspect_ratio or 1) or 1.0)
        grid = start
        before: tuple[Fraction, av.VideoFrame] | None = None
        end = Fraction(0)
        for frame in tone_mapped(_deinterlaced(_decoded(container, stream))):
            if frame.pts is None:
                continue
            when = (frame.pts - first_pts) * base * fps
            if before is not None and (when <= before[0] or when > before[0] + _LONGEST_GAP * fps):
                continue  # stored twice, or a damaged time that would ask for hours of one picture
            end = when + (frame.duration * base * fps if frame.duration else 1)
            while before is not None and grid <= when and grid - before[0] <= when - grid:
                # The earlier picture is nearer (or as near) to this point of the grid.
                yield convert(before[1])
                grid += 1
                if stop is not None and grid >= stop:
                    return
            before = (when, frame)
        if before is not None:
            while grid < max(round(end), int(before[0]) + 1) and (stop is None or grid < stop):
                yield convert(before[1])
                grid += 1


def _decoded(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, failed: list[int] | None = None
) -> Iterator[av.VideoFrame]:
    """Decode on past damaged packets, noting their number; give up after fifty failures in a row."""
    failures = 0
    failed = failed if failed is not None else []
    packets = container.demux(stream)
    number = 0
    while failures < 50:
        number += 1
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            failed.append(number)
            return  # the container itself is broken from here on
        try:
            for frame in packet.decode():
                failures = 0
                yield frame  # type: ignore[misc]
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            failed.append(number)
            failures += 1


def _deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Send interlaced pictures through bwdif, one picture out for one in; leave others alone."""
    first = next(frames, None)
    if first is None:
        return
    if not first.interlaced_frame:
        yield first
        yield from frames
        return
    graph = av.filter.Graph()
    base = Fraction(first.time_base or Fraction(1, 1000))
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=base)
    bwdif = graph.add("bwdif", "mode=send_frame:deint=all")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    for frame in itertools.chain([first], frames, [None]):
        source.push(frame)
        while True:
            try:
                out = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            # The filter counts in halves of the stream's own step, for it could give two pictures for one.
            ratio = Fraction(out.time_base or base) / base
            if out.pts is not None:
                out.pts = round(out.pts * ratio)
            out.duration = round(out.duration * ratio)
            out.time_base = base
            yield out


def _first_pts(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> int:
    if stream.start_time is not None:
        return stream.start_time
    for frame in _decoded(container, stream):
        if frame.pts is not None:
            container.seek(0)
            return frame.pts
    raise MediaError("undecodable", "Not one picture could be decoded.", "Export it as H.264 MP4 and send it again.")


class _Converter:
    """Decoded pictures to arrays; the last one is kept, for a slow video asks for it again and again."""

    def __init__(self, fmt: PixelFormat, aspect: float) -> None:
        self._fmt, self._aspect = fmt, aspect
        self._last: tuple[av.VideoFrame, NDArray[np.uint8]] | None = None

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        if self._last is None or self._last[0] is not frame:
            self._last = (frame, self._convert(frame))
        return self._last[1]

    def _convert(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        turns = round(frame.rotation / 90) % 4
        width = max(2, round(frame.width * self._aspect))
        if not turns and width == frame.width and not (width % 2 or frame.height % 2):
            return _reformat(frame, self._fmt)
        bgr = np.rot90(_reformat(frame, "bgr24", width), turns)
        bgr = np.ascontiguousarray(bgr[: bgr.shape[0] // 2 * 2, : bgr.shape[1] // 2 * 2])
        return bgr if self._fmt == "bgr24" else _reformat(av.VideoFrame.from_ndarray(bgr, format="bgr24"), self._fmt)


def _reformat(frame: av.VideoFrame, fmt: PixelFormat, width: int | None = None) -> NDArray[np.uint8]:
    """Convert to BGR, grey or BT.601 limited I420, by the colours the picture is tagged with."""
    name = frame.format.name
    to: dict[str, Any] = {"format": fmt, "width": width, "interpolation": _EXACT}
    if fmt == "yuv420p":
        to |= {"dst_colorspace": _BT601, "dst_color_range": _LIMITED}
    if fmt != "gray" and name.startswith(("yuv", "nv", "p0")):
        source = _SOURCE_SPACE.get(int(frame.colorspace)) or (_BT709 if frame.height >= 720 else _BT601)
        ours = name == "yuv420p" and source == _BT601 and int(frame.color_range) != _FULL
        if ours and width in (None, frame.width) and not (frame.width % 2 or frame.height % 2):
            stored = np.asarray(frame.to_ndarray(), np.uint8)
            # As exact as swscale at its best, in half the time.
            return stored if fmt == "yuv420p" else np.asarray(cv2.cvtColor(stored, cv2.COLOR_YUV2BGR_I420), np.uint8)
        if fmt == "bgr24":
            to["src_colorspace"] = source
        else:
            # By way of RGB: swscale leaves planes of one format alone, whatever their colour space.
            frame = frame.reformat(format="bgr24", width=width, src_colorspace=source, interpolation=_EXACT)
    return np.asarray(frame.to_ndarray(**to), np.uint8)


class VideoWriter:
    """Write pictures (and sound) to an MP4: H.264 and AAC, in step from sample 0 and picture 0.

    A context manager; a file that was not closed is not a valid MP4. BGR is stored as BT.601 limited range, as
    everywhere in the studio; grey pictures are stored as they are, without colour planes.

    Args:
        path: Where to write; the folder must exist.
        w, h: Size of the pictures, even.
        fps: Pictures a second.
        audio_rate: Samples a second of the sound, None for none.
        crf: x264's constant rate factor: 0 lossless, 12 visually lossless, 23 small.
        pix: What ``write`` is handed: "bgr24", "yuv420p" or "gray".
        preset: x264's preset.
        threads: x264's threads; 0 for its own choice.
        keys: Pictures from one key frame to the next at most: the fewer, the sooner any picture is found.
    """

    def __init__(
        self,
        path: Path | str,
        w: int,
        h: int,
        fps: int | Fraction = FPS,
        *,
        audio_rate: int | None = None,
        crf: int = 16,
        pix: PixelFormat = "bgr24",
        preset: str = "veryfast",
        threads: int = 0,
        keys: int = 50,
    ) -> None:
        if w % 2 or h % 2 or w <= 0 or h <= 0:
            raise ValueError(f"video size must be even and positive, not {w}x{h}")
        self._pix = pix
        self._shape = {"bgr24": (h, w, 3), "gray": (h, w), "yuv420p": (h * 3 // 2, w)}[pix]
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"crf": str(crf), "preset": preset, "threads": str(threads), "g": str(keys)}
        self._video = self._container.add_stream("libx264", rate=Fraction(fps), options=options)
        self._video.width, self._video.height = w, h
        self._video.pix_fmt = "gray" if pix == "gray" else "yuv420p"
        self._video.codec_context.time_base = 1 / Fraction(fps)
        # Grey levels are stored as they are, and say so; 6 is SMPTE 170M, that is BT.601.
        self._video.codec_context.color_range = int(_FULL if pix == "gray" else _LIMITED)
        if pix != "gray":
            self._video.codec_context.colorspace = 6
        self._audio = None
        self._rate = audio_rate or 0
        if audio_rate is not None:
            self._audio = self._container.add_stream("aac", rate=audio_rate, layout="mono")
            self._audio.bit_rate = 160_000 if audio_rate >= 32_000 else 96_000
        self._frames = 0
        self._samples = 0
        self._closed = False

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Add one picture of the shape and format named at the beginning."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._shape}, got {frame.dtype} {frame.shape}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=self._pix)
        if self._pix == "bgr24":
            to: dict[str, Any] = {"dst_colorspace": _BT601, "dst_color_range": _LIMITED, "interpolation": _EXACT}
            picture = picture.reformat(format="yuv420p", **to)
        picture.pts = self._frames
        picture.time_base = 1 / Fraction(self._video.codec_context.framerate)
        self._frames += 1
        self._container.mux(self._video.encode(picture))

    def write_audio(self, pcm: NDArray[np.floating]) -> None:
        """Add sound: float mono, -1..1, any length, following what was written before."""
        if self._audio is None:
            raise ValueError("the writer was opened without sound")
        samples = np.clip(np.asarray(pcm, np.float32).reshape(1, -1), -1.0, 1.0)
        if not samples.size:
            return
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
        sound.sample_rate = self._rate
        sound.pts = self._samples
        sound.time_base = Fraction(1, self._rate)
        self._samples += samples.shape[1]
        self._container.mux(self._audio.encode(sound))

    def close(self) -> None:
        """Finish the file. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._frames:
                self._container.mux(self._video.encode(None))
            if self._audio is not None and self._samples:
                self._container.mux(self._audio.encode(None))
        finally:
            self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class Scan:
    """What one quick decoding of a file saw.

    Attributes:
        samples: (seconds after the first picture, BGR picture) at about even distances.
        decoded: Pictures decoded.
        failures: Packets that could not be decoded, and pictures marked as damaged.
        last: Time of the last picture, seconds after the first.
        complete: Whether the end was reached within the time allowed.
    """

    samples: list[tuple[float, NDArray[np.uint8]]]
    decoded: int = 0
    failures: int = 0
    last: float = 0.0
    complete: bool = True


def scan(path: Path | str, *, every: float = 1.0, at_most: int = 120, budget: float = 6.0, side: int = 720) -> Scan:
    """Decode a file once, keeping some pictures.

    Args:
        path: A video file.
        every: Seconds between samples.
        at_most: Samples kept; when there are more, every second one is dropped and ``every`` doubles.
        budget: Seconds of decoding after which the rest is looked at by key frames only.
        side: Samples are made smaller so that their short side has at most so many pixels.
    """
    out = Scan([])
    began = time.monotonic()
    with open_input(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise MediaError("no_video", "The file has no picture track.", "Send a video with picture and sound.")
        stream.thread_type = "AUTO"
        first_pts = _first_pts(container, stream)
        base = float(stream.time_base or 0)
        convert = _Converter("bgr24", float(stream.sample_aspect_ratio or 1) or 1.0)
        due = 0.0
        failed: list[int] = []
        for frame in tone_mapped(_decoded(container, stream, failed)):
            if frame.pts is None:
                continue
            when = max(0.0, (frame.pts - first_pts) * base)
            out.decoded += 1
            out.failures += bool(frame.is_corrupt)
            out.last = max(out.last, when)
            if when >= due:
                out.samples.append((when, _smaller(convert(frame), side)))
                due = when + every
                if len(out.samples) >= at_most:
                    out.samples = out.samples[::2]
                    every *= 2
            spent = time.monotonic() - began
            if spent > 2 * budget:
                out.complete = False
                break
            if spent > budget and out.complete:
                out.complete = False
                stream.codec_context.skip_frame = "NONKEY"
        out.failures += len(failed)
    return out


def _smaller(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return picture
    size = (round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

"""Encoders for WebRTC, ours rather than aiortc's own, so that bit rate and key frames are settings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import LIVE_RATE, PACKET_SAMPLES
from apps.control_api.live_runtime.spec import VideoCodec
from lipsync.engine import FPS

VIDEO_BASE = Fraction(1, 90_000)
TICKS = 90_000 // FPS
SOUND_BASE = Fraction(1, LIVE_RATE)
SOUND_BITRATE = 64_000


def set_up_pictures(
    context: VideoCodecContext, codec: VideoCodec, *, width: int, height: int, bitrate: int, key_frames: int = 3000
) -> None:
    """Set an encoder up for live pictures: no look-ahead, no frame held back.

    Args:
        context: libvpx's or libx264's, not yet open.
        codec: Which of them it is.
        width: Of every picture.
        height: Of every picture.
        bitrate: Bits a second, held constant (a second's buffer).
        key_frames: Pictures from one whole picture to the next at most.
    """
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.bit_rate = bitrate
    context.time_base = Fraction(1, FPS)
    context.framerate = Fraction(FPS, 1)
    context.gop_size = key_frames
    context.thread_count = 1 if width * height <= 1280 * 720 else 2
    if codec == "vp8":
        context.qmin, context.qmax = 2, 56
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-6",
            "lag-in-frames": "0",
            "minrate": str(bitrate),
            "maxrate": str(bitrate),
            "bufsize": str(bitrate),
            "static-thresh": "1",
            "noise-sensitivity": "0",
            "undershoot-pct": "100",
            "overshoot-pct": "15",
        }
    else:
        context.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "level": "31" if width * height <= 1280 * 720 else "40",
            "maxrate": str(bitrate),
            "bufsize": str(bitrate // 2),
        }
        context.profile = "Baseline"


def set_up_sound(context: Any) -> None:
    """Set an Opus encoder up for packets of 10 ms of int16 mono at 48 kHz."""
    context.bit_rate = SOUND_BITRATE
    context.format = "s16"
    context.layout = "mono"
    context.sample_rate = LIVE_RATE
    context.time_base = SOUND_BASE
    context.options = {"application": "audio", "frame_duration": str(PACKET_SAMPLES * 1000 // LIVE_RATE)}


class PictureEncoder:
    """I420 to VP8 or H.264 packets, one frame in, one packet out. One thread at a time.

    Args:
        codec: "vp8" or "h264".
        width, height: Of every picture.
        bitrate: Bits a second, held constant (a second's buffer).
    """

    def __init__(self, codec: VideoCodec, width: int, height: int, bitrate: int) -> None:
        self._key = True
        context = av.VideoCodecContext.create("libvpx" if codec == "vp8" else "libx264", "w")
        set_up_pictures(context, codec, width=width, height=height, bitrate=bitrate)
        self._context: Any = context

    def request_key(self) -> None:
        """Make the next picture whole (a client joined or lost something). Any thread."""
        self._key = True

    def encode(self, picture: NDArray[np.uint8], number: int) -> list[Packet]:
        """Encode a picture, uint8 (h * 3 // 2, w) contiguous, whose time is ``number`` / 25 s."""
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        if self._key:
            self._key = False
            frame.pict_type = PictureType.I
        packets = self._context.encode(frame)
        for packet in packets:
            packet.pts, packet.time_base = number * TICKS, VIDEO_BASE
        return packets


class SoundEncoder:
    """10 ms of int16 mono at 48 kHz to one Opus packet."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        set_up_sound(context)
        self._context: Any = context

    def encode(self, sound: NDArray[np.int16], number: int) -> list[Packet]:
        """Encode the packet that begins at sample ``number * 480``."""
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = LIVE_RATE, number * PACKET_SAMPLES, SOUND_BASE
        packets = self._context.encode(frame)
        for packet in packets:
            packet.pts, packet.time_base = number * PACKET_SAMPLES, SOUND_BASE
        return packets

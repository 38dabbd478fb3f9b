"""The process that encodes and pushes to an RTMP server (``python -m`` and this module's name).

A process of its own because libavformat connects, and may wait for its server, while it holds the interpreter's lock:
in the studio's own process that would stop every session. It lives for one connection. What it is to do comes over
standard input, the stream key too, so that no list of processes shows it:

    one line of JSON (``Wanted``), then pieces: ``<QB`` (packet number, whether a picture follows), 960 bytes of sound,
    and the picture (I420)

What it has to tell goes to standard output, a line of JSON each: ``connected``, ``progress`` (pictures, bytes) twice a
second, ``error`` (code, said). Standard input is its lifeline: when that ends, it ends the stream and itself.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.film import COMMENT, aigc_field
from apps.control_api.live_runtime.frames import LIVE_RATE, PACKET_SAMPLES, PACKETS
from lipsync.engine import FPS

HEAD = struct.Struct("<QB")
_TELL = FPS // 2
_LONGEST_GAP = 500
"""Packets of sound that may be missing (5 s) and are filled with silence; beyond that the stream begins anew."""
_AAC_SAMPLES = 1024


@dataclass(frozen=True)
class Wanted:
    """What to push and where; ``key`` is secret."""

    url: str
    key: str
    width: int
    height: int
    video_bitrate: int
    sound_bitrate: int
    key_frame_s: float
    produce_id: str

    def line(self) -> bytes:
        """The first line of standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Pusher:
    """One connection to an RTMP server.

    Args:
        wanted: Where and what.

    Raises:
        OSError: The server cannot be reached or refuses.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.pictures = self.bytes = 0
        self._first: int | None = None
        self._sound_at = 0
        address = f"{wanted.url.rstrip('/')}/{wanted.key}"
        self._container: Any = av.open(address, "w", format="flv", options={"flvflags": "no_duration_filesize"})
        self._container.metadata["AIGC"] = aigc_field(wanted.produce_id)
        self._container.metadata["comment"] = COMMENT
        self._video, self._sound = self._picture_stream(wanted), self._sound_stream(wanted)
        self._container.start_encoding()

    def _picture_stream(self, wanted: Wanted) -> Any:
        keys = max(1, round(wanted.key_frame_s * FPS))
        rate = wanted.video_bitrate
        stream: Any = self._container.add_stream(
            "libx264",
            rate=FPS,
            options={
                "preset": "veryfast",
                "tune": "zerolatency",
                "profile": "main",
                "sc_threshold": "0",
                "x264-params": f"keyint={keys}:min-keyint={keys}:nal-hrd=cbr:force-cfr=1",
            },
        )
        stream.width, stream.height, stream.pix_fmt = wanted.width, wanted.height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, FPS)
        context.bit_rate, context.gop_size = rate, keys
        context.options = {**context.options, "maxrate": str(rate), "minrate": str(rate), "bufsize": str(rate)}
        context.colorspace, context.color_range = 6, 1
        return stream

    def _sound_stream(self, wanted: Wanted) -> Any:
        # Two equal channels: several platforms take a mono stream for a broken one.
        stream: Any = self._container.add_stream("aac", rate=LIVE_RATE, layout="stereo")
        stream.bit_rate = wanted.sound_bitrate
        return stream

    def push(self, number: int, sound: NDArray[np.int16], picture: NDArray[np.uint8] | None) -> bool:
        """Send 10 ms.

        Args:
            number: The packet's; its time is ``number`` / 100 s. What is missing before it was dropped.
            sound: int16 (480,).
            picture: I420 uint8 (h * 3 // 2, w), with some.

        Returns:
            False where so much is missing that the stream must begin anew.
        """
        if self._first is None:
            if picture is None:
                return True
            self._first = number
        at = number - self._first
        gap = at - self._sound_at
        if not 0 <= gap <= _LONGEST_GAP:
            return False
        for missing in range(gap):
            self._hear(self._sound_at + missing, np.zeros(PACKET_SAMPLES, np.int16))
        self._hear(at, sound)
        self._sound_at = at + 1
        if picture is not None:
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = at // PACKETS, Fraction(1, FPS)
            self._send(self._video.encode(frame))
            self.pictures += 1
        return True

    def close(self) -> None:
        """Tell the server that the stream ends."""
        self._container.close()

    def _hear(self, at: int, sound: NDArray[np.int16]) -> None:
        pcm = np.repeat(sound.reshape(1, -1).astype(np.float32) / 32768.0, 2, axis=0)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm), format="fltp", layout="stereo")
        frame.sample_rate = LIVE_RATE
        frame.pts, frame.time_base = at * PACKET_SAMPLES, Fraction(1, LIVE_RATE)
        self._send(self._sound.encode(frame))

    def _send(self, packets: list[Any]) -> None:
        for packet in packets:
            self.bytes += packet.size
            self._container.mux(packet)


def main(take: BinaryIO, tell: Any) -> int:
    """Serve until the input ends; returns the exit status."""
    wanted = Wanted(**json.loads(take.readline()))

    def say(event: str, **more: Any) -> None:
        print(json.dumps({"event": event, **more}), file=tell, flush=True)

    with av.logging.Capture(local=False) as lines:
        connected = False
        try:
            pusher = Pusher(wanted)
            connected = True
            say("connected")
            _pump(take, pusher, wanted, say)
            pusher.close()
        except (OSError, av.FFmpegError) as error:
            told = [text.strip() for _, _, text in lines if "Server error" in text]
            said = (told[-1] if told else error.strerror or str(error)).replace(wanted.key, "…")
            code = "push_refused" if told else "push_lost" if connected else "push_unreachable"
            say("error", code=code, said=said)
            return 1
    return 0


def _pump(take: BinaryIO, pusher: Pusher, wanted: Wanted, say: Any) -> None:
    size = wanted.width * wanted.height * 3 // 2
    while len(head := take.read(HEAD.size)) == HEAD.size:
        number, pictured = HEAD.unpack(head)
        sound = np.frombuffer(take.read(PACKET_SAMPLES * 2), np.int16)
        data = take.read(size) if pictured else b""
        if len(sound) != PACKET_SAMPLES or len(data) != (size if pictured else 0):
            return
        picture = np.frombuffer(data, np.uint8).reshape(-1, wanted.width) if pictured else None
        if not pusher.push(number, sound, picture):
            return
        if number % (_TELL * PACKETS) == 0:
            say("progress", pictures=pusher.pictures, bytes=pusher.bytes)


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    sys.exit(main(sys.stdin.buffer, sys.stdout))

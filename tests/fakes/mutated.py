"""Damaged copies of real media files: bytes changed, parts lost, repeated, moved or blown up, indexes broken."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile

from lipsync.media.audio import load_audio
from lipsync.media.frames import read_frames

_NAMES = (b"moov", b"trak", b"stts", b"stsz", b"stco", b"ctts", b"avcC", b"mdhd", b"esds", b"stsd", b"fmt ", b"data")
_EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def originals(recording: Path, folder: Path, seconds: float = 1.0) -> list[Path]:
    """The beginning of a recording as MP4, MOV, MKV, WebM and WAV."""
    pictures = list(read_frames(recording, 0, round(seconds * 25)))
    pcm = load_audio(recording, 48_000)[: round(seconds * 48_000)]
    out = []
    for kind, video, audio in (
        ("mp4", "libx264", "aac"), ("mov", "libx264", "aac"), ("mkv", "libx264", "aac"),
        ("webm", "libvpx-vp9", "libopus"),
    ):  # fmt: skip
        path = folder / f"whole.{kind}"
        fast = {"preset": "ultrafast"} if video == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        with av.open(str(path), "w") as container:
            stream = container.add_stream(video, rate=25, options={"g": "10", **fast})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            sound = container.add_stream(audio, rate=48_000, layout="mono")
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode(None))
            piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None], np.float32), "fltp", "mono")
            piece.sample_rate = 48_000
            container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
        out.append(path)
    soundfile.write(folder / "whole.wav", pcm, 48_000, subtype="PCM_16")
    return [*out, folder / "whole.wav"]


def mutations(files: Sequence[Path], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged copies, each with what it was made from and how; the same for the same seed."""
    rng = random.Random(seed)
    whole = [(path.suffix[1:], path.read_bytes()) for path in files]
    for number in range(count):
        kind, data = whole[number % len(whole)]
        out, names = bytearray(data), []
        for _ in range(rng.choice((1, 1, 2, 4))):
            step = rng.choice((_bits, _bytes, _cut, _lose, _repeat, _swap, _number, _number, _header, _foreign))
            names.append(step.__name__[1:])
            step(out, rng)
            if len(out) < 8:
                break
        yield f"{number:04d}-{kind}-{'-'.join(names)}", bytes(out)


def _bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 30, 1000))):
        data[rng.randrange(len(data))] = rng.choice((*_EDGES, rng.randrange(256)))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _lose(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 7, 400, 20_000))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    part = data[at : at + rng.choice((4, 300, 5000))]
    data[at:at] = part * rng.choice((1, 3, 40))


def _swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((4, 64, 2000))
    one, two = (rng.randrange(max(1, len(data) - size)) for _ in range(2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def _number(data: bytearray, rng: random.Random) -> None:
    """A length, count or time in the index made absurd."""
    places = [at for name in _NAMES if (at := data.find(name)) >= 0] or [0]
    at = max(0, rng.choice(places) + rng.choice((-4, 4, 8, 12, 16, 20, 40)))
    value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, rng.getrandbits(32)))
    data[at : at + 4] = struct.pack(rng.choice((">I", "<I")), value)


def _header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 5, 20))):
        data[rng.randrange(min(len(data), 600))] = rng.choice((*_EDGES, rng.randrange(256)))


def _foreign(data: bytearray, rng: random.Random) -> None:
    """A part that belongs to no media file."""
    at = rng.randrange(len(data))
    data[at : at + 500] = rng.choice(
        (bytes(500), b"\xff" * 500, b"#EXTM3U\nfile:///etc/passwd\n" * 20, rng.randbytes(500))
    )

"""A client's microphone: the sound track of its WebRTC connection, as float32 mono."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

Hear = Callable[[NDArray[np.float32], int], None]


def expect(connection: RTCPeerConnection, on_microphone: Callable[[MediaStreamTrack], None]) -> None:
    """Accept the client's sound, where it offers to send any; called before its offer is set."""
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "audio":
            transceiver.direction = "sendrecv"

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            on_microphone(track)


async def read(track: MediaStreamTrack, hear: Hear) -> None:
    """Hand a track's sound on until it ends. aiortc decodes it in a thread of its own.

    Args:
        track: A remote sound track.
        hear: Takes float32 mono in -1..1 and its rate, about every 20 ms; must not block.
    """
    while True:
        try:
            frame: Any = await track.recv()
        except MediaStreamError:
            return
        hear(mono(frame), int(frame.sample_rate))


def mono(frame: Any) -> NDArray[np.float32]:
    """A decoded frame (av.AudioFrame) as float32 mono in -1..1."""
    sound = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        sound = sound.reshape(-1, channels).T
    scale = 1.0 if sound.dtype.kind == "f" else 1.0 / (np.iinfo(sound.dtype).max + 1)
    return np.asarray(sound.astype(np.float32).mean(0) * scale, np.float32)

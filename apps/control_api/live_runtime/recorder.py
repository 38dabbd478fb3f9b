"""A recording of a session: another output of its clock, written by a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.film import FilmWriter
from apps.control_api.live_runtime.frames import PACKETS, PacketFrame

_WAITING = 100
"""Frames that wait for the disk (4 s); beyond that whole frames are left out, sound and picture alike."""

_Piece = tuple[NDArray[np.uint8], NDArray[np.int16]]


class Recorder:
    """A ``Sink`` that writes an MP4, from its first picture on. Made on the event loop; ``stop`` ends it.

    Args:
        path: The MP4; its folder must exist.
        width, height: Of the pictures.
        produce_id: For the AIGC tag.
        on_error: Told on the loop when writing failed; the recording is over then and nothing is left on disk.
    """

    def __init__(
        self, path: Path, width: int, height: int, produce_id: str, on_error: Callable[[Exception], None]
    ) -> None:
        self.path = path
        self.dropped = 0
        self.frames = 0
        self.error: Exception | None = None
        self._size, self._produce_id = (width, height), produce_id
        self._loop, self._on_error = asyncio.get_running_loop(), on_error
        self._picture: NDArray[np.uint8] | None = None
        self._sound: list[NDArray[np.int16]] = []
        self._queue: queue.Queue[_Piece | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._write, name="live-record")
        self._thread.start()

    def take(self, packet: PacketFrame) -> None:
        """Collect a quarter; hand whole frames to the thread."""
        if packet.number % PACKETS == 0:
            self._picture, self._sound = packet.picture, []
        if self._picture is None:
            return
        self._sound.append(packet.sound)
        if len(self._sound) < PACKETS or self.error is not None:
            return
        try:
            self._queue.put_nowait((self._picture, np.concatenate(self._sound)))
        except queue.Full:
            self.dropped += 1
        self._picture = None

    async def stop(self) -> Path:
        """Finish the file. Detach the recorder first. Safe to call twice.

        Raises:
            NoSpaceError, OSError: What ended the recording before.
        """
        if self._thread.is_alive():
            await asyncio.to_thread(self._finish)
        if self.error is not None:
            raise self.error
        return self.path

    def _finish(self) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.2)
                break
            except queue.Full:
                continue
        self._thread.join()

    def _write(self) -> None:
        try:
            with FilmWriter(self.path, *self._size, self._produce_id, crf=20) as film:
                while (piece := self._queue.get()) is not None:
                    film.write(*piece)
                    self.frames = film.frames
        except Exception as error:
            self.error = error
            self._loop.call_soon_threadsafe(self._on_error, error)

"""A virtual camera: other programs (OBS, Zoom, browsers) take the session's pictures as a webcam's.

Pictures are given to the driver at the pace of the session's clock, by a thread of their own, as I420: the form they
are drawn in and most drivers want. Where the sound goes to a device too, pictures wait as long as the sound takes to
get there, so that both reach other programs in step.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import LIVE_RATE, PACKET_SAMPLES, PacketFrame
from apps.control_api.live_runtime.outputs import CameraSpec, Output, Source
from apps.control_api.live_runtime.transports.sound_out import SoundDevice
from apps.control_api.live_runtime.troubles import trouble
from lipsync.engine import FPS

_LOG = logging.getLogger(__name__)
_PICTURES = 16
"""Pictures that wait for their sound at most (0.64 s)."""
_FAILURES = 25
"""Pictures in a row that the driver may refuse before the camera is given up."""
_SMOOTH = 0.02


class CameraOutput(Output):
    """A session as a webcam.

    Args:
        spec: Which camera, and which sound device.
        source: The session's facts.
    """

    def __init__(self, spec: CameraSpec, source: Source) -> None:
        super().__init__("camera", spec.device or spec.backend or "default")
        self._spec, self._size = spec, (source.width, source.height)
        self._camera: Any = None
        self._sound: SoundDevice | None = None
        self._waiting: deque[tuple[float, NDArray[np.uint8]]] = deque()
        self._due: deque[NDArray[np.uint8]] = deque(maxlen=2)
        self._more = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._send, name="live-camera")
        self._delay_s = 0.0

    async def start(self) -> None:
        """Open the camera and the sound device.

        Raises:
            UnavailableError: One of them is not there.
        """
        self.attempts += 1
        await asyncio.to_thread(self._open)
        self._thread.start()
        self._become("live")

    @property
    def delay_ms(self) -> float | None:
        """What the sound takes, for which the pictures wait; None without sound."""
        return None if self._sound is None else round(self._delay_s * 1000, 1)

    def _open(self) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise trouble("camera_missing", str(error)).as_error() from error
        if self._spec.sound_device is not None:
            ended = lambda: self._become_soon("failed", trouble("sound_failed"))  # noqa: E731
            self._sound = SoundDevice(self._spec.sound_device, ended)
            self._delay_s = self._sound.delay_s
        try:
            self._camera = pyvirtualcam.Camera(
                *self._size,
                FPS,
                fmt=pyvirtualcam.PixelFormat.I420,
                device=self._spec.device,
                backend=self._spec.backend,
            )
        except (RuntimeError, ValueError, KeyError) as error:
            raise trouble("camera_missing", str(error)).as_error() from error
        self.target = str(self._camera.device)

    def _take(self, packet: PacketFrame) -> None:
        if self._sound is not None:
            self._sound.feed.put(packet.sound)
            # Smoothed: a picture that jumps is seen, a few milliseconds of offset are not.
            self._delay_s += _SMOOTH * (self._sound.delay_s - self._delay_s)
        now = packet.number * PACKET_SAMPLES / LIVE_RATE
        if packet.picture is not None:
            if len(self._waiting) == _PICTURES:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((now, packet.picture))
        # One tick's tolerance halves the rounding: a picture goes out at the tick nearest to its time.
        while self._waiting and self._waiting[0][0] + self._delay_s <= now + 0.005:
            self._hand(self._waiting.popleft()[1])

    def _hand(self, picture: NDArray[np.uint8]) -> None:
        with self._more:
            self.dropped += len(self._due) == self._due.maxlen
            self._due.append(picture)
            self._more.notify()

    def _send(self) -> None:
        failures = 0
        while True:
            with self._more:
                while not self._due and not self._ending:
                    self._more.wait()
                if self._ending:
                    return
                picture = self._due.popleft()
            try:
                self._camera.send(np.ascontiguousarray(picture).reshape(-1))
            except Exception as error:
                # Drivers raise what they like; one picture lost is nothing, all of them lost is the camera gone.
                failures += 1
                if failures == 1:
                    _LOG.warning("a virtual camera refused a picture", exc_info=error)
                if failures == _FAILURES:
                    self._become_soon("failed", trouble("camera_failed", str(error)))
                    return
                continue
            failures = 0
            self.frames += 1

    async def stop(self) -> None:
        """Let camera and sound device go."""
        with self._more:
            self._ending = True
            self._more.notify()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
        sound, self._sound = self._sound, None
        if sound is not None:
            sound.close()

"""Sound from a device of this machine: a microphone of the desktop, or what the system plays where it offers that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.transports.microphone import Hear
from apps.control_api.live_runtime.troubles import trouble

BLOCK_S = 0.02


class DeviceMicrophone:
    """An open input device. Its driver calls in a thread of its own; ``hear`` and ``on_ended`` are called on the loop.

    Args:
        device: Name or number; the system's default if None.
        hear: Takes float32 mono in -1..1 and its rate, every 20 ms.
        on_ended: Told when the device ended by itself.
        loop: Where both are called.

    Raises:
        UnavailableError: There is no such device, or no sound system.
    """

    def __init__(
        self, device: str | int | None, hear: Hear, on_ended: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:  # without PortAudio's library the import raises OSError
            raise trouble("sound_missing", str(error)).as_error() from error
        self._hear, self._on_ended, self._loop = hear, on_ended, loop
        self._closing = False
        try:
            facts = sounddevice.query_devices(device, "input")
            self.name = str(facts["name"])
            self.rate = int(facts["default_samplerate"])
            self._stream = sounddevice.InputStream(
                samplerate=self.rate,
                device=device,
                channels=min(2, int(facts["max_input_channels"])),
                dtype="float32",
                blocksize=round(self.rate * BLOCK_S),
                callback=self._take,
                finished_callback=self._finished,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise trouble("sound_missing", str(error)).as_error() from error

    def close(self) -> None:
        """Let the device go; blocking, some ms. Safe to call twice."""
        self._closing = True
        self._stream.close(ignore_errors=True)

    def _take(self, sound: NDArray[np.float32], frames: int, _time: Any, _status: Any) -> None:
        # The driver uses its buffer again after this call.
        mono = np.nan_to_num(sound.mean(1, dtype=np.float32)).clip(-1.0, 1.0)
        self._call(self._hear, mono, self.rate)

    def _finished(self) -> None:
        if not self._closing:
            self._call(self._on_ended)

    def _call(self, what: Callable[..., None], *args: Any) -> None:
        if not self._closing and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

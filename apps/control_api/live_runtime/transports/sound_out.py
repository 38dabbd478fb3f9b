"""Sound to a device of this machine, whose clock is never quite ours: resampled by as much as it runs off.

The device asks for blocks in a thread of its own (PortAudio's); what waits for it is kept near ``TARGET`` by a slow
control loop that changes the resampling ratio by some parts in ten thousand, far below what anybody hears. So what is
heard stays in step with the picture for as long as the session lasts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from apps.control_api.live_runtime.frames import LIVE_RATE, PACKET_SAMPLES, PacketFrame
from apps.control_api.live_runtime.outputs import Output, SoundSpec
from apps.control_api.live_runtime.troubles import trouble

_LOG = logging.getLogger(__name__)
TARGET = 2880
"""Samples that wait for the device, 60 ms: what the loop and the device's own blocks may jitter."""
MOST = 9600
"""More than this (200 ms: the device or the machine stood still) is dropped down to the target at once."""
_GREATEST = 2e-3
"""The device's clock may run off by 2,000 ppm; sound cards keep 200."""
_SOON = 0.02
_P, _I = 2.0e-6, 1.0e-12
"""Gains of the control loop, per sample and per squared sample of error: it settles in two minutes, not swinging."""


class Drift:
    """How much faster than our clock a device asks, learned from how much waits for it."""

    def __init__(self) -> None:
        self.level = float(TARGET)
        self.ratio = 1.0
        self._owed = 0.0

    def update(self, waiting: float, samples: int) -> float:
        """Learn from what waits now.

        Args:
            waiting: Samples that wait.
            samples: Samples the device took since the last time.

        Returns:
            Samples of ours for one of the device's.
        """
        self.level += min(1.0, _SOON * samples / PACKET_SAMPLES) * (waiting - self.level)
        error = self.level - TARGET
        self._owed = float(np.clip(self._owed + _I * error * samples, -_GREATEST, _GREATEST))
        self.ratio = 1.0 + float(np.clip(_P * error + self._owed, -_GREATEST, _GREATEST))
        return self.ratio


class DeviceFeed:
    """Between the clock, which puts 10 ms, and the device, which takes blocks of its own size; both threads may call.

    Args:
        rate: Samples a second of the device.
    """

    def __init__(self, rate: int = LIVE_RATE) -> None:
        self.drift = Drift()
        self.rate = rate
        self.starved = self.overrun = 0
        self._lock = threading.Lock()
        self._packets: deque[NDArray[np.int16]] = deque()
        self._waiting = 0
        self._ready: deque[NDArray[np.float32]] = deque()
        self._made = 0
        self._running = False
        top = 1.0 + 2 * _GREATEST
        self._resampler = soxr.ResampleStream(LIVE_RATE * top, rate, 1, dtype="float32", quality="HQ", vr=True)
        self._resampler.set_io_ratio(LIVE_RATE, rate)

    @property
    def waiting(self) -> float:
        """Samples at 48 kHz between the clock and the device, those inside the resampler too."""
        scale = LIVE_RATE / self.rate
        return self._waiting + (self._made + self._resampler.delay()) * scale

    def put(self, sound: NDArray[np.int16]) -> None:
        """Add 10 ms, int16 (480,)."""
        with self._lock:
            self._packets.append(sound)
            self._waiting += len(sound)
            if self.waiting > MOST:
                while self._packets and self.waiting > TARGET:
                    self._waiting -= len(self._packets.popleft())
                    self.overrun += 1
                self.drift.level = float(TARGET)

    def take(self, samples: int) -> NDArray[np.float32]:
        """The next block, float32 (samples,); silence until enough waits, or where nothing does."""
        with self._lock:
            if not self._running:
                if self.waiting < TARGET:
                    return np.zeros(samples, np.float32)
                self._running = True
            ratio = self.drift.update(self.waiting - samples / 2, samples)
            self._resampler.set_io_ratio(LIVE_RATE * ratio, self.rate)
            while self._made < samples and self._packets:
                packet = self._packets.popleft()
                self._waiting -= len(packet)
                made = self._resampler.resample_chunk(packet.astype(np.float32) / 32768.0)
                self._ready.append(made)
                self._made += len(made)
            if self._made < samples:
                # Begin anew behind a full buffer: one gap is better than many.
                self.starved += 1
                self._running = False
            return self._cut(samples)

    def _cut(self, samples: int) -> NDArray[np.float32]:
        out = np.zeros(samples, np.float32)
        at = 0
        while at < samples and self._ready:
            head = self._ready[0]
            n = min(len(head), samples - at)
            out[at : at + n] = head[:n]
            at += n
            self._made -= n
            if n == len(head):
                self._ready.popleft()
            else:
                self._ready[0] = head[n:]
        return out


class SoundDevice:
    """An open device fed by the clock.

    Args:
        device: Name or number; the system's default if None.
        on_ended: Told, in PortAudio's thread, when the device ended by itself.

    Raises:
        UnavailableError: There is no such device, or no sound system.
    """

    def __init__(self, device: str | int | None, on_ended: Callable[[], None]) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:  # without PortAudio's library the import raises OSError
            raise trouble("sound_missing", str(error)).as_error() from error
        self._closing = False
        self._on_ended = on_ended
        try:
            facts = sounddevice.query_devices(device, "output")
            self.name = str(facts["name"])
            self._channels = min(2, int(facts["max_output_channels"]))
            rate = _rate(sounddevice, device, self._channels, int(facts["default_samplerate"]))
            self.feed = DeviceFeed(rate)
            self._stream = sounddevice.OutputStream(
                samplerate=rate,
                device=device,
                channels=self._channels,
                dtype="float32",
                latency="low",
                callback=self._fill,
                finished_callback=self._finished,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise trouble("sound_missing", str(error)).as_error() from error

    @property
    def delay_s(self) -> float:
        """Seconds between the clock and the ear, as far as the device tells."""
        return self.feed.drift.level / LIVE_RATE + float(self._stream.latency)

    def close(self) -> None:
        """Fall silent and let the device go; blocking, some ms."""
        self._closing = True
        self._stream.close(ignore_errors=True)

    def _fill(self, out: NDArray[np.float32], frames: int, _time: Any, _status: Any) -> None:
        out[:] = self.feed.take(frames)[:, None]

    def _finished(self) -> None:
        if not self._closing:
            self._on_ended()


class SoundOutput(Output):
    """Sound alone, to a device.

    Args:
        spec: Which.
    """

    def __init__(self, spec: SoundSpec) -> None:
        super().__init__("sound", "default" if spec.device is None else str(spec.device))
        self._spec = spec
        self._device: SoundDevice | None = None

    async def start(self) -> None:
        """Open the device.

        Raises:
            UnavailableError: There is no such device, or no sound system.
        """
        self.attempts += 1
        ended = lambda: self._become_soon("failed", trouble("sound_failed"))  # noqa: E731
        self._device = await asyncio.to_thread(SoundDevice, self._spec.device, ended)
        self.target = self._device.name
        self._become("live")

    @property
    def delay_ms(self) -> float | None:
        """Buffer and device."""
        return None if self._device is None else round(self._device.delay_s * 1000, 1)

    def _take(self, packet: PacketFrame) -> None:
        if self._device is not None:
            self._device.feed.put(packet.sound)
            self.frames += 1
            self.dropped = self._device.feed.overrun

    async def stop(self) -> None:
        """Let the device go."""
        device, self._device = self._device, None
        if device is not None:
            await asyncio.to_thread(device.close)


def _rate(sounddevice: Any, device: str | int | None, channels: int, default: int) -> int:
    """Ours where the device takes it, else its own."""
    try:
        sounddevice.check_output_settings(device, channels=channels, dtype="float32", samplerate=LIVE_RATE)
    except sounddevice.PortAudioError:
        return default
    return LIVE_RATE

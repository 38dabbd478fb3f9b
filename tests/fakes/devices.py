"""Drivers of a virtual camera and of a sound system, which keep what they are given."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray


class CameraDriver:
    """A backend of pyvirtualcam (``register_backend``): called with keywords, gives device and native format."""

    opened: ClassVar[list[CameraDriver]] = []
    absent = False
    fail_after: int | None = None

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None, **more: Any) -> None:
        if CameraDriver.absent:
            raise RuntimeError("no device of this kind")
        self.width, self.height, self.fps, self.fourcc = width, height, fps, fourcc
        self._device = device or "/dev/video9"
        self.frames: list[tuple[float, NDArray[np.uint8]]] = []
        self.closed = False
        CameraDriver.opened.append(self)

    def send(self, frame: NDArray[np.uint8]) -> None:
        assert not self.closed and frame.ndim == 1 and frame.flags.c_contiguous
        if CameraDriver.fail_after is not None and len(self.frames) >= CameraDriver.fail_after:
            raise RuntimeError("device is gone")
        self.frames.append((time.monotonic(), frame.copy()))

    def close(self) -> None:
        self.closed = True

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> int | None:
        return self.fourcc


def camera_driver(monkeypatch: pytest.MonkeyPatch) -> type[CameraDriver]:
    """Make it the one backend there is."""
    import pyvirtualcam.camera

    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"test": CameraDriver})
    monkeypatch.setattr(CameraDriver, "opened", [])
    monkeypatch.setattr(CameraDriver, "absent", False)
    monkeypatch.setattr(CameraDriver, "fail_after", None)
    return CameraDriver


class PortAudioError(Exception):
    """As sounddevice's."""


class OutputStream:
    """Asks for a block at a time in a thread of its own, as PortAudio does."""

    opened: ClassVar[list[OutputStream]] = []
    block = 512

    def __init__(self, *, samplerate: int, channels: int, callback: Callable[..., None], **more: Any) -> None:
        self.rate, self.channels, self.callback, self.more = samplerate, channels, callback, more
        self.latency = 0.02
        self.heard: list[tuple[float, NDArray[np.float32]]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-portaudio")
        OutputStream.opened.append(self)

    def start(self) -> None:
        self._thread.start()

    def close(self, ignore_errors: bool = True) -> None:
        self._ending.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def unplug(self) -> None:
        self._ending.set()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            out = np.zeros((self.block, self.channels), np.float32)
            self.callback(out, self.block, None, None)
            self.heard.append((due, out[:, 0].copy()))
            due += self.block / self.rate
        self.more["finished_callback"]()


def sound_system(monkeypatch: pytest.MonkeyPatch) -> type[OutputStream]:
    """Stand in for the module ``sounddevice``, whose import needs PortAudio's library."""
    found = [
        {"name": name, "hostapi": 0, "max_output_channels": 2, "max_input_channels": 0, "default_samplerate": rate}
        for name, rate in (("Speakers", 48e3), ("CABLE Input", 44.1e3))
    ]

    def query_devices(device: Any = None, kind: str | None = None) -> Any:
        if kind is None and device is None:
            return found
        for k, each in enumerate(found):
            if device in (None, k, each["name"]):
                return each
        raise ValueError(f"No output device matching {device!r}")

    def check_output_settings(device: Any = None, *, samplerate: float, **more: Any) -> None:
        if query_devices(device, "output")["default_samplerate"] != samplerate:
            raise PortAudioError("Invalid sample rate")

    module = types.ModuleType("sounddevice")
    module.__dict__.update(
        PortAudioError=PortAudioError,
        OutputStream=OutputStream,
        query_devices=query_devices,
        query_hostapis=lambda: [{"name": "Test"}],
        check_output_settings=check_output_settings,
        default=types.SimpleNamespace(device=(-1, 0)),
    )
    monkeypatch.setattr(OutputStream, "opened", [])
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return OutputStream

"""Virtual cameras and sound devices of this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apps.control_api.live_runtime.troubles import trouble

_V4L = Path("/sys/devices/virtual/video4linux")
_NAMES = {"obs": "OBS Virtual Camera", "unitycapture": "Unity Video Capture"}


def devices() -> dict[str, Any]:
    """What there is, as the wire type ``Devices``. Blocking: asks the sound system."""
    cameras, camera_trouble = _cameras()
    sounds, sound_trouble = _sounds()
    return {
        "cameras": cameras,
        "camera_trouble": camera_trouble,
        "sounds": sounds,
        "sound_trouble": sound_trouble,
    }


def _cameras() -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    try:
        from pyvirtualcam.camera import BACKENDS
    except ImportError as error:
        return [], asdict(trouble("camera_missing", str(error)))
    found: list[dict[str, Any]] = []
    for backend in BACKENDS:
        if backend == "v4l2loopback":
            names = sorted(_V4L.glob("video*/name")) if _V4L.is_dir() else []
            found += [
                {"backend": backend, "device": f"/dev/{p.parent.name}", "name": p.read_text().strip()} for p in names
            ]
        elif sys.platform != "linux":
            # Their drivers cannot be asked without being opened, which starts them: that is done when one is chosen.
            found.append({"backend": backend, "device": None, "name": _NAMES.get(backend, backend)})
    return found, None if found else asdict(trouble("camera_missing"))


def _sounds() -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # without PortAudio's library the import raises OSError
        return [], asdict(trouble("sound_missing", str(error)))
    try:
        hosts, listed = sounddevice.query_hostapis(), sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        return [], asdict(trouble("sound_missing", str(error)))
    default_input, default_output = sounddevice.default.device
    found = [
        {
            "index": k,
            "name": each["name"],
            "host_api": hosts[each["hostapi"]]["name"],
            "outputs": each["max_output_channels"],
            "inputs": each["max_input_channels"],
            "rate": int(each["default_samplerate"]),
            "default_output": k == default_output,
            "default_input": k == default_input,
        }
        for k, each in enumerate(listed)
    ]
    return found, None if found else asdict(trouble("sound_missing"))

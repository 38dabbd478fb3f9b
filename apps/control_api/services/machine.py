"""How busy this machine is: processor, memory and graphics cards, for the charts beside a live picture."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import Any

_QUERY = "name,utilization.gpu,memory.used,memory.total,temperature.gpu"
_PATIENCE_S = 3


class _Meter:
    """How busy the processor was since it was asked last. psutil's own figure starts anew in every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: tuple[float, float] | None = None
        self._share = 0.0

    def read(self) -> float:
        import psutil

        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # A guest's time is counted in its host's too.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        with self._lock:
            before, self._before = self._before, (idle, total)
            if before is not None and total - before[1] > 0.05:
                self._share = min(1.0, max(0.0, 1 - (idle - before[0]) / (total - before[1])))
            return self._share


_CPU = _Meter()


def load() -> dict[str, Any]:
    """Return shares of 0 to 1, bytes and degrees Celsius. Blocking; asks nvidia-smi where there is one."""
    import psutil

    memory = psutil.virtual_memory()
    return {
        "cpu": _CPU.read(),
        "memory_used": memory.total - memory.available,
        "memory_total": memory.total,
        "gpus": _gpus(),
    }


def _gpus() -> list[dict[str, Any]]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer: as if there were no card
        return []
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Read nvidia-smi's lines; a figure a card does not tell ("[N/A]") becomes None."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 4)]
        if len(parts) != 5:
            continue
        name, use, used, total, heat = parts
        found.append(
            {
                "name": name,
                "use": _number(use, 0.01),
                "memory_used": _number(used, 2**20),
                "memory_total": _number(total, 2**20),
                "celsius": _number(heat, 1.0),
            }
        )
    return found


def _number(text: str, scale: float) -> float | None:
    try:
        return float(text) * scale
    except ValueError:
        return None

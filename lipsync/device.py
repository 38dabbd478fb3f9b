"""Which device and how many threads: measured, not assumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lipsync.errors import InvalidInputError, UnavailableError


def torch_device(wanted: str = "auto") -> str:
    """Resolve "auto", "cpu" or "cuda" to a device torch has.

    Raises:
        UnavailableError: "cuda" was asked for and is not there.
        InvalidInputError: A word that is none of the three.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise InvalidInputError(f"There is no device called {wanted!r}.", "Choose auto, cpu or cuda.")
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise UnavailableError(
            "There is no usable CUDA device here.", "Choose cpu, or install the driver and CUDA build."
        )
    return "cpu"


def usable_cpus() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """The processor's feature words (Linux names); empty where they cannot be read."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    except OSError:
        return frozenset()
    return frozenset()


def has_bf16_units() -> bool:
    """Whether the processor multiplies bf16 matrices itself (AMX); without them bf16 is slower than fp32."""
    return "amx_bf16" in cpu_flags()


def training_threads(step: Callable[[], Any], limit: int | None = None) -> int:
    """Choose torch's thread count by timing a step with each.

    Two threads on a machine with another busy process were seen fifty times slower than one, so the faster is measured
    and more threads are taken only where they win by a fifth.

    Args:
        step: One training step; run a few times per candidate.
        limit: The most threads to try; None for every processor.
    """
    import torch

    top = min(limit or usable_cpus(), usable_cpus())
    best, best_time = 1, float("inf")
    threads = 1
    while threads <= top:
        torch.set_num_threads(threads)
        step()
        times = []
        for _ in range(2):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        if min(times) < best_time * 0.8:
            best, best_time = threads, min(times)
        threads *= 2
    torch.set_num_threads(best)
    return best

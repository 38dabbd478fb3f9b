"""The command a newcomer types, from its first line to Ctrl-C: ``start.sh --demo`` without the set-up."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--demo-seconds", "12", "--demo-minutes", "0.1"]
COMMAND = [sys.executable, "scripts/studio.py", "--demo", *SMALL, "--port", "0"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def wait_for(lines: queue.Queue[str], pattern: str, seconds: float) -> re.Match[str]:
    """Read on until a line matches; what was read before is shown if none does."""
    until, seen = time.monotonic() + seconds, []
    while time.monotonic() < until:
        try:
            seen.append(lines.get(timeout=1))
        except queue.Empty:
            continue
        if found := re.search(pattern, seen[-1]):
            return found
        assert "The demo stopped" not in seen[-1], "".join(seen)
    raise AssertionError(f"no line like {pattern!r} within {seconds} s:\n" + "".join(seen))


def test_demo_makes_an_avatar_that_talks_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    source = process.stdout

    def read() -> None:
        for line in source:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    try:
        page = wait_for(lines, r"(http://127\.0\.0\.1:\d+)/#token=(\S+)", 60)
        live = wait_for(lines, r"/#/live\?session=([0-9a-f-]{36})&token=(\S+)", 240)
        assert live[2] == page[2]
        stats = f"{page[1]}/api/v1/live/sessions/{live[1]}/stats"
        headers = {"Authorization": f"Bearer {page[2]}"}
        seen = httpx.get(stats, headers=headers, trust_env=False, timeout=20).json()
        assert seen["turn"] >= 1
        assert seen["frames"] > 0
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2, "the API and its worker"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not psutil.wait_procs(children, timeout=5)[1]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

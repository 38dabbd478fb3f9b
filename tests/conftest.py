"""What every test may ask for: the measuring take, a take of the studio's own, and a running studio."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

# Several processes share the cores while testing; numeric libraries read this when they load.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "tests"
DEMO_SECONDS = 12.0
REALTIME = (
    "apps/control_api/live_runtime/",
    "apps/control_api/test_inference_stream.py",
    "apps/control_api/test_listening.py",
    "apps/control_api/test_live_cut_off.py",
    "apps/control_api/test_outputs.py",
    "apps/control_api/test_programme.py",
    "apps/control_api/test_recordings.py",
    "apps/control_api/test_scene.py",
    "apps/control_api/test_yielding.py",
    "e2e/",
)
"""What plays sound and pictures as time goes by: such tests run one after the other, the rest side by side."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the machine to itself."""
    for item in items:
        if item.path.relative_to(ROOT / "tests").as_posix().startswith(REALTIME):
            item.add_marker(pytest.mark.realtime)


@pytest.fixture(scope="session")
def green_take() -> Path:
    """The measuring take, which is no part of the project: tests that need it are skipped where it is absent."""
    path = ROOT / "../shared/takes/green_take.mp4"
    if not path.is_file():
        pytest.skip("the measuring take (../shared/takes/green_take.mp4) is not on this machine")
    return path.resolve()


@pytest.fixture(scope="session")
def demo_take() -> Path:
    """A 12 s take (512x512, 25 fps, with sound) made by the studio; kept while what makes it stays the same."""
    from filelock import FileLock

    from lipsync.dataset.demo_take import make_demo_take

    makers = [ROOT / "lipsync/dataset" / f"{name}.py" for name in ("demo_take", "portrait", "visemes")]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in makers) + str(DEMO_SECONDS).encode()).hexdigest()[:16]
    path = CACHE / f"demo-{key}.mp4"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "demo.lock", timeout=120):
        if not path.is_file():
            aside = path.with_suffix(".part.mp4")
            make_demo_take(aside, DEMO_SECONDS)
            aside.rename(path)
    return path


@dataclass
class Studio:
    """A running control API with a data folder of its own."""

    url: str
    token: str
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, timeout: float = 60.0) -> httpx.Client:
        """A client of ``/api/v1`` that knows the token."""
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=self.headers, timeout=timeout, trust_env=False)

    def async_client(self, timeout: float = 60.0) -> httpx.AsyncClient:
        """The same for tests that run on an event loop."""
        return httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=self.headers, timeout=timeout, trust_env=False)

    def end_of_log(self, characters: int = 4000) -> str:
        return self.log.read_text("utf-8", "replace")[-characters:]


def start_studio(data_dir: Path, **settings: str) -> Studio:
    """Start a control API on a free port; ``settings`` become ``STUDIO_<NAME>``. End it with ``stop_studio``."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    environment |= {f"STUDIO_{name.upper()}": value for name, value in settings.items()}
    log = data_dir / "api.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.control_api", "--port", "0", "--data-dir", str(data_dir), "--stdin-lifeline"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, daemon=True).start()
    try:
        first = lines.get(timeout=45)
        ready: dict[str, Any] = json.loads(first or b"{}")
        assert ready.get("event") == "ready", (
            f"no ready line; the log ends:\n{log.read_text('utf-8', 'replace')[-3000:]}"
        )
    except BaseException:
        process.kill()
        process.wait()
        raise
    token = settings.get("token") or (data_dir / "token").read_text().strip()
    return Studio(ready["url"].rstrip("/"), token, data_dir, log, process)


def stop_studio(studio: Studio) -> None:
    """End a studio as its owner would, and by force if it does not obey."""
    process = studio.process
    if process.poll() is None:
        assert process.stdin is not None
        process.stdin.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"the studio did not end within 20 s; its log ends:\n{studio.end_of_log()}")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A real control API process with its worker, on a free port, with an empty data folder; one for each module."""
    running = start_studio(tmp_path_factory.mktemp("studio") / "data")
    try:
        yield running
    finally:
        stop_studio(running)

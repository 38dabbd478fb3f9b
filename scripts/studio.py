"""Run the studio in the foreground: start the control API, print one URL, end it with Ctrl-C. Called by start.sh."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 60.0
END_WITHIN = 20.0


class StopRequest(Exception):  # noqa: N818  (not an error)
    """The user, or whoever started us, wants us to end."""


class Studio:
    """The control API as a child process; its standard input is its lifeline and ends with us."""

    def __init__(self, port: int, data_dir: Path) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = data_dir / "logs" / "studio.log"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        command = [sys.executable, "-m", "apps.control_api", "--port", str(port), "--data-dir", str(data_dir)]
        command.append("--stdin-lifeline")
        self._child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the child in order
        )
        self.url = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="control-api-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if not self._ready.is_set() and line.lstrip().startswith(b"{"):
                told = json.loads(line)
                if told.get("event") == "ready":
                    self.url = told["url"].rstrip("/")
                    self._ready.set()
                    continue
            self._log.write(line)
            self._log.flush()

    def wait_ready(self) -> None:
        """Return when the API answers.

        Raises:
            RuntimeError: it ended or said nothing in time; the message holds the end of its log.
        """
        until = time.monotonic() + READY_WITHIN
        while not self._ready.wait(0.1):
            if self._child.poll() is not None or time.monotonic() > until:
                tail = self.log_path.read_bytes()[-3000:].decode("utf-8", "replace")
                raise RuntimeError(f"The control API did not start. The end of {self.log_path}:\n{tail}")

    @property
    def token(self) -> str:
        """The bearer token: the one given to us, or the one the API wrote."""
        return os.environ.get("STUDIO_TOKEN") or (self.data_dir / "token").read_text().strip()

    def wait(self) -> int:
        """Return the API's exit status when it ends by itself."""
        while self._child.poll() is None:
            time.sleep(0.3)
        return int(self._child.returncode)

    def end(self) -> None:
        """Ask the API to end, and after a while make it."""
        if self._child.poll() is None:
            assert self._child.stdin is not None
            self._child.stdin.close()
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join(2)
        self._log.close()


def _stop(number: int, frame: FrameType | None) -> None:
    raise StopRequest


def main() -> int:
    """Run until told to end; the exit status is the control API's, or 0 when we were told."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--demo", action="store_true", help="make a take, train an avatar from it, leave it talking")
    parser.add_argument("--demo-seconds", type=float, default=60.0, help="length of the demo take")
    parser.add_argument("--demo-minutes", type=float, default=1.5, help="training time of the demo avatar")
    parser.add_argument("--port", type=int, default=9001, help="port of the page and the API; 0 for any free one")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "data", help="where takes, avatars and the database lie"
    )
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    begun = time.monotonic()
    studio = Studio(args.port, args.data_dir.resolve())
    try:
        studio.wait_ready()
        page = f"{studio.url}/#token={studio.token}"
        print(f"\nThe studio is up after {time.monotonic() - begun:.1f} s. Open:\n\n  {page}\n", flush=True)
        if args.demo:
            sys.path.insert(0, str(ROOT))
            from scripts.demo import Demo, DemoError

            demo = Demo(studio.url, studio.token, studio.data_dir)
            try:
                session = demo.run(args.demo_seconds, args.demo_minutes)
            except DemoError as error:
                print(f"\nThe demo stopped: {error}\nThe studio itself goes on. Its log: {studio.log_path}", flush=True)
            else:
                live = f"{studio.url}/#/live?session={session}&token={studio.token}"
                taken = time.monotonic() - begun
                print(f"\nThe demo avatar talks, {taken:.0f} s after the start. Watch it:\n\n  {live}\n", flush=True)
                demo.keep_talking(session)
                print("The demo session has ended. The avatar stays; talk to it again from the page.", flush=True)
        print("Ctrl-C ends the studio.", flush=True)
        return studio.wait()
    except StopRequest:
        print("\nEnding the studio ...", flush=True)
        return 0
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        studio.end()


if __name__ == "__main__":
    raise SystemExit(main())

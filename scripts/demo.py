"""The demo: a take of the studio's own goes through the same calls as a user's, until an avatar talks. See start.sh."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

NAME = "Demo portrait"
CONSENT = {
    "person": NAME,
    "scope": ["train", "live", "export"],
    "statement": "The portrait is a NASA photograph in the public domain; the voice is synthetic, the mouth is drawn.",
    "agreed": True,
}
BACKGROUND = {"kind": "colour", "colour": "#2b3f5c"}
LINES = (
    "Hello! I was made a minute ago, on this very machine.",
    "大家好！我是刚刚训练好的数字人。",
    "My lips follow my own voice, and nothing left this computer.",
    "你可以在下面输入文字，让我说出来，也可以随时打断我。",
)
"""What the demo avatar says, over and over, until somebody else makes it speak or the session ends."""
PAUSE = 3.0
"""Seconds of silence between two lines."""
PATIENCE = 1800.0


class DemoError(Exception):
    """A step of the demo did not succeed; the message says which and why."""


class Demo:
    """Drives the studio over HTTP, as the page does.

    Args:
        url: Where the studio listens.
        token: Its bearer token.
        data_dir: Where the made take is kept for the next time.
    """

    def __init__(self, url: str, token: str, data_dir: Path) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=180.0, trust_env=False
        )
        self._folder = data_dir / "demo"
        self._begun = time.monotonic()

    def run(self, seconds: float, minutes: float) -> str:
        """Make the avatar, unless an earlier start did, and return the id of a live session in which it speaks.

        Args:
            seconds: Length of the take.
            minutes: Training time at most.

        Raises:
            DemoError: a step failed.
        """
        avatar = self._made_before() or self._make_avatar(seconds, minutes)
        session = self._call("POST", "/live/sessions", json={"avatar_id": avatar["id"], "background": BACKGROUND})
        self._call("POST", f"/live/sessions/{session['id']}:say", json={"text": LINES[0]})
        return str(session["id"])

    def _made_before(self) -> dict[str, Any] | None:
        """The demo avatar of an earlier start, if it is still there and ready."""
        for avatar in self._call("GET", "/avatars", params={"limit": 100})["items"]:
            if avatar["name"] == NAME and avatar["state"] == "ready":
                self._say("the demo avatar of an earlier start is ready")
                return dict(avatar)
        return None

    def _make_avatar(self, seconds: float, minutes: float) -> dict[str, Any]:
        take = self._upload(self._make_take(seconds))
        self._follow(take["job_id"], "preparing the take")
        preview = self._call("GET", f"/takes/{take['id']}").get("preview_avatar_id")
        self._say(f"a preview talks already, with no training (avatar {preview})")
        request = {"take_id": take["id"], "name": NAME, "engine": "lipbank", "minutes": minutes}
        job = self._call("POST", "/avatars:train", json=request)
        result = self._follow(job["id"], "training")
        avatar = self._call("GET", f"/avatars/{result['avatar_id']}")
        self._say(f"the avatar is {avatar['state']}; judged on what it never saw: {_short(avatar['metrics'])}")
        return avatar

    def keep_talking(self, session: str) -> None:
        """Say the lines in turn whenever the session has been silent for a while; return when it is closed."""
        lines = itertools.cycle((*LINES[1:], LINES[0]))
        silent_since = time.monotonic()
        try:
            while True:
                time.sleep(1)
                answer = self._http.get(f"/live/sessions/{session}/stats")
                stats = answer.json()
                if answer.is_error or stats["state"] in {"closed", "failed"}:
                    return
                if stats["speaking"] or stats["pending_turns"]:
                    silent_since = time.monotonic()
                elif time.monotonic() - silent_since > PAUSE:
                    self._http.post(f"/live/sessions/{session}:say", json={"text": next(lines)})
                    silent_since = time.monotonic()
        except httpx.HTTPError:
            return

    def _say(self, text: str) -> None:
        print(f"  {time.monotonic() - self._begun:5.0f} s  {text}", flush=True)

    def _make_take(self, seconds: float) -> Path:
        from lipsync.dataset.demo_take import make_demo_take

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"take-{seconds:g}.mp4"
        if path.is_file():
            self._say(f"the demo take is there already: {path.name}")
            return path
        self._say(f"making a demo take of {seconds:g} s")
        aside = path.with_suffix(".part.mp4")
        with _quiet():
            make_demo_take(aside, seconds)
        aside.rename(path)
        return path

    def _upload(self, path: Path) -> dict[str, Any]:
        self._say("sending it to the studio, which checks it")
        with path.open("rb") as video:
            return self._call(
                "POST",
                "/takes",
                files={"video": (path.name, video, "video/mp4")},
                data={"consent": json.dumps(CONSENT)},
            )

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DemoError(f"{method} {path}: {error!r}") from error
        if answer.is_error:
            raise DemoError(f"{method} {path} answered {answer.status_code}: {answer.text[:1500]}")
        found: dict[str, Any] = answer.json()
        return found

    def _follow(self, job_id: str, what: str) -> dict[str, Any]:
        """Wait for a job, telling its stages; return its result."""
        told, told_at, until = ("", -1), 0.0, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            job = self._call("GET", f"/jobs/{job_id}")
            if job["state"] == "succeeded":
                self._say(f"{what}: done")
                return dict(job["result"] or {})
            if job["state"] in {"failed", "cancelled"}:
                raise DemoError(f"{what} {job['state']}: {json.dumps(job['error'], ensure_ascii=False)}")
            now = (job["stage"], int(job["progress"] * 10))
            if now != told and (now[0] != told[0] or time.monotonic() - told_at > 5):
                left = "" if job["eta_s"] is None else f", about {job['eta_s']:.0f} s left"
                self._say(f"{what}: {job['stage'] or job['state']} {job['progress']:4.0%}{left}")
                told, told_at = now, time.monotonic()
            time.sleep(0.4)
        raise DemoError(f"{what} took longer than {PATIENCE / 60:.0f} minutes")


def _short(metrics: dict[str, Any]) -> str:
    figures = [f"{name} {value:.2f}" for name, value in metrics.items() if isinstance(value, int | float)]
    return ", ".join(figures[:8]) or "no figures"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the native libraries' chatter on standard error away while a take is made; exceptions still tell."""
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)

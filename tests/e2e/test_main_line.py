"""The main line, whole: a take goes in over HTTP and an avatar talks to a real WebRTC peer, with nothing faked."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.conftest import Studio
from tests.e2e.peer import Peer, Seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONSENT = {"person": "Demo portrait", "scope": ["train", "live", "export"], "statement": "Test.", "agreed": True}
BLUE = "#2040c0"
ENGLISH = "Maybe my mother may bake a big apple pie today, and a banana bread as well."
CHINESE = "大家好，今天我们一起看看北京的天气，外面的风大不大？"
MARGIN = 40
"""Pixels of the frame's upper corners that show background alone."""


def follow(http: httpx.Client, job_id: str, seconds: float) -> dict[str, Any]:
    """Wait for a job to succeed and return it; progress never goes back."""
    until, last = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        job = http.get(f"/jobs/{job_id}").json()
        assert job["state"] not in {"failed", "cancelled"}, job
        assert job["progress"] >= last or job["attempts"] > 1
        last = job["progress"]
        if job["state"] == "succeeded":
            return job
        time.sleep(0.2)
    raise AssertionError(f"job {job_id} not done within {seconds} s: {job}")


def send_take(http: httpx.Client, path: Path, consent: dict[str, Any]) -> httpx.Response:
    with path.open("rb") as video:
        return http.post(
            "/takes", files={"video": (path.name, video, "video/mp4")}, data={"consent": json.dumps(consent)}
        )


def gaps(frames: list[np.ndarray]) -> np.ndarray:
    """Gap between the lips in each frame, in half mouth widths; nan where no face is found."""
    from lipsync.face.landmarks import FaceTracker

    tracker, found = FaceTracker(), []
    for frame in frames:
        points = tracker.track(frame)
        if points is None:
            found.append(np.nan)
        else:
            half = np.hypot(*(points[308] - points[78])) / 2
            found.append(np.hypot(*(points[13] - points[14])) / half)
    return np.array(found)


def speech_shown(seen: Seen) -> float:
    """How well lips and sound of what was seen go together: their correlation at the best shift within 200 ms.

    The two arrive on their own clocks from the moment of watching, which differ by the jitter buffers' delay.
    """
    lips, sound = gaps(seen.frames), seen.loudness()
    best = -1.0
    for shift in range(-5, 6):
        a, b = lips[max(0, shift) :], sound[max(0, -shift) :]
        n = min(a.size, b.size)
        good = np.isfinite(a[:n])
        best = max(best, float(np.corrcoef(a[:n][good], b[:n][good])[0, 1]))
    return best


@pytest.fixture(scope="module")
def take(studio: Studio, demo_take: Path) -> dict[str, Any]:
    """The demo take, sent, judged and prepared."""
    with studio.client() as http:
        answer = send_take(http, demo_take, CONSENT)
        assert answer.status_code == 201, answer.text
        sent = answer.json()
        assert sent["report"]["ok"]
        assert not [finding for finding in sent["report"]["findings"] if finding["severity"] == "error"]
        job = follow(http, sent["job_id"], 300)
        prepared: dict[str, Any] = http.get(f"/takes/{sent['id']}").json()
        assert prepared["state"] == "prepared"
        assert job["result"]["preview_avatar_id"] == prepared["preview_avatar_id"]
        return prepared


@pytest.fixture(scope="module")
def trained(studio: Studio, take: dict[str, Any]) -> dict[str, Any]:
    """The job that trained an avatar from the take in a few steps."""
    with studio.client() as http:
        answer = http.post(
            "/avatars:train", json={"take_id": take["id"], "name": "E2E", "engine": "lipbank", "steps": 60}
        )
        assert answer.status_code == 202, answer.text
        return follow(http, answer.json()["id"], 300)


def test_take_is_keyed_and_shows_a_preview(studio: Studio, take: dict[str, Any]) -> None:
    with studio.client() as http:
        preview = http.get(f"/avatars/{take['preview_avatar_id']}").json()
        assert preview["state"] == "preview"
        alpha = http.get(f"/takes/{take['id']}/preview", params={"t": 2.0, "layer": "alpha"})
        assert alpha.status_code == 200, alpha.text
        assert alpha.headers["content-type"].startswith("image/")
    import cv2

    matte = cv2.imdecode(np.frombuffer(alpha.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert matte is not None
    height, width = matte.shape
    assert matte[: height // 12, : width // 12].mean() < 20  # screen
    assert matte[height // 3 : height // 2, width * 2 // 5 : width // 2].mean() > 235  # face


def test_training_is_judged_and_registered(studio: Studio, trained: dict[str, Any]) -> None:
    result = trained["result"]
    with studio.client() as http:
        avatar = http.get(f"/avatars/{result['avatar_id']}").json()
        model = http.get(f"/models/{result['model_id']}").json()
        assert avatar["model_id"] == model["id"]
        assert (avatar["width"], avatar["height"]) == (512, 512)
        assert {"lip_gap_corr", "sharpness", "psnr"} <= set(model["metrics"])
        assert model["take_ids"]
        assert model["consent_id"] == avatar["consent_id"]
        assert all(len(digest) == 64 for digest in model["files"].values())
        log = http.get(f"/jobs/{trained['id']}/logs").json()
        assert log["items"]


async def test_avatar_speaks_two_languages_live_and_can_be_interrupted(studio: Studio, trained: dict[str, Any]) -> None:
    async with studio.async_client() as http:
        opened = await http.post(
            "/live/sessions",
            json={"avatar_id": trained["result"]["avatar_id"], "background": {"kind": "colour", "colour": BLUE}},
        )
        assert opened.status_code == 201, opened.text
        path = f"/live/sessions/{opened.json()['id']}"
        async with Peer(http, opened.json()["id"]) as peer:
            await asyncio.sleep(0.5)
            idle = await peer.watch(2.0)
            said = await http.post(f"{path}:say", json={"text": ENGLISH})
            assert said.status_code in {200, 202}, said.text
            await asyncio.sleep(0.5)
            english = await peer.watch(3.5)
            cut = await http.post(f"{path}:interrupt")
            assert cut.status_code < 300, cut.text
            await asyncio.sleep(0.8)
            silent = await peer.watch(1.5)
            await http.post(f"{path}:say", json={"text": CHINESE})
            await asyncio.sleep(0.5)
            chinese = await peer.watch(3.5)
            stats = (await http.get(f"{path}/stats")).json()
        assert (await http.delete(path)).status_code in {200, 204}
        after = await http.post(f"{path}:say", json={"text": "Too late."})
        assert after.status_code in {404, 409}, after.text

    assert stats["frames"] > 200
    for seen in (idle, english, silent, chinese):
        assert 0.8 * 25 * seen.wall < len(seen.frames) < 1.2 * 25 * seen.wall
        assert seen.frames[0].shape == (512, 512, 3)
    red, green, blue = (int(BLUE[i : i + 2], 16) for i in (1, 3, 5))
    corner = np.median(english.frames[-1][8:MARGIN, -MARGIN:-8].reshape(-1, 3), 0)
    assert np.abs(corner - (blue, green, red)).max() < 25, corner

    for quiet in (idle, silent):
        assert quiet.loudness().max() < 0.005
        assert np.nanmean(gaps(quiet.frames)) < 0.15
    # The idle cycle moves: the picture is not frozen.
    assert np.abs(idle.frames[0].astype(int) - idle.frames[-1]).mean() > 0.3
    for speaking in (english, chinese):
        assert np.percentile(speaking.loudness(), 80) > 0.02
        lips = gaps(speaking.frames)
        assert np.isfinite(lips).mean() > 0.95
        assert np.nanstd(lips) > 3 * np.nanstd(gaps(idle.frames))
        assert speech_shown(speaking) > 0.25


def test_preview_talks_without_training_into_a_film(studio: Studio, take: dict[str, Any]) -> None:
    with studio.client() as http:
        answer = http.post(
            "/inference/video", json={"avatar_id": take["preview_avatar_id"], "text": "Hello. My name is a big apple."}
        )
        assert answer.status_code == 202, answer.text
        job = follow(http, answer.json()["id"], 180)
        film = httpx.get(httpx.URL(studio.url).join(job["file_url"]), headers=studio.headers, trust_env=False)
        assert film.status_code == 200
        assert film.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(film.content), "r") as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert 25 < len(frames) < 25 * 10
    assert np.nanstd(gaps(frames)) > 0.02


def test_unknown_avatar_and_missing_consent_are_refused(studio: Studio, demo_take: Path) -> None:
    with studio.client() as http:
        nowhere = http.post("/live/sessions", json={"avatar_id": "00000000-0000-4000-8000-000000000000"})
        assert nowhere.status_code == 404
        assert {"code", "message", "detail"} <= set(nowhere.json())
        unsure = send_take(http, demo_take, CONSENT | {"agreed": False})
        assert unsure.status_code == 422

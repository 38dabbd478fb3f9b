"""Films with transparency: what goes in as colour and matte comes out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipsync.errors import InvalidInputError
from lipsync.media.audio import load_audio
from lipsync.media.transparent import TransparentWriter, available, read_transparent
from lipsync.media.video import MediaError, VideoWriter, probe

W, H, N = 160, 96, 10
RATE = 48_000


def matte(k: int) -> np.ndarray:
    """A disc with a soft edge that wanders to the right."""
    out = np.zeros((H, W), np.uint8)
    cv2.circle(out, (40 + 6 * k, 48), 28, (255,), -1)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 2.5), np.uint8)


def picture(k: int) -> np.ndarray:
    ramp = np.linspace(40, 200, W, dtype=np.uint8)
    return np.dstack([np.tile(ramp, (H, 1)), np.full((H, W), 60 + 8 * k, np.uint8), np.tile(ramp[::-1], (H, 1))])


@pytest.mark.parametrize("ending", [".webm", ".mov"])
@pytest.mark.parametrize("pix", ["bgr24", "yuv420p"])
def test_colour_matte_and_sound_come_back(tmp_path: Path, ending: str, pix: Any) -> None:
    if ending not in available():
        pytest.skip(f"this build has no encoder for {ending} with transparency")
    path = tmp_path / f"film{ending}"
    tone = 0.4 * np.sin(np.arange(N * RATE // 25) * 2 * np.pi * 440 / RATE).astype(np.float32)
    with TransparentWriter(path, W, H, audio_rate=RATE, pix=pix, metadata={"comment": "made by a test"}) as writer:
        for k in range(N):
            bgr = picture(k)
            writer.write(
                bgr if pix == "bgr24" else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8), matte(k)
            )
            writer.write_audio(tone[k * 1920 : (k + 1) * 1920])
    info = probe(path)
    assert info.frames == N and (info.width, info.height) == (W, H) and info.fps == pytest.approx(25, abs=0.01)
    back = list(read_transparent(path))
    assert len(back) == N
    for k, (bgr, alpha) in enumerate(back):
        error = np.abs(alpha.astype(int) - matte(k))
        assert error.mean() < 1.0 and error.max() < 24, f"picture {k}: the matte is {error.mean():.2f} off"
        solid = matte(k) == 255
        assert np.abs(bgr.astype(int) - picture(k))[solid].mean() < 5
    heard = load_audio(path, RATE)
    assert abs(heard.size - tone.size) < 2000 and np.abs(heard[4000:12_000]).max() == pytest.approx(0.4, abs=0.06)
    with av.open(str(path)) as container:
        assert container.metadata.get("comment", container.metadata.get("COMMENT")) == "made by a test"


def test_webm_tells_players_that_there_is_a_matte(tmp_path: Path) -> None:
    with TransparentWriter(tmp_path / "a.webm", W, H) as writer:
        writer.write(picture(0), matte(0))
    with av.open(str(tmp_path / "a.webm")) as container:
        tags = {name.lower(): value for name, value in container.streams.video[0].metadata.items()}
    assert tags["alpha_mode"] == "1"


def test_other_endings_sizes_and_mattes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\.mp4"):
        TransparentWriter(tmp_path / "a.mp4", W, H)
    with pytest.raises(ValueError, match="even"):
        TransparentWriter(tmp_path / "a.webm", W + 1, H)
    with pytest.raises(ValueError, match="44100"):
        TransparentWriter(tmp_path / "a.webm", W, H, audio_rate=44_100)
    with TransparentWriter(tmp_path / "a.webm", W, H) as writer:
        with pytest.raises(ValueError, match="matte"):
            writer.write(picture(0), matte(0)[:50])
        with pytest.raises(ValueError, match="expected uint8"):
            writer.write(picture(0)[:50], matte(0))
        with pytest.raises(ValueError, match="without sound"):
            writer.write_audio(np.zeros(10))


def test_a_film_without_a_matte_is_said_to_have_none(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", W, H) as writer:
        writer.write(picture(0))
    with pytest.raises(MediaError) as caught:
        list(read_transparent(tmp_path / "a.mp4"))
    assert caught.value.reason == "no_alpha"

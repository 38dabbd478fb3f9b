"""HDR recordings in the standard range: figures of the standards, and pictures that went all the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipsync.media import tone
from lipsync.media.frames import scan
from lipsync.media.video import normalise, probe, read_frames

PATCHES = np.array(
    [[0, 0, 0], [0.3, 0.3, 0.3], [0.5, 0.5, 0.5], [0.58, 0.58, 0.58], [0.75, 0.75, 0.75], [0.5, 0.42, 0.38],
     [0.2, 0.5, 0.25], [0.35, 0.3, 0.5]]
)  # fmt: skip
WIDTH, HEIGHT = 256, 64


def hdr_clip(path: Path, transfer: int, rotation: int = 0, pictures: int = 30, flash: int = 25) -> Path:
    """Stripes of 10-bit BT.2020 colours; dark before ``flash`` (25 a second)."""
    wide = np.repeat(PATCHES, WIDTH // len(PATCHES), 0)[None].repeat(HEIGHT, 0)
    luma = wide @ np.array([0.2627, 0.6780, 0.0593])
    planes = (64 + 876 * luma, 512 + 896 * (wide[..., 2] - luma) / 1.8814, 512 + 896 * (wide[..., 0] - luma) / 1.4746)
    light = [np.round(p if k == 0 else p[::2, ::2]).astype(np.uint16) for k, p in enumerate(planes)]
    dark = [np.full_like(p, 64 if k == 0 else 512) for k, p in enumerate(light)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        if rotation:
            video.set_display_rotation(rotation)
        context: Any = video.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for k in range(pictures):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
            for plane, values in zip(frame.planes, light if k >= flash else dark, strict=True):
                lines = np.zeros((values.shape[0], plane.line_size // 2), np.uint16)
                lines[:, : values.shape[1]] = values
                plane.update(lines.tobytes())
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def test_light_is_that_of_the_standards() -> None:
    assert tone.pq_light(np.array([0.0, 0.5081, 0.7518, 1.0])) == pytest.approx(
        [0, 100, 1000, 10_000], rel=2e-3, abs=1e-6
    )
    light = np.array([0.1, 5, 203, 4000])
    assert tone.pq_light(tone.pq_signal(light)) == pytest.approx(light, rel=1e-6)
    # BT.2408: 75 % HLG is reference white, 203 cd/m2 on a display of 1000.
    assert tone.hlg_light(np.full((1, 3), 0.75)).mean() == pytest.approx(203, rel=0.01)
    assert tone.hlg_light(np.full((1, 3), 1.0)).mean() == pytest.approx(1000, rel=0.01)


def test_the_curve_leaves_the_dark_alone_and_fits_the_bright() -> None:
    light = np.linspace(0.1, 1000, 500)
    shown = tone.rolled_off(light)
    assert (np.diff(shown) > 0).all() and shown.max() == pytest.approx(203, rel=0.01)
    assert shown[light < 80] == pytest.approx(light[light < 80], rel=1e-6)
    assert tone.rolled_off(np.array([10_000.0]))[0] == pytest.approx(203, rel=0.01)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_pictures_come_out_as_the_curve_says(tmp_path: Path, transfer: int, name: str) -> None:
    path = hdr_clip(tmp_path / "a.mp4", transfer)
    assert probe(path).hdr == name
    wanted = tone.to_standard(PATCHES, name) * 255
    where = (np.arange(len(PATCHES)) + 0.5) * WIDTH / len(PATCHES)
    pictures = list(read_frames(path))
    assert len(pictures) == 30 and pictures[24].max() < 4, "the flash is where it was"
    for picture in (pictures[25], scan(path, every=0.04).samples[-1][1]):
        assert np.abs(picture[HEIGHT // 2, where.astype(int), ::-1] - wanted).max() < 3
    made = normalise(path, tmp_path / "out.mp4")
    assert made.hdr is None and made.colour == "bt601" and made.bit_depth == 8
    stored = list(read_frames(tmp_path / "out.mp4"))
    assert stored[24].max() < 6 and np.abs(stored[25][HEIGHT // 2, where.astype(int), ::-1] - wanted).max() < 12


def test_a_turned_phone_in_hdr_stands_upright(tmp_path: Path) -> None:
    path = hdr_clip(tmp_path / "a.mp4", 18, rotation=90, pictures=4, flash=0)
    info = probe(path)
    picture = next(read_frames(path))
    assert info.rotation in (90, 270) and picture.shape == (WIDTH, HEIGHT, 3)
    ends = picture[[4, -4], HEIGHT // 2].mean(-1)
    assert (ends[0] < 3) != (ends[1] < 3), "the black stripe is at one end of the upright picture"

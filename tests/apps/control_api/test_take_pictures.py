"""Single pictures of a take: no colour of the screen on the person, parts that add up, quick when looked at again."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps.control_api.services import take_pictures
from lipsync.dataset.take import ALPHA, META, SCREEN, VIDEO, TakeError
from lipsync.media.video import VideoWriter
from tests.fakes.drawn_take import drawn_take

GREEN = (40, 200, 50)
SKIN = (140, 160, 200)
HAIR = (30, 45, 60)
COAT = (120, 60, 40)
SIDE = 256


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn take whose pictures are replaced: a head with soft edges before a green screen, the screen known."""
    folder = tmp_path_factory.mktemp("takes") / "drawn"
    made = drawn_take(folder, seconds=1.0, size=SIDE)
    matte = np.zeros((SIDE, SIDE), np.uint8)
    centre = made.landmarks[0].mean(0)
    cv2.ellipse(matte, (int(centre[0]), int(centre[1]) - 10), (62, 84), 0, 0, 360, (255,), -1)
    cv2.rectangle(matte, (20, 225), (SIDE - 20, SIDE), (255,), -1)
    matte = np.asarray(cv2.GaussianBlur(matte, (0, 0), 3), np.uint8)
    share = matte[..., None] / 255.0
    person = np.full((SIDE, SIDE, 3), SKIN, np.float32)
    person[: int(centre[1]) - 45] = HAIR
    person[205:] = COAT
    picture = np.round(person * share + np.array(GREEN) * (1 - share)).astype(np.uint8)
    with (
        VideoWriter(folder / VIDEO, SIDE, SIDE, crf=4, pix="bgr24") as video,
        VideoWriter(folder / ALPHA, SIDE, SIDE, crf=4, pix="gray") as alpha,
    ):
        for _ in range(made.n):
            video.write(picture)
            alpha.write(matte)
    np.savez(folder / SCREEN, field=np.full((64, 64), GREEN[1] - GREEN[2], np.float32))
    screen = {"kind": "green", "colour": GREEN, "low": 0.05, "high": 0.98}
    (folder / META).write_text(json.dumps({**made.meta, "screen": screen}))
    return folder


def drawn(take: Path, layer: str, t: float = 0.2, width: int | None = None) -> np.ndarray:
    data, kind = take_pictures.draw(take, t, layer, width)
    assert kind == ("image/jpeg" if layer in ("original", "alpha") else "image/png")
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def excess(bgr: np.ndarray) -> np.ndarray:
    """How far green stands above the other two."""
    wide = bgr.astype(int)
    return wide[..., 1] - np.maximum(wide[..., 0], wide[..., 2])


def test_no_green_is_left_at_the_edge_of_the_person(take: Path) -> None:
    keyed = drawn(take, "keyed")
    soft = (keyed[..., 3] > 40) & (keyed[..., 3] < 220)
    assert soft.sum() > 200
    assert excess(drawn(take, "original"))[soft].mean() > 40, "the recording itself shows the screen there"
    assert np.percentile(excess(keyed[..., :3])[soft], 99) <= 2


def test_face_hair_and_shoulders_add_up_to_the_person(take: Path) -> None:
    keyed = drawn(take, "keyed")
    parts = {layer: drawn(take, layer) for layer in ("face", "hair", "shoulders")}
    assert (sum(part[..., 3].astype(int) for part in parts.values()) == keyed[..., 3]).all()
    for part in parts.values():
        assert (part[..., :3] == keyed[..., :3]).all()
        assert (part[..., 3] > 200).sum() > 100
    down = {layer: np.nonzero(part[..., 3] > 128)[0].mean() for layer, part in parts.items()}
    assert down["hair"] < down["face"] < down["shoulders"]


def test_pictures_follow_a_new_preparation_and_end_with_the_take(take: Path, tmp_path: Path) -> None:
    folder = take.rename(tmp_path / "moved")
    try:
        assert drawn(folder, "keyed", width=64).shape == (64, 64, 4)
        assert drawn(folder, "keyed", t=99).shape == (SIDE, SIDE, 4)
        known = take_pictures._take.cache_info().hits
        drawn(folder, "face")
        assert take_pictures._take.cache_info().hits > known
        meta = json.loads((folder / META).read_text())
        (folder / META).write_text(json.dumps({**meta, "screen": {"kind": "none"}}))
        assert excess(drawn(folder, "keyed")[..., :3]).max() > 40, "the pictures of the old preparation were shown"
        (folder / META).rename(folder / "gone")
        with pytest.raises(TakeError):
            drawn(folder, "keyed")
    finally:
        folder.rename(take)

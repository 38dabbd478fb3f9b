"""The contact sheet shows moments in order, as filmed and cut out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lipsync.dataset.contact_sheet import contact_sheet, moments
from lipsync.dataset.take import ALPHA, VIDEO, PreparedTake
from lipsync.errors import InvalidInputError
from lipsync.media.video import VideoWriter
from tests.fakes.drawn_take import drawn_take

SIDE, GAP = 256, 6


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> PreparedTake:
    """One second that grows brighter, whose person is a disc."""
    folder = tmp_path_factory.mktemp("takes") / "drawn"
    made = drawn_take(folder, seconds=1.0, size=SIDE)
    matte = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(matte, (128, 128), 80, (255,), -1)
    with (
        VideoWriter(folder / VIDEO, SIDE, SIDE, crf=6) as video,
        VideoWriter(folder / ALPHA, SIDE, SIDE, crf=6, pix="gray") as alpha,
    ):
        for k in range(made.n):
            video.write(np.full((SIDE, SIDE, 3), 30 + 6 * k, np.uint8))
            alpha.write(matte)
    return made


def test_moments_are_spread_and_never_outside() -> None:
    assert moments(100, 4) == [12, 37, 62, 87]
    assert moments(3, 8) == [0, 1, 2]
    for n in (1, 7, 250):
        assert all(0 <= index < n for index in moments(n, 8))


def test_cells_show_their_moments_filmed_above_and_cut_out_below(take: PreparedTake) -> None:
    sheet = contact_sheet(take, columns=3, rows=2, cell=120)
    assert sheet.shape == (2 * (240 + GAP) + GAP, 3 * (120 + GAP) + GAP, 3) and sheet.dtype == np.uint8
    for place, index in enumerate(moments(take.n, 6)):
        row, column = divmod(place, 3)
        y, x = GAP + row * (240 + GAP), GAP + column * (120 + GAP)
        filmed, cut = sheet[y : y + 120, x : x + 120], sheet[y + 120 : y + 240, x : x + 120]
        # Half a step, and what the colours lose on their way through I420.
        assert abs(int(filmed[60, 60].mean()) - (30 + 6 * index)) <= 5
        assert abs(int(cut[60, 60].mean()) - (30 + 6 * index)) <= 5, "the person is solid below"
        corner = cut[:24, :24, 0]
        assert corner.min() >= 185 and corner.max() <= 240 and np.ptp(corner) > 30, "no chequered ground"
        assert (filmed[:20, :70].max() - filmed[100:, 100:].max()) > 50, "no time is written"
    assert (sheet[:GAP] == 245).all() and (sheet[:, -GAP:] == 245).all()


def test_a_take_without_a_matte_shows_pictures_only(take: PreparedTake, tmp_path: Path) -> None:
    bare = drawn_take(tmp_path / "bare", seconds=0.4, size=64)
    (bare.folder / ALPHA).unlink(missing_ok=True)
    assert contact_sheet(bare, 4, 1, 64).shape == (64 + 2 * GAP, 4 * (64 + GAP) + GAP, 3)


@pytest.mark.parametrize("figures", [(0, 1, 100), (1, 13, 100), (4, 2, 63), (4, 2, 641)])
def test_sheets_of_no_use_are_refused(take: PreparedTake, figures: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInputError, match="sheet"):
        contact_sheet(take, *figures)

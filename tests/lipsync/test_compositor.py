import cv2
import numpy as np
import pytest

from lipsync.compositor import Background, Compositor, MarkSpec, regions
from lipsync.engine import Patch
from lipsync.errors import InvalidInputError
from lipsync.frame_cycle import BaseClip
from lipsync.mark import TEXTS, Mark
from lipsync.media.video import VideoWriter
from tests.fakes.bar_engine import drawn_clip

W, H = 160, 120


@pytest.fixture(scope="module")
def clip() -> BaseClip:
    pictures, mattes = drawn_clip(4, W, H)
    soft = np.stack([cv2.GaussianBlur(m, (0, 0), 1.5) for m in mattes])
    return BaseClip(pictures, np.zeros((4, 478, 2), np.float32), soft)


def cut(frame, x, y, w, h):
    return np.concatenate([p.ravel() for p in regions(frame, H, (x, y, w, h))]).reshape(h * 3 // 2, w)


def patch_of(clip, index, add, x=60, y=50, w=40, h=30) -> Patch:
    own = cut(clip.i420(index), x, y, w, h).astype(int)
    return Patch(x, y, np.clip(own + add, 0, 255).astype(np.uint8))


def test_without_a_patch_the_frame_is_its_own_copy(clip):
    frame = Compositor(clip).compose(1, None)
    assert np.array_equal(frame, clip.i420(1))
    frame[:] = 0
    assert clip.i420(1).max() > 0


def test_a_patch_replaces_its_region_only(clip):
    patch = patch_of(clip, 1, 30)
    frame = Compositor(clip).compose(1, patch)
    assert np.array_equal(cut(frame, 60, 50, 40, 30), patch.i420)
    rest = frame.copy()
    for a, b in zip(regions(rest, H, (60, 50, 40, 30)), regions(clip.i420(1), H, (60, 50, 40, 30)), strict=True):
        a[:] = b
    assert np.array_equal(rest, clip.i420(1))


def test_a_masked_patch_fades(clip):
    base = patch_of(clip, 0, 40)
    mask = np.zeros((30, 40), np.uint8)
    mask[:, 20:] = 255
    frame = Compositor(clip).compose(0, Patch(base.x, base.y, base.i420, mask))
    own = clip.i420(0)[50:80, 60:100].astype(int)
    got = frame[50:80, 60:100].astype(int)
    assert np.array_equal(got[:, :20], own[:, :20])
    assert np.array_equal(got[:, 20:], own[:, 20:] + 40)


def test_out_is_filled_and_returned(clip):
    out = np.empty((H * 3 // 2, W), np.uint8)
    assert Compositor(clip).compose(2, None, out) is out
    assert np.array_equal(out, clip.i420(2))


def test_a_colour_shows_behind_and_the_person_before(clip):
    frame = Compositor(clip, Background("colour", "#ff0000")).compose(0, None)
    bgr = cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420)
    assert np.abs(bgr[4, 4].astype(int) - [0, 0, 255]).max() < 8
    assert abs(int(frame[H // 2, W // 2]) - 120) <= 1


def test_no_green_is_left_at_the_edge(clip):
    bgr = cv2.cvtColor(
        Compositor(clip, Background("colour", "#808080")).compose(0, None), cv2.COLOR_YUV2BGR_I420
    ).astype(int)
    green = bgr[..., 1] - np.maximum(bgr[..., 0], bgr[..., 2])
    assert green.max() < 40
    plain = cv2.cvtColor(clip.i420(0), cv2.COLOR_YUV2BGR_I420).astype(int)
    assert (plain[..., 1] - np.maximum(plain[..., 0], plain[..., 2])).max() > 100


def test_on_another_background_an_unchanged_patch_changes_nothing(clip):
    compositor = Compositor(clip, Background("colour", "#204060"))
    same = patch_of(clip, 3, 0, x=0, y=0, w=W, h=H)
    assert np.array_equal(compositor.compose(3, same), compositor.compose(3, None))


def test_on_another_background_a_patch_stays_inside_the_person(clip):
    compositor = Compositor(clip, Background("colour", "#204060"))
    patch = patch_of(clip, 0, 30, x=0, y=0, w=W, h=H)
    delta = compositor.compose(0, patch)[:H].astype(int) - compositor.compose(0, None)[:H]
    assert np.abs(delta[H // 2 - 5 : H // 2 + 5, W // 2 - 5 : W // 2 + 5] - 30).max() <= 1
    assert delta[:6, :6].max() == 0


def test_blur_keeps_the_persons_colour_out(clip):
    frame = Compositor(clip, Background("blur")).compose(0, None)
    assert abs(int(frame[H // 2, W // 2]) - 120) <= 1
    assert abs(int(frame[3, 3]) - 150) <= 3


def test_an_image_covers(clip, tmp_path):
    picture = np.zeros((50, 300, 3), np.uint8)
    picture[:, 100:200] = (255, 0, 0)
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    frame = Compositor(clip, Background("image", path=tmp_path / "b.png")).compose(0, None)
    bgr = cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420)
    assert np.abs(bgr[2, W // 2].astype(int) - [255, 0, 0]).max() < 10


def test_a_video_moves_and_repeats(clip, tmp_path):
    with VideoWriter(tmp_path / "b.mp4", 64, 48) as writer:
        for grey in (40, 120, 200):
            writer.write(np.full((48, 64, 3), grey, np.uint8))
    compositor = Compositor(clip, Background("video", path=tmp_path / "b.mp4"))
    seen = [int(compositor.compose(0, None)[2, 2]) for _ in range(6)]
    assert len({round(s / 20) for s in seen}) == 3
    assert abs(seen[0] - seen[3]) < 4
    patched = compositor.compose(0, patch_of(clip, 0, 30))
    assert abs(int(patched[H // 2, W // 2]) - 150) <= 2


def test_bad_backgrounds(clip, tmp_path):
    bare = BaseClip(np.stack([clip.i420(0)]), np.zeros((1, 478, 2), np.float32))
    with pytest.raises(InvalidInputError):
        Compositor(bare, Background("colour"))
    (tmp_path / "x.png").write_text("no picture")
    for make in (
        lambda: Background("colour", "red"),
        lambda: Background("image"),
        lambda: Background("nosuch"),  # type: ignore[arg-type]
        lambda: Compositor(clip, Background("image", path=tmp_path / "x.png")),
    ):
        with pytest.raises(InvalidInputError):
            make()


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("corner", ["top-left", "bottom-right"])
def test_the_mark_is_visible_and_high_enough(clip, language, corner):
    spec = MarkSpec(language, corner)  # type: ignore[arg-type]
    mark = Mark(spec, 1080, 1920)
    assert mark.letters >= 0.05 * 1080
    frame = Compositor(clip, None, spec).compose(0, None)
    changed = np.abs(frame[:H].astype(int) - clip.i420(0)[:H]) > 40
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows[-1] - rows[0] + 1 >= 0.05 * H
    assert (rows.mean() < H / 2) == corner.startswith("top")
    assert (columns.mean() < W / 2) == corner.endswith("left")
    letters = frame[:H][changed]
    assert letters.max() > 200


def test_marks_that_are_refused():
    for bad in ({"height": 0.04}, {"language": "fr"}, {"corner": "middle"}):
        with pytest.raises(InvalidInputError):
            MarkSpec(**bad)


def test_baking_ahead_equals_baking_late(clip):
    early, late = (Compositor(clip, Background("colour", "#204060")) for _ in range(2))
    early.bake()
    assert np.array_equal(early.compose(2, None), late.compose(2, None))


def test_a_transparent_frame_laid_over_a_colour_is_the_frame_on_that_colour(clip):
    mark = MarkSpec("en", "top-left", 0.1)
    through, solid = (
        Compositor(clip, Background("transparent"), mark),
        Compositor(clip, Background("colour", "#808080")),
    )
    patch = patch_of(clip, 1, 30)
    alone, matte = through.compose(1, patch), through.matte(1)
    label = through._mark
    assert (matte[label.y : label.y + label.h, label.x : label.x + label.w] == 255).all()
    outside = clip.alpha_half(1) == 0
    assert outside.any()
    for plane in regions(Compositor(clip, Background("transparent")).compose(1, None), H, (0, 0, W, H))[1:]:
        assert (plane[outside] == 128).all(), "the screen's colour is left where nothing is solid"
    share = clip.alpha(1).astype(float) / 255
    grey = solid.compose(1, None)[:2, :2].mean()
    laid = alone[:H] * share + grey * (1 - share)
    wanted = solid.compose(1, patch)[:H].astype(float)
    free = np.ones((H, W), bool)
    free[label.y : label.y + label.h, label.x : label.x + label.w] = False
    assert np.abs(laid - wanted)[free].mean() < 2
    assert np.array_equal(clip.alpha(1)[free], matte[free])
    with pytest.raises(InvalidInputError, match="screen"):
        Compositor(BaseClip(clip.i420(0)[None].copy(), clip.landmarks[:1]), Background("transparent"))

"""Likeness of structure, and the perceptual distance where its network is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipsync.errors import UnavailableError
from lipsync.evaluation import Reel, compare
from lipsync.face.square import squares
from lipsync.frame_cycle import BaseClip
from lipsync.picture_figures import lpips, ssim
from tests.fakes.drawn_take import face_points, paint, syllables
from tests.fakes.drawn_tracker import DrawnTracker

N, SIZE = 55, 192


@pytest.fixture(scope="module")
def frames() -> tuple[list[np.ndarray], np.ndarray]:
    landmarks = face_points(syllables(N, 0)[0], 0) * (SIZE / 512)
    texture = np.random.default_rng(0).normal(0, 6, (SIZE, SIZE))
    return [paint(p, SIZE, texture)[0] for p in landmarks], landmarks


def test_structure_is_lost_with_blur_and_not_with_brightness(frames: tuple[list[np.ndarray], np.ndarray]) -> None:
    import cv2

    real, landmarks = frames
    laid = squares(landmarks)
    assert ssim(real, real, laid) == pytest.approx(1)
    brighter = [np.clip(f.astype(int) + 8, 0, 255).astype(np.uint8) for f in real]
    soft = [cv2.GaussianBlur(f, (0, 0), 2) for f in real]
    assert ssim(brighter, real, laid) > 0.95 > 0.8 > ssim(soft, real, laid)


def test_the_lips_distance_is_of_points_found_in_the_pictures(
    frames: tuple[list[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipsync.evaluation import _measure

    monkeypatch.setattr("lipsync.face.landmarks.FaceTracker", DrawnTracker)
    real, landmarks = frames
    base, laid = BaseClip(np.stack(real), landmarks), squares(landmarks)
    seen = _measure(real)
    same = compare(seen, seen, laid, base)
    assert (same["lip_l1"], same["lip_l2"], same["faces_found"]) == (0, 0, 1)
    moved = Reel(real, seen.gap, seen.width, seen.lips + np.array([0.0, 2.0]))
    eyes = np.linalg.norm(landmarks[:, 33] - landmarks[:, 263], axis=-1)
    figures = compare(moved, seen, laid, base)
    assert figures["lip_l1"] == pytest.approx(figures["lip_l2"]) == pytest.approx(float((200 / eyes).mean()), rel=1e-3)
    gone = seen.lips.copy()
    gone[: N // 2] = np.nan
    assert compare(Reel(real, seen.gap, seen.width, gone), seen, laid, base)["faces_found"] == pytest.approx(
        1 - (N // 2) / N
    )


def test_the_perceptual_distance_is_what_its_network_says(
    frames: tuple[list[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    import onnx
    from onnx import TensorProto, helper

    shape = [1, 3, "h", "w"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("a", "b")]
    output = helper.make_tensor_value_info("d", TensorProto.FLOAT, [])
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["x"]),
        helper.make_node("Abs", ["x"], ["y"]),
        helper.make_node("ReduceMean", ["y"], ["d"], keepdims=0),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, [output]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    onnx.save(model, tmp_path / "m.onnx")
    real, landmarks = frames
    laid = squares(landmarks)
    assert lpips(real, real, laid, tmp_path / "m.onnx") == 0
    other = [np.clip(f.astype(int) + 20, 0, 255).astype(np.uint8) for f in real]
    assert 0.05 < lpips(other, real, laid, tmp_path / "m.onnx") < 0.5
    (tmp_path / "no.onnx").write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match="not the LPIPS"):
        lpips(real, real, laid, tmp_path / "no.onnx")

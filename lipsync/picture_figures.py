"""Figures of pictures: how near generated frames are to recorded ones, and how they differ where an eye looks.

All of them are measured in boxes laid by the face (``lipsync.face.square``), frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync.engine import HOP
from lipsync.errors import UnavailableError
from lipsync.face.square import FACE, MOUTH, REGION, SIDE, Squares, squares

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

U8 = NDArray[np.uint8]
Area = tuple[int, int, int, int]

_STRIP = 10
_LPIPS_SIZE = (128, 112)
"""Width and height the lower face is brought to for LPIPS."""


def write_samples(
    folder: Path, sound: NDArray[np.float32], real: Sequence[U8], generated: Sequence[U8], laid: Squares
) -> None:
    """Write ``real.mp4``, ``generated.mp4`` (with the sound, 16 kHz) and ``strip.png`` (real above generated)."""
    from lipsync.media.video import VideoWriter

    folder.mkdir(parents=True, exist_ok=True)
    height, width = real[0].shape[0] * 2 // 3, real[0].shape[1]
    for name, frames in (("real.mp4", real), ("generated.mp4", generated)):
        with VideoWriter(folder / name, width, height, audio_rate=16000, crf=12, pix="yuv420p") as writer:
            for k, frame in enumerate(frames):
                writer.write(frame)
                writer.write_audio(sound[k * HOP : (k + 1) * HOP])
    spread = np.linspace(0, len(real) - 1, _STRIP + 2).astype(int)[1:-1]
    middle = len(real) // 2
    row = np.arange(middle, min(middle + _STRIP, len(real)))
    rows = [strip(frames, laid, at) for at in (spread, row) for frames in (real, generated)]
    cv2.imwrite(str(folder / "strip.png"), np.vstack(rows))


def strip(frames: Sequence[U8], laid: Squares, at: NDArray[np.intp], height: int = 168) -> U8:
    """Lower faces of some frames side by side, BGR."""
    out = []
    for k in at:
        left, top, right, bottom = laid.box(int(k), REGION, frames[k].shape[1], frames[k].shape[0] * 2 // 3)
        width = round(height * (REGION[2] - REGION[0]) / (REGION[3] - REGION[1]))
        cut = bgr(frames[k])[top:bottom, left:right]
        out.append(np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))
    return np.hstack(out)


def bgr(frame: U8) -> U8:
    """A frame as BGR (h, w, 3)."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420), np.uint8)


def boxes(frames: Sequence[U8], laid: Squares, area: Area) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of an area, given in units, in each frame."""
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    for k in range(len(frames)):
        left, top, right, bottom = laid.box(k, area, width, height)
        yield slice(top, bottom), slice(left, right)


def psnr(generated: Sequence[U8], real: Sequence[U8], laid: Squares) -> float:
    """Peak signal to noise of the mouth box in dB, mean of the frames."""
    values = []
    for a, b, box in zip(generated, real, boxes(real, laid, MOUTH), strict=True):
        error = bgr(a)[box].astype(np.float64) - bgr(b)[box]
        values.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-2)))
    return float(np.mean(values))


def sharpness(frames: Sequence[U8], laid: Squares) -> float:
    """Mean absolute Laplacian of the luma in the mouth box."""
    values = [
        np.abs(cv2.Laplacian(f[box].astype(np.float32), cv2.CV_32F)).mean()
        for f, box in zip(frames, boxes(frames, laid, MOUTH), strict=True)
    ]
    return float(np.mean(values))


def jitter(generated: Sequence[U8], real: Sequence[U8], laid: Squares, area: Area = FACE) -> float:
    """Mean absolute frame-to-frame change of the luma error over an area."""
    before: NDArray[np.int16] | None = None
    values = []
    for a, b, box in zip(generated, real, boxes(real, laid, area), strict=True):
        height = len(a) * 2 // 3
        error = a[:height].astype(np.int16) - b[:height]
        if before is not None:
            values.append(np.abs(error - before)[box].mean())
        before = error
    return float(np.mean(values))


def seam(generated: Sequence[U8], real: Sequence[U8], laid: Squares) -> float:
    """Luma gradient along the outline of what was changed, generated against real."""
    ours, theirs = [], []
    kernel = np.ones((5, 5), np.uint8)
    for a, b, box in zip(generated, real, boxes(real, laid, REGION), strict=True):
        x, y = a[: len(a) * 2 // 3][box], b[: len(b) * 2 // 3][box]
        changed = cv2.morphologyEx((cv2.absdiff(x, y) > 3).astype(np.uint8), cv2.MORPH_CLOSE, kernel, iterations=2)
        changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, kernel)
        edge = cv2.morphologyEx(changed, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        if edge.any():
            ours.append(_gradient(x)[edge].mean())
            theirs.append(_gradient(y)[edge].mean())
    return float(np.mean(ours) / max(float(np.mean(theirs)), 1e-6)) if ours else 1.0


def _gradient(luma: U8) -> NDArray[np.float32]:
    return np.asarray(
        cv2.magnitude(cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125)),
        np.float32,
    )


def mean_mouth(take: PreparedTake) -> NDArray[np.float32]:
    """The mean of the training part's squares, BGR float (160, 160, 3): every fifth frame."""
    part = take.train
    laid = squares(take.landmarks[part.start : part.stop])
    total, count = np.zeros((SIDE, SIDE, 3), np.float64), 0
    for k, frame in enumerate(take.frames(part.start, part.stop)):
        if k % 5 == 0:
            matrix = laid.matrix(k)
            total += cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            count += 1
    return (total / max(count, 1)).astype(np.float32)


def psnr_of_mean(mean: NDArray[np.float32], real: Sequence[U8], laid: Squares) -> float:
    """The PSNR a motionless mean mouth would reach: what a model has to beat."""
    values = []
    for k, (frame, box) in enumerate(zip(real, boxes(real, laid, MOUTH), strict=True)):
        picture = bgr(frame)
        matrix = laid.matrix(k)
        size = (picture.shape[1], picture.shape[0])
        worn = cv2.warpAffine(mean, matrix, size, flags=cv2.INTER_LINEAR)
        error = worn[box].astype(np.float64) - picture[box]
        values.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-2)))
    return float(np.mean(values))


def ssim(generated: Sequence[U8], real: Sequence[U8], laid: Squares) -> float:
    """Structural similarity (Wang et al., 2004) of the luma in the mouth box, mean of the frames, -1..1."""
    from skimage.metrics import structural_similarity

    values = []
    for a, b, box in zip(generated, real, boxes(real, laid, MOUTH), strict=True):
        x, y = a[: len(a) * 2 // 3][box], b[: len(b) * 2 // 3][box]
        side = min(7, *(n - 1 + n % 2 for n in x.shape))
        if side >= 3:
            values.append(structural_similarity(x, y, win_size=side, data_range=255))
    return float(np.mean(values)) if values else 1.0


def lpips(generated: Sequence[U8], real: Sequence[U8], laid: Squares, model: Path) -> float:
    """Learned perceptual distance (Zhang et al., 2018) of the lower face, mean of every fifth frame.

    Args:
        generated: I420 frames.
        real: The recorded ones.
        laid: Squares of the recorded ones.
        model: The network as ONNX: two pictures (1, 3, h, w), RGB in -1..1, to a distance.

    Raises:
        UnavailableError: The file is no such network.
    """
    import onnxruntime

    def picture(frame: U8, box: tuple[slice, slice]) -> NDArray[np.float32]:
        cut = cv2.resize(bgr(frame)[box], _LPIPS_SIZE, interpolation=cv2.INTER_AREA)[..., ::-1]
        return np.ascontiguousarray(cut.transpose(2, 0, 1)[None], np.float32) / 127.5 - 1

    try:
        network: Any = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        first, second = (i.name for i in network.get_inputs())
        values = [
            float(np.mean(network.run(None, {first: picture(a, box), second: picture(b, box)})[0]))
            for k, (a, b, box) in enumerate(zip(generated, real, boxes(real, laid, REGION), strict=True))
            if k % 5 == 0
        ]
    except Exception as error:  # onnxruntime has no base class of its own errors
        raise UnavailableError(f"{model.name} is not the LPIPS network: {error}", "Take the file away.") from error
    return float(np.mean(values))

"""The key on a GPU: what is done for every pixel in torch, what is decided about regions in the CPU's own code.

Results equal those of ``lipsync.media.matting.Keyer`` within 2 of 255 for pictures of at least 256 pixels a side:
resizing is linear, so its matrices are taken from OpenCV and multiplied here.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from lipsync.media.matting import (
    SMOOTH_FROM,
    WORK,
    Keyer,
    Picture,
    Plane,
    Screen,
    own_difference,
    regions,
    smoothing,
)


class TorchKeyer(Keyer):
    """A ``Keyer`` whose full-size work runs on ``device``. Not thread-safe.

    Args:
        screen: From ``fit_screen``.
        width, height: Size of the pictures.
        device: A torch device name.
    """

    def __init__(self, screen: Screen, width: int, height: int, device: str = "cuda") -> None:
        super().__init__(screen, width, height)
        self._device = torch.device(device)
        if self._field is not None:
            self._plate = self._up(self._field)
            self._shrink = self._resizers(cv2.INTER_AREA, shrink=True)
            self._grow = self._resizers(cv2.INTER_LINEAR, shrink=False)
            self._kernel = None
            if screen.noise >= SMOOTH_FROM:
                sigma = smoothing(screen.noise)
                # The size OpenCV chooses for float pictures.
                size = round(sigma * 8 + 1) | 1
                self._kernel = self._up(np.asarray(cv2.getGaussianKernel(size, sigma, cv2.CV_32F), np.float32))

    def key(self, bgr: Picture, person: Plane) -> Picture:
        """As ``Keyer.key``."""
        if self._field is None or self._small_field is None:
            return super().key(bgr, person)
        if person.shape != (WORK, WORK):
            person = np.asarray(cv2.resize(person, (WORK, WORK), interpolation=cv2.INTER_LINEAR), np.float32)
        person = self._refined(bgr, person)
        with torch.inference_mode():
            picture = self._up(bgr).to(torch.float32)
            key, other = (1, 0) if self.screen.kind == "green" else (0, 1)
            difference = picture[..., key] - torch.maximum(picture[..., other], picture[..., 2])
            if self._kernel is not None:
                difference = self._blurred(difference)
            small = self._resized(difference, self._shrink).cpu().numpy()
            own = self._resized(self._up(own_difference(small, person, self._small_field)), self._grow)
            gain = 255.0 / (self.screen.high - self.screen.low)
            value = (self._plate - difference) / (self._plate - own) * gain - self.screen.low * gain
            alpha = value.round().clamp(0, 255)
            reduced = self._resized(alpha, self._shrink).round().to(torch.uint8).cpu().numpy()
            lift, cap = (
                self._resized(self._up(b).to(torch.float32), self._grow).round() for b in regions(reduced, person)
            )
            return np.asarray(torch.minimum(torch.maximum(alpha, lift), cap).to(torch.uint8).cpu().numpy())

    def _up(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _resizers(self, method: int, *, shrink: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrices that resize columns and rows between the picture's size and the small one."""
        out = []
        for side in (self._size[1], self._size[0]):
            source, target = (side, WORK) if shrink else (WORK, side)
            unit = np.eye(source, dtype=np.float32)
            out.append(self._up(cv2.resize(unit, (source, target), interpolation=method)))
        return out[0], out[1].T.contiguous()

    @staticmethod
    def _resized(plane: torch.Tensor, matrices: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return matrices[0] @ plane @ matrices[1]

    def _blurred(self, plane: torch.Tensor) -> torch.Tensor:
        assert self._kernel is not None  # noqa: S101 (for the type checker; the caller has looked)
        half = self._kernel.shape[0] // 2
        padded = F.pad(plane[None, None], (half, half, half, half), mode="reflect")
        rows = F.conv2d(padded, self._kernel.reshape(1, 1, -1, 1))
        return F.conv2d(rows, self._kernel.reshape(1, 1, 1, -1))[0, 0]


def open_keyer(screen: Screen, width: int, height: int, device: str = "auto") -> Keyer:
    """A keyer on the device asked for: "cpu" for OpenCV, "cuda" or another torch device, "auto" for what there is."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Keyer(screen, width, height) if device == "cpu" else TorchKeyer(screen, width, height, device)

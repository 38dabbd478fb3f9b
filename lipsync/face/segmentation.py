"""Person segmentation: a rough "here is a person" that a key refines."""

from __future__ import annotations

from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray


class PersonSegmenter:
    """Where the person is, picture by picture. Not thread-safe; a context manager.

    The network sees 256 x 256 pixels whatever the picture's size, so its outline is good to a few hundredths of the
    picture and knows no hair.
    """

    SIZE = 256

    def __init__(self) -> None:
        from lipsync.face.mediapipe_graphs import SelfieSegmentation

        self._graph = SelfieSegmentation()

    def segment(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability 0..1 of a person, float32 (256, 256), stretched over the whole picture."""
        small = cv2.resize(bgr, (self.SIZE, self.SIZE), interpolation=cv2.INTER_AREA)
        return self._graph.process(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8))

    def close(self) -> None:
        """End the network's threads."""
        self._graph.close()

    def __enter__(self) -> PersonSegmenter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""What a training has finished already, kept in a folder so that one that is begun again does not do it again.

A stage's small values are one safetensors file, written aside and renamed: it is there whole or not at all. Its films
lie beside it and are written before it, so that the file vouches for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.progress import Progress

Tensors = dict[str, NDArray[Any]]
_KEY = "of.json"


class Checkpoint:
    """The stages of one training.

    Args:
        folder: Where they are kept; made if missing. Whoever gave it removes it.
        key: What the training is made of (JSON values); a folder of another key is emptied.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        wanted = json.dumps(key, sort_keys=True)
        mark = folder / _KEY
        if not mark.is_file() or mark.read_text("utf-8") != wanted:
            for file in folder.iterdir():
                file.unlink()
            _write(mark, wanted.encode())

    def stage(self, name: str, make: Callable[[], Tensors], progress: Progress) -> Tensors:
        """The values of a stage: those kept, or those that ``make`` returns, kept from now on."""
        from safetensors import SafetensorError
        from safetensors.numpy import load, save

        path = self.folder / f"{name}.safetensors"
        if path.is_file():
            try:
                kept = load(path.read_bytes())
            except SafetensorError as error:  # a disk that lost power may keep a name without its content
                progress.log(f"What was kept of '{name}' is damaged ({error}); it is made again.")
            else:
                progress.log(f"Goes on from what was kept of '{name}'.")
                return dict(kept)
        made = make()
        _write(path, save({key: np.ascontiguousarray(value) for key, value in made.items()}))
        return made


def _write(path: Path, data: bytes) -> None:
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)

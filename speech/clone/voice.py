"""A trained voice, loaded from its bundle: text in, filtered base speech out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import Manifest, load_tensors, read_manifest
from lipsync.errors import BundleError
from speech.clone.base_speech import PAUSE, BaseVoice, Phone, flite_program, render
from speech.clone.converter import PARTS, Converter
from speech.clone.features import HOP, ORDER, RATE, filtered
from speech.tts.local import soft_limit

KIND, ENGINE = "voice", "filtered-base"
FIRST_BLOCK, BLOCK = 20, 60
"""Frames filtered at a time: the first 100 ms at once, then 300 ms."""


@dataclass(frozen=True)
class ClonedVoice:
    """A person's voice, ready to speak. Safe for several threads: nothing in it changes.

    Attributes:
        manifest: Of its bundle.
        converters: By language, "en" and "zh".
        embedding: Unit vector (256,) of the person's voice.
    """

    manifest: Manifest
    converters: dict[str, Converter]
    embedding: NDArray[np.float32]

    @classmethod
    def load(cls, folder: Path) -> ClonedVoice:
        """Read a bundle.

        Raises:
            BundleError: damaged, foreign, or of a shape that cannot be.
        """
        manifest = read_manifest(folder)
        if (manifest.kind, manifest.engine) != (KIND, ENGINE):
            raise BundleError(
                f"This bundle is a {manifest.kind} of {manifest.engine}, not a voice of {ENGINE}.", "Choose a voice."
            )
        tensors = load_tensors(folder)
        try:
            languages: dict[str, Any] = dict(manifest.extra["languages"])
            converters = {name: _converter(name, facts, tensors) for name, facts in languages.items()}
            embedding = tensors["speaker_embedding"].astype(np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The voice's bundle lacks or misshapes {error}.", "Train or import it again.") from error
        if not converters:
            raise BundleError("The voice's bundle speaks no language.", "Train it again.")
        return cls(manifest, converters, embedding)

    def speak(
        self, text: str, language: str, speed: float = 1.0, likeness: float = 1.0
    ) -> tuple[Iterator[NDArray[np.float32]], list[Phone]]:
        """Say ``text`` in ``language``: blocks of float32 at RATE as they are filtered, and the phones.

        Args:
            text: Words only; see ``speech.text.speakable``.
            language: "en" or "zh"; another is spoken by the first there is.
            speed: 1.0 is the person's pace.
            likeness: 0 is clearest, 1 most alike.
        """
        converter = self.converters.get(language) or next(iter(self.converters.values()))
        sound, phones = render(converter.base, text, speed)
        return self._blocks(converter, sound, phones, min(max(likeness, 0.0), 1.5)), phones

    def _blocks(
        self, converter: Converter, sound: NDArray[np.float32], phones: list[Phone], likeness: float
    ) -> Iterator[NDArray[np.float32]]:
        if not len(sound):
            return
        difference = converter.difference(phones, len(sound) // HOP + 1, likeness)
        for block in filtered(sound, difference, BLOCK, FIRST_BLOCK):
            yield soft_limit(block * np.float32(converter.level))

    def say(self, text: str, language: str = "en", likeness: float = 1.0) -> NDArray[np.float32]:
        """``speak`` in one piece."""
        blocks, _ = self.speak(text, language, likeness=likeness)
        return np.concatenate([*blocks, np.zeros(0, np.float32)])


def _converter(name: str, facts: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Converter:
    base = BaseVoice(**facts["base"])
    if base.kind not in {"espeak", "flite"}:
        raise ValueError(f"a base voice of kind {base.kind!r}")
    phones = list(facts["phones"])
    if not phones or phones[0] != PAUSE or len(set(phones)) != len(phones):
        raise ValueError("the list of phones")
    size = len(phones)
    shapes = {
        "mean": (ORDER + 1,),
        "shift": (PARTS * size, ORDER + 1),
        "offset": (ORDER,),
        "phone_offset": (size, ORDER),
    }
    tables = {key: tensors[f"{name}.{key}"].astype(np.float64) for key in shapes}
    for key, shape in shapes.items():
        if tables[key].shape != shape or not np.isfinite(tables[key]).all():
            raise ValueError(f"{name}.{key}")
    inventory = {label: index for index, label in enumerate(phones)}
    return Converter(base, inventory, **tables, energy=float(facts["energy"]), level=float(facts["level"]))


def missing_program(voice: ClonedVoice) -> str | None:
    """Name of a program the voice needs that is not installed here, or None."""
    needed = any(converter.base.kind == "flite" for converter in voice.converters.values())
    return "flite" if needed and flite_program() is None else None


__all__ = ["ENGINE", "KIND", "RATE", "ClonedVoice", "missing_program"]

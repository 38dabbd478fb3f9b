"""A voice for XTTS: the latents of a recording, kept as a bundle. Nothing is trained; the weights stay apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import Manifest, load_tensors, read_manifest, write_bundle
from lipsync.errors import BundleError
from lipsync.progress import Progress, SilentProgress
from speech.clone.features import RATE
from speech.clone.recording import load, prepare
from speech.tts.xtts_local import ENGINE, KIND, latents, load_model
from speech.tts.xtts_local import RATE as XTTS_RATE

NAMES = ("gpt_cond_latent", "speaker_embedding")


def clone_for_xtts(
    voice: Path,
    out: Path,
    weights: Path,
    *,
    name: str = "voice",
    progress: Progress | None = None,
    takes: tuple[str, ...] = (),
    consent_id: str | None = None,
) -> Path:
    """Judge a recording, take its latents with the weights in ``weights`` and write them to ``out``.

    Raises:
        InvalidInputError: the recording cannot be used; ``detail["reasons"]`` says all of them.
        UnavailableError: the extra or the weights are missing.
    """
    progress = progress or SilentProgress()
    recording = prepare(load(voice), None, progress, language="")
    progress.stage("features")
    model = load_model(weights.resolve(), "cpu")
    speech = np.concatenate([utterance.sound for utterance in recording.train])
    tensors = latents(model, speech, RATE)
    progress.stage("export")
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        engine=ENGINE,
        sample_rate=XTTS_RATE,
        input_shape=tuple(tensors["gpt_cond_latent"].shape[1:]),
        feature="XTTS v2 latents",
        metrics={},
        takes=takes,
        consent_id=consent_id,
        extra={"recording": recording.facts},
    )
    folder = write_bundle(out, manifest, tensors)
    progress.update(1.0)
    return folder


def load_latents(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The latents of a bundle. Raises ``BundleError`` for a damaged or foreign one."""
    manifest = read_manifest(folder)
    if (manifest.kind, manifest.engine) != (KIND, ENGINE):
        raise BundleError(f"This bundle is a {manifest.kind} of {manifest.engine}, not a voice for XTTS.")
    tensors: dict[str, Any] = load_tensors(folder)
    try:
        return {name: np.asarray(tensors[name], np.float32) for name in NAMES}
    except KeyError as error:
        raise BundleError(f"The voice's bundle lacks {error}.", "Make it again.") from error

"""Making a lipbank avatar from a prepared take: mouth space, bank, base clip, shape model, and the bundle of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbank.bank import FILM, Bank, cut_bank, join_banks, write_film
from lipbank.checkpoint import Checkpoint
from lipbank.config import BUNDLE_FORMAT, RenderConfig, SearchConfig
from lipbank.face import CheekModel
from lipbank.mouth_space import MouthSpace
from lipbank.shape import ShapeModel
from lipsync.bundle import Manifest, read_manifest, write_bundle
from lipsync.dataset.take import load_take
from lipsync.engine import SAMPLE_RATE, TrainOptions
from lipsync.frame_cycle import write_base
from lipsync.progress import PartProgress, Progress, work_time

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake


def train(take: PreparedTake, out: Path, options: TrainOptions, progress: Progress) -> Path:
    """Make the bundle; see ``lipsync.engine.Engine.train``.

    ``options.extra["more"]`` may list folders of further prepared takes of the same person: they enlarge the bank and
    what is learned from. ``options.parent`` brings in the mouths of an earlier version's bank, for those of its takes
    that are gone. ``options.extra["work"]`` may name a folder in which finished stages are kept: a training of the same
    takes and options that is begun again with it goes on after them.
    """
    began = work_time(progress)
    preview = options.preview
    search, render = SearchConfig(), RenderConfig()
    more = [load_take(folder) for folder in options.extra.get("more", ())]
    with tempfile.TemporaryDirectory(prefix="lipbank-") as scratch:
        folder = Path(options.extra.get("work") or scratch)
        kept = Checkpoint(folder, _made_of((take, *more), options))

        def mouths() -> dict[str, NDArray[Any]]:
            space, cheeks, bank = learn_mouths(take, search, PartProgress(progress, 0.0, 0.3 if preview else 0.06))
            bank = _enlarged(bank, (take, *more), options.parent, space)
            write_film(bank, folder / FILM)
            return _prefixed(space=space.tensors(), bank=bank.tensors()) | {"cheeks": cheeks.weights}

        def base_clip() -> dict[str, NDArray[Any]]:
            part = PartProgress(progress, *((0.3, 0.8) if preview else (0.06, 0.14)))
            return {"names": np.frombuffer(json.dumps(write_base(take, folder, part)).encode(), np.uint8)}

        def listening() -> dict[str, NDArray[Any]]:
            if preview:
                return dict(ShapeModel.preview(take, space).tensors())
            part = PartProgress(progress, 0.14, 0.98)
            shape = ShapeModel.train(
                take, space, minutes=options.minutes, steps=options.steps, more=more, progress=part
            )
            return dict(shape.tensors())

        progress.stage("mouths")
        learned = kept.stage("mouths", mouths, progress)
        space = MouthSpace.from_tensors({k.removeprefix("space."): v for k, v in learned.items()})
        count = len(learned["bank.corner"])
        progress.sample("mouths", float(count))
        progress.stage("base_clip")
        names = json.loads(kept.stage("base_clip", base_clip, progress)["names"].tobytes())
        progress.stage("listening")
        shape = kept.stage("listening", listening, progress)
        progress.stage("writing")
        extra = options.extra
        manifest = Manifest(
            name=str(extra.get("name") or take.folder.name),
            version=str(extra.get("version") or ("preview" if preview else "1")),
            kind="avatar",
            engine="lipbank",
            sample_rate=SAMPLE_RATE,
            input_shape=(take.height, take.width, 3),
            feature="mel",
            takes=tuple(extra.get("takes") or [t.folder.name for t in (take, *more)]),
            consent_id=extra.get("consent_id"),
            parent=options.parent.name if options.parent else None,
            extra={
                "format": BUNDLE_FORMAT,
                "search": asdict(search),
                "render": asdict(render),
                "preview": preview,
                "mouths": count,
                "train_seconds": round(work_time(progress) - began, 1),
            },
        )
        files: dict[str, Path | bytes] = {name: folder / name for name in (FILM, *names)}
        write_bundle(out, manifest, learned | _prefixed(shape=shape), files)
    progress.update(1.0)
    return out


def _enlarged(bank: Bank, takes: Sequence[PreparedTake], parent: Path | None, space: MouthSpace) -> Bank:
    """The bank of the first take with the mouths of the further ones, and of an earlier version's takes that are gone.

    A version's bank does not say which mouth is of which take, so it comes in whole and stands for all its takes.
    """
    config = SearchConfig()
    held: set[str] = set()
    others = []
    if parent is not None:
        from lipbank.engine import LipbankEngine

        held = set(read_manifest(parent, verify=False).takes)
        if held <= {take.folder.name for take in takes}:
            held = set()
        else:
            earlier = LipbankEngine.load(parent)
            others.append(earlier.bank)
            earlier.close()
    for take in takes[1:]:
        if take.folder.name not in held:
            part = take.train
            landmarks, found = take.landmarks[part.start : part.stop], take.found[part.start : part.stop]
            others.append(cut_bank(take.i420(part.start, part.stop), landmarks, found, space, config))
    own = [] if takes[0].folder.name in held else [bank]
    return join_banks([*own, *others], space, config) if others else bank


def learn_mouths(take: PreparedTake, search: SearchConfig, progress: Progress) -> tuple[MouthSpace, CheekModel, Bank]:
    """The person's mouth space, cheeks and bank, from the training part alone."""
    cv2.setNumThreads(1)
    part = take.train
    landmarks, found = take.landmarks[part.start : part.stop], take.found[part.start : part.stop]
    space = MouthSpace.fit(take.landmarks, take.found, part)
    bank = cut_bank(take.i420(part.start, part.stop), landmarks, found, space, search, progress=progress)
    coef = space.encode(landmarks, found)
    alignment = space.align(landmarks, found)
    seen = np.flatnonzero(found)
    cheeks = CheekModel.fit(space, landmarks[seen], coef[seen], alignment.take(seen))
    return space, cheeks, bank


def _made_of(takes: Sequence[PreparedTake], options: TrainOptions) -> dict[str, Any]:
    """What decides a training's stages: what was kept of another one is of no use to it."""
    return {
        "format": BUNDLE_FORMAT,
        "takes": [[str(take.folder), take.n, str(take.meta.get("prepared_at"))] for take in takes],
        "parent": str(options.parent),
        "options": [options.preview, options.minutes, options.steps],
    }


def _prefixed(**groups: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Flat names: ``group.name``."""
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}

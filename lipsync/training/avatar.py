"""From a prepared take to a judged avatar: what the job, the script and the bench all call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lipsync.bundle import update_manifest
from lipsync.engine import TrainOptions
from lipsync.evaluation import Judgement, judge
from lipsync.progress import PartProgress, Progress, SilentProgress, work_time
from lipsync.registry import DEFAULT, engine_for, load_engine_class

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

_TRAINING_SHARE = 0.9


def train_avatar(
    take: PreparedTake,
    out: Path,
    engine: str = DEFAULT,
    options: TrainOptions | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train an avatar, judge it on the held-out part, and write its figures into its manifest.

    A preview is written without being judged: it has to be there at once.

    Args:
        take: The prepared take.
        out: Where the bundle goes; must not exist.
        engine: Name of the engine.
        options: How to train.
        progress: Told stage, share and figures.

    Returns:
        ``out``.

    Raises:
        NotFoundError: No such engine.
        InvalidInputError: The take cannot be learned from.
        CancelledError: ``progress`` asked to stop; nothing is left at ``out``.
    """
    options = options or TrainOptions()
    progress = progress or SilentProgress()
    cls = load_engine_class(engine)
    if options.preview:
        return cls.train(take, out, options, progress)
    began = work_time(progress)
    cls.train(take, out, options, PartProgress(progress, 0.0, _TRAINING_SHARE))
    trained = work_time(progress) - began
    judgement = judge_bundle(out, take, progress=PartProgress(progress, _TRAINING_SHARE, 1.0))
    metrics = dict(judgement.figures) | {"train_minutes": round(trained / 60, 3)}
    update_manifest(out, metrics=metrics)
    for name, value in metrics.items():
        progress.sample(name, value)
    return out


def judge_bundle(
    bundle: Path,
    take: PreparedTake,
    *,
    save: Path | None = None,
    progress: Progress | None = None,
    beside: bool = False,
    lpips: Path | None = None,
) -> Judgement:
    """Load a bundle and measure it on the held-out part of its take; see ``lipsync.evaluation.judge``."""
    engine = engine_for(bundle, "cpu")
    try:
        return judge(engine, take, save=save, progress=progress, beside=beside, lpips=lpips)
    finally:
        engine.close()

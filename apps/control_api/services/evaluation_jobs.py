"""``models:evaluate``: a version measured on held-out material, held against its bounds, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from apps.control_api.services import consents
from apps.control_api.services.audit import Audit
from apps.control_api.services.bodies import Done
from apps.control_api.services.events import emit
from apps.control_api.services.models import make_live, owner_of, take_off_air
from apps.control_api.services.registration import shortcomings
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import JobRow, ModelRow, TakeRow
from lipsync.errors import ConflictError, InvalidInputError, NotFoundError
from lipsync.progress import Progress

LPIPS = Path("base/lpips/model.onnx")
"""Where the network of the perceptual distance lies below the models folder, on machines that have it."""


class EvaluateModel:
    """``models:evaluate {model_id, take_id}`` -> model_id, state, passed, reasons, figures, live_model_id."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Measure a version, keep the figures, and take it off the air if it falls short."""
        model, take = self._begin(job.request)
        measured = self._avatar(model, take, progress) if model.kind == "avatar" else self._voice(model, take, progress)
        figures, real = measured
        settings = self._tools.owner.in_force()
        least, most = settings.minimum_metrics, settings.maximum_metrics
        if model.kind == "voice":
            least, most = settings.minimum_voice_metrics, settings.maximum_voice_metrics
        reasons = shortcomings(figures, least, most)
        for reason in reasons:
            progress.log(f"Falls short: {reason}")
        evaluation = {
            "at": now().isoformat(),
            "take_id": take.id,
            "passed": not reasons,
            "reasons": reasons,
            "figures": {
                name: {"value": value, "real": real.get(name), "least": least.get(name), "most": most.get(name)}
                for name, value in figures.items()
            },
        }
        result: dict[str, Any] = {"model_id": model.id, "passed": not reasons, "reasons": reasons, "figures": figures}

        def commit(session: Session) -> None:
            row = session.get(ModelRow, model.id)
            if row is None:
                raise NotFoundError("The version was deleted meanwhile.")
            consents.require(session, row.consent_id, "train")
            row.evaluation, row.metrics = evaluation, {**row.metrics, **figures}
            result["live_model_id"] = settle(session, row, reasons)
            result["state"] = row.state

        return Done(result, commit)

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Nothing was made; the version stays as it was."""
        return None

    def _begin(self, wanted: dict[str, Any]) -> tuple[ModelRow, TakeRow]:
        with self._tools.database.read() as session:
            model = session.get(ModelRow, wanted["model_id"])
            if model is None:
                raise NotFoundError("The version was deleted.", "Choose another one.")
            take = session.get(TakeRow, take_for(session, model, wanted.get("take_id")))
            if take is None:
                raise NotFoundError("The take was deleted.", "Name another take of the same person.")
            consents.require(session, model.consent_id, "train")
            consents.require(session, take.consent_id, "train")
        if not (self._tools.files.model_path(model.path) / "manifest.json").is_file():
            raise ConflictError("The version's files are gone.", "Train it again or import it.")
        return model, take

    def _avatar(self, model: ModelRow, take: TakeRow, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
        from lipsync.dataset.take import load_take
        from lipsync.training.avatar import judge_bundle

        lpips = self._tools.files.models / LPIPS
        judgement = judge_bundle(
            self._tools.files.model_path(model.path),
            load_take(self._tools.files.take(take.id)),
            progress=progress,
            beside=True,
            lpips=lpips if lpips.is_file() else None,
        )
        return judgement.figures, judgement.real

    def _voice(self, model: ModelRow, take: TakeRow, progress: Progress) -> tuple[dict[str, float], dict[str, float]]:
        from speech.clone.evaluation import judge_voice

        judgement = judge_voice(
            self._tools.files.model_path(model.path), self._tools.files.take(take.id) / "voice.wav", progress=progress
        )
        return judgement.figures, judgement.real


def take_for(session: Session, model: ModelRow, take_id: str | None) -> str:
    """Return the take a version is measured on: the one named, its own, or its owner's.

    Raises:
        NotFoundError: there is no such take.
        ConflictError: it is not prepared.
        InvalidInputError: none is named and the version came without one.
    """
    owner = owner_of(session, model)
    wanted = take_id or next(iter(model.take_ids), None) or owner.take_id
    if wanted is None:
        raise InvalidInputError(
            "The version came without a take to measure it on.", "Name a prepared take of the same person as `take_id`."
        )
    take = session.get(TakeRow, wanted)
    if take is None:
        raise NotFoundError("There is no such take.", "Name a prepared take of the same person as `take_id`.")
    if take.state != "prepared":
        raise ConflictError(f"The take is {take.state}.", "Wait until it is prepared.")
    return take.id


def settle(session: Session, row: ModelRow, reasons: list[str]) -> str | None:
    """Let an evaluation have its effect; returns the id of the version that is live afterwards.

    A version that falls short goes to review, and where it was live the last good one comes back by itself. A version
    that passes goes live if it was a candidate; what waits for a person's word goes on waiting.

    Args:
        session: The transaction that ends the job.
        row: The version, with its new figures.
        reasons: Why it falls short; empty if it passes.
    """
    owner = owner_of(session, row)
    was_live = owner.model_id == row.id
    if not reasons:
        if row.state == "candidate":
            make_live(session, row)
        elif was_live:
            owner.metrics = row.metrics
            session.add(owner)
        return owner.model_id
    if row.state in ("ready", "candidate", "in_review"):
        row.state, row.reasons = "in_review", reasons
    session.add(row)
    back = _last_good(session, row) if was_live else None
    if back is not None:
        make_live(session, back)
    elif was_live:
        take_off_air(session, owner, row)
    detail = {"reasons": reasons, "was_live": was_live, "live_model_id": owner.model_id}
    emit(session, "system", {"name": "model_in_review", "data": {"model_id": row.id, **detail}})
    emit(session, "system", {"name": f"{row.kind}_changed", "data": {f"{row.kind}_id": owner.id}})
    Audit.add(session, "studio", "model_stopped", 409, object_kind="models", object_id=row.id, detail=detail)
    return owner.model_id


def _last_good(session: Session, row: ModelRow) -> ModelRow | None:
    """The newest other version that is ready: older ones before newer ones, for what came later may share the fault."""
    ready = select(ModelRow).where(ModelRow.owner_id == row.owner_id, ModelRow.id != row.id, ModelRow.state == "ready")
    order = col(ModelRow.created_at)
    earlier = session.exec(ready.where(order < row.created_at).order_by(order.desc()).limit(1)).first()
    return earlier or session.exec(ready.order_by(order.desc()).limit(1)).first()


__all__ = ["EvaluateModel", "settle", "take_for"]

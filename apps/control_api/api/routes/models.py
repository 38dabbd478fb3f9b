"""The registry of model versions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from apps.control_api.api.deps import Cursor, Limit, Studio
from apps.control_api.api.wire.avatars import Model, ModelEvaluate, ModelPage, ModelRegister, ModelReview, ModelState
from apps.control_api.api.wire.jobs import Job

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
def list_models(
    studio: Studio,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: Literal["avatar", "voice", "base"] | None = None,
    owner_id: Annotated[str | None, Query(max_length=64)] = None,
    state: ModelState | None = None,
) -> ModelPage:
    """List versions, newest first."""
    part = studio.models.list(limit, cursor, kind=kind, owner_id=owner_id, state=state)
    return ModelPage(items=[studio.present.model(*item) for item in part.items], next_cursor=part.next_cursor)


@router.get("/{model_id}")
def get_model(model_id: str, studio: Studio) -> Model:
    """One version."""
    return studio.present.model(*studio.models.get(model_id))


@router.post("/register", status_code=202)
def register_model(wanted: ModelRegister, studio: Studio) -> Job:
    """Register an uploaded bundle or public checkpoint as a version in review; all else is refused with the reason."""
    given = wanted.model_dump(exclude={"upload_id", "name"})
    return studio.present.job(studio.models.register(wanted.upload_id, wanted.name, given))


@router.delete("/{model_id}", status_code=204)
def delete_model(model_id: str, studio: Studio) -> None:
    """Delete a version that is not live."""
    studio.models.delete(model_id)


@router.post("/{model_id}:evaluate", status_code=202)
def evaluate_model(model_id: str, studio: Studio, wanted: ModelEvaluate | None = None) -> Job:
    """Measure a version on held-out material; below the bounds it goes to review and the last good one comes back."""
    asked = wanted or ModelEvaluate()
    return studio.present.job(studio.models.evaluate(model_id, asked.take_id, asked.priority))


@router.post("/{model_id}:promote")
def promote_model(model_id: str, studio: Studio) -> Model:
    """Make a ready version the live one."""
    return studio.present.model(studio.models.promote(model_id), True)


@router.post("/{model_id}:rollback")
def rollback_model(model_id: str, studio: Studio) -> Model:
    """Take the live version back; answers with the earlier one that is live now."""
    return studio.present.model(studio.models.rollback(model_id), True)


@router.post("/{model_id}:approve")
def approve_model(model_id: str, studio: Studio, wanted: ModelReview | None = None) -> Model:
    """Approve a version in review: it goes live."""
    return studio.present.model(studio.models.review(model_id, True, wanted.note if wanted else ""), True)


@router.post("/{model_id}:reject")
def reject_model(model_id: str, studio: Studio, wanted: ModelReview | None = None) -> Model:
    """Reject a version in review: it is retired."""
    return studio.present.model(studio.models.review(model_id, False, wanted.note if wanted else ""), False)

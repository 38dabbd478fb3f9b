"""From a finished bundle to rows: which version it is, whether it is good enough, what goes live."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import Session

from apps.control_api.services.audit import Audit
from apps.control_api.services.events import emit
from apps.control_api.services.models import make_live
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.tables import AvatarRow, JobRow, ModelRow, VoiceRow

BROUGHT_IN = "Brought in from outside; look at it before it goes live."


@dataclass(frozen=True)
class Version:
    """A bundle about to become a version of an avatar or a voice."""

    model_id: str
    owner_id: str
    name: str
    version: str
    making: Path
    folder: Path
    take_ids: tuple[str, ...] = ()
    consent_id: str | None = None
    parent_id: str | None = None
    kind: str = "avatar"


def id_for(job: JobRow, what: str) -> str:
    """Return the id of what a job makes: the same however often the job begins, so nothing is made twice."""
    return str(uuid5(NAMESPACE_URL, f"livetalking-studio/jobs/{job.id}/{what}"))


def making_folder(tools: Tools, owner_id: str, job: JobRow, kind: str = "avatar") -> Path:
    """Return where a job builds a bundle before it is a version; a name of its own, so nobody takes it for one."""
    return tools.files.version(kind, owner_id, f".making-{job.id}")


def put_in_place(version: Version) -> None:
    """Rename the finished bundle to its version. A folder there that no row names was left by a crash: it goes."""
    if not version.making.exists() and (version.folder / "manifest.json").is_file():
        return
    if version.folder.exists():
        shutil.rmtree(version.folder)
    version.making.rename(version.folder)


def row_of(tools: Tools, version: Version, state: str, reasons: list[str]) -> ModelRow:
    """Return the row of a version, from the manifest of its bundle."""
    from lipsync.bundle import read_manifest

    manifest = read_manifest(version.folder, verify=False)
    return ModelRow(
        id=version.model_id,
        kind=version.kind,
        owner_id=version.owner_id,
        name=version.name,
        version=version.version,
        engine=manifest.engine,
        state=state,
        sample_rate=manifest.sample_rate,
        input_shape=list(manifest.input_shape),
        feature=manifest.feature,
        metrics=dict(manifest.metrics),
        files=dict(manifest.files),
        path=tools.files.relative_model(version.folder),
        parent_id=version.parent_id,
        take_ids=list(version.take_ids),
        consent_id=version.consent_id,
        reasons=reasons,
    )


def enter(session: Session, tools: Tools, version: Version, reasons: list[str], size: tuple[int, int]) -> str:
    """Enter a judged version: live if nothing speaks against it, else in review; returns its state.

    Args:
        session: The transaction that ends the job.
        tools: The studio's tools.
        version: Its bundle lies in ``making`` and is put in place here.
        reasons: Why it must not go live by itself; empty if it may.
        size: Width and height of its pictures.
    """
    put_in_place(version)
    avatar = session.get(AvatarRow, version.owner_id)
    if avatar is None:
        avatar = AvatarRow(
            id=version.owner_id,
            name=version.name,
            state="making",
            engine="",
            take_id=version.take_ids[0] if version.take_ids else None,
            consent_id=version.consent_id,
        )
    row = row_of(tools, version, "in_review" if reasons else "candidate", reasons)
    avatar.width, avatar.height = size
    avatar.name = avatar.name or version.name
    session.add_all([avatar, row])
    session.flush()
    if reasons:
        if avatar.model_id is None:
            avatar.state, avatar.engine, avatar.metrics = "in_review", row.engine, row.metrics
        _to_review(session, row, reasons)
    else:
        make_live(session, row)
    avatar.updated_at = now()
    emit(session, "system", {"name": "avatar_changed", "data": {"avatar_id": avatar.id}})
    return row.state


def _to_review(session: Session, row: ModelRow, reasons: list[str]) -> None:
    """Tell an admin that a version waits for a word."""
    emit(session, "system", {"name": "model_in_review", "data": {"model_id": row.id, "reasons": reasons}})
    Audit.add(session, "studio", "model_held", 202, object_kind="models", object_id=row.id, detail={"reasons": reasons})


def enter_voice(
    session: Session, tools: Tools, version: Version, backend: str, params: dict[str, Any], *, review: bool = False
) -> None:
    """Enter a trained or imported version of a voice: live, unless its figures fall short of the settings.

    Args:
        session: The transaction that ends the job.
        tools: The studio's tools.
        version: Its bundle lies in ``making`` and is put in place here.
        backend: The back-end that speaks it.
        params: Settings a new voice begins with.
        review: A person has to look at it first.
    """
    put_in_place(version)
    voice = session.get(VoiceRow, version.owner_id) or VoiceRow(
        id=version.owner_id,
        name=version.name,
        state="making",
        backend=backend,
        language="auto",
        params=params,
        take_id=version.take_ids[0] if version.take_ids else None,
        consent_id=version.consent_id,
    )
    row = row_of(tools, version, "candidate", [])
    bounds = tools.owner.in_force()
    reasons = shortcomings(row.metrics, bounds.minimum_voice_metrics, bounds.maximum_voice_metrics)
    if review:
        reasons.append(BROUGHT_IN)
    session.add_all([voice, row])
    session.flush()
    if reasons:
        row.state, row.reasons = "in_review", reasons
        if voice.model_id is None:
            voice.state, voice.metrics = "in_review", row.metrics
        _to_review(session, row, reasons)
    else:
        make_live(session, row)
    emit(session, "system", {"name": "voice_changed", "data": {"voice_id": voice.id}})


def shortcomings(metrics: dict[str, Any], minimum: dict[str, float], maximum: dict[str, float]) -> list[str]:
    """Return why a version may not go live by itself: each figure that was measured and is out of its bounds."""
    measured = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return [
        f"{name} is {measured[name]:.3g}, wanted at least {least:g}"
        for name, least in minimum.items()
        if name in measured and not measured[name] >= least
    ] + [
        f"{name} is {measured[name]:.3g}, wanted at most {most:g}"
        for name, most in maximum.items()
        if name in measured and not measured[name] <= most
    ]

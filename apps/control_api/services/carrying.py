"""What a job's files are, where worker and API share no folder: fetched before it begins, sent before it ends.

Rows name what is there. A job's folders are sent aside while it is still running, and made to count inside the
transaction that ends it well; what a worker sent and never finished is seen by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlmodel import Session

from apps.control_api.services import registration
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import AvatarRow, JobRow, ModelRow, VoiceRow


def fetch(tools: Tools, job: JobRow) -> None:
    """Have here what a job works on, as the shared store has it."""
    if tools.files.shelf is None:
        return
    for folder in _needed(tools, job):
        tools.files.bring(folder)


def send(
    tools: Tools, job: JobRow, result: dict[str, Any], commit: Callable[[Session], None] | None
) -> Callable[[Session], None] | None:
    """Send aside what a job made; returns what ends the job: ``commit``, and then the sent folders count."""
    if tools.files.shelf is None:
        return commit
    staged = [tools.files.stage(source, target) for source, target in _made(tools, job, result) if source.is_dir()]

    def both(session: Session) -> None:
        if commit is not None:
            commit(session)
        session.flush()
        for settle in staged:
            settle()

    return both


def tidy(tools: Tools, job: JobRow, result: dict[str, Any]) -> None:
    """Empty a worker's own data folder of a job's files; the shared store has what counts."""
    if tools.files.shelf is None or not tools.settings.scratch:
        return
    for folder in (*_needed(tools, job), *(target for _, target in _made(tools, job, result))):
        tools.files.discard(folder)


def _needed(tools: Tools, job: JobRow) -> Iterator[Path]:
    wanted, files = job.request, tools.files
    if job.kind == "takes:prepare":
        yield files.source(wanted["take_id"])
    elif wanted.get("take_id"):
        yield files.take(wanted["take_id"])
    with tools.database.read() as session:
        named = [session.get(ModelRow, wanted["model_id"])] if wanted.get("model_id") else []
        if job.kind == "inference:video":
            avatar = session.get(AvatarRow, wanted["avatar_id"])
            voice = session.get(VoiceRow, wanted["voice_id"]) if wanted.get("voice_id") else None
            live = [row.model_id for row in (avatar, voice) if row is not None]
            named += [session.get(ModelRow, id_) for id_ in live if id_]
    for model in named:
        if model is not None:
            yield files.model_path(model.path)


def _made(tools: Tools, job: JobRow, result: dict[str, Any]) -> Iterator[tuple[Path, Path]]:
    """Yield each folder as the body left it, and the one it is to be."""
    files, kind = tools.files, job.kind
    if kind == "takes:prepare":
        folders = [files.take(job.request["take_id"])]
        preview = result.get("preview_avatar_id")
        if preview:
            folders += [files.version("avatar", preview, "preview"), files.avatar(preview)]
        yield from ((folder, folder) for folder in folders)
    elif kind.endswith((":train", ":import", ":register")) and result.get("version"):
        for owned in ("avatar", "voice"):
            owner = result.get(f"{owned}_id")
            if owner:
                making = registration.making_folder(tools, owner, job, owned)
                yield making, files.version(owned, owner, str(result["version"]))
        if result.get("avatar_id"):
            yield (thumbnail := files.avatar(result["avatar_id"])), thumbnail
        if result.get("network") and not (result.get("avatar_id") or result.get("voice_id")):
            base = files.models / "base" / result["network"] / str(result["version"])
            yield base, base
    made = files.result(job.id)
    yield made, made

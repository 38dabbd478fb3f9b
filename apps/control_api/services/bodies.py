"""Job kinds and the bodies that do them, imported when a job of the kind begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from sqlmodel import Session

from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import JobRow
from lipsync.errors import UnavailableError
from lipsync.progress import Progress

KINDS: dict[str, str] = {
    "takes:prepare": "apps.control_api.services.take_jobs:PrepareTake",
    "avatars:train": "apps.control_api.services.avatar_jobs:TrainAvatar",
    "avatars:import": "apps.control_api.services.avatar_jobs:ImportAvatar",
    "avatars:export": "apps.control_api.services.avatar_jobs:ExportVersion",
    "voices:train": "apps.control_api.services.voice_jobs:TrainVoice",
    "voices:import": "apps.control_api.services.voice_jobs:ImportVoice",
    "voices:export": "apps.control_api.services.avatar_jobs:ExportVersion",
    "models:register": "apps.control_api.services.register_jobs:RegisterModel",
    "models:evaluate": "apps.control_api.services.evaluation_jobs:EvaluateModel",
    "inference:video": "apps.control_api.services.video_jobs:RenderVideo",
}


@dataclass(frozen=True)
class Done:
    """What a body made: the job's result, and what is written in the transaction that ends the job well."""

    result: dict[str, Any]
    commit: Callable[[Session], None] | None = None


class Body(Protocol):
    """Does jobs of one kind. Built anew for each job."""

    def __init__(self, tools: Tools) -> None:
        """Take the tools."""

    def run(self, job: JobRow, progress: Progress) -> Done:
        """Do the job. It may be begun again after a crash: rename files into place, write rows only in ``commit``."""

    def failed(self, job: JobRow) -> Callable[[Session], None] | None:
        """Return what is written when the job ends without success for good, or None."""


def load(kind: str, more: dict[str, str], tools: Tools) -> Body:
    """Build the body of ``kind``; ``more`` adds kinds of plug-ins to the table.

    Raises:
        UnavailableError: nobody does such jobs here, or what does them cannot be imported.
    """
    target = {**KINDS, **more}.get(kind)
    if target is None:
        raise UnavailableError(f"Nobody here does jobs of the kind '{kind}'.", "Update the studio.")
    module, _, name = target.partition(":")
    try:
        body: Body = getattr(import_module(module), name)(tools)
    except (ImportError, AttributeError) as error:
        raise UnavailableError(f"Jobs of the kind '{kind}' cannot be done: {error}", "Run the setup again.") from error
    return body

"""The job of measurement ``chaos``: makes a folder of files, slowly, and one row, as real jobs do."""

from __future__ import annotations

import shutil
import time
from typing import Any

from apps.control_api.services.bodies import Done
from apps.control_api.services.tools import Tools
from apps.control_api.storage.tables import ScriptRow

FILES = 12
KIND = "chaos:make"
BODY = "scripts.benchmarks._chaos_job:Make"


class Make:
    """Writes ``FILES`` files aside, renames the folder to ``made``, and adds one row when the job ends well."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, job: Any, progress: Any) -> Done:
        """Take about request["seconds"], with a safe point at every file."""
        folder = self._tools.files.result(job.id)
        aside, made = folder / ".making", folder / "made"
        for left in (aside, made):
            if left.exists():
                shutil.rmtree(left)
        aside.mkdir(parents=True)
        for i in range(FILES):
            (aside / f"{i}.bin").write_bytes(bytes([i]) * 4096)
            time.sleep(job.request["seconds"] / FILES)
            progress.update((i + 1) / FILES)
        aside.rename(made)
        return Done({"files": FILES}, lambda session: session.add(ScriptRow(title=job.id, text="made")))

    def failed(self, job: Any) -> None:
        """Nothing to take away that matters here."""

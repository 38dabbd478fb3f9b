"""A zip for whoever helps: versions, checks, settings, failed jobs and logs, with everything secret taken out."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from apps.control_api.log import redact, redact_text
from apps.control_api.services import checks, machine
from apps.control_api.services.settings_store import service_names
from apps.control_api.services.tools import Tools
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import HEAD
from apps.control_api.storage.tables import JobLogRow, JobRow

_LOG_TAIL = 2 << 20
_FAILED = 20
_LINES = 200
_PASSWORD = re.compile(r"(//[^/\s:@]+:)[^@\s/]+@")


def bundle(tools: Tools, workers: int, token: str) -> bytes:
    """Return the zip. Blocking. Neither names of people nor texts nor recordings are in it.

    Args:
        tools: Whose state is told.
        workers: How many worker processes run.
        token: The owner's token, struck out wherever it may have slipped into a log.
    """
    parts: dict[str, Any] = {
        "versions.json": _versions(tools),
        "checks.json": checks.run_checks(tools, workers),
        "machine.json": machine.load(),
        "settings.json": _settings(tools),
        "failed_jobs.json": _failed(tools),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in parts.items():
            text = json.dumps(redact(value), ensure_ascii=False, indent=2, default=str)
            archive.writestr(name, _clean(text, token))
        for path in sorted((tools.files.data / "logs").glob("*.log*")):
            archive.writestr(f"logs/{path.name}", _clean(_tail(path), token))
    return out.getvalue()


def _versions(tools: Tools) -> dict[str, Any]:
    return {
        "studio": tools.settings.version,
        "made_at": now().isoformat(),
        "python": sys.version,
        "platform": platform.platform(),
        "database": "SQLite" if tools.database.is_sqlite else "PostgreSQL",
        "migration": HEAD,
        "packages": dict(sorted({d.metadata["Name"]: d.version for d in distributions()}.items())),
    }


def _settings(tools: Tools) -> dict[str, Any]:
    started = tools.settings.model_dump(mode="json", exclude={"token", "voice_services", "replies"})
    services = {
        f"{kind}:{name}": {"available": False, "reason": reason} if reason else _service(tools, kind, name)
        for kind, name, reason in service_names()
    }
    return {"started_with": started, "in_force": tools.owner.values(), "services": services}


def _service(tools: Tools, kind: Any, name: str) -> dict[str, Any]:
    fields = tools.owner.describe(kind, name)
    return {f["name"]: "set" if f["kind"] == "secret" and f["is_set"] else f["value"] for f in fields}


def _failed(tools: Tools) -> list[dict[str, Any]]:
    with tools.database.read() as session:
        query = select(JobRow).where(JobRow.state == "failed").order_by(col(JobRow.seq).desc()).limit(_FAILED)
        return [
            {
                **row.model_dump(include={"id", "kind", "stage", "progress", "attempts", "error", "created_at"}),
                "log": [
                    line.line
                    for line in session.exec(
                        select(JobLogRow)
                        .where(JobLogRow.job_id == row.id)
                        .order_by(col(JobLogRow.id).desc())
                        .limit(_LINES)
                    )
                ][::-1],
            }
            for row in session.exec(query)
        ]


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_TAIL))
        return file.read().decode("utf-8", "replace")


def _clean(text: str, token: str) -> str:
    text = _PASSWORD.sub(r"\1[hidden]@", redact_text(text))
    return text.replace(token, "[hidden]") if token else text

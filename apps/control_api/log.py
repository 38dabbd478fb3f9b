"""Structured logs with secrets taken out, on standard error (standard output carries the ready line alone)."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

_SECRET_KEYS = re.compile(r"token|secret|password|passphrase|authorization|api[_-]?key|cookie|ticket|sig$", re.I)
_SECRET_TEXT = re.compile(
    r"(Bearer\s+)[\w.~+/=-]+|([?&#](?:token|ticket|sig|api_key)=)[^&\s\"']+|(sk-)[A-Za-z0-9_-]{8,}", re.I
)
_HIDDEN = "[hidden]"
_FILE_BYTES = 4 << 20


def redact_text(text: str) -> str:
    """Return ``text`` with bearer tokens, tickets, signatures and keys replaced."""
    return _SECRET_TEXT.sub(lambda m: (m[1] or m[2] or m[3] or "") + _HIDDEN, text)


def redact(value: Any) -> Any:
    """Return ``value`` (any JSON-like nesting) with secrets replaced, by key name and by shape."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, MutableMapping):
        return {k: _HIDDEN if v and _SECRET_KEYS.search(str(k)) else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    return value


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {k: _HIDDEN if v and _SECRET_KEYS.search(k) else redact(v) for k, v in event.items()}


def configure(level: str = "INFO", as_json: bool = True, file: Path | None = None) -> None:
    """Send structlog and the standard library's logs to standard error, one object a line, and to ``file``.

    The file is set aside when it grows past a size; three of those are kept.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    renderer: Any = structlog.processors.JSONRenderer(default=str) if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.handlers.RotatingFileHandler(file, "a", _FILE_BYTES, 3, "utf-8", delay=True))
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redact_event,
            renderer,
        ],
    )
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(formatter)
    root.handlers[:] = handlers
    root.setLevel(level)
    for noisy in ("alembic", "aioice", "aiortc", "multipart", "tuspyserver"):
        logging.getLogger(noisy).setLevel("WARNING")


def get(name: str) -> Any:
    """Return a logger that takes keyword facts: ``log.info("job finished", job_id=...)``."""
    return structlog.get_logger(name)

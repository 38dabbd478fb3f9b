"""Names of recognisers. Nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from lipsync.errors import NotFoundError, UnavailableError
from speech.asr.base import Recogniser
from speech.errors import SpeechSettingsError

ENTRY_POINTS = "livetalking_studio.asr"
"""Outside packages add a recogniser by an entry point of this group: ``name = "package.module:Class"``."""

TABLE: dict[str, str] = {
    "local": "speech.asr.local:LocalRecogniser",
    "whisper": "speech.asr.whisper:WhisperRecogniser",
    "openai": "speech.asr.openai_transcriptions:OpenAITranscriptions",
    "funasr": "speech.asr.funasr:FunAsr",
}
DEFAULT = "local"


def names() -> list[str]:
    """Every name known, ours first."""
    return [*TABLE, *(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in TABLE)]


def load_class(name: str) -> type[Recogniser]:
    """Import and return the class behind ``name``. Raises ``NotFoundError`` or ``UnavailableError``."""
    target = TABLE.get(name) or next((p.value for p in entry_points(group=ENTRY_POINTS) if p.name == name), None)
    if target is None:
        raise NotFoundError(f"There is no recogniser named {name!r}.", f"Known names: {', '.join(names())}.")
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ImportError as error:
        raise UnavailableError(
            f"The recogniser {name!r} needs a package that is not installed: {error.name}.",
            detail={"backend": name, "missing": error.name},
        ) from error
    if not (isinstance(found, type) and issubclass(found, Recogniser)):
        raise UnavailableError(f"The recogniser {name!r} is not a Recogniser.", detail={"target": target})
    return found


def create(name: str, settings: Mapping[str, Any] | None = None) -> Recogniser:
    """Build the recogniser ``name`` from its settings. Raises ``SpeechSettingsError`` naming keys, never values."""
    cls = load_class(name)
    try:
        return cls(cls.Settings(**dict(settings or {})))
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
        raise SpeechSettingsError(
            f"Settings of the recogniser {name!r} are not valid: {'; '.join(reasons)}",
            f"Known settings: {', '.join(cls.Settings.model_fields) or 'none'}.",
            {"backend": name, "reasons": reasons},
        ) from None

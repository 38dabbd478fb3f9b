"""Names of voice back-ends. Nothing is imported until a name is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from lipsync.errors import NotFoundError, UnavailableError
from speech.errors import SpeechSettingsError
from speech.tts.base import TextToSpeech

ENTRY_POINTS = "livetalking_studio.tts"
"""Outside packages add a back-end by an entry point of this group: ``name = "package.module:Class"``."""

TABLE: dict[str, str] = {
    "local": "speech.tts.local:LocalSpeech",
    "clone": "speech.tts.clone:CloneSpeech",
    "edge": "speech.tts.edge:EdgeSpeech",
    "fish": "speech.tts.fish:FishSpeech",
    "gpt_sovits": "speech.tts.gpt_sovits:GptSovits",
    "cosyvoice": "speech.tts.cosyvoice:CosyVoice",
    "tencent": "speech.tts.tencent:TencentSpeech",
    "doubao": "speech.tts.doubao:DoubaoSpeech",
    "indextts2": "speech.tts.indextts2:IndexTTS2",
    "xtts_local": "speech.tts.xtts_local:XttsLocal",
    "xtts": "speech.tts.xtts_server:XttsServer",
    "azure": "speech.tts.azure:AzureSpeech",
    "openai_speech": "speech.tts.openai_speech:OpenAISpeech",
}


def names() -> list[str]:
    """Every name known, ours first."""
    return [*TABLE, *(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in TABLE)]


def load_class(name: str) -> type[TextToSpeech]:
    """Import and return the class behind ``name``.

    Raises:
        NotFoundError: no such name.
        UnavailableError: it exists but a package it needs is not installed.
    """
    target = TABLE.get(name)
    if target is None:
        target = next((point.value for point in entry_points(group=ENTRY_POINTS) if point.name == name), None)
    if target is None:
        raise NotFoundError(f"There is no voice back-end named {name!r}.", f"Known names: {', '.join(names())}.")
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ImportError as error:
        raise UnavailableError(
            f"The voice back-end {name!r} needs a package that is not installed: {error.name}.",
            "Install the studio's extra named 'services'.",
            {"backend": name, "missing": error.name},
        ) from error
    if not (isinstance(found, type) and issubclass(found, TextToSpeech)):
        raise UnavailableError(f"The voice back-end {name!r} is not a TextToSpeech.", detail={"target": target})
    return found


def create(name: str, settings: Mapping[str, Any] | None = None) -> TextToSpeech:
    """Build the back-end ``name`` from its settings (its own keys; credentials as plain strings are taken as secret).

    Raises:
        SpeechSettingsError: a key is missing, unknown or of the wrong kind; the message names keys, never values.
    """
    cls = load_class(name)
    try:
        checked = cls.Settings(**dict(settings or {}))
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
        raise SpeechSettingsError(
            f"Settings of the voice back-end {name!r} are not valid: {'; '.join(reasons)}",
            f"Known settings: {', '.join(cls.Settings.model_fields) or 'none'}.",
            {"backend": name, "reasons": reasons},
        ) from None
    return cls(checked)

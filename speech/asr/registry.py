"""Names of recognisers. Nothing is imported until a name is asked for."""

from __future__ import annotations

from speech.asr.base import Recogniser
from speech.names import Names

TABLE: dict[str, str] = {
    "local": "speech.asr.local:LocalRecogniser",
    "whisper": "speech.asr.whisper:WhisperRecogniser",
    "openai": "speech.asr.openai_transcriptions:OpenAITranscriptions",
    "funasr": "speech.asr.funasr:FunAsr",
}
DEFAULT = "local"
_NAMES = Names("recogniser", Recogniser, TABLE, "livetalking_studio.asr")  # type: ignore[type-abstract]
names, load_class, create = _NAMES.names, _NAMES.load_class, _NAMES.create

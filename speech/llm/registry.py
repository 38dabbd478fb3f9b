"""Names of reply back-ends. Nothing is imported until a name is asked for."""

from __future__ import annotations

from speech.llm.base import ReplyBackend
from speech.names import Names

TABLE: dict[str, str] = {
    "knowledge": "speech.llm.knowledge:KnowledgeReply",
    "openai": "speech.llm.openai_compatible:OpenAICompatible",
    "ollama": "speech.llm.ollama:Ollama",
}
DEFAULT = "knowledge"
_NAMES = Names("reply back-end", ReplyBackend, TABLE, "livetalking_studio.reply")  # type: ignore[type-abstract]
names, load_class, create = _NAMES.names, _NAMES.load_class, _NAMES.create

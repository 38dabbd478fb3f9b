"""Replies: a knowledge base that needs nothing, and models behind OpenAI-compatible servers or Ollama."""

from speech.llm.base import ChatMessage, ReplyBackend, ReplyCapabilities, ReplyCheck
from speech.llm.registry import DEFAULT, create, load_class, names

__all__ = [
    "DEFAULT",
    "ChatMessage",
    "ReplyBackend",
    "ReplyCapabilities",
    "ReplyCheck",
    "create",
    "load_class",
    "names",
]

"""Text to speech: one contract, one file per back-end, names resolved when asked for."""

from speech.tts.base import Capabilities, CheckResult, Mark, Pcm, SpeechChunk, TextToSpeech, Voice, VoiceInfo, collect
from speech.tts.registry import create, load_class, names

__all__ = [
    "Capabilities",
    "CheckResult",
    "Mark",
    "Pcm",
    "SpeechChunk",
    "TextToSpeech",
    "Voice",
    "VoiceInfo",
    "collect",
    "create",
    "load_class",
    "names",
]

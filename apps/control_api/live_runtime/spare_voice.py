"""A session says so when its voice fails and the studio's own speaks in its stead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speech.tts.base import TextToSpeech
from speech.tts.fallback import FallbackNotice, FallbackSpeech

CODE = "voice_fell_back"


def tell_of_fallback(voice: TextToSpeech | None, emit: Callable[..., Any]) -> None:
    """Have each failure of ``voice`` told as a ``warning`` of the session; a voice without a second one is left."""
    if not isinstance(voice, FallbackSpeech):
        return

    def tell(notice: FallbackNotice) -> None:
        message = (
            f"The voice {notice.backend!r} failed and {notice.instead!r} speaks instead, "
            f"for {notice.retry_in_s:.0f} s: {notice.message}"
        )
        emit("warning", code=CODE, message=message, remedy=notice.remedy, stage="speak")

    voice.listen(tell)

"""A sentence as a WAV file that begins before it is known how long it will be."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from lipsync.errors import InvalidInputError
from speech.text import normalise
from speech.tts.base import TextToSpeech, Voice

MAX_CHARS = 500
_UNKNOWN = 0xFFFFFFFF


def wav_header(rate: int, samples: int | None = None) -> bytes:
    """44 bytes of a mono 16-bit WAV; sizes say "unknown" (all ones) as streams do where ``samples`` is None."""
    data = _UNKNOWN if samples is None else samples * 2
    riff = _UNKNOWN if samples is None else data + 36
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", data
    )


def check_preview_text(text: str) -> str:
    """Return ``text`` if it may be previewed.

    Raises:
        InvalidInputError: nothing to say, or more than ``MAX_CHARS`` characters.
    """
    if len(text) > MAX_CHARS:
        raise InvalidInputError(
            f"The text has {len(text)} characters; a preview takes at most {MAX_CHARS}.", "Shorten the text."
        )
    if not normalise(text):
        raise InvalidInputError("The text holds nothing that can be spoken.", "Write a word or a sentence.")
    return text


async def preview(
    backend: TextToSpeech, text: str, voice: Voice, cancel: asyncio.Event | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield ``text`` in ``voice`` as a 16-bit WAV: the header with the first sound, then sound as it is made.

    The first sound is awaited before the first byte, so an error of the voice comes before an answer has begun.

    Raises:
        InvalidInputError: the text cannot be previewed.
        SpeechError: the back-end fails.
    """
    check_preview_text(text)
    begun = False
    async with aclosing(backend.stream(text, voice, cancel or asyncio.Event())) as chunks:
        async for chunk in chunks:
            head = b"" if begun else wav_header(backend.sample_rate)
            begun = True
            yield head + (np.clip(chunk, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()
    if not begun:
        yield wav_header(backend.sample_rate, 0)

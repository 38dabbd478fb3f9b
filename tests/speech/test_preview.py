"""A preview is a WAV that begins at once."""

import asyncio
import io

import numpy as np
import pytest
import soundfile

from lipsync.errors import InvalidInputError
from speech.preview import MAX_CHARS, preview
from speech.tts import Voice, collect, create


async def test_a_preview_is_the_voice_as_wav() -> None:
    backend = create("local")
    await backend.warm_up()
    stream = preview(backend, "你好，this is a preview.", Voice())
    first = await anext(stream)
    assert first[:4] == b"RIFF"
    data = first + b"".join([chunk async for chunk in stream])
    pcm = np.frombuffer(data[44:], "<i2").astype(np.float32) / 32767
    whole = await collect(backend.stream("你好，this is a preview.", Voice(), asyncio.Event()))
    assert abs(len(pcm) - len(whole)) < 0.02 * len(whole)
    assert abs(float(np.sqrt(np.mean(pcm**2)) / np.sqrt(np.mean(whole**2))) - 1) < 0.05
    info = soundfile.info(io.BytesIO(data))
    assert (info.samplerate, info.channels) == (22_050, 1)


@pytest.mark.parametrize("text", ["", "😀", "x" * (MAX_CHARS + 1)])
async def test_what_cannot_be_previewed_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        await anext(preview(create("local"), text, Voice()))

"""Every name of a recogniser resolves, and what is wrong is said by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from lipsync.errors import NotFoundError
from speech.asr import registry
from speech.asr.base import AsrCapabilities, Hints, Pcm, Recogniser, Transcript
from speech.errors import SpeechError, SpeechSettingsError


@pytest.mark.parametrize("name", registry.names())
def test_every_name_resolves(name: str) -> None:
    cls = registry.load_class(name)
    assert cls.name == name
    assert cls.capabilities.languages
    assert isinstance(cls.capabilities, AsrCapabilities)


def test_unknown_names_and_settings_are_named() -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        registry.load_class("nobody")
    with pytest.raises(SpeechSettingsError, match="colour") as caught:
        registry.create("funasr", {"colour": "secret-value"})
    assert "secret-value" not in str(caught.value)
    with pytest.raises(SpeechSettingsError, match="model"):
        registry.create("whisper")


def test_the_default_needs_nothing() -> None:
    able = registry.load_class(registry.DEFAULT).capabilities
    assert not able.needs_network
    assert not able.needs_download


async def test_whisper_without_weights_says_what_to_get(tmp_path: Path) -> None:
    recogniser = registry.create("whisper", {"model": str(tmp_path / "none")})
    with pytest.raises(SpeechError) as caught:
        await recogniser.warm_up(Hints())
    assert "model.bin" in caught.value.message
    assert "faster-whisper" in caught.value.remedy
    assert not caught.value.may_retry
    result = await recogniser.check()
    assert not result.ok
    await recogniser.close()
    await recogniser.close()


class Scripted(Recogniser):
    """Says what it is told to."""

    name = "scripted"
    capabilities = AsrCapabilities(("en",), True)

    def __init__(self, *said: Transcript) -> None:
        super().__init__()
        self._said = said

    async def hear(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        for transcript in self._said:
            yield transcript


async def nothing() -> AsyncIterator[Pcm]:
    return
    yield


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([("a", False), ("a", False), ("a b", False), ("a b", True)], [("a", False), ("a b", False), ("a b", True)]),
        ([("a", False)], [("a", False), ("a", True)]),
        ([], [("", True)]),
        ([("a", True), ("b", False)], [("a", True)]),
    ],
)
async def test_an_utterance_ends_with_one_final_transcript(
    said: list[tuple[str, bool]], wanted: list[tuple[str, bool]]
) -> None:
    recogniser = Scripted(*(Transcript(text, final) for text, final in said))
    got = [t async for t in recogniser.recognise(nothing(), Hints(), asyncio.Event())]
    assert [(t.text, t.final) for t in got] == wanted

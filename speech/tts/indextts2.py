"""IndexTTS2 through the HTTP face of its Gradio page.

The page names its parameters (some ``param_16``...) anew with each release, so they are asked for and filled in by
name, with the page's own defaults for the rest. The file it makes is fetched over HTTP: no disk need be shared.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field

from speech.errors import SpeechError, SpeechProtocolError, SpeechSettingsError
from speech.http import said
from speech.tts.base import BackendSettings, Capabilities, Pcm, Voice
from speech.tts.network import NetworkSettings, NetworkSpeech

_API = "gradio_api"


class IndexTTS2Settings(NetworkSettings):
    """Settings of IndexTTS2.

    Attributes:
        reference_wav: The recording to imitate.
        segment_tokens: Text tokens to a segment.
        parameters: More of the page's parameters, by name.
    """

    base_url: str = "http://127.0.0.1:7860"
    reference_wav: Path | None = None
    segment_tokens: int = 120
    parameters: dict[str, Any] = Field(default_factory=dict)


class IndexTTS2(NetworkSpeech):
    """``/gen_single``: a whole WAV for each sentence."""

    name = "indextts2"
    capabilities = Capabilities(
        languages=("zh", "en"), streaming=False, cloning=True, needs_network=True, max_chars=300
    )
    Settings = IndexTTS2Settings
    settings: IndexTTS2Settings
    rate = 22_050

    def __init__(self, settings: BackendSettings | None = None) -> None:
        super().__init__(settings)
        self._uploaded: dict[str, str] = {}
        self._parameters: list[dict[str, Any]] | None = None
        self._preparing = asyncio.Lock()

    def missing(self) -> list[str]:
        """The reference recording, where none is set."""
        return [] if self.settings.reference_wav else ["reference_wav"]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the sound once its file is made."""
        path = voice.params.get("reference_wav") or self.settings.reference_wav
        if not path:
            raise SpeechSettingsError("IndexTTS2 needs a reference recording.", "Set reference_wav.")
        async with self._preparing:
            prompt = await self._upload(Path(path))
            parameters = await self._ask_parameters()
        given = {
            **self.settings.parameters,
            "prompt": {"path": prompt, "meta": {"_type": "gradio.FileData"}},
            "text": text,
            "max_text_tokens_per_segment": self.settings.segment_tokens,
        }
        data = [given.get(p.get("parameter_name", ""), p.get("parameter_default")) for p in parameters]
        started = await self._json("POST", f"{_API}/call/gen_single", json={"data": data})
        event = started.get("event_id") if isinstance(started, dict) else None
        if not event:
            raise SpeechProtocolError(self.name, "The page did not begin to speak.")
        made = await self._result(str(event))
        async with self.service.stream("GET", self.url(f"{_API}/file={quote(made)}")) as response:
            async for pcm in self.decoded(response, self.wav_decoder()):
                yield pcm

    async def _upload(self, path: Path) -> str:
        if str(path) not in self._uploaded:
            sound = {"files": (path.name, await self.reference(path), "audio/wav")}
            answer = await self._json("POST", f"{_API}/upload", files=sound)
            if not (isinstance(answer, list) and answer and isinstance(answer[0], str)):
                raise SpeechProtocolError(self.name, "The page did not take the reference recording.")
            self._uploaded[str(path)] = answer[0]
        return self._uploaded[str(path)]

    async def _ask_parameters(self) -> list[dict[str, Any]]:
        if self._parameters is None:
            info = await self._json("GET", f"{_API}/info")
            try:
                self._parameters = list(info["named_endpoints"]["/gen_single"]["parameters"])
            except (KeyError, TypeError) as error:
                raise SpeechProtocolError(
                    self.name, "This page has no /gen_single.", "Check that the address is IndexTTS2's."
                ) from error
        return self._parameters

    async def _result(self, event: str) -> str:
        """Wait for the event's end and return the path of the file it made."""
        name = ""
        async with self.service.stream("GET", self.url(f"{_API}/call/gen_single/{quote(event)}")) as response:
            async for line in self.service.lines(response):
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:") and name == "error":
                    raise SpeechError(self.name, f"IndexTTS2 failed: {said(line[5:])}", "See its own log.")
                elif line.startswith("data:") and name == "complete":
                    return self._path_in(line[5:])
        raise SpeechProtocolError(self.name, "The page closed before the sentence was made.", "Try again.")

    def _path_in(self, data: str) -> str:
        try:
            item = json.loads(data)[0]
            value = item.get("value", item) if isinstance(item, dict) else item
            path = value.get("path") if isinstance(value, dict) else value
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise SpeechProtocolError(self.name, f"The page answers something else: {said(data)}") from error
        if not isinstance(path, str) or not path:
            raise SpeechProtocolError(self.name, "The page made no file.")
        return path

    async def _json(self, method: str, path: str, **request: Any) -> Any:
        async with self.service.stream(method, self.url(path), **request) as response:
            body = b"".join([chunk async for chunk in self.service.chunks(response)])
        try:
            return json.loads(body)
        except ValueError as error:
            raise SpeechProtocolError(
                self.name, f"The page answers something else: {said(body)}", "Check its address."
            ) from error

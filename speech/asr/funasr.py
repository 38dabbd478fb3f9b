"""FunASR's WebSocket service in its two-pass mode: guesses while one speaks, then each stretch again, corrected.

Protocol after FunASR's ``runtime/docs/websocket_protocol.md``: a JSON message of settings, binary int16 sound, and
``{"is_speaking": false}`` at the end; the service sends ``2pass-online`` pieces and ``2pass-offline`` stretches that
replace the pieces before them. Its versions differ in what tells the end: a message with ``is_end``, one more offline
stretch, or nothing at all.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from speech.asr.base import RATE, AsrCapabilities, AsrSettings, Hints, Pcm, Transcript, int16
from speech.asr.network import NetworkAsrSettings, NetworkRecogniser
from speech.errors import SpeechError, SpeechProtocolError, SpeechTimeoutError
from speech.http import error_of, said
from speech.text import HAN
from speech.websocket import SocketService

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_TAG = re.compile(r"<\|([^|]*)\|>")
_LATIN_END, _LATIN_START = re.compile(r"[A-Za-z0-9,.?!]$"), re.compile(r"^[A-Za-z0-9]")


class FunAsrSettings(NetworkAsrSettings):
    """Settings of a FunASR service.

    Attributes:
        base_url: ``ws://`` or ``wss://`` with host and port.
        chunk_size: The streaming model's look-back, step and look-ahead, in 60 ms.
        chunk_interval: A message holds ``chunk_size[1] * 60 / chunk_interval`` ms.
        itn: Numbers as figures.
        quiet_s: How long to wait, once the sound has ended and something was understood, for more.
    """

    base_url: str = "ws://127.0.0.1:10095"
    chunk_size: tuple[int, int, int] = (5, 10, 5)
    chunk_interval: int = Field(default=10, ge=1, le=60)
    itn: bool = True
    quiet_s: float = Field(default=1.0, gt=0)


class FunAsr(NetworkRecogniser):
    """One connection an utterance, opened while the first word is spoken."""

    name = "funasr"
    capabilities = AsrCapabilities(languages=("zh", "en"), streaming=True, needs_network=True)
    Settings = FunAsrSettings
    settings: FunAsrSettings

    def __init__(self, settings: AsrSettings | None = None) -> None:
        super().__init__(settings)
        self.sockets = SocketService(self.name, self.settings.timeouts, self.settings.proxy)

    async def hear(
        self, sound: AsyncIterator[Pcm], hints: Hints, cancel: asyncio.Event
    ) -> AsyncGenerator[Transcript, None]:
        """Yield guesses as they come, and the corrected words at the end."""
        async with self.sockets.open(self.settings.base_url, self.headers(), ("binary",)) as connection:
            feeding = asyncio.create_task(self._feed(connection, sound, hints), name="asr-feed")
            words = _Words()
            try:
                while True:
                    frame = await self._next(connection, feeding, words)
                    if frame is None:
                        break
                    kind = words.take(self._read(frame))
                    if kind == "end" or (kind == "whole" and feeding.done()):
                        break
                    if kind != "nothing":
                        yield Transcript(words.text, False, words.language)
                yield Transcript(words.text, True, words.language)
            finally:
                feeding.cancel()
                await asyncio.wait({feeding})

    async def _feed(self, connection: ClientConnection, sound: AsyncIterator[Pcm], hints: Hints) -> None:
        settings = self.settings
        await connection.send(
            json.dumps(
                {
                    "mode": "2pass",
                    "wav_name": "microphone",
                    "wav_format": "pcm",
                    "audio_fs": RATE,
                    "is_speaking": True,
                    "chunk_size": settings.chunk_size,
                    "chunk_interval": settings.chunk_interval,
                    "hotwords": json.dumps(dict.fromkeys(hints.phrases[:100], 20), ensure_ascii=False),
                    "itn": settings.itn,
                },
                ensure_ascii=False,
            )
        )
        step = RATE * 60 * settings.chunk_size[1] // settings.chunk_interval // 1000
        rest = np.zeros(0, np.float32)
        async for piece in sound:
            rest = np.concatenate([rest, piece])
            while len(rest) >= step:
                await connection.send(int16(rest[:step]))
                rest = rest[step:]
        if len(rest):
            await connection.send(int16(rest))
        await connection.send(json.dumps({"is_speaking": False, "is_end": True}))

    async def _next(
        self, connection: ClientConnection, feeding: asyncio.Task[None], words: _Words
    ) -> str | bytes | None:
        """The next message; None where the service has said all. While sound still comes it may be silent."""
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        reading = asyncio.ensure_future(connection.recv())
        try:
            await asyncio.wait({reading, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                feeding.result()
                limit = self.settings.quiet_s if words.settled else self.settings.timeouts.stall_s
                await asyncio.wait({reading}, timeout=limit)
            if not reading.done():
                if words.settled:
                    return None
                raise SpeechTimeoutError(self.name, "The service went silent.", "Try again later.")
            return reading.result()
        except ConnectionClosedOK as error:
            if feeding.done() and words.settled:
                return None
            raise SpeechProtocolError(self.name, "The service closed the connection in mid-utterance.") from error
        except ConnectionClosed as error:
            reason = said(error.rcvd.reason) if error.rcvd else ""
            raise SpeechError(
                self.name, f"The connection broke{': ' + reason if reason else ''}.", "Say it again."
            ) from error
        finally:
            reading.cancel()

    def _read(self, frame: str | bytes) -> dict[str, Any]:
        try:
            message = json.loads(frame)
        except ValueError as error:
            raise SpeechProtocolError(
                self.name, f"The service sends something else than JSON: {said(frame)}", "Check its address."
            ) from error
        if not isinstance(message, dict):
            raise SpeechProtocolError(self.name, f"The service sends no object: {said(frame)}", "Check its address.")
        if message.get("error") or ("mode" not in message and "is_end" not in message):
            raise error_of(self.name, 500, json.dumps(message, ensure_ascii=False))
        return message


class _Words:
    """What was understood: corrected stretches, then the pieces guessed since."""

    def __init__(self) -> None:
        self._whole, self._guess = "", ""
        self.language: str | None = None

    @property
    def text(self) -> str:
        return _joined(self._whole, self._guess)

    @property
    def settled(self) -> bool:
        """Whether everything guessed was corrected too."""
        return bool(self._whole) and not self._guess

    def take(self, message: dict[str, Any]) -> Literal["end", "whole", "guess", "nothing"]:
        """Add a message; what kind it was."""
        mode, text = str(message.get("mode", "")), str(message.get("text") or "")
        for tag in _TAG.findall(text):
            if tag in ("zh", "en", "yue", "ja", "ko"):
                self.language = tag
        text = _TAG.sub("", text).strip()
        kind: Literal["end", "whole", "guess", "nothing"] = "nothing"
        if mode in ("2pass-offline", "offline"):
            self._whole, self._guess = _joined(self._whole, text), ""
            kind = "whole"
        elif text:
            self._guess = _joined(self._guess, text)
            kind = "guess"
        return "end" if message.get("is_end") else kind


def _joined(one: str, two: str) -> str:
    """Two pieces of text with a space between Latin words and none between Chinese ones."""
    space = one and two and _LATIN_END.search(one) and _LATIN_START.search(two) and not re.search(f"[{HAN}]", one[-2:])
    return f"{one} {two}" if space else one + two

"""Doubao (Volcano Engine) over its binary WebSocket, version 1."""

from __future__ import annotations

import gzip
import json
import struct
import uuid
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pydantic import SecretStr

from speech.errors import SpeechProtocolError
from speech.http import error_of, said
from speech.tts.base import Capabilities, Pcm, Voice
from speech.tts.decode import RawDecoder
from speech.tts.network import NetworkSettings, NetworkSpeech, secret

_REQUEST = bytes((0x11, 0x10, 0x11, 0x00))  # version 1, header of 4 bytes; full client request; JSON, gzip; reserved
_AUDIO, _ERROR = 0xB, 0xF


class DoubaoSettings(NetworkSettings):
    """Settings of Doubao.

    Attributes:
        app_id, token: From the console of the account.
        cluster: The service's cluster.
        voice_type: Name of the voice; ``voice.voice`` overrides it.
    """

    base_url: str = "wss://openspeech.bytedance.com/api/v1/tts/ws_binary"
    app_id: str = ""
    token: SecretStr | None = None
    cluster: str = "volcano_tts"
    voice_type: str = "zh_female_cancan_mars_bigtts"


@dataclass(frozen=True)
class Reply:
    """One binary frame of the service: sound (and whether it is the last), or an error."""

    audio: bytes = b""
    last: bool = False
    error: tuple[int, str] | None = None


def request_frame(body: dict[str, object]) -> bytes:
    """A full client request: header, big-endian length, gzip of the JSON."""
    packed = gzip.compress(json.dumps(body).encode())
    return _REQUEST + struct.pack(">I", len(packed)) + packed


def read_frame(frame: bytes) -> Reply:
    """Read one frame. Raises ``ValueError`` for one that is cut short or of an unknown kind."""
    if len(frame) < 4:
        raise ValueError("a frame without a header")
    start = 4 * (frame[0] & 0x0F)
    kind, flags, packing = frame[1] >> 4, frame[1] & 0x0F, frame[2] & 0x0F
    if kind == _AUDIO:
        if flags == 0:
            return Reply()
        sequence, size = struct.unpack_from(">iI", frame, start)
        audio = frame[start + 8 : start + 8 + size]
        if len(audio) != size:
            raise ValueError("a frame of sound that is cut short")
        return Reply(audio=audio, last=sequence < 0)
    if kind == _ERROR:
        code, size = struct.unpack_from(">iI", frame, start)
        words = frame[start + 8 : start + 8 + size]
        return Reply(error=(code, (gzip.decompress(words) if packing == 1 else words).decode("utf-8", "replace")))
    raise ValueError(f"a frame of unknown kind {kind}")


class DoubaoSpeech(NetworkSpeech):
    """``voice.params`` knows ``volume_ratio``, ``pitch_ratio`` and ``emotion``."""

    name = "doubao"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True, max_chars=300)
    Settings = DoubaoSettings
    settings: DoubaoSettings

    def credentials(self) -> dict[str, SecretStr | str | None]:
        """Both are needed."""
        return {"app_id": self.settings.app_id, "token": self.settings.token}

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Yield the samples as they come, until the frame with a negative number."""
        audio: dict[str, object] = {
            "voice_type": voice.voice or self.settings.voice_type,
            "encoding": "pcm",
            "rate": self.rate,
            "speed_ratio": voice.speed,
            "volume_ratio": voice.params.get("volume_ratio", 1.0),
            "pitch_ratio": voice.params.get("pitch_ratio", 1.0),
        }
        if "emotion" in voice.params:
            audio["emotion"] = voice.params["emotion"]
        token = secret(self.settings.token)
        body: dict[str, object] = {
            "app": {"appid": self.settings.app_id, "token": token, "cluster": self.settings.cluster},
            "user": {"uid": "studio"},
            "audio": audio,
            "request": {"reqid": str(uuid.uuid4()), "text": text, "text_type": "plain", "operation": "submit"},
        }
        decoder = RawDecoder(self.rate, self.sample_rate)
        # The semicolon is the service's own, not a slip.
        async with self.socket(self.settings.base_url, {"Authorization": f"Bearer; {token}"}) as connection:
            await connection.send(request_frame(body))
            async for frame in self.frames(connection):
                reply = self._read(frame)
                if reply.error is not None:
                    code, words = reply.error
                    raise error_of(self.name, _status(code), words)
                yield decoder.push(reply.audio)
                if reply.last:
                    yield decoder.finish()
                    return
        raise SpeechProtocolError(self.name, "The service closed before the end of the sentence.", "Try again.")

    def _read(self, frame: str | bytes) -> Reply:
        if isinstance(frame, str):
            raise SpeechProtocolError(self.name, f"The service answers in words: {said(frame)}")
        try:
            return read_frame(frame)
        except (ValueError, struct.error, OSError, EOFError, zlib.error) as error:
            raise SpeechProtocolError(self.name, f"The service sent {error}.") from error


def _status(code: int) -> int:
    """The HTTP status that one of the service's codes stands for."""
    if code in {3003, 3005}:
        return 429
    if code in {3030, 3031, 3032, 3040}:
        return 502
    return 401 if code in {3000, 401, 403} else 400

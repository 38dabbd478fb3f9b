"""What the voice back-ends behind a network share: text prepared, retries before the first sound, errors, checks."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr

from speech.errors import SpeechAuthError, SpeechError, SpeechProtocolError, SpeechSettingsError
from speech.http import HttpService, Timeouts, error_of, host_of, said
from speech.streams import retried_until_first
from speech.text import clean, detect_language, split_sentences
from speech.tts.base import BackendSettings, CheckResult, Pcm, SpeechChunk, TextToSpeech, Voice
from speech.tts.decode import Decoder, SoundOrText, WavDecoder, status_in
from speech.websocket import SocketService

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio.client import ClientConnection

REFERENCE_LIMIT = 20 << 20
_WORDS = ("application/json", "text/html", "application/problem+json")


class NetworkSettings(BackendSettings):
    """Settings every network back-end has.

    Attributes:
        base_url: Address of the service.
        timeouts: How long it may be silent.
        attempts: How often a failed request is made before its first sound.
        proxy: URL of a proxy, if the service is behind one.
    """

    base_url: str
    timeouts: Timeouts = Timeouts()
    attempts: int = Field(default=2, ge=1, le=5)
    proxy: str | None = None


class NetworkSpeech(TextToSpeech):
    """A voice behind a network. Subclasses write ``say``: one request, sound as it comes."""

    Settings = NetworkSettings
    settings: NetworkSettings
    rate: int = 24_000

    def __init__(self, settings: BackendSettings | None = None) -> None:
        super().__init__(settings)
        self.service = HttpService(self.name, self.settings.timeouts, self.settings.proxy)
        self.sockets = SocketService(self.name, self.settings.timeouts, self.settings.proxy)

    @property
    def sample_rate(self) -> int:
        """The rate everything is brought to, whatever the service sends."""
        return self.rate

    @abstractmethod
    def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Make one request for ``text`` and yield float32 mono at ``sample_rate`` as it comes."""

    def credentials(self) -> dict[str, SecretStr | str | None]:
        """The credentials this back-end cannot do without, by name."""
        return {}

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield the sentence, cut to what the service takes; a request is repeated only before its first sound."""
        text = clean(sentence)
        if not text:
            return
        self._require_credentials()
        for piece in split_sentences(text, self.capabilities.max_chars):
            stream = retried_until_first(lambda piece=piece: self._sounding(piece, voice), self.settings.attempts)  # type: ignore[misc]
            async with aclosing(stream) as sounds:
                async for pcm in sounds:
                    yield SpeechChunk(pcm)

    async def _sounding(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        heard = False
        async with aclosing(self.say(text, voice)) as sounds:
            async for pcm in sounds:
                if pcm.size:
                    heard = True
                    yield pcm
        if not heard:
            raise SpeechProtocolError(
                self.name, "The service sent no sound.", "Check that the voice exists and speaks this language."
            )

    def missing(self) -> list[str]:
        """Credentials that are not set; those with a reference recording add it."""
        return [key for key, value in self.credentials().items() if not secret(value)]

    def _require_credentials(self) -> None:
        if missing := [key for key, value in self.credentials().items() if not secret(value)]:
            raise SpeechAuthError(
                self.name, f"No credentials are set: {', '.join(missing)}.", "Enter them in the settings of this voice."
            )

    async def check(self) -> CheckResult:
        """Ask for one short word; says what is wrong and what to do."""
        try:
            async for _ in self.stream("好", Voice(self.name, language="zh"), asyncio.Event()):
                return CheckResult(True, f"{self.name} speaks.", detail={"host": host_of(self.url(""))})
        except SpeechError as error:
            return CheckResult(False, error.message, error.remedy, {"code": error.code, **error.detail})
        except SpeechSettingsError as error:
            return CheckResult(False, error.message, error.remedy, {"code": error.code, "backend": self.name})
        return CheckResult(False, "The service sent no sound.", "Check that the voice exists.")

    async def close(self) -> None:
        """Close every connection."""
        await self.service.close()

    # For subclasses -------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        """An address under the service's own."""
        return f"{self.settings.base_url.rstrip('/')}/{path.lstrip('/')}"

    def wav_decoder(self) -> Decoder:
        """A decoder of a streamed WAV that also knows an error in words."""
        return SoundOrText(self.name, WavDecoder(self.name, self.sample_rate))

    async def decoded(self, response: httpx.Response, decoder: Decoder) -> AsyncGenerator[Pcm, None]:
        """Yield the body as sound. Raises ``SpeechError`` where the service answers 200 and speaks of an error."""
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind in _WORDS:
            body = b""
            async for chunk in self.service.chunks(response):
                body += chunk
                if len(body) > 65_536:
                    break
            if kind != "text/html":
                raise error_of(self.name, status_in(body), body)
            raise SpeechProtocolError(
                self.name, f"The service answers with a web page: {said(body)}", "Check its address."
            )
        async for chunk in self.service.chunks(response):
            yield decoder.push(chunk)
        yield decoder.finish()

    def socket(self, url: str, headers: dict[str, str]) -> AbstractAsyncContextManager[ClientConnection]:
        """Open a WebSocket; it is closed at once on leaving. Raises ``SpeechError``."""
        return self.sockets.open(url, headers)

    def frames(self, connection: ClientConnection) -> AsyncGenerator[str | bytes, None]:
        """Yield what comes until the service closes. Raises ``SpeechError`` on silence or a broken connection."""
        return self.sockets.frames(connection)

    async def reference(self, path: Path) -> bytes:
        """The bytes of a reference recording. Raises ``SpeechSettingsError`` where it cannot be read."""

        def read() -> bytes:
            if path.stat().st_size > REFERENCE_LIMIT:
                raise SpeechSettingsError("The reference recording is over 20 MiB.", "Use 5 to 15 seconds of speech.")
            return path.read_bytes()

        try:
            return await asyncio.to_thread(read)
        except OSError as error:
            raise SpeechSettingsError(
                f"The reference recording {path.name!r} cannot be read.", "Choose another file."
            ) from error


def secret(value: SecretStr | str | None) -> str:
    """The plain text of a credential; empty if none is set."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value or ""


def language_of(voice: Voice, text: str) -> str:
    """The voice's language, or that of the text where it is "auto"."""
    return detect_language(text) if voice.language in {"", "auto"} else voice.language


def chosen_params(voice: Voice, allowed: tuple[str, ...]) -> dict[str, Any]:
    """Those of the voice's own settings that the service knows by name."""
    return {key: voice.params[key] for key in allowed if key in voice.params}

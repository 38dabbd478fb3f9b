"""What the recognisers behind a network share: settings, feeding a service while it answers, and checks."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator

import numpy as np
from pydantic import Field, SecretStr

from speech.asr.base import RATE, AsrCheck, AsrSettings, Hints, Pcm, Recogniser, int16
from speech.errors import SpeechError
from speech.http import Timeouts, host_of


class NetworkAsrSettings(AsrSettings):
    """Settings every recogniser behind a network has.

    Attributes:
        base_url: Address of the service.
        api_key: Sent as a bearer token where it is set.
        timeouts: How long the service may be silent once the sound has ended.
        proxy: URL of a proxy, if the service is behind one.
    """

    base_url: str
    api_key: SecretStr | None = None
    timeouts: Timeouts = Timeouts()
    proxy: str | None = Field(default=None)


class NetworkRecogniser(Recogniser):
    """A recogniser behind a network."""

    Settings = NetworkAsrSettings
    settings: NetworkAsrSettings

    async def check(self) -> AsrCheck:
        """Have a moment of silence recognised; says what is wrong and what to do."""
        try:
            async for _ in self.recognise(_silence(), Hints(), asyncio.Event()):
                pass
        except SpeechError as error:
            return AsrCheck(False, error.message, error.remedy, {"code": error.code, **error.detail})
        return AsrCheck(True, f"{self.name} hears.", detail={"host": host_of(self.settings.base_url)})

    def headers(self) -> dict[str, str]:
        """The credentials, where there are any."""
        key = self.settings.api_key
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}


async def _silence() -> AsyncGenerator[Pcm, None]:
    yield np.zeros(RATE // 2, np.float32)


def wav(pcm: Pcm) -> bytes:
    """A WAV file, 16-bit mono at 16 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(int16(pcm))
    return out.getvalue()

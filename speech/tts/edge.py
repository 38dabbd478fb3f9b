"""Microsoft Edge's reading voices, over the WebSocket the browser uses. No account is needed; the network is.

The protocol (headers, the Sec-MS-GEC token and its clock) follows the edge-tts package, whose constants are used where
it is installed, because Microsoft changes the accepted browser version now and then.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import AsyncGenerator
from email.utils import parsedate_to_datetime
from functools import cache
from xml.sax.saxutils import escape, quoteattr

from speech.errors import SpeechAuthError, SpeechProtocolError
from speech.tts.base import BackendSettings, Capabilities, Pcm, Voice, VoiceInfo
from speech.tts.decode import Mp3Decoder
from speech.tts.network import NetworkSettings, NetworkSpeech, language_of

_TOKEN = "6A5AA1D4EAFF4E9FB37E23D68491D6F4"  # noqa: S105  (public, the same in every browser)
_CHROMIUM = "143.0.3650.75"
_ORIGIN = "chrome-extension://jdiccldimpdaibmpdkjnbmckianbfold"
_WINDOWS_EPOCH = 11_644_473_600
_FORMAT = "audio-24khz-48kbitrate-mono-mp3"
DEFAULTS = {"zh": "zh-CN-XiaoxiaoNeural", "en": "en-US-EmmaMultilingualNeural"}


class EdgeSettings(NetworkSettings):
    """Settings of Edge's voices."""

    base_url: str = "wss://speech.platform.bing.com/consumer/speech/synthesize/readaloud/edge/v1"


@cache
def _chromium() -> str:
    try:
        from edge_tts.constants import CHROMIUM_FULL_VERSION
    except ImportError:
        return _CHROMIUM
    return str(CHROMIUM_FULL_VERSION)


def gec_token(unix_time: float) -> str:
    """The Sec-MS-GEC of a moment: SHA-256 over its 100 ns ticks since 1601, floored to five minutes, and the token."""
    seconds = int(unix_time) + _WINDOWS_EPOCH
    seconds -= seconds % 300
    return hashlib.sha256(f"{seconds * 10_000_000}{_TOKEN}".encode("ascii")).hexdigest().upper()


def ssml(text: str, voice: str, rate: str, volume: str = "+0%", pitch: str = "+0Hz") -> str:
    """One utterance as SSML; the text is escaped."""
    locale = "-".join(voice.split("-")[:2]) or "en-US"
    return (
        f"<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang={quoteattr(locale)}>"
        f"<voice name={quoteattr(voice)}><prosody pitch={quoteattr(pitch)} rate={quoteattr(rate)}"
        f" volume={quoteattr(volume)}>{escape(text)}</prosody></voice></speak>"
    )


def percent(speed: float) -> str:
    """A speed as SSML's relative rate: 1.2 -> "+20%"."""
    return f"{round((min(max(speed, 0.5), 2.0) - 1) * 100):+d}%"


class EdgeSpeech(NetworkSpeech):
    """``voice.params`` knows ``pitch`` ("+5Hz") and ``volume`` ("+10%")."""

    name = "edge"
    capabilities = Capabilities(languages=("zh", "en"), streaming=True, needs_network=True, max_chars=1000)
    Settings = EdgeSettings

    def __init__(self, settings: BackendSettings | None = None) -> None:
        super().__init__(settings)
        self._skew = 0.0

    async def voices(self) -> list[VoiceInfo]:
        """A few of the service's voices; any of its names may be used."""
        return [
            VoiceInfo("zh-CN-XiaoxiaoNeural", {"zh-CN": "晓晓", "en": "Xiaoxiao"}, "female", ("zh",)),
            VoiceInfo("zh-CN-YunxiNeural", {"zh-CN": "云希", "en": "Yunxi"}, "male", ("zh",)),
            VoiceInfo("en-US-EmmaMultilingualNeural", {"zh-CN": "Emma", "en": "Emma"}, "female", ("en", "zh")),
            VoiceInfo("en-US-AndrewMultilingualNeural", {"zh-CN": "Andrew", "en": "Andrew"}, "male", ("en", "zh")),
        ]

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """Speak once; where the service refuses the token, take its clock for ours and try again."""
        try:
            async for pcm in self._say(text, voice):
                yield pcm
            return
        except SpeechAuthError as error:
            if not self._set_clock(str(error.detail.get("date", ""))):
                raise
        async for pcm in self._say(text, voice):
            yield pcm

    def _set_clock(self, date: str) -> bool:
        """Whether the service's clock is off from ours by more than a token lives."""
        try:
            skew = parsedate_to_datetime(date).timestamp() - time.time()
        except (TypeError, ValueError):
            return False
        changed = abs(skew - self._skew) > 60
        self._skew = skew
        return changed

    async def _say(self, text: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        chromium, name = _chromium(), voice.voice or DEFAULTS.get(language_of(voice, text)[:2], DEFAULTS["en"])
        major = chromium.split(".", maxsplit=1)[0]
        address = (
            f"{self.settings.base_url}?TrustedClientToken={_TOKEN}&ConnectionId={uuid.uuid4().hex}"
            f"&Sec-MS-GEC={gec_token(time.time() + self._skew)}&Sec-MS-GEC-Version=1-{chromium}"
        )
        headers = {
            "Origin": _ORIGIN,
            "Pragma": "no-cache",
            "Cache-Control": "no-cache",
            "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/{major}.0.0.0 Safari/537.36 Edg/{major}.0.0.0",
        }
        decoder = Mp3Decoder(self.name, self.sample_rate)
        async with self.socket(address, headers) as connection:
            stamp = time.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", time.gmtime())
            audio = {"metadataoptions": {"sentenceBoundaryEnabled": "false", "wordBoundaryEnabled": "false"}}
            config = {"context": {"synthesis": {"audio": {**audio, "outputFormat": _FORMAT}}}}
            await connection.send(
                f"X-Timestamp:{stamp}\r\nContent-Type:application/json; charset=utf-8\r\nPath:speech.config\r\n\r\n"
                + json.dumps(config)
            )
            markup = ssml(
                text,
                name,
                percent(voice.speed),
                str(voice.params.get("volume", "+0%")),
                str(voice.params.get("pitch", "+0Hz")),
            )
            await connection.send(
                f"X-RequestId:{uuid.uuid4().hex}\r\nContent-Type:application/ssml+xml\r\nX-Timestamp:{stamp}Z\r\n"
                f"Path:ssml\r\n\r\n{markup}"
            )
            async for frame in self.frames(connection):
                if isinstance(frame, str):
                    if "Path:turn.end" in frame.split("\r\n\r\n", 1)[0]:
                        yield decoder.finish()
                        return
                    continue
                if len(frame) < 2 or len(frame) < 2 + int.from_bytes(frame[:2], "big"):
                    raise SpeechProtocolError(self.name, "The service sent a frame without its header.")
                length = int.from_bytes(frame[:2], "big")
                if b"Path:audio" in frame[2 : 2 + length]:
                    yield decoder.push(frame[2 + length :])
        raise SpeechProtocolError(self.name, "The service closed before the end of the sentence.", "Try again.")

"""From a service's bytes to sound: every decoder takes bytes cut anywhere and loses no sample.

``push(bytes)`` returns what became certain as float32 mono at the wanted rate; ``finish()`` returns the rest.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from speech.errors import SpeechProtocolError
from speech.http import error_of, said
from speech.tts.base import Pcm

_NOTHING = np.zeros(0, np.float32)
_HEADER_LIMIT = 1 << 16
_TEXT_LIMIT = 1 << 16


class Decoder(Protocol):
    """Bytes in, sound out."""

    def push(self, data: bytes) -> Pcm:
        """Take bytes, cut anywhere, and return the sound that became certain."""

    def finish(self) -> Pcm:
        """Return the rest. Raises ``SpeechProtocolError`` if the bytes were not what they should be."""


class Resample:
    """A stateful change of rate (soxr); none where the rates agree."""

    def __init__(self, source: int, wanted: int) -> None:
        self._stream: Any = None
        if source != wanted:
            import soxr

            self._stream = soxr.ResampleStream(source, wanted, 1, dtype="float32")

    def push(self, pcm: Pcm) -> Pcm:
        """Return what became certain at the wanted rate."""
        if self._stream is None or not pcm.size:
            return pcm
        return np.asarray(self._stream.resample_chunk(pcm), np.float32)

    def finish(self) -> Pcm:
        """Return what the filter still holds."""
        if self._stream is None:
            return _NOTHING
        rest = np.asarray(self._stream.resample_chunk(_NOTHING, last=True), np.float32)
        self._stream = None
        return rest


class RawDecoder:
    """Headerless little-endian samples.

    Args:
        source: Rate of the bytes.
        wanted: Rate of the sound returned.
        kind: "int16", "int24", "int32" or "float32".
        channels: They are mixed to one.
    """

    def __init__(self, source: int, wanted: int, kind: str = "int16", channels: int = 1) -> None:
        self._resample = Resample(source, wanted)
        self._kind, self._channels = kind, channels
        self._width = {"int16": 2, "int24": 3, "int32": 4, "float32": 4}[kind] * channels
        self._rest = b""

    def push(self, data: bytes) -> Pcm:
        """Return the whole samples so far; a started one waits for its other bytes."""
        data = self._rest + data
        whole = len(data) - len(data) % self._width
        self._rest = data[whole:]
        return self._resample.push(self._samples(data[:whole])) if whole else _NOTHING

    def finish(self) -> Pcm:
        """Return what the filter holds; a sample of which bytes are missing is left out."""
        return self._resample.finish()

    def _samples(self, data: bytes) -> Pcm:
        if self._kind == "int16":
            sound = np.frombuffer(data, "<i2").astype(np.float32) / 32768
        elif self._kind == "int24":
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            sound = (wide.reshape(-1).view("<i4").astype(np.float64) / 2**31).astype(np.float32)
        elif self._kind == "int32":
            sound = (np.frombuffer(data, "<i4").astype(np.float64) / 2**31).astype(np.float32)
        else:
            sound = np.nan_to_num(np.frombuffer(data, "<f4").astype(np.float32))
        if self._channels > 1:
            sound = sound.reshape(-1, self._channels).mean(1)
        return np.asarray(sound, np.float32)


class WavDecoder:
    """A WAV file as it streams in: header anywhere, sizes that are right, zero or "unknown", chunks before the data."""

    def __init__(self, backend: str, wanted: int) -> None:
        self._backend, self._wanted = backend, wanted
        self._head = b""
        self._raw: RawDecoder | None = None
        self._left = 0

    def push(self, data: bytes) -> Pcm:
        """Return the samples behind the header; never the header itself. Raises ``SpeechProtocolError`` without one."""
        if self._raw is None:
            self._head += data
            found = self._parse()
            if found is None:
                return _NOTHING
            data = found
        assert self._raw is not None  # noqa: S101  (for the type checker: _parse has set it)
        data, self._left = data[: self._left], self._left - len(data[: self._left])
        return self._raw.push(data)

    def finish(self) -> Pcm:
        """Return the rest. Raises ``SpeechProtocolError`` if no header ever came."""
        if self._raw is None:
            if not self._head:
                return _NOTHING
            raise SpeechProtocolError(self._backend, f"The service sent no WAV sound: {said(self._head[:300])}")
        return self._raw.finish()

    def _parse(self) -> bytes | None:
        head = self._head
        if not (b"RIFF".startswith(head[:4]) or head[:4] == b"RIFF"):
            raise SpeechProtocolError(self._backend, f"The service sent no WAV sound: {said(head[:300])}")
        position, form = 12, b""
        while len(head) >= position + 8:
            name, size = head[position : position + 4], struct.unpack_from("<I", head, position + 4)[0]
            position += 8
            if name == b"data":
                self._raw = self._decoder(form)
                # 0 and all ones mean "as long as it lasts"
                self._left = size if 0 < size < 0x7FFFFFFF else 1 << 62
                return head[position:]
            if name == b"fmt ":
                form = head[position : position + size]
            position += size + size % 2
        if len(head) > _HEADER_LIMIT:
            raise SpeechProtocolError(self._backend, "The service sent a WAV header without sound.")
        return None

    def _decoder(self, form: bytes) -> RawDecoder:
        if len(form) < 16:
            raise SpeechProtocolError(self._backend, "The service sent a WAV header without a format.")
        code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
        if code == 0xFFFE and len(form) >= 26:
            code = struct.unpack_from("<H", form, 24)[0]
        kind = {(1, 16): "int16", (1, 24): "int24", (1, 32): "int32", (3, 32): "float32"}.get((code, bits))
        if kind is None or not 1 <= channels <= 8 or not 4000 <= rate <= 384_000:
            raise SpeechProtocolError(
                self._backend, f"The service sent a WAV of an unknown kind (format {code}, {bits} bits, {rate} Hz)."
            )
        return RawDecoder(rate, self._wanted, kind, channels)


class Mp3Decoder:
    """MPEG audio frames as they stream in (PyAV)."""

    def __init__(self, backend: str, wanted: int) -> None:
        import av

        self._backend, self._wanted = backend, wanted
        self._codec: Any = av.CodecContext.create("mp3", "r")
        self._error = av.FFmpegError
        self._resample: Resample | None = None

    def push(self, data: bytes) -> Pcm:
        """Return the sound of the whole frames so far."""
        return self._decode(data)

    def finish(self) -> Pcm:
        """Return the last frames and what the filter holds."""
        parts = [self._decode(None)]
        with suppress(self._error):  # a decoder that never began has nothing to give back
            parts += [self._sound(frame) for frame in self._codec.decode(None)]
        parts.append(self._resample.finish() if self._resample else _NOTHING)
        return np.concatenate(parts)

    def _decode(self, data: bytes | None) -> Pcm:
        parts = [_NOTHING]
        for packet in self._codec.parse(data):
            # Tags before the sound are handed out as packets too: what is no frame of sound is passed over, and a
            # stream of nothing else ends without sound, which is an error further up.
            with suppress(self._error):
                parts += [self._sound(frame) for frame in self._codec.decode(packet)]
        return np.concatenate(parts)

    def _sound(self, frame: Any) -> Pcm:
        if self._resample is None:
            self._resample = Resample(frame.sample_rate, self._wanted)
        samples = frame.to_ndarray()
        if samples.dtype.kind == "i":
            samples = samples.astype(np.float32) / np.iinfo(samples.dtype).max
        if not frame.format.is_planar:
            samples = samples.reshape(-1, frame.layout.nb_channels).T
        return self._resample.push(np.ascontiguousarray(samples.mean(0), np.float32))


class SoundOrText:
    """Tells sound from an error in words where a service sends either with status 200, however the words are cut.

    Text is held until it ends or a byte shows that it is sound (sound has control bytes within a few samples).
    """

    def __init__(self, backend: str, decoder: Decoder) -> None:
        self._backend, self._decoder = backend, decoder
        self._held: bytes | None = b""

    def push(self, data: bytes) -> Pcm:
        """Return sound; nothing while it may still be words."""
        if self._held is None:
            return self._decoder.push(data)
        self._held += data
        if self._may_be_text(self._held):
            if len(self._held) > _TEXT_LIMIT:
                raise self._error()
            return _NOTHING
        data, self._held = self._held, None
        return self._decoder.push(data)

    def finish(self) -> Pcm:
        """Return the rest. Raises what the words say if they were words."""
        if self._held:
            raise self._error()
        return self._decoder.finish()

    def _may_be_text(self, data: bytes) -> bool:
        begin = data.lstrip()[:1]
        return begin in {b"", b"{", b"<", b"["} and not any(b < 9 or 13 < b < 32 for b in data[:4096])

    def _error(self) -> Exception:
        held = self._held or b""
        if held.lstrip()[:1] == b"{":
            return error_of(self._backend, status_in(held), held)
        return SpeechProtocolError(
            self._backend, f"The service answers in words, not sound: {said(held)}", "Check its address and settings."
        )


def status_in(body: bytes) -> int:
    """The HTTP status that the words of an error inside a 200 stand for."""
    words = body[:2000].lower()
    if any(
        word in words for word in (b"authfail", b"unauthor", b"auth", b"signature", b"secret", b"forbidden", b"token")
    ):
        return 401
    if any(word in words for word in (b"limitexceeded", b"quota", b"too many", b"concurrency")):
        return 429
    return 502 if any(word in words for word in (b"internal", b"unavailable", b"timeout", b"busy")) else 400

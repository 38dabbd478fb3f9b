"""espeak-ng in this process. The library keeps global state, so one lock stands before it and every call is blocking.

Bound by ctypes to the shared library and data that ``espeakng_loader`` carries (speak_lib.h, espeak-ng 1.52).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.errors import SpeechError

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS_IPA = 0x0001 | 0x0002
_DONT_EXIT = 0x8000
_UTF8_END_PAUSE = 1 | 0x1000
_POS_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_END_OF_LIST, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_OK = 0
CHUNK_MS = 60


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Start:
    """A word or a phone begins: ``sample`` counts from the first sample of the call.

    ``text`` is the phone in IPA (empty for silence), or the slice of the text that is the word (in Chinese its first
    character only); ``position`` is where the word begins in the text, -1 for a phone.
    """

    kind: str
    text: str
    sample: int
    position: int = -1


@dataclass(frozen=True)
class Prosody:
    """How the synthesiser speaks.

    Attributes:
        voice: espeak-ng voice name with an optional variant ("cmn+f3", "en-us").
        rate: Words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        pitch_range: 0 (monotone) to 99; 50 is the voice's own.
    """

    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


Emit = Callable[[NDArray[np.int16], list[Start]], bool]
"""Takes a chunk as it is made; returning False stops the synthesis at once."""


class Espeak:
    """The library, loaded once. All methods block and may be called from any thread."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lock = threading.Lock()
        self._voice = ""
        try:
            self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise SpeechError(
                "local", f"The speech library cannot be loaded: {error}.", "Reinstall the package espeakng-loader."
            ) from error
        self._declare()
        rate = self._lib.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS,
            CHUNK_MS,
            espeakng_loader.get_data_path().encode(),
            _PHONEME_EVENTS_IPA | _DONT_EXIT,
        )
        if rate <= 0:
            raise SpeechError(
                "local", "The speech library does not find its data.", "Reinstall the package espeakng-loader."
            )
        self.sample_rate: int = rate
        self._emit: Emit | None = None
        self._text = ""
        self._failure: BaseException | None = None
        self._callback = _Callback(self._on_chunk)  # kept: the library holds only the pointer
        self._lib.espeak_SetSynthCallback(self._callback)

    def _declare(self) -> None:
        lib: Any = self._lib
        lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        lib.espeak_SetSynthCallback.argtypes = [_Callback]
        lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        lib.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]

    def speak(self, text: str, prosody: Prosody, emit: Emit) -> None:
        """Say ``text``; ``emit`` is called with int16 chunks of about 60 ms and what begins in them.

        Raises:
            SpeechError: the voice does not exist or the library refuses.
        """
        text = text.replace("\0", " ")
        with self._lock:
            self._apply(prosody)
            self._emit, self._text, self._failure = emit, text, None
            data = text.encode("utf-8", "ignore") + b"\0"
            try:
                code = self._lib.espeak_Synth(data, len(data), 0, _POS_CHARACTER, 0, _UTF8_END_PAUSE, None, None)
            finally:
                self._emit = None
            if self._failure is not None:
                raise self._failure
            if code != _OK:
                raise SpeechError("local", f"The speech library refused the text (code {code}).")

    def render(self, text: str, prosody: Prosody) -> tuple[NDArray[np.int16], list[Start]]:
        """Say ``text`` whole: int16 (n,) mono at ``sample_rate`` and everything that begins in it."""
        parts: list[NDArray[np.int16]] = []
        starts: list[Start] = []

        def emit(pcm: NDArray[np.int16], begun: list[Start]) -> bool:
            parts.append(pcm)
            starts.extend(begun)
            return True

        self.speak(text, prosody, emit)
        return (np.concatenate(parts) if parts else np.zeros(0, np.int16)), starts

    def _apply(self, prosody: Prosody) -> None:
        if prosody.voice != self._voice:
            if self._lib.espeak_SetVoiceByName(prosody.voice.encode()) != _OK:
                self._voice = ""
                raise SpeechError(
                    "local", f"The local voice {prosody.voice!r} does not exist.", "Choose one of the listed voices."
                )
            self._voice = prosody.voice
        for parameter, value, low, high in (
            (_RATE, prosody.rate, 80, 450),
            (_PITCH, prosody.pitch, 0, 99),
            (_RANGE, prosody.pitch_range, 0, 99),
        ):
            self._lib.espeak_SetParameter(parameter, min(max(value, low), high), 0)

    def _on_chunk(self, wav: Any, count: int, events: Any) -> int:
        # Runs inside the C call: an exception must not cross it, so it is kept and raised by ``speak``.
        try:
            if self._emit is None:
                return 1
            pcm = np.ctypeslib.as_array(wav, shape=(count,)).copy() if wav and count else np.zeros(0, np.int16)
            starts = self._starts(events)
            return 0 if self._emit(pcm, starts) else 1
        except BaseException as error:
            self._failure = error
            return 1

    def _starts(self, events: Any) -> list[Start]:
        starts: list[Start] = []
        index = 0
        while events and events[index].type != _EVENT_END_OF_LIST:
            event = events[index]
            if event.type == _EVENT_WORD:
                begin = event.text_position - 1
                starts.append(Start("word", self._text[begin : begin + event.length], event.sample, begin))
            elif event.type == _EVENT_PHONEME:
                starts.append(Start("phoneme", event.id.string.decode("utf-8", "ignore"), event.sample))
            index += 1
        return starts


@cache
def library() -> Espeak:
    """The one instance of this process."""
    return Espeak()

"""The voice every machine has: espeak-ng in this process, Chinese and English, offline, with timings.

Synthesis runs on one thread of the process (the library's state is global) and is some hundred times faster than
speech, so a sentence is made in a few milliseconds and sessions hardly wait for one another.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipsync.errors import InvalidInputError
from speech.text import HAN, Segment, speakable
from speech.tts.base import (
    BackendSettings,
    Capabilities,
    CheckResult,
    Mark,
    SpeechChunk,
    TextToSpeech,
    Voice,
    VoiceInfo,
)
from speech.tts.espeak import Espeak, Prosody, Start, library

SAMPLE_RATE = 22_050
SPEECH_LEVEL = 0.09
"""Root mean square of active speech that every voice is brought to (about -21 dBFS)."""
FADE = 110
"""Samples of fade at both ends of a sentence (5 ms), so that neither clicks."""
SILENCE = 0.004
JOIN_PAUSE = SAMPLE_RATE // 50
"""Silence between two languages within a clause (20 ms)."""
PAUSE_SIGNS = ',.;:!?，。；：！？、…—"”’』」)）'
HAN_CHARACTER = re.compile(f"[{HAN}]")
PIECE_CHARS = 240


@dataclass(frozen=True)
class LocalVoice:
    """One voice: a timbre of espeak-ng, the same in both languages."""

    info: VoiceInfo
    variant: str
    pitch: dict[str, int]
    pitch_range: dict[str, int]
    rate: dict[str, int]


def _voice(
    voice: str, zh: str, en: str, *, gender: Literal["female", "male"], variant: str, pitch: tuple[int, int]
) -> LocalVoice:
    return LocalVoice(
        VoiceInfo(voice, {"zh-CN": zh, "en": en}, gender, ("zh", "en")),
        variant,
        {"zh": pitch[0], "en": pitch[1]},
        {"zh": 50, "en": 55},
        {"zh": 185, "en": 165},
    )


VOICES: dict[str, LocalVoice] = {
    voice.info.voice: voice
    for voice in (
        _voice("female", "女声", "Female", gender="female", variant="f3", pitch=(62, 50)),
        _voice("male", "男声", "Male", gender="male", variant="m3", pitch=(40, 45)),
        _voice("female_bright", "女声（明亮）", "Female, bright", gender="female", variant="f2", pitch=(66, 55)),
        _voice("female_low", "女声（低沉）", "Female, low", gender="female", variant="f4", pitch=(50, 42)),
        _voice("male_deep", "男声（低沉）", "Male, deep", gender="male", variant="m7", pitch=(30, 35)),
        _voice("male_bright", "男声（明亮）", "Male, bright", gender="male", variant="m1", pitch=(48, 52)),
    )
}
DEFAULT_VOICE = "female"
_ESPEAK_LANGUAGE = {"zh": "cmn", "en": "en-us"}
_CALIBRATION = {"zh": "今天天气很好，我们一起去公园。", "en": "The weather is fine and we go to the park."}


@cache
def _worker() -> ThreadPoolExecutor:
    """The process's one synthesis thread; it ends with the interpreter."""
    return ThreadPoolExecutor(1, thread_name_prefix="espeak")


def chosen(voice: Voice) -> LocalVoice:
    """The local voice that ``voice.voice`` names ("" is the default).

    Raises:
        InvalidInputError: no such voice.
    """
    name = voice.voice or DEFAULT_VOICE
    found = VOICES.get(name)
    if found is None:
        raise InvalidInputError(f"There is no local voice {name!r}.", f"Known voices: {', '.join(VOICES)}.")
    return found


def prosody_of(local: LocalVoice, language: str, speed: float = 1.0, pitch_shift: int = 0) -> Prosody:
    """How espeak-ng is set for this voice in ``language`` ("zh" or "en"); ``pitch_shift`` in espeak's units."""
    return Prosody(
        f"{_ESPEAK_LANGUAGE[language]}+{local.variant}",
        round(local.rate[language] * min(max(speed, 0.5), 2.0)),
        local.pitch[language] + pitch_shift,
        local.pitch_range[language],
    )


@cache
def _gain(voice: str, language: str) -> float:
    """Factor from int16 to float that brings this voice to ``SPEECH_LEVEL``. Runs on the synthesis thread."""
    pcm, _ = library().render(_CALIBRATION[language], Prosody(voice))
    sound = pcm.astype(np.float32)
    active = sound[np.abs(sound) > 0.02 * np.abs(sound).max()]
    return float(SPEECH_LEVEL / max(float(np.sqrt(np.mean(active**2))), 1.0))


class _Shaper:
    """Level, fades and pauses of one sentence: int16 chunks in, float32 chunks out, no sample lost in between.

    Silence is held back until sound follows it, so that the pause at the end can be cut to ``end_pause`` samples; the
    last fade is applied to sound that was held back for it.
    """

    def __init__(self, end_pause: int) -> None:
        self._end_pause = end_pause
        self._held = np.zeros(0, np.float32)
        self._begun = False
        self._emitted = 0

    @property
    def position(self) -> int:
        """Samples of the sentence so far, held back ones included."""
        return self._emitted + len(self._held)

    def shorten_pause(self, samples: int) -> None:
        """Cut silence held back now to ``samples``: nothing pauses where only the language changes."""
        loud = np.flatnonzero(np.abs(self._held) > SILENCE)
        self._held = self._held[: (int(loud[-1]) + 1 if loud.size else 0) + samples]

    def push(self, pcm: NDArray[np.int16], gain: float) -> NDArray[np.float32]:
        sound = soft_limit(pcm.astype(np.float32) * gain)
        waiting = np.concatenate((self._held, sound))
        loud = np.flatnonzero(np.abs(waiting) > SILENCE)
        ready = max((int(loud[-1]) + 1 if loud.size else 0) - FADE, 0)
        self._held = waiting[ready:]
        return self._out(waiting[:ready])

    def finish(self) -> NDArray[np.float32]:
        loud = np.flatnonzero(np.abs(self._held) > SILENCE)
        voiced = int(loud[-1]) + 1 if loud.size else 0
        last = self._held[: voiced + self._end_pause].copy()
        last = np.pad(last, (0, voiced + self._end_pause - len(last))) if self._begun or voiced else last[:0]
        length = min(FADE, len(last))
        if length:
            # The fade ends where the kept sound ends; what follows the voiced part is silence already.
            last[-length:] *= np.linspace(1.0, 0.0, length, dtype=np.float32)
        self._held = np.zeros(0, np.float32)
        return self._out(last)

    def _out(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._begun and sound.size:
            self._begun = True
            length = min(FADE, len(sound))
            sound = sound.copy()
            sound[:length] *= np.linspace(0.0, 1.0, length, dtype=np.float32)
        self._emitted += len(sound)
        return sound


def soft_limit(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave sound below 0.7 as it is and bend the rest smoothly so that it never reaches 1."""
    over = np.abs(sound) - 0.7
    if not bool((over > 0).any()):
        return sound
    bent = np.sign(sound) * (0.7 + 0.29 * np.tanh(np.maximum(over, 0.0) / 0.29))
    return np.where(over > 0, bent, sound).astype(np.float32)


class _Marker:
    """Turns beginnings into marks with ends: a word or phone ends where the next of its kind begins."""

    def __init__(self) -> None:
        self._open: dict[str, Start] = {}
        self._text = ""
        self._word_ends: int | None = None

    def push(self, starts: list[Start], offset: int, text: str) -> list[Mark]:
        marks: list[Mark] = []
        for start in starts:
            if start.kind == "phoneme" and start.text.startswith("("):
                continue  # "(en)" and "(cmn)": espeak-ng's notes about a change of language
            marks += self._end(start.kind, start.sample + offset, start.position)
            if start.kind == "word" or start.text:
                self._word_ends = None
            elif self._word_ends is None:
                self._word_ends = start.sample + offset  # a word ends where silence follows its last phone
            self._open[start.kind] = replace(start, sample=start.sample + offset)
            self._text = text
        return marks

    def close(self, sample: int) -> list[Mark]:
        return [mark for kind in list(self._open) for mark in self._end(kind, sample, len(self._text))]

    def _end(self, kind: str, sample: int, position: int) -> list[Mark]:
        start = self._open.pop(kind, None)
        if kind == "word" and self._word_ends is not None:
            sample = min(sample, self._word_ends)
        if start is None or sample <= start.sample:
            return []
        text = start.text
        if kind == "word" and HAN_CHARACTER.match(text):
            # espeak-ng announces a Chinese word by its first character.
            text = "".join(HAN_CHARACTER.findall(self._text[start.position : position])) or text
        return [Mark("word" if kind == "word" else "phoneme", text, start.sample, sample)] if text.strip() else []


class LocalSettings(BackendSettings):
    """Settings of the local voice.

    Attributes:
        end_pause_ms: Silence kept after each sentence.
    """

    end_pause_ms: int = 160


class LocalSpeech(TextToSpeech):
    """espeak-ng in the process. ``voice.params`` knows ``pitch`` (-50..50, espeak-ng's units)."""

    name = "local"
    capabilities = Capabilities(
        languages=("zh", "en"), streaming=True, word_timings=True, phoneme_timings=True, max_chars=10_000
    )
    Settings = LocalSettings
    settings: LocalSettings

    @property
    def sample_rate(self) -> int:
        """22050, espeak-ng's own."""
        return SAMPLE_RATE

    async def voices(self) -> list[VoiceInfo]:
        """The six local voices."""
        return [voice.info for voice in VOICES.values()]

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield chunks of about 60 ms; the first within 10 ms once warm."""
        local = chosen(voice)
        shaper, marker = _Shaper(SAMPLE_RATE * self.settings.end_pause_ms // 1000), _Marker()
        pitch_shift = int(voice.params.get("pitch", 0))
        for segment in speakable(sentence, voice.language):
            for piece in _pieces(segment):
                prosody = prosody_of(local, piece.language, voice.speed, pitch_shift)
                begun = shaper.position
                async for pcm, starts, gain in _synthesise(piece, prosody, cancel):
                    yield SpeechChunk(shaper.push(pcm, gain), tuple(marker.push(starts, begun, piece.text)))
                yield SpeechChunk(np.zeros(0, np.float32), tuple(marker.close(shaper.position)))
                if piece.text.rstrip()[-1:] not in PAUSE_SIGNS:
                    shaper.shorten_pause(JOIN_PAUSE)
        last = shaper.finish()
        yield SpeechChunk(last)

    async def check(self) -> CheckResult:
        """Load the library and say a word."""
        heard = 0
        async for chunk in self.stream("好", Voice(), asyncio.Event()):
            heard += len(chunk)
        return CheckResult(heard > 0, "The local voice speaks." if heard else "The local voice made no sound.")

    async def warm_up(self) -> None:
        """Load the library, both languages' dictionaries and the level of every voice."""
        loop = asyncio.get_running_loop()
        for local in VOICES.values():
            for language in ("zh", "en"):
                await loop.run_in_executor(_worker(), _gain, prosody_of(local, language).voice, language)
        await asyncio.to_thread(speakable, "2 items, 2 个", "zh")
        await asyncio.to_thread(speakable, "2 items", "en")


def _pieces(segment: Segment) -> list[Segment]:
    """Cut a long run at commas or spaces, so that one session never holds the synthesiser for long."""
    pieces, rest = [], segment.text
    while len(rest) > PIECE_CHARS:
        head = rest[:PIECE_CHARS]
        cut = max(head.rfind(sign) for sign in "，、；,; ") + 1 or PIECE_CHARS
        pieces.append(Segment(rest[:cut], segment.language))
        rest = rest[cut:]
    return [*pieces, Segment(rest, segment.language)]


_Made = tuple[NDArray[np.int16], list[Start], float]


async def _synthesise(piece: Segment, prosody: Prosody, cancel: asyncio.Event) -> AsyncGenerator[_Made, None]:
    """Run one call of the library on its thread and yield what it makes as it makes it."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[_Made | None] = asyncio.Queue()
    stop = threading.Event()

    def run() -> None:
        engine: Espeak = library()
        gain = _gain(prosody.voice, piece.language)

        def emit(pcm: NDArray[np.int16], starts: list[Start]) -> bool:
            if stop.is_set() or cancel.is_set():
                return False
            loop.call_soon_threadsafe(queue.put_nowait, (pcm, starts, gain))
            return True

        try:
            if not stop.is_set():
                engine.speak(piece.text, prosody, emit)
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    job = loop.run_in_executor(_worker(), run)
    try:
        while (made := await queue.get()) is not None:
            yield made
        await job
    finally:
        stop.set()
        # The thread stops at its next callback, at most a chunk's work (well under a millisecond) away.
        if not job.done():
            await asyncio.wait({job})

"""Speech whose phones are known: what the clone filters. espeak-ng everywhere, flite for English where installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from speech.clone.features import RATE, analyse
from speech.clone.pitch import repitched
from speech.errors import SpeechError
from speech.tts.espeak import Prosody, library
from speech.tts.local import SAMPLE_RATE as ESPEAK_RATE
from speech.tts.local import SPEECH_LEVEL

PAUSE = "pau"
PITCH_SHARE = 0.5
"""How much of the way to the person's pitch and range flite's voice is moved on the waveform: the whole way costs 0.1
of DNSMOS, half of it nothing that the filter does not give back."""
CHINESE_GAP_S = 0.012
_GAP_S = 0.06
"""A silence shorter than this lies between syllables; a longer one is a pause."""
_ARPABET = """
aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh
"""
ARPABET = tuple(_ARPABET.split())
_IPA_TABLE = """
aɪ=ay aɪɚ=ay+er aɪə=ay+ax aʊ=aw b=b d=d dʒ=jh eɪ=ey f=f h=hh i=iy iː=iy j=y k=k l=l m=m n=n n̩=ax+n oʊ=ow p=p
s=s t=t tʃ=ch uː=uw v=v w=w z=z æ=ae ð=dh ŋ=ng ɐ=ax ɑː=aa ɑːɹ=aa+r ɑ=aa ɔɪ=oy ɔː=ao ɔːɹ=ao+r ɔ=ao oːɹ=ao+r oː=ao
ə=ax əl=ax+l ɚ=er ɛ=eh ɛɹ=eh+r ɜː=er ɡ=g ɪ=ih ɪɹ=ih+r iə=iy+ax ɹ=r ɾ=d ʃ=sh ʊ=uh ʊɹ=uh+r ʌ=ah ʒ=zh ʔ=t θ=th ᵻ=ih
x=k aɪʊɹ=ay+r ɐ̃=aa r=r a=aa e=eh o=ow u=uw ɬ=l ç=hh əɹ=er
"""
_FROM_IPA: dict[str, list[str]] = {
    ipa: labels.split("+") for ipa, _, labels in (item.partition("=") for item in _IPA_TABLE.split())
}


@dataclass(frozen=True)
class Phone:
    """A phone: ARPAbet for English, espeak-ng's IPA without stress for Chinese, ``PAUSE``; times in seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class BaseVoice:
    """Which synthesiser speaks, and how.

    Attributes:
        kind: "espeak" or "flite".
        language: "zh" or "en".
        voice: The synthesiser's name of the voice.
        f0_mean, f0_spread: In hertz (flite); 0 leaves them.
        pitch: espeak-ng's own unit.
        stretch: Duration factor; over 1 is slower.
        ratio, spread, centre: Pitch moved on the waveform (``pitch.repitched``), for voices that do not let it be set.
        pause_s: Longest pause within a sentence, in seconds: the person's own. 0 leaves the synthesiser's.
        gap_s: Longest silence between two syllables; espeak-ng leaves 40 ms between those of Chinese, nobody does.
    """

    kind: Literal["espeak", "flite"]
    language: str
    voice: str
    f0_mean: float = 0.0
    f0_spread: float = 0.0
    pitch: int = 50
    stretch: float = 1.0
    ratio: float = 1.0
    spread: float = 1.0
    centre: float = 0.0
    pause_s: float = 0.0
    gap_s: float = 0.0

    @property
    def plain(self) -> BaseVoice:
        """The synthesiser's own voice at the same pace: what a clone is compared with."""
        return replace(self, ratio=1.0, spread=1.0, pause_s=0.0, gap_s=0.0)


@cache
def flite_program() -> str | None:
    """Path of flite, or None where the system has none."""
    return shutil.which("flite")


def render(base: BaseVoice, text: str, speed: float = 1.0) -> tuple[NDArray[np.float32], list[Phone]]:
    """Say ``text``: float32 (n,) at RATE, levelled, and its phones in order without gaps.

    Raises:
        SpeechError: the synthesiser fails.
    """
    pace = min(max(speed, 0.5), 2.0)
    wanted = replace(base, stretch=base.stretch / pace)
    sound, phones = _flite(wanted, text) if base.kind == "flite" else _espeak(wanted, text)
    sound = repitched(sound, base.ratio, base.spread, base.centre)
    return _with_pauses(sound, phones, (base.pause_s or 60.0) / pace, base.gap_s or 60.0)


def _with_pauses(
    sound: NDArray[np.float32], phones: list[Phone], longest: float, gap: float
) -> tuple[NDArray[np.float32], list[Phone]]:
    """Cut pauses between phones to ``longest`` seconds, and gaps between syllables to ``gap``, from their middle."""
    parts: list[NDArray[np.float32]] = []
    kept: list[Phone] = []
    shift = at = 0
    for index, phone in enumerate(phones):
        start, end = round(phone.start * RATE), round(phone.end * RATE)
        inner = 0 < index < len(phones) - 1 and phone.label == PAUSE
        allowed = min(longest, gap) if phone.end - phone.start < _GAP_S else longest
        cut = max(end - start - round(allowed * RATE), 0) if inner else 0
        if cut:
            middle = start + (end - start - cut) // 2
            parts.append(sound[at:middle])
            at = middle + cut
        kept.append(Phone(phone.label, (start - shift) / RATE, (end - shift - cut) / RATE))
        shift += cut
    parts.append(sound[at:])
    return np.concatenate(parts), kept


def _level(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = sound[np.abs(sound) > 0.02 * np.abs(sound).max(initial=0.0)]
    return (
        (sound * (SPEECH_LEVEL / max(float(np.sqrt(np.mean(loud**2))), 1e-6))).astype(np.float32)
        if loud.size
        else sound
    )


def _espeak(base: BaseVoice, text: str) -> tuple[NDArray[np.float32], list[Phone]]:
    import soxr

    rate = round((170 if base.language == "en" else 185) / base.stretch)
    pcm, starts = library().render(text, Prosody(base.voice, rate, base.pitch))
    sound = soxr.resample(pcm.astype(np.float32) / 32768, ESPEAK_RATE, RATE)
    begun = [(s.text, s.sample / ESPEAK_RATE) for s in starts if s.kind == "phoneme" and not s.text.startswith("(")]
    end = len(pcm) / ESPEAK_RATE
    phones: list[Phone] = []
    for index, (name, start) in enumerate(begun):
        stop = begun[index + 1][1] if index + 1 < len(begun) else end
        if stop > start:
            phones += _labelled(name, base.language, start, stop)
    return _level(np.asarray(sound, np.float32)), _without_gaps(phones, end)


def _labelled(name: str, language: str, start: float, stop: float) -> list[Phone]:
    plain = re.sub("[ˈˌ]", "", name)
    if not plain:
        return [Phone(PAUSE, start, stop)]
    if language != "en":
        return [Phone(plain, start, stop)]
    labels = _FROM_IPA.get(plain, ["ax"])
    edges = np.linspace(start, stop, len(labels) + 1)
    return [Phone(label, float(edges[i]), float(edges[i + 1])) for i, label in enumerate(labels)]


def _flite(base: BaseVoice, text: str) -> tuple[NDArray[np.float32], list[Phone]]:
    import soundfile

    program = flite_program()
    if program is None:
        raise SpeechError(
            "clone", "This voice was trained on flite, which is not installed here.", "Install flite, or train again."
        )
    with tempfile.TemporaryDirectory(prefix="studio-voice-") as folder:
        target = Path(folder) / "a.wav"
        command = [program, "-voice", base.voice, "--setf", f"duration_stretch={base.stretch:.3f}"]
        if base.f0_mean:
            command += ["--setf", f"int_f0_target_mean={base.f0_mean:.2f}"]
        if base.f0_spread:
            command += ["--setf", f"int_f0_target_stddev={base.f0_spread:.2f}"]
        # A leading space: flite takes no text that begins with a dash for a switch.
        done = subprocess.run(
            [*command, "-psdur", "-t", " " + text, "-o", str(target)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode or not target.exists():
            raise SpeechError("clone", f"flite failed: {done.stderr.strip()[:200]}")
        sound, rate = soundfile.read(target, dtype="float32")
    if rate != RATE:
        import soxr

        sound = soxr.resample(sound, rate, RATE)
    phones, start = [], 0.0
    for item in done.stdout.split():
        label, _, stop = item.rpartition(":")
        phones.append(Phone(label, start, float(stop)))
        start = float(stop)
    return _level(np.asarray(sound, np.float32)), _without_gaps(phones, len(sound) / RATE)


def _without_gaps(phones: list[Phone], end: float) -> list[Phone]:
    """Fill time without a phone with pauses."""
    whole: list[Phone] = []
    at = 0.0
    for phone in phones:
        if phone.start > at + 1e-4:
            whole.append(Phone(PAUSE, at, phone.start))
        whole.append(phone)
        at = phone.end
    return [*whole, Phone(PAUSE, at, end)] if end > at + 1e-4 else whole


_SAMPLES = {
    "en": ("The weather is fine today, so we walk along the river.", "Could you tell me how long it takes?"),
    "zh": ("今天天气很好，我们去公园。", "请问这里到车站要走多久？"),
}


def fitted(language: str, f0: NDArray[np.float64], *, allow_flite: bool = True) -> BaseVoice:
    """The base voice nearest a person with these F0 values (hertz, voiced frames).

    Not every voice of flite heeds a wanted pitch (its male ones do not), so flite's is moved on the waveform; both are
    measured by listening to them.
    """
    median = float(np.median(f0))
    female = median > 160
    low, high = np.percentile(f0, [10, 90])
    if language == "en" and allow_flite and flite_program():
        base = BaseVoice("flite", "en", "slt" if female else "rms")
        heard, wide = _heard_pitch(base)
        return replace(
            base,
            ratio=float(np.clip(median / heard, 0.6, 1.7)) ** PITCH_SHARE,
            spread=float(np.clip((high - low) / median / (wide / heard), 0.7, 1.6)) ** PITCH_SHARE,
            centre=heard,
        )
    base = BaseVoice(
        "espeak",
        language,
        f"{'en-us' if language == 'en' else 'cmn'}+{'f3' if female else 'm3'}",
        gap_s=CHINESE_GAP_S * (language == "zh"),
    )
    pitches = (25, 40, 55, 70, 85)
    heard_at = [_heard_pitch(replace(base, pitch=pitch))[0] for pitch in pitches]
    return replace(base, pitch=round(float(np.interp(median, heard_at, pitches))))


def _heard_pitch(base: BaseVoice) -> tuple[float, float]:
    """Median of what the base voice's F0 really is, and its range from the 10th to the 90th percentile, in hertz."""
    found = [analyse(render(base, text)[0]).f0 for text in _SAMPLES[base.language]]
    voiced = np.concatenate([f0[f0 > 0] for f0 in found])
    low, median, high = np.percentile(voiced, [10, 50, 90])
    return float(median), float(high - low)

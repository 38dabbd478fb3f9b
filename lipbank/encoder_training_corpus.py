"""Synthetic speech with the time of every phone, bent and soiled until it sounds like anybody anywhere.

espeak-ng reads ``encoder_training_text`` in many voices; every phone it reports is mapped to one of 22 articulatory
classes (what lips, teeth and tongue do), and to a rough prior of what the lips look like.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbank.encoder_training_text import choose
from lipsync.audio.mel import MEL_HOP, log_mel
from lipsync.engine import SAMPLE_RATE

_PHONES = {
    "sil": "",
    "pbm": "pbmɓβʙ",
    "fv": "fvʋɱɸ",
    "th": "θð",
    "tdn": "tdnʈɖɳɗɲ",
    "sz": "sz",
    "sh": "ʃʒɕʑʂʐɻ",
    "kg": "kgɡŋxɣqɴcɟχç",
    "h": "hɦʔħ",
    "l": "lɫʎɭɬ",
    "rr": "ɹ",
    "r": "rɾʁʀɽ",
    "w": "wɥʍ",
    "j": "j",
    "i": "iɪɨᵻ",
    "e": "eɛɜ",
    "a": "aæ",
    "A": "ɑʌɐɒ",
    "@": "əɚɝɘᵊ",
    "o": "ɔoɤ",
    "u": "uʊɯʉ",
    "y": "yøœɵʏ",
}
CLASSES = tuple(_PHONES)
"""Articulatory classes; 0 is silence."""
_CLASS_OF = {phone: i for i, phones in enumerate(_PHONES.values()) for phone in phones}

# Opening of the lips, spreading of the corners, rounding: 0 to 1, spreading -1 to 1. A phonetician's rough table, only
# a hint for the encoder's second head; a person's own shapes are learned from the take.
LIPS = np.array(
    [
        (0.05, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.1, 0.1, 0.0),
        (0.3, 0.1, 0.0),
        (0.3, 0.2, 0.0),
        (0.2, 0.4, 0.0),
        (0.3, -0.4, 0.6),
        (0.4, 0.1, 0.0),
        (0.5, 0.0, 0.0),
        (0.4, 0.1, 0.0),
        (0.3, -0.3, 0.4),
        (0.4, 0.0, 0.1),
        (0.15, -0.9, 1.0),
        (0.3, 0.5, 0.0),
        (0.4, 0.7, 0.0),
        (0.6, 0.5, 0.0),
        (1.0, 0.3, 0.0),
        (0.9, 0.0, 0.1),
        (0.4, 0.0, 0.1),
        (0.6, -0.5, 0.7),
        (0.25, -0.8, 1.0),
        (0.3, -0.7, 0.9),
    ],
    np.float32,
)

_ODD_VARIANTS = ("robo", "robot", "whisper", "demonic", "croak", "fast", "tweaky")


@dataclass(frozen=True)
class Utterance:
    """One synthetic utterance.

    Attributes:
        mel: float32 (n, 40), as ``log_mel``.
        label: int8 (n,), the class sounding at each frame.
    """

    mel: NDArray[np.float32]
    label: NDArray[np.int8]


def _classes(phone: str) -> list[int]:
    return [_CLASS_OF[c] for c in phone if c in _CLASS_OF]


def variants() -> list[str]:
    """espeak-ng's voice variants that sound like people."""
    import espeakng_loader

    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    names = sorted(p.name for p in folder.iterdir())
    return [n for n in names if not any(odd in n.lower() for odd in _ODD_VARIANTS)]


def soil(pcm: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another microphone, room, noise and level (5 to 35 dB)."""
    from scipy.signal import fftconvolve, lfilter

    n = len(pcm)
    sound: NDArray[np.floating] = pcm / (np.sqrt((pcm**2).mean()) + 1e-6) * 0.08
    if rng.random() < 0.6:
        taps = rng.normal(0, 0.25, 5)
        taps[0] += 1
        sound = lfilter(taps, [1.0], sound)
    if rng.random() < 0.5:
        length = int(rng.uniform(0.05, 0.4) * SAMPLE_RATE)
        room = rng.normal(0, 1, length) * np.exp(-6.9 * np.arange(length) / length) * rng.uniform(0.01, 0.06)
        room[0] = 1
        sound = fftconvolve(sound, room)[:n]
    if rng.random() < 0.7:
        noise = rng.normal(0, 1, n)
        if rng.random() < 0.6:
            noise = lfilter([1.0], [1.0, -rng.uniform(0.5, 0.98)], noise)
        noise /= np.sqrt((noise**2).mean())
        sound = sound + noise * np.sqrt((sound**2).mean()) * 10 ** (-rng.uniform(5, 35) / 20)
    return (sound * 10 ** (rng.uniform(-12, 6) / 20)).astype(np.float32)


def speak(seconds: float, seed: int) -> Iterator[Utterance]:
    """About ``seconds`` of speech, utterance by utterance.

    Args:
        seconds: Sound wanted in all.
        seed: Chooses voices, texts and soiling.
    """
    import soxr

    from speech.errors import SpeechError
    from speech.tts.espeak import Prosody, library

    engine = library()
    dice, rng = random.Random(seed), np.random.default_rng(seed)
    voices = variants()
    made = 0.0
    while made < seconds:
        voice, text = choose(dice)
        prosody = Prosody(
            f"{voice}+{dice.choice(voices)}", dice.randint(120, 230), dice.randint(15, 90), dice.randint(20, 80)
        )
        try:
            samples, begun = engine.render(text, prosody)
        except SpeechError:  # not every variant goes with every voice
            continue
        starts = [(s.text, s.sample) for s in begun if s.kind == "phoneme"]
        if len(starts) < 5:
            continue
        pcm = samples.astype(np.float32) / 32768
        # Playing it slower or faster moves pitch, formants and tempo together: another throat.
        bend = rng.uniform(0.8, 1.25)
        sound = soxr.resample(pcm, engine.sample_rate * bend, SAMPLE_RATE)
        before = int(rng.uniform(0.1, 0.4) * SAMPLE_RATE)
        sound = np.pad(sound, (before, SAMPLE_RATE // 5))
        mel = log_mel(soil(sound, rng))
        yield Utterance(mel, _label(starts, len(pcm), len(mel), before, engine.sample_rate * bend))
        made += len(mel) / 100


def _label(starts: list[tuple[str, int]], samples: int, frames: int, before: int, rate: float) -> NDArray[np.int8]:
    """Classes per mel frame; phones of several parts (affricates, diphthongs) share their time evenly."""
    label = np.zeros(frames, np.int8)
    at = (np.arange(frames) * MEL_HOP - before) / SAMPLE_RATE
    ends = [begin for _, begin in starts[1:]] + [samples]
    for (phone, begin), end in zip(starts, ends, strict=True):
        parts = _classes(phone) or [0]
        for i, part in enumerate(parts):
            label[at >= (begin + (end - begin) * i / len(parts)) / rate] = part
    label[at >= samples / rate] = 0
    return label

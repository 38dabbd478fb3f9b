"""A person's recording: judged, cut into utterances, and given its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.errors import InvalidInputError
from lipsync.progress import Progress
from speech.clone.augmentation import DENOISE_BELOW_DB, denoised
from speech.clone.base_speech import ARPABET, PAUSE, Phone
from speech.clone.features import RATE, levelled

HELD_OUT = 0.2
"""The last share of a recording, which is never learned from."""
LEAST_SPEECH_S = 10.0
_MARGIN = int(0.1 * RATE)
Sound = NDArray[np.float32]


@dataclass
class Utterance:
    """A run of speech, float32 (n,) at RATE, with its words and phones (empty while they are not known)."""

    sound: Sound
    start_s: float
    end_s: float
    text: str = ""
    phones: list[Phone] = field(default_factory=list)


@dataclass
class Recording:
    """A recording fit for training: its utterances up to the held-out part, and the held-out ones."""

    train: list[Utterance]
    held_out: list[Utterance]
    facts: dict[str, float]


def load(path: Path) -> Sound:
    """``load_at`` RATE, without the rate."""
    return load_at(path, RATE)[0]


def load_at(path: Path, wanted: int) -> tuple[Sound, int]:
    """Read a sound file as float32 mono at the rate wanted; returns both.

    Raises:
        InvalidInputError: not a sound file, or below 8 kHz.
    """
    import soundfile
    import soxr

    try:
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInputError(f"{path.name!r} is not a sound file.", "Record a WAV of 1 to 3 minutes.") from error
    if rate < 8000:
        raise InvalidInputError("The sound has fewer than 8000 samples a second.", "Record at 24 kHz or more.")
    mono = np.nan_to_num(sound.mean(1))
    return np.asarray(mono if rate == wanted else soxr.resample(mono, rate, wanted), np.float32), wanted


def speech_parts(sound: Sound, longest_s: float = 10.0) -> list[tuple[int, int]]:
    """Begin and end, in samples, of each run of speech (silero-vad)."""
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    found = get_speech_timestamps(
        torch.from_numpy(levelled(sound, 0.9)),
        load_silero_vad(),
        sampling_rate=RATE,
        min_silence_duration_ms=200,
        max_speech_duration_s=longest_s,
    )
    return [(int(part["start"]), int(part["end"])) for part in found]


def measure(sound: Sound, parts: Sequence[tuple[int, int]]) -> dict[str, float]:
    """What the recording is like: seconds, speech, clipping (share), signal to noise (dB), sound above 4 kHz (dB)."""
    spoken = np.concatenate([sound[a:b] for a, b in parts]) if parts else np.zeros(0, np.float32)
    quiet = np.ones(len(sound), bool)
    for a, b in parts:
        quiet[max(a - 800, 0) : b + 800] = False
    noise = float(np.sqrt(np.mean(sound[quiet] ** 2))) if quiet.sum() > RATE // 10 else 0.0
    level = float(np.sqrt(np.mean(spoken**2))) if spoken.size else 0.0
    peak = float(np.abs(sound).max(initial=0.0))
    clipped = np.abs(sound) >= 0.999 * peak
    runs = clipped[1:] & clipped[:-1] if peak > 0.5 else np.zeros(1, bool)
    spectrum = np.abs(np.fft.rfft(spoken[: 30 * RATE])) ** 2 if spoken.size else np.ones(2)
    split = len(spectrum) // 2
    high, low = float(spectrum[split:].sum()), float(spectrum[:split].sum())
    return {
        "seconds": len(sound) / RATE,
        "speech_s": len(spoken) / RATE,
        "level": level,
        "clipped": float(runs.mean()),
        "snr_db": 20 * float(np.log10(max(level, 1e-6) / max(noise, 1e-6))) if noise else 60.0,
        "above_4k_db": 10 * float(np.log10(max(high, 1e-12) / max(low, 1e-12))),
    }


def speakers(sound: Sound, parts: Sequence[tuple[int, int]]) -> float:
    """How alike the two most different groups of utterances are, 0 to 1 (1 where there is one group)."""
    from speech.clone.judge import embed

    voices = np.array([embed(sound[a:b]) for a, b in parts if b - a > 2 * RATE])
    if len(voices) < 4:
        return 1.0
    likeness = voices @ voices.T
    a, b = np.unravel_index(int(np.argmin(likeness)), likeness.shape)
    group = likeness[:, a] >= likeness[:, b]
    if min(group.sum(), (~group).sum()) < 0.2 * len(voices):
        return 1.0
    one, two = voices[group].mean(0), voices[~group].mean(0)
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def judge_input(facts: dict[str, float], alike: float) -> list[dict[str, Any]]:
    """Every reason why a recording cannot be trained on; empty if it can."""
    rules = (
        ("no_speech", facts["speech_s"] < 1.0, "No speech is heard.", "Record yourself reading aloud."),
        (
            "too_short",
            1.0 <= facts["speech_s"] < LEAST_SPEECH_S,
            f"Only {facts['speech_s']:.0f} s of speech were found; at least {LEAST_SPEECH_S:.0f} s are needed.",
            "Record one to three minutes.",
        ),
        (
            "not_speech",
            facts["speech_s"] < 0.3 * facts["seconds"] and facts["speech_s"] >= LEAST_SPEECH_S and facts["snr_db"] < 6,
            "Most of the recording is music or noise.",
            "Record speech alone, without music.",
        ),
        (
            "clipped",
            facts["clipped"] > 0.002,
            "The recording is overdriven.",
            "Lower the microphone's level and record again.",
        ),
        ("noisy", facts["snr_db"] < 8, "The noise is nearly as loud as the voice.", "Record in a quiet room."),
        (
            "telephone",
            facts["above_4k_db"] < -55,
            "The sound holds nothing above 4 kHz, as on a telephone.",
            "Record with a microphone at 24 kHz or more.",
        ),
        ("two_speakers", alike < 0.75, "More than one person is heard.", "Record one person alone."),
    )
    return [{"code": c, "message": m, "remedy": r} for c, broken, m, r in rules if broken]


def prepare(sound: Sound, transcript: str | None, progress: Progress, *, language: str = "en") -> Recording:
    """Judge the recording, cut it, and give each utterance its words (recognised, or taken from the transcript).

    Raises:
        InvalidInputError: it cannot be trained on (``detail["reasons"]``), or the transcript is of something else.
    """
    progress.stage("check")
    parts = speech_parts(sound)
    facts = measure(sound, parts)
    reasons = judge_input(facts, 1.0)
    if not reasons:
        facts["speakers_alike"] = speakers(sound, parts)
        reasons = judge_input(facts, facts["speakers_alike"])
    if reasons:
        raise InvalidInputError(
            " ".join(r["message"] for r in reasons), reasons[0]["remedy"], {"reasons": reasons, "measured": facts}
        )
    if facts["snr_db"] < DENOISE_BELOW_DB:
        progress.stage("denoise")
        sound = denoised(sound, parts)
        facts["denoised"] = 1.0
    progress.stage("segment")
    border = int(len(sound) * (1 - HELD_OUT))
    cut = lambda a, b: sound[max(a - _MARGIN, 0) : b + _MARGIN]  # noqa: E731
    train = [Utterance(cut(a, b), a / RATE, b / RATE) for a, b in parts if b <= border and b - a > RATE // 2]
    held = [Utterance(cut(a, b), a / RATE, b / RATE) for a, b in parts if a >= border and b - a > RATE // 2]
    if language != "en":
        return Recording(train, held, facts)  # no recogniser of other languages ships with its model
    progress.stage("recognise")
    for index, utterance in enumerate(train):
        utterance.text = recognise(utterance.sound)
        progress.update((index + 1) / len(train))
    if transcript is not None:
        heard = [recognise(utterance.sound) for utterance in held]
        facts["transcript_match"] = distribute(train, transcript, heard)
    return Recording(train, held, facts)


def words_of(text: str) -> list[str]:
    """English words in lower case without punctuation."""
    return re.findall(r"[a-z][a-z'’]*", text.lower().replace("’", "'"))


def distribute(utterances: Sequence[Utterance], transcript: str, after: Sequence[str] = ()) -> float:
    """Replace what was heard by the words of the transcript at the same place; return the share that agrees.

    Raises:
        InvalidInputError: the transcript is not of this recording.
    """
    written = words_of(transcript)
    heard = [(word, i) for i, utterance in enumerate(utterances) for word in words_of(utterance.text)]
    rest = [(word, -1) for text in after for word in words_of(text)]
    matcher = SequenceMatcher(None, [w for w, _ in [*heard, *rest]], written, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    agreed = sum(block.size for block in blocks) / max(len(heard) + len(rest), 1)
    if agreed < 0.35:
        raise InvalidInputError(
            f"Only {agreed:.0%} of what is heard is in the transcript.",
            "Give the text that was read, in the language spoken, or leave it out.",
            {"reasons": [{"code": "transcript_mismatch", "agreed": agreed}]},
        )
    owners = [owner for _, owner in [*heard, *rest]]
    texts: list[list[str]] = [[] for _ in utterances]
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        for k in range(b0, b1) if kind != "delete" else ():
            # Words heard otherwise lie where the ones heard in their stead lie; words not heard follow the last one.
            at = a0 + (k - b0) * (a1 - a0) // (b1 - b0) if a1 > a0 else max(a0 - 1, 0)
            if owners and owners[at] >= 0:
                texts[owners[at]].append(written[k])
    for utterance, words in zip(utterances, texts, strict=True):
        utterance.text = " ".join(words)
    return agreed


@cache
def _recogniser() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=RATE, loglevel="FATAL", bestpath=True, maxwpf=8, topn=2)


def recognise(sound: Sound) -> str:
    """English words heard in ``sound`` (pocketsphinx, whose model ships in its package). For one thread at a time."""
    decoder = _recogniser()
    decoder.start_utt()
    decoder.process_raw(_int16(levelled(sound, 0.9)), full_utt=True)
    decoder.end_utt()
    return str(decoder.hyp().hypstr) if decoder.hyp() else ""


def _int16(sound: Sound) -> bytes:
    return bytes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


@cache
def _aligner() -> Any:
    """A decoder whose words are single phones, so that any text a synthesiser can say can be aligned."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE, loglevel="FATAL", lm=None, dict=None, beam=1e-80, wbeam=1e-60, pbeam=1e-80)
    for label in ARPABET:
        decoder.add_word("q" + label, "AH" if label == "ax" else label.upper(), label == ARPABET[-1])
    return decoder


def align(sound: Sound, labels: Sequence[str]) -> list[Phone] | None:
    """Where these ARPAbet phones lie in ``sound``, with pauses between; None if they cannot be fitted to it.

    The last few phones may be missing, where the recording was cut short of them.
    """
    spoken = [label for label in labels if label != PAUSE]
    if len(spoken) < 3:
        return None
    decoder = _aligner()
    decoder.set_align_text(" ".join("q" + label for label in spoken))
    decoder.start_utt()
    # Room at the end: without it the decoder drops the last phones.
    decoder.process_raw(_int16(np.pad(levelled(sound, 0.9), (0, RATE // 3))), full_utt=True)
    decoder.end_utt()
    try:
        found = [(s.word, s.start_frame * 0.01, (s.end_frame + 1) * 0.01) for s in decoder.seg()]
    except (RuntimeError, TypeError):
        return None
    phones = [
        Phone(word[1:].split("(")[0] if word.startswith("q") else PAUSE, start, end) for word, start, end in found
    ]
    labels_found = [p.label for p in phones if p.label != PAUSE]
    enough = len(labels_found) >= 0.85 * len(spoken)
    return phones if enough and labels_found == spoken[: len(labels_found)] else None

"""Judging a voice on the part of its recording that was held out, each figure beside the person's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lipsync.errors import InvalidInputError
from lipsync.evaluation import Judgement
from lipsync.progress import Progress, SilentProgress
from speech.clone import judge
from speech.clone.recording import Sound, load, prepare, recognise, words_of
from speech.clone.voice import ClonedVoice

_SENTENCES = 5
_LEAST_WORDS = 3


def judge_voice(bundle: Path, recording: Path, *, progress: Progress | None = None) -> Judgement:
    """Let a voice say sentences nothing was learned from, and measure them.

    Args:
        bundle: The voice's bundle.
        recording: What it was trained on; its last fifth was held out.
        progress: Told how far it is.

    Returns:
        ``figures``: similarity (and similarity_zh) to the held-out speech, wer of new English sentences, dnsmos where
        its package is installed, mcd in dB to held-out sentences said again where words are understood in them.
        ``real``: the same of the person: similarity of the held-out part to the rest, dnsmos of it.

    Raises:
        InvalidInputError: the recording cannot be used, or holds no speech in its last fifth.
        BundleError: the bundle is damaged.
    """
    progress = progress or SilentProgress()
    voice = ClonedVoice.load(bundle)
    parts = prepare(load(recording), None, progress, language="")
    if not parts.held_out:
        raise InvalidInputError("Nobody speaks in the recording's last fifth.", "Name a longer recording.")
    progress.stage("judging")
    held = np.concatenate([judge.levelled(u.sound) for u in parts.held_out])
    learned = np.concatenate([judge.levelled(u.sound) for u in parts.train])
    figures: dict[str, float] = {}
    real: dict[str, float] = {}
    alike = judge.similarity(learned, held)
    for step, language in enumerate(voice.converters):
        if language not in judge.NEW_SENTENCES:
            continue
        suffix = "" if language == "en" else f"_{language}"
        texts = judge.NEW_SENTENCES[language][:_SENTENCES]
        made: list[Sound] = []
        for text in texts:
            made.append(voice.say(text, language))
            progress.check()
        figures[f"similarity{suffix}"] = judge.similarity(np.concatenate(made), held)
        real[f"similarity{suffix}"] = alike
        if (clear := judge.dnsmos(made)) is not None:
            figures[f"dnsmos{suffix}"] = clear
            real[f"dnsmos{suffix}"] = judge.dnsmos([u.sound for u in parts.held_out]) or 0.0
        if language == "en":
            figures["wer"] = judge.word_errors(texts, [recognise(sound) for sound in made])
        progress.update((step + 1) / (len(voice.converters) + 1))
    figures |= _mcd(voice, [u.sound for u in parts.held_out], progress)
    progress.update(1.0)
    return Judgement(*({k: round(float(v), 4) for k, v in part.items()} for part in (figures, {}, real)))


def _mcd(voice: ClonedVoice, held: list[Sound], progress: Progress) -> dict[str, float]:
    """Mel-cepstral distortion to held-out sentences said again; nothing where no words are understood in them."""
    if "en" not in voice.converters:
        return {}
    values = []
    for sound in held[:_SENTENCES]:
        text = recognise(sound)
        if len(words_of(text)) >= _LEAST_WORDS:
            values.append(judge.mcd(voice.say(text, "en"), sound))
        progress.check()
    return {"mcd": float(np.mean(values))} if values else {}

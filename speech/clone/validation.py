"""What a trained voice is measured by before it is kept."""

from __future__ import annotations

import time

import numpy as np

from speech.clone import judge
from speech.clone.base_speech import Phone, render
from speech.clone.converter import Converter
from speech.clone.features import HOP, RATE, convert
from speech.clone.reading import READING
from speech.clone.recording import Recording, Sound, recognise

SENTENCES = 5
"""How many new sentences are judged inside training; the measurement ``voice`` judges all."""


def validate(converters: dict[str, Converter], recording: Recording, *, clarity: bool) -> dict[str, float]:
    """Likeness to the held-out speech by the encoder and by the referee, clarity, quality, pitch kept, and speed.

    ``..._base`` are the synthesiser's own voice at the person's pace. ``dnsmos`` is left out where its package is not
    installed, ``wer`` and ``mcd`` where the words of the recording are not English.
    """
    held = np.concatenate([judge.levelled(u.sound) for u in (recording.held_out or recording.train)])
    others = [render(c.base.plain, t)[0] for c in converters.values() for t in READING[c.base.language][:6]]
    referee = judge.Referee.learn([u.sound for u in recording.train], [*others, *judge.other_voices()])
    metrics: dict[str, float] = {}
    for language, converter in converters.items():
        suffix = "" if language == "en" else f"_{language}"
        texts = judge.NEW_SENTENCES[language][:SENTENCES]
        begun = time.perf_counter()
        made = [_say(converter, text) for text in texts]
        metrics[f"rtf{suffix}"] = (time.perf_counter() - begun) / (sum(map(len, made)) / RATE)
        plain = [render(converter.base.plain, text)[0] for text in texts]
        metrics[f"similarity{suffix}"] = judge.similarity(np.concatenate(made), held)
        metrics[f"similarity_base{suffix}"] = judge.similarity(np.concatenate(plain), held)
        metrics[f"llr{suffix}"] = referee.score(made)
        metrics[f"llr_base{suffix}"] = referee.score(plain)
        if (quality := judge.dnsmos(made)) is not None:
            metrics[f"dnsmos{suffix}"] = quality
            metrics[f"dnsmos_base{suffix}"] = judge.dnsmos(plain) or 0.0
        if language == "en" and clarity:
            metrics["wer"] = judge.word_errors(texts, [recognise(sound) for sound in made])
            metrics["wer_base"] = judge.word_errors(texts, [recognise(sound) for sound in plain])
            heard = [(recognise(u.sound), u.sound) for u in recording.held_out]
            distances = [judge.mcd(_say(converter, text), sound) for text, sound in heard if len(text.split()) >= 3]
            if distances:
                metrics["mcd"] = float(np.mean(distances))
        # From one rendering: two differ by some samples of the synthesiser's breath.
        before = [render(converter.base, text) for text in texts]
        kept = [judge.tone_kept(sound, _changed(converter, sound, phones)) for sound, phones in before]
        metrics[f"tone_correlation{suffix}"] = float(np.mean(kept))
    return metrics


def _say(converter: Converter, text: str) -> Sound:
    return _changed(converter, *render(converter.base, text))


def _changed(converter: Converter, sound: Sound, phones: list[Phone]) -> Sound:
    return convert(sound, converter.difference(phones, len(sound) // HOP + 1))

"""Measurement ``voice``: from a recording to a voice, judged on its held-out part and ten new sentences.

``python scripts/bench.py voice --voice FILE [--transcript FILE] [--save DIR]``. The reference, in the same run, is the
base voice that is filtered, and the real person's held-out speech where a figure exists for it.

``similarity`` is Resemblyzer's cosine to the held-out speech (the refinement optimises this encoder on the training
part); ``llr`` is an independent mixture's log-likelihood ratio, never optimised; ``wer`` is pocketsphinx's;
``mcd`` compares held-out utterances with the voice saying the words recognised in them; ``dnsmos`` needs the package
speechmos and is null without it. Times are those of this process, on one thread for speaking.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.clone import judge
from speech.clone.base_speech import render
from speech.clone.features import HOP, RATE, convert
from speech.clone.recording import load, prepare, recognise
from speech.clone.training import VoiceOptions, train_voice
from speech.clone.voice import ClonedVoice
from speech.tts import Voice, create

Sound = NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be set."""
    parser.add_argument("--voice", type=Path, required=True, help="recording of one person")
    parser.add_argument("--transcript", type=Path, help="text file of what is said")
    parser.add_argument("--bundle", type=Path, help="judge this voice instead of training one")
    parser.add_argument("--steps", type=int, default=VoiceOptions.steps, help="steps of the refinement")
    parser.add_argument("--likeness", type=float, default=1.0, help="0 clearest, 1 most alike")
    parser.add_argument("--no-flite", action="store_true", help="filter espeak-ng also in English")
    parser.add_argument("--save", type=Path, help="folder for base.wav, voice.wav and real.wav")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, judge and time."""
    from lipsync.progress import SilentProgress

    transcript = args.transcript.read_text("utf-8") if args.transcript else None
    with tempfile.TemporaryDirectory(prefix="bench-voice-") as temporary:
        folder = args.bundle
        if folder is None:
            options = VoiceOptions(steps=args.steps, allow_flite=not args.no_flite)
            print("training ...", flush=True)
            folder = train_voice(args.voice, Path(temporary) / "voice", transcript=transcript, options=options)
        voice = ClonedVoice.load(folder)
        # No language: the words of the training part are not needed to judge.
        recording = prepare(load(args.voice), None, SilentProgress(), language="")
        held = np.concatenate([judge.levelled(u.sound) for u in recording.held_out])
        referee = judge.Referee.learn([u.sound for u in recording.train], judge.other_voices())
        figures, reference = _judge(voice, args.likeness, held, referee)
        figures["mcd"], reference["mcd_base"] = _mcd(voice, args.likeness, [u.sound for u in recording.held_out])
        figures["first_audio_ms"] = asyncio.run(_first_audio(folder, args.likeness))
        figures["train_minutes"] = voice.manifest.metrics["train_minutes"]
        if args.save:
            _save(args.save, voice, args.likeness, held)
        settings = {
            "recording": voice.manifest.extra["recording"],
            "languages": voice.manifest.extra["languages"],
            "likeness": args.likeness,
            "steps": args.steps if args.bundle is None else None,
        }
    for facts in settings["languages"].values():
        facts.pop("phones", None)
    return {"figures": figures, "reference": reference, "settings": settings}


def _judge(
    voice: ClonedVoice, likeness: float, held: Sound, referee: judge.Referee
) -> tuple[dict[str, Any], dict[str, Any]]:
    figures: dict[str, Any] = {}
    reference: dict[str, Any] = {"llr_real": referee.score([held])}
    for language, converter in voice.converters.items():
        suffix = "" if language == "en" else f"_{language}"
        sentences = judge.NEW_SENTENCES[language]
        plain = [render(converter.base.plain, text)[0] for text in sentences]
        before = [render(converter.base, text) for text in sentences]
        begun = time.perf_counter()
        made = [voice.say(text, language, likeness) for text in sentences]
        seconds = time.perf_counter() - begun
        figures[f"similarity{suffix}"] = judge.similarity(np.concatenate(made), held)
        reference[f"similarity_base{suffix}"] = judge.similarity(np.concatenate(plain), held)
        figures[f"rtf{suffix}"] = seconds / (sum(map(len, made)) / RATE)
        figures[f"dnsmos{suffix}"] = judge.dnsmos(made[:6])
        reference[f"dnsmos_base{suffix}"] = judge.dnsmos(plain[:6])
        figures[f"tone_correlation{suffix}"] = statistics.fmean(
            judge.tone_kept(sound, convert(sound, converter.difference(phones, len(sound) // HOP + 1, likeness)))
            for sound, phones in before
        )
        if language != "en":
            continue
        figures["llr"], figures["llr_base"] = referee.score(made), referee.score(plain)
        figures["wer"] = judge.word_errors(sentences, [recognise(sound) for sound in made])
        figures["wer_base"] = judge.word_errors(sentences, [recognise(sound) for sound in plain])
        figures["wer_over_base"] = figures["wer"] - figures["wer_base"]
    return figures, reference


def _mcd(voice: ClonedVoice, likeness: float, held: list[Sound]) -> tuple[float, float]:
    made, plain = [], []
    for sound in held:
        text = recognise(sound)
        if len(text.split()) >= 3:
            made.append(judge.mcd(voice.say(text, "en", likeness), sound))
            plain.append(judge.mcd(render(voice.converters["en"].base.plain, text)[0], sound))
    return statistics.fmean(made), statistics.fmean(plain)


async def _first_audio(folder: Path, likeness: float) -> float:
    """Median over the new sentences, through the back-end a session uses, in milliseconds."""
    backend = create("clone", {"bundle": folder, "likeness": likeness})
    await backend.warm_up()
    times = []
    for sentence in judge.NEW_SENTENCES["en"]:
        begun = time.perf_counter()
        stream = backend.stream(sentence, Voice("clone"), asyncio.Event())
        await anext(stream)
        times.append(1000 * (time.perf_counter() - begun))
        await stream.aclose()
    await backend.close()
    return statistics.median(times)


def _save(folder: Path, voice: ClonedVoice, likeness: float, held: Sound) -> None:
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "real.wav", held, RATE)
    for language, converter in voice.converters.items():
        texts = judge.NEW_SENTENCES[language]
        base = np.concatenate([render(converter.base.plain, text)[0] for text in texts])
        made = np.concatenate([voice.say(text, language, likeness) for text in texts])
        soundfile.write(folder / f"base_{language}.wav", base, RATE)
        soundfile.write(folder / f"voice_{language}.wav", made, RATE)

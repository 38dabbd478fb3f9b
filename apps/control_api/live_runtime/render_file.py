"""A film of an avatar speaking: the live stages without a clock, as fast as the machine goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.control_api.live_runtime.film import FilmWriter
from apps.control_api.live_runtime.film_transparent import TransparentFilm
from apps.control_api.live_runtime.frames import (
    FRAME_S,
    FRAME_SAMPLES,
    LIVE_RATE,
    DrivenFrame,
    Frame,
    PcmFrame,
    TextEndFrame,
    TextFrame,
)
from apps.control_api.live_runtime.host import MAX_BATCH, Loader, load_engine
from apps.control_api.live_runtime.pictures import FADE_IN, Mouth, compose
from apps.control_api.live_runtime.spec import SessionSpec
from apps.control_api.live_runtime.stages.animate import AnimateStage
from apps.control_api.live_runtime.stages.speak import SpeakStage
from lipsync.compositor import Compositor
from lipsync.engine import SAMPLE_RATE, Engine
from lipsync.errors import InvalidInputError
from lipsync.progress import Progress, SilentProgress
from speech.tts.base import TextToSpeech

LEAD, TRAIL = 8, 12
"""Resting frames before and after the speech."""
_SPEECH_SHARE = 0.1

Source = str | Path | NDArray[np.float32] | tuple[NDArray[np.float32], int]


@dataclass(frozen=True)
class Film:
    """A finished film.

    Attributes:
        path: The MP4, H.264 and AAC, 25 fps; a WebM, VP9 with alpha and Opus, where the background is transparent.
        frames: Pictures in it.
        duration_s: Its length.
        took_s: How long drawing and writing it took.
    """

    path: Path
    frames: int
    duration_s: float
    took_s: float


def render_video(
    spec: SessionSpec,
    source: Source,
    out: Path,
    progress: Progress | None = None,
    *,
    load: Loader = load_engine,
    voice: Callable[[str, Mapping[str, Any]], TextToSpeech] | None = None,
) -> Film:
    """Make a film. Blocking; a job's body. Nothing is at ``out`` unless the film is whole.

    Args:
        spec: Avatar, voice, background and mark; the rest is not used.
        source: A text to speak, a sound file, or sound: float32 mono in -1..1 at 16 kHz, or (sound, samples a second).
            A file is best: people hear it at 48 kHz.
        out: The MP4, or for a transparent background the WebM; its folder must exist.
        progress: Told stages ``loading``, ``speaking``, ``drawing``; may end the work.
        load: Loads the engine.
        voice: Makes the voice back-end.

    Raises:
        InvalidInputError: There is nothing to say or hear.
        BundleError: The avatar cannot be loaded.
        SpeechError: The voice failed.
        CancelledError: ``progress`` asked for it.
        NoSpaceError: The disk is full.
    """
    from apps.control_api.live_runtime.manager import make_voice

    progress = progress or SilentProgress()
    started = time.monotonic()
    progress.stage("loading")
    engine = load(spec.avatar)
    try:
        compositor = Compositor(engine.base, spec.background, spec.mark)
        progress.stage("speaking")
        driven = asyncio.run(_driven(spec, source, engine, voice or make_voice, progress))
        if not driven:
            raise InvalidInputError("There is nothing to say.", "Send some text or a sound.")
        progress.stage("drawing")
        frames = _draw(spec, driven, engine, compositor, out=out, progress=progress)
    finally:
        engine.close()
    progress.update(1.0)
    return Film(out, frames, round(frames * FRAME_S, 3), round(time.monotonic() - started, 3))


async def _driven(
    spec: SessionSpec,
    source: Source,
    engine: Engine,
    voice: Callable[[str, Mapping[str, Any]], TextToSpeech],
    progress: Progress,
) -> list[DrivenFrame]:
    """Everything that is to be seen and heard, in order."""
    cancel = asyncio.Event()

    async def here(call: Callable[..., Any], *args: Any) -> Any:
        return call(*args)

    tts = voice(spec.voice.backend, spec.voice_settings)
    speak = SpeakStage(tts, spec.voice, lambda turn: cancel)
    animate = AnimateStage(engine, here)
    made: list[DrivenFrame] = []
    try:
        for frame in await asyncio.to_thread(_opening, source):
            async with aclosing(_through(speak, animate, frame)) as outs:
                async for out in outs:
                    if isinstance(out, DrivenFrame):
                        made.append(out)
                    if len(made) % 25 == 0:
                        progress.check()
    finally:
        await tts.close()
    progress.update(_SPEECH_SHARE)
    return made


async def _through(speak: SpeakStage, animate: AnimateStage, frame: Frame) -> AsyncGenerator[Frame, None]:
    async for spoken in speak.handle(frame):
        async for out in animate.handle(spoken):
            yield out


def _opening(source: Source) -> list[Frame]:
    if isinstance(source, str):
        if not source.strip():
            raise InvalidInputError("There is nothing to say.", "Send some text.")
        return [TextFrame(1, source), TextEndFrame(1)]
    if isinstance(source, Path):
        from lipsync.media.audio import load_audio

        pcm, rate = load_audio(source, LIVE_RATE), LIVE_RATE
    elif isinstance(source, tuple):
        pcm, rate = source
    else:
        pcm, rate = source, SAMPLE_RATE
    if not len(pcm):
        raise InvalidInputError("The sound is empty.", "Choose another file.")
    return [PcmFrame(1, np.ascontiguousarray(pcm, np.float32), rate), TextEndFrame(1)]


def _draw(
    spec: SessionSpec,
    driven: list[DrivenFrame],
    engine: Engine,
    compositor: Compositor,
    *,
    out: Path,
    progress: Progress,
) -> int:
    base = engine.base
    silence = np.zeros(FRAME_SAMPLES, np.int16)
    idle = DrivenFrame(0, silence, engine.rest)
    faded = [
        DrivenFrame(f.turn, f.sound, f.drive, min(f.weight, FADE_IN[k]) if k < len(FADE_IN) else f.weight)
        for k, f in enumerate(driven)
    ]
    frames = [idle] * LEAD + faded + [idle] * TRAIL
    through = spec.background.kind == "transparent"
    with (TransparentFilm if through else FilmWriter)(out, base.width, base.height, spec.id) as film:
        for first in range(0, len(frames), MAX_BATCH):
            part = frames[first : first + MAX_BATCH]
            places = [base.cycle(first + k) for k in range(len(part))]
            patches = engine.infer([(place, f.drive) for place, f in zip(places, part, strict=True)])
            blended = [k for k, f in enumerate(part) if f.weight < 1]
            resting = engine.infer([(places[k], engine.rest) for k in blended]) if blended else []
            rests = dict(zip(blended, resting, strict=True))
            mouths = [Mouth(places[k], patches[k], rests.get(k), f.weight) for k, f in enumerate(part)]
            for frame, place, picture in zip(part, places, compose(compositor, mouths), strict=True):
                if isinstance(film, TransparentFilm):
                    film.write(picture, compositor.matte(place), frame.sound)
                else:
                    film.write(picture, frame.sound)
            progress.update(_SPEECH_SHARE + (1 - _SPEECH_SHARE) * (first + len(part)) / len(frames))
    return len(frames)

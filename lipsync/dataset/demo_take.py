"""A take of the studio's own, so that everything can be tried and tested with nobody in front of a camera.

A public-domain portrait speaks English and Chinese before a green screen. The sound comes from the local voice and the
mouth is drawn from its phones, so picture and sound are truly in step and there is a true mouth to measure against.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync.dataset.portrait import Portrait, Pose
from lipsync.dataset.visemes import Phone, mouth_curves
from lipsync.engine import FPS
from lipsync.progress import Progress, SilentProgress

AUDIO_RATE = 48_000
SENTENCES = (
    ("en", "Hello, and welcome to my small studio."),
    ("zh", "大家好，很高兴见到你们。"),
    ("en", "People often ask me what the moon looks like from above."),
    ("zh", "今天天气不错，我们一起出去走走吧。"),
    ("en", "My best advice is to speak slowly, breathe, and smile."),
    ("zh", "这本书我看了三遍，每一遍都有新的发现。"),
    ("en", "A big brown bear fell from the boat before breakfast."),
    ("zh", "请把门关上，外面的风太大了。"),
    ("en", "You may begin whenever the red lamp goes out."),
    ("zh", "北京的春天很短，可是非常漂亮。"),
    ("en", "We open the shop at five and close it when everybody has gone."),
    ("zh", "我妈妈爱喝茶，爸爸更喜欢咖啡。"),
    ("en", "Every voice has a shape, and every shape has a sound."),
    ("zh", "如果你有问题，可以随时打断我。"),
    ("en", "Who would have thought that two old friends would meet here?"),
    ("zh", "朋友们，节目马上就要开始了。"),
    ("en", "Put the map upon the table and show me the way home."),
    ("zh", "他跑得比谁都快，跳得比谁都高。"),
    ("en", "The weather above the clouds is always calm and bright."),
    ("zh", "八百标兵奔北坡，炮兵并排北边跑。"),
    ("en", "Please remember to water the plants while I am away."),
    ("zh", "学习一门语言，最重要的是多听多说。"),
    ("en", "She sells sea shells by the shore, and he buys them all."),
    ("zh", "谢谢大家的支持，我们下次再见。"),
)
"""What is said, in turn in both languages; rich in lip closures and in open vowels."""
SHORTEST = 1.8
"""No sentence is shorter, in seconds."""

GREEN = (62.0, 178.0, 52.0)
NOISE = 1.3
"""Standard deviation of the camera noise, grey levels."""
BLINK = (0.45, 1.0, 0.85, 0.4, 0.12)


@dataclass(frozen=True)
class DemoTake:
    """What was made, and the truth about it.

    Attributes:
        path: The MP4 file.
        n, fps, size: Frames, frames a second, side of the square frame in pixels.
        sentences: What is said, (language, text), in order.
        opening: float32 (n,) gap between the lips as drawn, in half mouth widths.
        speaking: bool (n,) whether a phone sounds in the frame.
    """

    path: Path
    n: int
    fps: int
    size: int
    sentences: tuple[tuple[str, str], ...]
    opening: NDArray[np.float32]
    speaking: NDArray[np.bool_]


def make_demo_take(
    path: Path | str,
    seconds: float = 60.0,
    *,
    seed: int = 0,
    size: int = 512,
    fps: int = FPS,
    text: str | None = None,
    progress: Progress | None = None,
) -> DemoTake:
    """Write a green-screen take (H.264 and AAC) of the demo person and return the truth about it.

    Blocking; makes about 40 frames a second of 512x512 on one core. The same
    arguments make the same take, but for what the synthesiser itself varies from call to call.

    Args:
        path: The MP4 to write; its folder must exist.
        seconds: Length; a given ``text`` that needs longer is not cut. At least 4.
        seed: Order of the sentences, the head's movements, the noise. 0 keeps the order of ``SENTENCES``.
        size: Side of the square frame, even, 192 to 1024.
        fps: Frames a second.
        text: What to say instead of ``SENTENCES``, once.
        progress: Told the share that is done.

    Raises:
        ValueError: a size, length or rate outside these bounds.
    """
    if seconds < 4 or not 192 <= size <= 1024 or size % 2 or not 10 <= fps <= 60:
        raise ValueError(f"no demo take of {seconds} s, {size} pixels, {fps} frames a second")
    from lipsync.media.video import VideoWriter

    progress = progress or SilentProgress()
    rng = np.random.default_rng(seed)
    sound, phones, said = _speak(seconds, text, seed, rng)
    n = int(np.ceil(sound.size / AUDIO_RATE * fps))
    sound = np.pad(sound, (0, round(n / fps * AUDIO_RATE) - sound.size))
    opening, spread = mouth_curves(phones, sound, AUDIO_RATE, n, fps)
    middles = (np.arange(n) + 0.5) / fps
    speaking = np.zeros(n, bool)
    for phone in phones:
        speaking |= (middles >= phone.start) & (middles < phone.end)
    sound = sound + rng.normal(0, 1e-4, sound.size).astype(np.float32)
    with VideoWriter(path, size, size, fps=fps, audio_rate=AUDIO_RATE, crf=17) as writer:
        step = AUDIO_RATE / fps
        for index, frame in enumerate(_film(Portrait(size), _poses(opening, spread, fps, rng), rng)):
            writer.write(frame)
            writer.write_audio(sound[round(index * step) : round((index + 1) * step)])
            progress.update((index + 1) / n)
    return DemoTake(Path(path), n, fps, size, said, opening, speaking)


def _speak(
    seconds: float, text: str | None, seed: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[Phone], tuple[tuple[str, str], ...]]:
    """The sound at ``AUDIO_RATE`` with quiet at both ends, its phones, and what was said."""
    edge = min(1.5, 0.06 * seconds)
    if text is not None:
        queue = [("auto", text)]
    else:
        order = np.arange(len(SENTENCES)) if seed == 0 else rng.permutation(len(SENTENCES))
        queue = []
        while len(queue) * SHORTEST < seconds:
            queue += [SENTENCES[index] for index in order]
            order = rng.permutation(len(SENTENCES))
    said: list[tuple[str, str]] = []
    parts, phones = [np.zeros(round(edge * AUDIO_RATE), np.float32)], list[Phone]()
    length = edge
    for (language, sentence), (pcm, marks) in zip(queue, _voice(queue), strict=False):
        duration = pcm.size / AUDIO_RATE
        if text is None and length + duration + edge > seconds:
            if seconds - length - edge < SHORTEST:
                break
            continue
        phones += [Phone(mark.text, mark.start + length, mark.end + length) for mark in marks]
        pause = np.zeros(round(rng.uniform(0.15, 0.45) * AUDIO_RATE), np.float32)
        parts += [pcm, pause]
        said.append((language, sentence))
        length += duration + pause.size / AUDIO_RATE
    total = round((seconds if text is None else max(seconds, length + edge)) * AUDIO_RATE)
    sound = np.concatenate(parts)
    return np.pad(sound, (0, max(0, total - sound.size)))[:total], phones, tuple(said)


def _voice(queue: list[tuple[str, str]]) -> Iterator[tuple[NDArray[np.float32], list[Phone]]]:
    """Each sentence as sound at ``AUDIO_RATE``, peak 0.5, and its phones."""
    import soxr

    from speech.tts.base import SpeechChunk, Voice
    from speech.tts.registry import create

    speech = create("local")

    async def say(language: str, sentence: str) -> list[SpeechChunk]:
        voice = Voice("local", language=language, speed=0.9)
        return [chunk async for chunk in speech.stream_marked(sentence, voice, asyncio.Event())]

    with asyncio.Runner() as runner:
        try:
            for language, sentence in queue:
                chunks = runner.run(say(language, sentence))
                rate = speech.sample_rate
                pcm = np.concatenate([chunk.pcm for chunk in chunks])
                marks = [mark for chunk in chunks for mark in chunk.marks if mark.kind == "phoneme"]
                yield (
                    (soxr.resample(pcm, rate, AUDIO_RATE) * (0.5 / max(1e-3, float(np.abs(pcm).max())))).astype(
                        np.float32
                    ),
                    [Phone(mark.text, mark.start / rate, mark.end / rate) for mark in marks],
                )
        finally:
            runner.run(speech.close())


def _poses(
    opening: NDArray[np.float32], spread: NDArray[np.float32], fps: int, rng: np.random.Generator
) -> Iterator[Pose]:
    """The mouth as given, with blinks and a head that is never quite still."""
    n = opening.size

    def wander(seconds: float, amplitude: float) -> NDArray[np.float64]:
        curve = gaussian_filter1d(rng.normal(size=n + 20 * fps), seconds * fps)[10 * fps : 10 * fps + n]
        return np.asarray(curve * amplitude * np.sqrt(2 * seconds * fps * np.sqrt(np.pi)), np.float64)

    blink = np.zeros(n)
    at = float(rng.uniform(0.8, 2.0))
    while (frame := round(at * fps)) < n:
        span = blink[frame : frame + len(BLINK)]
        span[:] = BLINK[: span.size]
        at += float(rng.uniform(2.2, 5.0))
    nod = gaussian_filter1d(opening.astype(np.float64), 0.12 * fps)
    shift = wander(0.9, 5.0), wander(1.1, 2.5)
    turn = wander(0.8, 6.0), wander(0.9, 4.0) + 5.0 * nod
    roll, scale = wander(1.2, 0.011), wander(1.6, 0.005)
    for k in range(n):
        yield Pose(
            float(opening[k]),
            float(spread[k]),
            float(blink[k]),
            float(roll[k]),
            float(scale[k]),
            (float(shift[0][k]), float(shift[1][k])),
            (float(turn[0][k]), float(turn[1][k])),
        )


def _screen(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """An unevenly lit green screen, float32 BGR (size, size, 3)."""
    y, x = np.mgrid[0:size, 0:size] / size
    light = 1.04 - 0.20 * ((x - 0.42) ** 2 + (y - 0.35) ** 2)
    cloth = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), size / 24)
    light = light + 0.012 * cloth / cloth.std()
    return (light[..., None] * np.array(GREEN)).astype(np.float32)


def _film(portrait: Portrait, poses: Iterator[Pose], rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """The person in each pose before the screen, BGR uint8 (size, size, 3), with the camera's noise."""
    size, spare = portrait.size, 64
    screen = _screen(size, rng)
    grain = rng.normal(0, NOISE, (size + spare, size + spare, 1)).astype(np.float32)
    for pose in poses:
        colour, alpha = portrait.draw(pose)
        cover = alpha[..., None].astype(np.float32) * np.float32(1 / 255)
        frame = screen + (colour.astype(np.float32) - screen) * cover
        left, top = rng.integers(0, spare, 2)
        frame += grain[top : top + size, left : left + size]
        yield np.clip(frame, 0, 255).astype(np.uint8)

"""Train a person's voice: alignment, shift by context, then a bounded refinement by a speaker encoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import Manifest, write_bundle
from lipsync.progress import PartProgress, Progress, SilentProgress, work_time
from speech.clone import judge
from speech.clone.base_speech import PAUSE, BaseVoice, Phone, fitted, render
from speech.clone.converter import PARTS, Converter, features, frames_of, inventory_of, smooth
from speech.clone.features import FFT, HOP, ORDER, RATE, Analysis, Array, analyse, convert, cosines
from speech.clone.recording import Recording, Sound, align, load, prepare, recognise
from speech.clone.voice import ENGINE, KIND
from speech.tts.local import SPEECH_LEVEL

READING = {
    "en": (
        "The morning train was full of people going to work in the city.",
        "A large dog ran across the field and jumped over the fence.",
        "You should measure the flour before you put it into the bowl.",
        "Both of my brothers enjoy playing chess on rainy afternoons.",
        "The judge asked the witness to explain what he had seen that night.",
        "We are looking for a small house with a view of the lake.",
        "Thank you for calling, how can I help you with your order today?",
        "Children often choose the toys that make the most noise.",
        "Her voice was calm, but her hands were shaking a little.",
        "The museum shows pictures and treasures from five centuries.",
    ),
    "zh": (
        "我们明天去学校的图书馆看书。",
        "他的哥哥是一名医生，住在北京。",
        "这家饭店的菜很便宜，也很好吃。",
        "请把窗户打开，房间里太热了。",
        "昨天下了一场大雨，路上都是水。",
        "孩子们在操场上高兴地唱歌跳舞。",
        "公司决定从下个月开始使用新的系统。",
        "火车大约三个小时以后到达上海。",
        "老师让我们写一篇关于春天的文章。",
        "春节的时候，全家人坐在一起吃饺子。",
    ),
}
"""What the base voice says while the refinement listens, where the recording's own words cannot be used."""


@dataclass(frozen=True)
class VoiceOptions:
    """How a voice is trained.

    Attributes:
        languages: Languages it will speak.
        recorded_language: Language of the recording; "en" can be aligned, others give the timbre alone.
        steps: Steps of the refinement.
        sentences: How many sentences of the base voice it listens to.
        ridge: Weight that draws the shift by context towards the mean shift.
        allow_flite: Whether flite may be the English base where it is installed.
        seed: Of the refinement's random crops.
    """

    languages: tuple[str, ...] = ("en", "zh")
    recorded_language: str = "en"
    steps: int = 60
    sentences: int = 10
    ridge: float = 40.0
    allow_flite: bool = True
    seed: int = 0


@dataclass
class _Spoken:
    """A sentence of the base voice, measured."""

    sound: Sound
    phones: list[Phone]
    analysis: Analysis


def _spoken(base: BaseVoice, text: str) -> _Spoken:
    sound, phones = render(base, text)
    return _Spoken(sound, phones, analyse(sound))


def _stretch(recording: Recording, spoken: Sequence[_Spoken]) -> float:
    """How much slower the person speaks than the base voice: the median over utterances of their phones' medians."""

    def typical(phones: Sequence[Phone]) -> float:
        return float(np.median([p.end - p.start for p in phones if p.label != PAUSE]))

    ratios = [typical(u.phones) / typical(s.phones) for u, s in zip(recording.train, spoken, strict=True) if u.phones]
    return float(np.clip(np.median(ratios), 0.8, 1.3)) if ratios else 1.0


def _pairs(person: Sequence[Phone], base: Sequence[Phone], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames of the base within phones, and the person's frames at the same place within the same phones."""
    mine = [p for p in base if p.label != PAUSE]
    theirs = [p for p in person if p.label != PAUSE]
    left: list[NDArray[np.int64]] = []
    right: list[NDArray[np.int64]] = []
    for a, b in zip(mine, theirs, strict=False):
        i = np.arange(round(a.start * RATE / HOP), round(a.end * RATE / HOP))
        if i.size:
            share = (i - i[0] + 0.5) / i.size
            left.append(i)
            right.append(np.round((b.start + share * (b.end - b.start)) * RATE / HOP - 0.5).astype(np.int64))
    if not left:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    i, j = np.concatenate(left), np.clip(np.concatenate(right), 0, count - 1)
    return i, j


def _fit_shift(
    recording: Recording,
    measured: Sequence[Analysis],
    spoken: Sequence[_Spoken],
    inventory: dict[str, int],
    *,
    ridge: float,
) -> tuple[Array, Array, float] | None:
    """Mean shift, shift by context and its mean energy, by ridge regression; None where too little could be aligned."""
    size = len(inventory)
    xx = np.zeros((PARTS * size, PARTS * size))
    rows: list[tuple[Array, Array]] = []
    for utterance, theirs, ours in zip(recording.train, measured, spoken, strict=True):
        if not utterance.phones:
            continue
        i, j = _pairs(utterance.phones, ours.phones, len(theirs.cepstra))
        keep = i < len(ours.analysis.cepstra)
        i, j = i[keep], j[keep]
        heard = theirs.speech[j]
        x = features(frames_of(ours.phones, inventory, len(ours.analysis.cepstra)), size)[i[heard]]
        rows.append((x, theirs.cepstra[j[heard]] - ours.analysis.cepstra[i[heard]]))
    if sum(len(y) for _, y in rows) < 5 * RATE // HOP:
        return None
    everything = np.concatenate([y for _, y in rows])
    mean = everything.mean(0)
    xy = np.zeros((PARTS * size, ORDER + 1))
    for x, y in rows:
        xx += x.T @ x
        xy += x.T @ (y - mean)
    shift = np.linalg.solve(xx + ridge * np.eye(len(xx)), xy)
    return np.asarray(mean, np.float64), np.asarray(shift, np.float64), float(mean[0])


def _global_shift(measured: Sequence[Analysis], spoken: Sequence[_Spoken]) -> Array:
    """The difference of mean spectra over speech: all that is known without an alignment."""
    theirs = np.concatenate([a.cepstra[a.speech] for a in measured]).mean(0)
    ours = np.concatenate([s.analysis.cepstra[s.analysis.speech] for s in spoken]).mean(0)
    return np.asarray(theirs - ours)


def _mel_level(recording: Recording) -> float:
    """Mean power in the encoder's mel bands of the person's speech, at the level the encoder is used to."""
    import librosa
    from resemblyzer import preprocess_wav

    powers = []
    for utterance in recording.train[:8]:
        sound = preprocess_wav(judge.levelled(utterance.sound), RATE)
        powers.append(librosa.feature.melspectrogram(y=sound, sr=RATE, n_fft=400, hop_length=160, n_mels=40).mean())
    return float(np.mean(powers))


def refine(
    converter: Converter,
    spoken: Sequence[_Spoken],
    target: NDArray[np.float32],
    *,
    level: float,
    options: VoiceOptions,
    progress: Progress,
) -> Converter:
    """Learn a global and a per-phone cepstral offset that bring the base's embedding to the person's.

    The speaker encoder is differentiable, and the filter is a gain on power spectra, so its mel bands are too. Adam,
    priors that keep the offsets small and smooth over quefrency, sentences of the training part only.
    """
    import librosa
    import torch
    from torch.nn import functional as F

    encoder = judge.encoder()
    basis = torch.tensor(cosines(201), dtype=torch.float32)
    bands = torch.tensor(librosa.filters.mel(sr=RATE, n_fft=400, n_mels=40))
    window = torch.hann_window(400)
    items: list[dict[str, Any]] = []
    for sentence in sorted(spoken, key=lambda s: -len(s.sound))[: options.sentences]:
        power = torch.stft(
            torch.from_numpy(sentence.sound), 400, 160, window=window, pad_mode="constant", return_complex=True
        )
        count = len(sentence.analysis.cepstra)
        frames = frames_of(sentence.phones, converter.inventory, count)
        index = np.minimum(np.arange(power.shape[1]) * 2, count - 1)
        near = np.convolve(~frames.pause[index], np.ones(13), "same") > 0
        pick = lambda values, near=near, index=index: torch.tensor(values[index][near], dtype=torch.float32)  # noqa: E731
        said = 1 - smooth(frames.pause.astype(float), 3.0)
        items.append(
            {
                "power": (power.abs() ** 2).T[torch.from_numpy(near)],
                "shift": pick(converter.shaped(converter.context_shift(frames), frames)),
                "shares": pick(converter.shares(frames)),
                "said": pick(said[:, None]),
            }
        )
    offset = torch.zeros(ORDER, requires_grad=True)
    by_phone = torch.zeros(len(converter.inventory), ORDER, requires_grad=True)
    wanted = torch.tensor(target)
    weight = torch.arange(1, ORDER + 1).float() ** 0.5
    optimiser = torch.optim.Adam([offset, by_phone], lr=0.01)
    rng = np.random.default_rng(options.seed)
    for step in range(options.steps):
        progress.check()
        mels = []
        for item in items:
            change = F.pad((offset + item["shares"] @ by_phone) * item["said"], (1, 0))
            gain = torch.clamp((item["shift"] + change) @ basis, -4.0, 3.0)
            mels.append((item["power"] * torch.exp(2 * gain)) @ bands.T)
        mel = torch.cat(mels)
        mel = mel * (level / mel.mean())
        skip = int(rng.integers(0, 160))
        whole = (len(mel) - skip) // 160
        voices = encoder(mel[skip : skip + whole * 160].view(whole, 160, 40))
        alike = F.normalize(voices.mean(0), dim=0) @ wanted
        prior = 0.2 * ((offset * weight) ** 2).sum() + 0.02 * ((by_phone * weight) ** 2).sum()
        loss = 1 - alike + 0.5 * (1 - (voices @ wanted).mean()) + 0.05 * prior
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress.update((step + 1) / options.steps)
    return replace(
        converter,
        offset=offset.detach().numpy().astype(np.float64),
        phone_offset=by_phone.detach().numpy().astype(np.float64),
    )


def _levelled(converter: Converter, spoken: Sequence[_Spoken]) -> Converter:
    """Measure how loud the result is and bring it to the level of the other voices."""
    sound = np.concatenate(
        [convert(s.sound, converter.difference(s.phones, len(s.analysis.cepstra))) for s in spoken[:4]]
    )
    loud = sound[np.abs(sound) > 0.02 * np.abs(sound).max()]
    return replace(converter, level=float(SPEECH_LEVEL / np.sqrt(np.mean(loud**2))))


def _empty(base: BaseVoice, inventory: dict[str, int], mean: Array) -> Converter:
    size = len(inventory)
    return Converter(
        base,
        inventory,
        mean,
        np.zeros((PARTS * size, ORDER + 1)),
        np.zeros(ORDER),
        np.zeros((size, ORDER)),
        float(mean[0]),
    )


def fit_language(
    language: str,
    recording: Recording,
    measured: Sequence[Analysis],
    target: Any,
    *,
    options: VoiceOptions,
    progress: Progress,
) -> tuple[Converter, bool]:
    """The converter of one language, and whether the person's words could be aligned for it."""
    f0 = np.concatenate([a.f0[a.f0 > 0] for a in measured])
    base = fitted(language, f0, allow_flite=options.allow_flite)
    converter: Converter | None = None
    spoken: list[_Spoken] = []
    if language == options.recorded_language == "en":
        texts = [utterance.text or "ah" for utterance in recording.train]
        for utterance, text in zip(recording.train, texts, strict=True):
            labels = [p.label for p in render(base, text)[1]]
            utterance.phones = align(utterance.sound, labels) or []
        base = replace(base, stretch=_stretch(recording, [_spoken(base, t) for t in texts]))
        spoken = [_spoken(base, text) for text in texts]
        inventory = inventory_of([s.phones for s in spoken])
        found = _fit_shift(recording, measured, spoken, inventory, ridge=options.ridge)
        if found is not None:
            mean, shift, energy = found
            converter = replace(_empty(base, inventory, mean), shift=shift, energy=energy)
    aligned = converter is not None
    if converter is None:
        spoken = [_spoken(base, text) for text in READING[language]]
        inventory = inventory_of([s.phones for s in spoken])
        converter = _empty(base, inventory, _global_shift(measured, spoken))
    progress.update(0.2)
    level = _mel_level(recording)
    converter = refine(
        converter, spoken, target, level=level, options=options, progress=PartProgress(progress, 0.2, 1.0)
    )
    return _levelled(converter, spoken), aligned


class _Shared:
    """Progress of several languages trained at once: the slowest one's."""

    def __init__(self, whole: Progress, names: Sequence[str]) -> None:
        self._whole, self._parts = whole, dict.fromkeys(names, 0.0)

    def of(self, name: str) -> Progress:
        """The part of one language."""
        shared = self

        class Part(SilentProgress):
            @property
            def paused_s(self) -> float:
                return shared._whole.paused_s

            def update(self, fraction: float) -> None:
                shared._parts[name] = fraction
                shared._whole.update(min(shared._parts.values()))

            def check(self) -> None:
                shared._whole.check()

        return Part()


def train_voice(
    voice: Path,
    out: Path,
    *,
    name: str = "voice",
    transcript: str | None = None,
    options: VoiceOptions | None = None,
    progress: Progress | None = None,
    takes: tuple[str, ...] = (),
    consent_id: str | None = None,
) -> Path:
    """Train a voice from a recording and write its bundle to ``out``.

    Args:
        voice: Sound file; one to three minutes of one person speaking.
        out: Folder of the bundle; must not exist.
        name: The voice's name.
        transcript: What is said, if known.
        options: See ``VoiceOptions``.
        progress: Stages ``check segment recognise features train validate export``.
        takes: Ids of the takes it came from.
        consent_id: Id of the person's consent.

    Raises:
        InvalidInputError: the recording or the transcript cannot be used; ``detail["reasons"]`` says all of them.
    """
    import torch

    options, progress = options or VoiceOptions(), progress or SilentProgress()
    torch.set_num_threads(1)  # the encoder's small products are slower with more
    begun = work_time(progress)
    recording = prepare(load(voice), transcript, PartProgress(progress, 0.0, 0.35), language=options.recorded_language)
    progress.stage("features")
    measured = [analyse(utterance.sound) for utterance in recording.train]
    target = judge.embed(np.concatenate([judge.levelled(u.sound) for u in recording.train]))
    progress.update(0.4)
    progress.stage("train")
    shared = _Shared(PartProgress(progress, 0.4, 0.85), options.languages)
    with ThreadPoolExecutor(2, thread_name_prefix="voice") as pool:
        jobs = {
            language: pool.submit(
                fit_language, language, recording, measured, target, options=options, progress=shared.of(language)
            )
            for language in options.languages
        }
        fits = {language: job.result() for language, job in jobs.items()}
    seconds = work_time(progress) - begun
    converters = {language: fit[0] for language, fit in fits.items()}
    progress.stage("validate")
    metrics = validate(converters, recording, clarity=options.recorded_language == "en")
    metrics["train_minutes"] = seconds / 60
    progress.update(0.97)
    progress.stage("export")
    tensors: dict[str, NDArray[Any]] = {"speaker_embedding": target}
    languages: dict[str, Any] = {}
    for language, converter in converters.items():
        tensors |= converter.tensors(language)
        languages[language] = {
            "base": asdict(converter.base),
            "phones": list(converter.inventory),
            "energy": converter.energy,
            "level": converter.level,
            "aligned": fits[language][1],
        }
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        engine=ENGINE,
        sample_rate=RATE,
        input_shape=(ORDER + 1,),
        feature=f"mel-cepstrum {ORDER}, {FFT} points, {HOP} samples",
        metrics={key: float(value) for key, value in metrics.items()},
        takes=takes,
        consent_id=consent_id,
        extra={"languages": languages, "recording": recording.facts},
    )
    folder = write_bundle(out, manifest, tensors)
    progress.update(1.0)
    return folder


def validate(converters: dict[str, Converter], recording: Recording, *, clarity: bool) -> dict[str, float]:
    """Likeness to the held-out speech by the encoder and by the referee, clarity in English, pitch kept, and speed."""
    held = np.concatenate([judge.levelled(u.sound) for u in (recording.held_out or recording.train)])
    others = [render(c.base, t)[0] for c in converters.values() for t in READING[c.base.language][:6]]
    referee = judge.Referee.learn([u.sound for u in recording.train], [*others, *judge.other_voices()])
    metrics: dict[str, float] = {}
    for language, converter in converters.items():
        suffix = "" if language == "en" else f"_{language}"
        made, plain = [], []
        begun = time.perf_counter()
        for text in judge.NEW_SENTENCES[language][:5]:
            sound, phones = render(converter.base, text)
            plain.append(sound)
            made.append(convert(sound, converter.difference(phones, len(sound) // HOP + 1)))
        metrics[f"rtf{suffix}"] = (time.perf_counter() - begun) / (sum(map(len, made)) / RATE)
        metrics[f"similarity{suffix}"] = judge.similarity(np.concatenate(made), held)
        metrics[f"similarity_base{suffix}"] = judge.similarity(np.concatenate(plain), held)
        metrics[f"llr{suffix}"] = referee.score(made)
        metrics[f"llr_base{suffix}"] = referee.score(plain)
        if language == "en" and clarity:
            texts = judge.NEW_SENTENCES[language][:5]
            metrics["wer"] = judge.word_errors(texts, [recognise(sound) for sound in made])
            metrics["wer_base"] = judge.word_errors(texts, [recognise(sound) for sound in plain])
        metrics[f"tone_correlation{suffix}"] = float(
            np.mean([judge.tone_kept(a, b) for a, b in zip(plain, made, strict=True)])
        )
    return metrics

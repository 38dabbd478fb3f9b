"""Train a person's voice: alignment, shift by context, then a bounded refinement by a speaker encoder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync.bundle import Manifest, write_bundle
from lipsync.progress import PartProgress, Progress, SilentProgress, work_time
from speech.clone import judge
from speech.clone.augmentation import disturbed
from speech.clone.base_speech import PAUSE, BaseVoice, Phone, fitted, render
from speech.clone.borrow import borrowed_shift, phone_means
from speech.clone.converter import PARTS, Converter, features, frames_of, inventory_of, smooth
from speech.clone.features import FFT, GAIN_HIGH, GAIN_LOW, HOP, ORDER, RATE, Analysis, Array, analyse, convert, cosines
from speech.clone.reading import READING
from speech.clone.recording import Recording, Sound, align, load, prepare
from speech.clone.validation import validate
from speech.clone.voice import ENGINE, KIND
from speech.tts.local import SPEECH_LEVEL


@dataclass(frozen=True)
class VoiceOptions:
    """How a voice is trained.

    Attributes:
        languages: Languages it will speak.
        recorded_language: Language of the recording; "en" can be aligned, others give the timbre alone.
        steps: Steps of the refinement.
        sentences: How many sentences of the base voice it listens to in all.
        batch: How many of them in each step, drawn anew.
        offset_prior, phone_prior: How strongly the refinement's offset, and that of each phone, are drawn to nothing.
        ridge: Weight that draws the shift by context towards the mean shift.
        allow_flite: Whether flite may be the English base where it is installed.
        seed: Of the refinement's random crops.
    """

    languages: tuple[str, ...] = ("en", "zh")
    recorded_language: str = "en"
    steps: int = 60
    sentences: int = 30
    batch: int = 8
    offset_prior: float = 0.01
    phone_prior: float = 0.001
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
    for sentence in [s for s in spoken if len(s.sound) > RATE][: options.sentences]:
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
        for item in (items[i] for i in rng.permutation(len(items))[: options.batch]):
            change = F.pad((offset + item["shares"] @ by_phone) * item["said"], (1, 0))
            gain = torch.clamp((item["shift"] + change) @ basis, GAIN_LOW, GAIN_HIGH)
            mels.append((item["power"] * torch.exp(2 * gain)) @ bands.T)
        mel = torch.cat(mels)
        mel = disturbed(mel * (level / mel.mean()), rng)
        skip = int(rng.integers(0, 160))
        whole = (len(mel) - skip) // 160
        voices = encoder(mel[skip : skip + whole * 160].view(whole, 160, 40))
        alike = F.normalize(voices.mean(0), dim=0) @ wanted
        prior = options.offset_prior * ((offset * weight) ** 2).sum()
        prior = prior + options.phone_prior * ((by_phone * weight) ** 2).sum()
        loss = 1 - alike + 0.5 * (1 - (voices @ wanted).mean()) + prior
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


@dataclass
class Heard:
    """What was measured of the person, for every language they will speak.

    Attributes:
        recording: Utterances; their phones are known where they could be aligned.
        measured: Their spectra and pitch, in the same order.
        target: Unit vector of their voice.
        means: Mean spectra of their phones, by ARPAbet; empty where none could be aligned.
        pause_s: The length of their pauses within a sentence; 0 where too few were heard.
    """

    recording: Recording
    measured: Sequence[Analysis]
    target: NDArray[np.float32]
    means: dict[str, tuple[Array, int]]
    pause_s: float = 0.0

    @property
    def f0(self) -> Array:
        """Every voiced frame's pitch in hertz."""
        return np.concatenate([a.f0[a.f0 > 0] for a in self.measured])


def listen(recording: Recording, *, english: bool, allow_flite: bool) -> Heard:
    """Measure the person; where English was spoken, align their phones."""
    measured = [analyse(utterance.sound) for utterance in recording.train]
    target = judge.embed(np.concatenate([judge.levelled(u.sound) for u in recording.train]))
    heard = Heard(recording, measured, target, {}, _pause(recording))
    if english:
        base = fitted("en", heard.f0, allow_flite=allow_flite)
        for utterance in recording.train:
            labels = [p.label for p in render(base.plain, utterance.text or "ah")[1]]
            utterance.phones = align(utterance.sound, labels) or []
        runs = [(u.phones, a) for u, a in zip(recording.train, measured, strict=True) if u.phones]
        heard.means = phone_means(runs)
    return heard


def _pause(recording: Recording) -> float:
    """Median length of the person's pauses of 0.12 to 0.8 s, in seconds; 0 where fewer than five were heard."""
    run = sorted(recording.train, key=lambda u: u.start_s)
    gaps = [b.start_s - a.end_s for a, b in pairwise(run)]
    found = [gap for gap in gaps if 0.12 <= gap <= 0.8]
    return float(np.median(found)) if len(found) >= 5 else 0.0


def fit_language(language: str, heard: Heard, *, options: VoiceOptions, progress: Progress) -> tuple[Converter, str]:
    """The converter of one language, and what its shift was learnt from: "words", "phones" or "mean"."""
    recording, measured = heard.recording, heard.measured
    base = replace(fitted(language, heard.f0, allow_flite=options.allow_flite), pause_s=heard.pause_s)
    reading = [_spoken(base, text) for text in READING[language]]
    spoken: list[_Spoken] = []
    converter: Converter | None = None
    if language == options.recorded_language == "en":
        texts = [utterance.text or "ah" for utterance in recording.train]
        stretch = _stretch(recording, [_spoken(base, t) for t in texts])
        if abs(stretch - base.stretch) > 0.01:
            base = replace(base, stretch=stretch)
            reading = [_spoken(base, text) for text in READING[language]]
        spoken = [_spoken(base, text) for text in texts]
        inventory = inventory_of([s.phones for s in [*spoken, *reading]])
        found = _fit_shift(recording, measured, spoken, inventory, ridge=options.ridge)
        if found is not None:
            mean, shift, energy = found
            converter = replace(_empty(base, inventory, mean), shift=shift, energy=energy)
    learnt = "words"
    if converter is None:
        inventory = inventory_of([s.phones for s in reading])
        converter = _empty(base, inventory, _global_shift(measured, reading))
        spoken, learnt = [], "mean"
        if language == "zh" and heard.means:
            ours = phone_means([(s.phones, s.analysis) for s in reading])
            converter = replace(converter, shift=borrowed_shift(heard.means, ours, inventory))
            learnt = "phones"
    spoken = [*spoken, *reading]
    progress.update(0.2)
    level = _mel_level(recording)
    # Without the person's own words all is learnt here, so more is left free, for longer.
    how = (
        options
        if learnt == "words"
        else replace(options, phone_prior=options.phone_prior / 2, steps=round(options.steps * 4 / 3))
    )
    converter = refine(
        converter, spoken, heard.target, level=level, options=how, progress=PartProgress(progress, 0.2, 1.0)
    )
    return _levelled(converter, spoken), learnt


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
    heard = listen(recording, english=options.recorded_language == "en", allow_flite=options.allow_flite)
    progress.update(0.4)
    progress.stage("train")
    shared = _Shared(PartProgress(progress, 0.4, 0.85), options.languages)
    with ThreadPoolExecutor(2, thread_name_prefix="voice") as pool:
        jobs = {
            language: pool.submit(fit_language, language, heard, options=options, progress=shared.of(language))
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
    tensors: dict[str, NDArray[Any]] = {"speaker_embedding": heard.target}
    languages: dict[str, Any] = {}
    for language, converter in converters.items():
        tensors |= converter.tensors(language)
        languages[language] = {
            "base": asdict(converter.base),
            "phones": list(converter.inventory),
            "energy": converter.energy,
            "level": converter.level,
            "learnt_from": fits[language][1],
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

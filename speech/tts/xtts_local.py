"""XTTS v2 in this process: a speaker's latents taken once from a recording, then sentences stream.

Needs the extra named ``xtts`` and the weights (``config.json``, ``vocab.json`` and ``model.safetensors`` or
``model.pth``) in a folder; nothing here fetches them. ``model.pth`` is read with ``weights_only`` and never written to.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lipsync.errors import BundleError, UnavailableError
from speech.errors import SpeechError, SpeechSettingsError
from speech.text import clean, detect_language, split_sentences
from speech.tts.base import BackendSettings, Capabilities, Pcm, SpeechChunk, TextToSpeech, Voice

RATE = 24_000
REFERENCE_RATE = 22_050
REFERENCE_S = (3.0, 30.0)
FILES = ("config.json", "vocab.json")
WEIGHTS = ("model.safetensors", "model.pth")
KIND, ENGINE = "voice", "xtts"
_SENTENCE_CHARS = {"zh": 80, "ja": 70, "ko": 90}
_TRAINING_ONLY = ("torch_mel_spectrogram_style_encoder", "torch_mel_spectrogram_dvae", "dvae")


def missing_weights(folder: Path) -> list[str]:
    """Names of files that the folder of weights lacks."""
    lacking = [name for name in FILES if not (folder / name).is_file()]
    return lacking if any((folder / name).is_file() for name in WEIGHTS) else [*lacking, WEIGHTS[0]]


def _library() -> tuple[Any, Any, Any, Any]:
    """XttsConfig, Xtts, its tokenizer and its context for reading the original checkpoint."""
    try:
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
        from TTS.tts.models import xtts
    except ImportError as error:
        raise UnavailableError(
            f"XTTS needs a package that is not installed: {error.name or error}.",
            "Install the studio's extra named 'xtts'.",
            {"backend": "xtts_local", "missing": error.name or "TTS"},
        ) from error
    except OSError as error:
        # PyPI's torchaudio is linked to CUDA and cannot be loaded beside PyTorch's CPU build.
        raise UnavailableError(
            "XTTS cannot be loaded: torchaudio's build does not fit this PyTorch.",
            "Install torchaudio of the same kind (CPU or CUDA) from PyTorch's own package index.",
            {"backend": "xtts_local", "missing": "torchaudio"},
        ) from error
    return XttsConfig, xtts.Xtts, VoiceBpeTokenizer, xtts._legacy_safe_globals


def _state(folder: Path, legacy: Any) -> dict[str, Any]:
    """The model's tensors by name, whichever way they were saved; nothing in them is run."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    safe, plain = (folder / name for name in WEIGHTS)
    try:
        if safe.is_file():
            found = dict(load_file(safe))
        else:
            with legacy():
                loaded = torch.load(plain, map_location="cpu", weights_only=True)
            found = dict(loaded.get("model", loaded))
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError, AttributeError, SafetensorError) as error:
        raise BundleError(f"The XTTS weights cannot be read: {error}", "Fetch them again.") from error
    named = {key.removeprefix("xtts."): value for key, value in found.items()}
    # The first release carries the generation head twice; it is made from the rest after loading.
    return {
        key: value
        for key, value in named.items()
        if key.split(".")[0] not in _TRAINING_ONLY and not key.startswith("gpt.gpt_inference.")
    }


@lru_cache(maxsize=1)
def load_model(folder: Path, device: str) -> Any:
    """The model, ready to speak; loaded once in the process.

    Raises:
        UnavailableError: the extra or a file is missing.
        BundleError: the weights are damaged or of another model.
    """
    if lacking := missing_weights(folder):
        raise UnavailableError(
            f"The XTTS weights are not here: {', '.join(lacking)}.",
            f"Put the files of XTTS v2 into {folder.name!r} in the folder of base models.",
            {"backend": "xtts_local", "missing": lacking},
        )
    config_class, model_class, tokenizer, legacy = _library()
    try:
        config = config_class()
        config.load_json(str(folder / "config.json"))
        model = model_class(config)
        model.tokenizer = tokenizer(vocab_file=folder / "vocab.json")
        model.init_models()
        model.load_state_dict(_state(folder, legacy), strict=True)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"These are not the weights of XTTS v2: {str(error)[:200]}", "Fetch its files again, all of one release."
        ) from error
    model.hifigan_decoder.eval()
    model.gpt.init_gpt_for_inference(kv_cache=model.args.kv_cache)
    model.gpt.eval()
    return model.to(device)


def latents(model: Any, sound: Pcm, rate: int) -> dict[str, np.ndarray[Any, Any]]:
    """What XTTS knows of a speaker from a recording.

    Float32 arrays: ``gpt_cond_latent`` (1, n, width) and ``speaker_embedding`` (1, 512, 1).

    Args:
        model: See ``load_model``.
        sound: float32 (n,) mono; the first 30 s are used.
        rate: Its samples a second.

    Raises:
        SpeechSettingsError: shorter than 3 s, or silent.
    """
    import soxr
    import torch

    if len(sound) < REFERENCE_S[0] * rate or float(np.abs(sound).max(initial=0.0)) < 1e-3:
        raise SpeechSettingsError(
            "XTTS needs at least 3 s of speech to imitate.", "Give a recording of 6 to 30 s of one person."
        )
    wanted = soxr.resample(sound, rate, REFERENCE_RATE) if rate != REFERENCE_RATE else sound
    audio = torch.from_numpy(np.ascontiguousarray(wanted[: int(REFERENCE_S[1] * REFERENCE_RATE)], np.float32))[None]
    config = model.config
    conditioning = model.get_gpt_cond_latents(
        audio, REFERENCE_RATE, length=int(REFERENCE_S[1]), chunk_length=config.gpt_cond_chunk_len
    )
    embedding = model.get_speaker_embedding(audio, REFERENCE_RATE)
    return {
        "gpt_cond_latent": conditioning.cpu().float().numpy(),
        "speaker_embedding": embedding.cpu().float().numpy(),
    }


@cache
def _worker() -> ThreadPoolExecutor:
    """The process's one thread that runs the model; it ends with the interpreter."""
    return ThreadPoolExecutor(1, thread_name_prefix="xtts")


class XttsLocalSettings(BackendSettings):
    """Settings of XTTS in this process.

    Attributes:
        weights: Folder of the weights.
        bundle: A voice cloned by the studio (its latents); goes before ``reference_wav``.
        reference_wav: The recording to imitate (6 to 30 s).
        device: Where it runs. On a CPU it is slower than speech.
        stream_chunk_size: Tokens to a piece of sound; smaller begins earlier and sounds rougher.
        temperature: Liveliness of the delivery; low is even, high is varied and may stumble.
    """

    weights: Path | None = None
    bundle: Path | None = None
    reference_wav: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    stream_chunk_size: int = Field(default=20, ge=1, le=200)
    temperature: float = Field(default=0.75, gt=0, le=2)


class XttsLocal(TextToSpeech):
    """One model for all sessions, which take turns by the piece of sound."""

    name = "xtts_local"
    capabilities = Capabilities(
        languages=("en", "zh", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "hu", "ko", "ja"),
        streaming=True,
        cloning=True,
        max_chars=200,
    )
    Settings = XttsLocalSettings
    settings: XttsLocalSettings

    def __init__(self, settings: BackendSettings | None = None) -> None:
        super().__init__(settings)
        self._speaker: dict[str, Any] | None = None
        self._loading = threading.Lock()

    @property
    def sample_rate(self) -> int:
        """24000, the model's own."""
        return RATE

    def missing(self) -> list[str]:
        """The weights and whom to imitate, where they are not set."""
        folder = self.settings.weights
        lacking = [] if folder and not missing_weights(folder) else ["weights"]
        return lacking if self.settings.bundle or self.settings.reference_wav else [*lacking, "reference_wav"]

    async def speak(self, sentence: str, voice: Voice, cancel: asyncio.Event) -> AsyncGenerator[SpeechChunk, None]:
        """Yield pieces of sound as the model makes them; a cancel ends it with the piece being made."""
        text = clean(sentence)
        if not text:
            return
        language = detect_language(text) if voice.language in {"", "auto"} else voice.language.split("-")[0]
        loop = asyncio.get_running_loop()
        for piece in split_sentences(text, _SENTENCE_CHARS.get(language, self.capabilities.max_chars)):
            pieces = await loop.run_in_executor(_worker(), self._begin, piece, language, voice.speed)
            try:
                while not cancel.is_set():
                    pcm = await loop.run_in_executor(_worker(), _next, pieces)
                    if pcm is None:
                        break
                    yield SpeechChunk(pcm)
            finally:
                await loop.run_in_executor(_worker(), pieces.close)  # type: ignore[attr-defined]

    async def warm_up(self) -> None:
        """Load the model and take the speaker's latents."""
        await asyncio.get_running_loop().run_in_executor(_worker(), self._ready)

    def _ready(self) -> tuple[Any, dict[str, Any]]:
        """The model and the speaker, on the model's thread."""
        with self._loading:
            folder = self.settings.weights
            if folder is None:
                raise SpeechSettingsError("XTTS needs its weights.", "Set weights to the folder that holds them.")
            model = load_model(folder.resolve(), self._device())
            if self._speaker is None:
                self._speaker = self._read_speaker(model)
            return model, self._speaker

    def _read_speaker(self, model: Any) -> dict[str, Any]:
        import torch

        from speech.clone.recording import load_at

        if self.settings.bundle:
            from speech.clone.xtts import load_latents

            found = load_latents(self.settings.bundle)
        elif self.settings.reference_wav:
            found = latents(model, *load_at(self.settings.reference_wav, REFERENCE_RATE))
        else:
            raise SpeechSettingsError("XTTS needs a reference recording.", "Set reference_wav to 6 to 30 s of speech.")
        return {name: torch.from_numpy(values) for name, values in found.items()}

    def _device(self) -> str:
        import torch

        if self.settings.device != "auto":
            return self.settings.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def _begin(self, text: str, language: str, speed: float) -> Iterator[Pcm]:
        model, speaker = self._ready()
        return _pieces(model, speaker, text, "zh-cn" if language == "zh" else language, self._how(speed))

    def _how(self, speed: float) -> dict[str, Any]:
        return {
            "speed": min(max(speed, 0.5), 2.0),
            "temperature": self.settings.temperature,
            "stream_chunk_size": self.settings.stream_chunk_size,
        }


def _pieces(model: Any, speaker: dict[str, Any], text: str, language: str, how: dict[str, Any]) -> Iterator[Pcm]:
    stream = model.inference_stream(text, language, speaker["gpt_cond_latent"], speaker["speaker_embedding"], **how)
    try:
        for chunk in stream:
            pcm = np.asarray(chunk.detach().cpu().float().numpy().reshape(-1), np.float32)
            if not np.isfinite(pcm).all():
                raise SpeechError("xtts_local", "The model made sound that is none.", "Choose another recording.")
            yield np.clip(pcm, -1.0, 1.0)
    except (RuntimeError, AssertionError, IndexError) as error:
        raise SpeechError("xtts_local", f"XTTS failed: {str(error)[:200]}", "Say it in other words.") from error
    finally:
        stream.close()


def _next(pieces: Iterator[Pcm]) -> Pcm | None:
    return next(pieces, None)

"""Where somebody speaks, in sound that arrives piece by piece: silero's detector, and a gate with hysteresis on it.

The detector (silero-vad 6, MIT) is an ONNX file that its package carries; the package itself is not imported, because
it brings torch into a process that must start quickly. Chances depend on the samples alone, never on how they were
cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync.errors import UnavailableError

RATE = 16_000
WINDOW = 512
"""Samples to one decision (32 ms)."""
WINDOW_MS = WINDOW * 1000 / RATE
_CONTEXT = 64
"""Samples of the window before that the detector is given again."""
Pcm = NDArray[np.float32]


@cache
def _session() -> Any:
    """The detector, loaded once (1.2 MB); its ``run`` may be called from any thread.

    Raises:
        UnavailableError: the package is not installed, or its file is missing.
    """
    import onnxruntime

    package = find_spec("silero_vad")
    places = list(package.submodule_search_locations or []) if package is not None else []
    for place in places:
        model = Path(place) / "data" / "silero_vad_16k_op15.onnx"
        if model.is_file():
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            # Idle threads of the runtime must not spin beside the engine's.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    raise UnavailableError("The detector of speech is not installed.", "Install the package silero-vad 6 or later.")


class VoiceActivity:
    """The chance that somebody speaks, for each 32 ms of a stream. Blocking (0.2 ms a window); one thread at a time."""

    def __init__(self) -> None:
        self._detector = _session()
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, pcm: Pcm) -> list[float]:
        """Take float32 mono in -1..1 at 16 kHz, any length.

        Returns:
            A chance from 0 to 1 for every window of 512 samples that is whole now.
        """
        sound = np.concatenate([self._rest, np.asarray(pcm, np.float32)])
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:]
        chances = []
        for start in range(0, whole, WINDOW):
            heard = np.concatenate([self._context, sound[start : start + WINDOW]])
            chance, self._state = self._detector.run(
                None, {"input": heard[None], "state": self._state, "sr": np.array(RATE, np.int64)}
            )
            self._context = heard[-_CONTEXT:]
            chances.append(float(chance[0, 0]))
        return chances


@dataclass(frozen=True)
class GateSettings:
    """When speech has begun and ended.

    Attributes:
        threshold: A window whose chance is at least this counts as speech.
        hysteresis: Once somebody speaks, a window counts as silence only where its chance is this much below.
        start_ms: Speech must last this long before it is believed: a click or a cough is shorter.
        end_ms: Silence must last this long before speech is over.
        longest_s: Speech is ended after this even if nobody pauses.
    """

    threshold: float = 0.5
    hysteresis: float = 0.15
    start_ms: float = 120.0
    end_ms: float = 300.0
    longest_s: float = 30.0


@dataclass(frozen=True)
class Edge:
    """Speech began or ended.

    Attributes:
        kind: Which.
        sample: Where, counted from the first sample of the stream: the first of speech, or the one after its last.
        known: How far the stream had come when this was sure; ``known - sample`` is how long it took.
    """

    kind: Literal["started", "ended"]
    sample: int
    known: int


class SpeechGate:
    """Turns the chances of ``VoiceActivity`` into beginnings and ends.

    Args:
        settings: See there.
    """

    _BRIDGE = 2
    """Windows of doubt within which a beginning is still one: unvoiced sounds between syllables."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings or GateSettings()
        self.reset()

    def reset(self) -> None:
        """Forget the stream so far."""
        self.windows = 0
        self.speaking = False
        self._run = self._doubt = self._quiet = 0
        self._began = 0

    @property
    def silence_ms(self) -> float:
        """How long it has been silent within speech; 0 outside."""
        return self._quiet * WINDOW_MS if self.speaking else 0.0

    @property
    def candidate(self) -> bool:
        """Whether a beginning is being watched but not yet believed."""
        return not self.speaking and self._run > 0

    def push(self, chance: float, start_ms: float | None = None, end_ms: float | None = None) -> Edge | None:
        """Take the chance of the next window.

        Args:
            chance: 0 to 1.
            start_ms: Instead of the setting, for this window.
            end_ms: Instead of the setting, for this window.
        """
        self.windows += 1
        limits = self.settings
        if not self.speaking:
            return self._outside(chance, limits.start_ms if start_ms is None else start_ms)
        loud = chance >= limits.threshold - limits.hysteresis
        self._quiet = 0 if loud else self._quiet + 1
        length = (self.windows - self._began) * WINDOW_MS / 1000
        if self.silence_ms >= (limits.end_ms if end_ms is None else end_ms) or length >= limits.longest_s:
            return self.end()
        return None

    def end(self) -> Edge | None:
        """End speech now (the microphone was shut); None where nobody speaks."""
        if not self.speaking:
            self._run = self._doubt = 0
            return None
        edge = Edge("ended", (self.windows - self._quiet) * WINDOW, self.windows * WINDOW)
        self.speaking = False
        self._run = self._doubt = self._quiet = 0
        return edge

    def _outside(self, chance: float, start_ms: float) -> Edge | None:
        if chance >= self.settings.threshold:
            if self._run == 0:
                self._began = self.windows - 1
            self._run += 1
            self._doubt = 0
        elif self._run:
            self._doubt += 1
            if self._doubt > self._BRIDGE:
                self._run = self._doubt = 0
        if self._run * WINDOW_MS < start_ms:
            return None
        self.speaking, self._quiet = True, 0
        self._run = self._doubt = 0
        return Edge("started", self._began * WINDOW, self.windows * WINDOW)

"""Rooms and noise for the refinement to be robust to, and noise taken out of a recording before anything is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from speech.clone.features import RATE

if TYPE_CHECKING:
    import torch

Sound = NDArray[np.float32]
DENOISE_BELOW_DB = 20.0
"""Recordings with less than this between voice and noise are cleaned; others are left as they are."""
FLOOR = 0.2
"""What is left of the noise (amplitude): taken out wholly it leaves whistles."""
_WINDOW, _HOP = 512, 128


def disturbed(mel: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mel powers (frames of 10 ms, bands) as heard in a small room with some noise, another one each time.

    A tail that decays over 60 to 200 ms, 14 to 26 dB below, and even noise 25 to 45 dB below the mean. Half of the
    times nothing is changed.
    """
    import torch
    from torch.nn import functional as F

    if rng.random() < 0.5:
        return mel
    decay, loud = rng.uniform(6, 20), 10 ** (-rng.uniform(14, 26) / 10)
    tail = torch.exp(-torch.arange(1, 31) * (6.9 / decay))
    kernel = torch.cat((tail.flip(0) * (loud / tail.sum()), torch.ones(1)))
    room = F.conv1d(F.pad(mel.T[:, None], (30, 0)), kernel[None, None].to(mel))[:, 0].T
    return room + room.mean().detach() * 10 ** (-rng.uniform(25, 45) / 10)


def denoised(sound: Sound, parts: Sequence[tuple[int, int]]) -> Sound:
    """Take steady noise out of ``sound`` (float32 (n,) at RATE), learnt where nobody speaks.

    A Wiener gain in each short-time Fourier bin, smoothed over time, never below ``FLOOR``. Returned as it is where
    less than 0.3 s without speech is found.

    Args:
        sound: The recording.
        parts: Begin and end of each run of speech, in samples.
    """
    from scipy.ndimage import uniform_filter
    from scipy.signal import istft, stft

    quiet = np.ones(len(sound), bool)
    for a, b in parts:
        quiet[max(a - 800, 0) : b + 800] = False
    if quiet.sum() < 0.3 * RATE:
        return sound
    _, _, spectrum = stft(sound, RATE, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    centres = np.minimum(np.arange(spectrum.shape[1]) * _HOP, len(sound) - 1)
    still = quiet[centres]
    if still.sum() < 10:
        return sound
    power = np.abs(spectrum) ** 2
    noise = power[:, still].mean(1, keepdims=True)
    heard = uniform_filter(power, (3, 5))
    gain = np.maximum(1.0 - 1.5 * noise / np.maximum(heard, 1e-12), FLOOR)
    _, clean = istft(spectrum * gain, RATE, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    return np.asarray(np.pad(clean, (0, max(len(sound) - len(clean), 0)))[: len(sound)], np.float32)

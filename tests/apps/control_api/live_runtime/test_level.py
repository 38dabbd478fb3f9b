"""Who speaks far away is not heard, who speaks near is: on the real ear, with the real detector."""

from __future__ import annotations

import numpy as np

from apps.control_api.live_runtime.ear import Ear, ListenSpec
from apps.control_api.live_runtime.echo import Played
from apps.control_api.live_runtime.level import SpeechLevel
from tests.apps.control_api.live_runtime.talking import spoken

RATE = 16_000


def begun(ear: Ear, level: float, noise: float = 0.0) -> bool:
    """Whether the ear takes a question at this peak level, in noise of this deviation, for speech."""
    sound = np.concatenate([np.zeros(RATE), spoken("How long does the battery last?", RATE, level=level)])
    sound = np.concatenate([sound, np.zeros(RATE)])
    sound = sound + np.random.default_rng(2).normal(0, noise, len(sound))
    heard = ear.push(sound.astype(np.float32), RATE, False)
    edges = [h.edge.kind for h in heard if h.edge is not None]
    assert edges in ([], ["started", "ended"])
    return bool(edges)


def test_a_quiet_voice_is_heard_until_somebody_near_has_spoken() -> None:
    assert begun(Ear(ListenSpec(), Played()), 0.03), "alone, a quiet person is who speaks"
    ear = Ear(ListenSpec(), Played())
    assert begun(ear, 0.6)
    assert not begun(ear, 0.012), "34 dB below: somebody else, far away"
    assert begun(ear, 0.15), "12 dB below: sat back, or somebody beside"
    ear.push(np.random.default_rng(3).normal(0, 1e-4, 60 * RATE).astype(np.float32), RATE, False)
    assert begun(ear, 0.03), "who spoke before is forgotten"


def test_what_is_too_quiet_for_anybody_near_is_not_speech() -> None:
    sound = spoken("How long does the battery last?", RATE)
    ear = Ear(ListenSpec(), Played())
    heard = ear.push(np.concatenate([np.zeros(RATE, np.float32), sound * 0.004]), RATE, False)
    assert not [h for h in heard if h.edge is not None]


def test_the_floor_follows_the_noise() -> None:
    random, level = np.random.default_rng(4), SpeechLevel()
    for _ in range(100):
        level.push(random.normal(0, 0.001, 512).astype(np.float32), False, False)
    assert -56 < level.floor < -52
    for _ in range(100):
        level.push(random.normal(0, 0.01, 512).astype(np.float32), False, False)
    assert -36 < level.floor < -32
    assert begun(Ear(ListenSpec(), Played()), 0.4, noise=0.01)

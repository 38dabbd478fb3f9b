"""How long a push waits before it connects again."""

from __future__ import annotations

from tenacity import wait_random_exponential
from tenacity.wait import wait_base

GIVE_UP_S = 900.0
"""A push that reaches nobody for this long is given up: its session would otherwise never end."""
STEADY_S = 20.0
"""One that stood this long begins its waiting anew after the next break."""


def waits() -> wait_base:
    """Between attempts: at random between 0.3 and 1, 2, 4 … 30 s, so that many do not come back at once."""
    return wait_random_exponential(multiplier=1.0, min=0.3, max=30.0)


FIRST_S = 0.5
"""Before the first attempt after a connection that had stood."""

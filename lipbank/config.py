"""Settings of the picture stage, and what each does to the picture."""

from __future__ import annotations

from dataclasses import dataclass

BUNDLE_FORMAT = 1
"""Raised when a bundle of an older form can no longer be read."""


@dataclass(frozen=True)
class SearchConfig:
    """How the person's own mouths are chosen.

    Attributes:
        candidates: Mouths considered for a frame. More follow the wanted shape more closely in a rich bank, cost time.
        continuity: Weight of looking like what came before. Higher is calmer and follows the sound less sharply.
        delay: Frames the choice waits to see what comes; each costs 40 ms. 0 jumps visibly, over 2 gains little.
        outer, inner, jaw: Weights of the lip's and the jaw's outline.
        gap, width: Weights of the opening and of the mouth's width: what an eye judges first.
        neighbours: Mouths a frame adds to the mean that gives the shading; more are calmer and paler. 0 takes the
            shown mouth's own.
        appearance: Weight of how bright and how toothed the inner mouth should be for this shape.
    """

    candidates: int = 25
    continuity: float = 0.5
    delay: int = 2
    outer: float = 0.16
    inner: float = 0.22
    jaw: float = 0.06
    gap: float = 1.5
    width: float = 0.5
    appearance: float = 1.0
    neighbours: int = 6


@dataclass(frozen=True)
class RenderConfig:
    """How a chosen mouth is brought onto the frame.

    Attributes:
        stiffness: Regularisation of the thin-plate spline. Low follows every jitter of a landmark, high leaves the
            mouth where it was in its own frame.
        colour_limit: Most the skin's colour is shifted (levels of 255); more begins to colour shadows.
        crossfade: Share of each neighbour where the search jumps. 0.25 is calmer by a tenth and softer by a tenth.
        band: Where the bands part (standard deviation in units). Wider leaves less of the shown mouth's own shading.
        inner_own: How far the inner mouth keeps its own low band, 0 to 1: a mean of teeth is grey.
        neck: Whether the frame's own neck follows the new jaw. Without it the chin is cut by the old jaw line.
    """

    stiffness: float = 10.0
    colour_limit: float = 18.0
    neck: bool = True
    crossfade: float = 0.12
    band: float = 1.0
    inner_own: float = 0.3


BANK_MEMORY = 120 << 20
"""Bytes the bank's pictures may take in memory; a longer or larger take keeps fewer frames."""

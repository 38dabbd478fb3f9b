"""What a person's phones in one language say of their phones in another: English heard, Chinese spoken.

Only the spectrum's shape by phone is carried over, drawn towards nothing where few frames were heard; loudness stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speech.clone.base_speech import PAUSE, Phone
from speech.clone.converter import PARTS
from speech.clone.features import HOP, ORDER, RATE, Analysis, Array

_TABLE = """
n=n i=iy iɛ=iy+eh ŋ=ng j=y t=d th=t s.=sh ɑ=aa ə=ax ɕ=sh ɑu=aw w=w χ=hh o-=ah tɕ=jh i.=ih u=uw ai=ay ts.h=ch p=b
l=l k=g ts=s m=m a=aa iɑ=y+aa tɕh=ch ts.=jh ei=ey kh=k uo=w+ao iou=y+ow o=ao y=iy yɛ=y+eh ʐ=r ou=ow onɡ=ow+ng
uə=w+ax f=f tsh=s ph=p ua=w+aa i̪=ih s=s uei=w+ey yæ=y+ae ər=er æ=ae ɛ=eh uai=w+ay yə=y+ax
"""
CHINESE_AS_ENGLISH: Mapping[str, tuple[str, ...]] = {
    ours: tuple(theirs.split("+")) for ours, _, theirs in (item.partition("=") for item in _TABLE.split())
}
"""espeak-ng's Mandarin phones and the ARPAbet ones that sound nearest."""
SHARE = 0.6
"""How much of the difference is carried over: the phones of two languages are only alike."""
FEW = 40.0
"""Frames at which half of the share is."""


def phone_means(runs: Sequence[tuple[Sequence[Phone], Analysis]]) -> dict[str, tuple[Array, int]]:
    """Mean mel-cepstra (ORDER + 1,) and frames of each phone, from the middle half of each, loud frames alone."""
    heard: dict[str, list[Array]] = {}
    for phones, analysis in runs:
        speech = analysis.speech
        for phone in phones:
            length = phone.end - phone.start
            a = round((phone.start + 0.25 * length) * RATE / HOP)
            b = max(round((phone.end - 0.25 * length) * RATE / HOP), a + 1)
            part = analysis.cepstra[a:b][speech[a:b]]
            if phone.label != PAUSE and len(part):
                heard.setdefault(phone.label, []).append(part)
    whole = {label: np.concatenate(parts) for label, parts in heard.items()}
    return {label: (frames.mean(0), len(frames)) for label, frames in whole.items()}


def borrowed_shift(
    person: Mapping[str, tuple[Array, int]], base: Mapping[str, tuple[Array, int]], inventory: Mapping[str, int]
) -> Array:
    """The shift by phone, (PARTS * phones, ORDER + 1), beside the mean shift.

    Args:
        person: Means of the person's English phones, by ARPAbet.
        base: Means of the base voice's Chinese phones.
        inventory: Phones by name, the pause 0.
    """
    shift = np.zeros((PARTS, len(inventory), ORDER + 1))

    def centre(means: Mapping[str, tuple[Array, int]]) -> Array:
        total = sum(count for _, count in means.values())
        return np.asarray(sum(mean * count for mean, count in means.values()) / max(total, 1))

    if not person or not base:
        return shift.reshape(-1, ORDER + 1)
    theirs, ours = centre(person), centre(base)
    for label, index in inventory.items():
        parts = [person[name] for name in CHINESE_AS_ENGLISH.get(label, ()) if name in person]
        if label not in base or not parts:
            continue
        frames = min(count for _, count in parts)
        wanted = np.mean([mean for mean, _ in parts], 0) - theirs
        shift[0, index] = SHARE * frames / (frames + FEW) * (wanted - (base[label][0] - ours))
    shift[:, :, 0] = 0.0
    return shift.reshape(-1, ORDER + 1)

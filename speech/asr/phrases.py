"""Which of the likely phrases was meant, by how alike they sound to the words that were heard.

Both are turned into phones by espeak-ng and compared by edit distance (Levenshtein 1966) in which phones of one kind
are nearer to each other than to others; so words outside a recogniser's dictionary are found by their sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from speech.text import HAN
from speech.tts.espeak import Prosody, library

_KINDS = ("aeiouyæɑɒɔəɚɛɜɪʊʌɐᵻøœɨʉɤ", "pbtdkgɡʔɾ", "fvθðszʃʒhxçɕʑʂʐ", "mnŋɲ", "lɹrwjɫɥ")
_NEAR = 0.4
"""What it costs to take a phone for another of its kind; 1 for any other, or for one too many or too few."""
_CLEAR = 0.08
"""How much more alike the best must be than the next; else nobody knows which was meant."""
_WORDS_AT_MOST = 40


@dataclass(frozen=True)
class Nearest:
    """A phrase and how alike it sounds, 0 to 1."""

    text: str
    likeness: float


class Phrases:
    """Phrases and their phones. Making it is CPU work (some ms a phrase); ``nearest`` takes a few ms.

    Args:
        texts: What people are likely to say, English; others are left out.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        known = [(text, phones(text)) for text in self.texts if not any(_is_han(sign) for sign in text)]
        self._known = [(text, made) for text, made in known if made]
        longest = max((len(made) for _, made in self._known), default=0)
        self._table = np.full((len(self._known), longest), -1, np.int32)
        self._lengths = np.array([len(made) for _, made in self._known], np.int32)
        for row, (_, made) in zip(self._table, self._known, strict=True):
            row[: len(made)] = [_number(phone) for phone in made]

    def nearest(self, heard: str, least: float) -> Nearest | None:
        """The phrase that sounds most like ``heard``; None where none is at least ``least`` alike, or two are."""
        if not self._known or least >= 1.0:
            return None
        made = phones(heard)
        if not made:
            return None
        distance = _distances(np.array([_number(phone) for phone in made], np.int32), self._table, self._lengths)
        likeness = 1.0 - distance / np.maximum(self._lengths, len(made))
        order = np.argsort(-likeness)
        best = int(order[0])
        if likeness[best] < least or (len(order) > 1 and likeness[best] - likeness[order[1]] < _CLEAR):
            return None
        return Nearest(self._known[best][0], float(likeness[best]))


def phones(text: str) -> tuple[str, ...]:
    """English text as IPA phones."""
    words = "".join(sign if sign.isalnum() or sign == "'" else " " for sign in text.lower()).split()
    return tuple(phone for word in words[:_WORDS_AT_MOST] for phone in _word(word))


@lru_cache(maxsize=4096)
def _word(word: str) -> tuple[str, ...]:
    _, starts = library().render(word, Prosody("en-us"))
    return tuple(s.text for s in starts if s.kind == "phoneme" and s.text and not s.text.startswith("("))


def _is_han(sign: str) -> bool:
    import re

    return re.match(f"[{HAN}]", sign) is not None


_numbers: dict[str, int] = {}
_kinds: list[int] = []


def _number(phone: str) -> int:
    """A number for each phone ever met; ``_kinds`` holds its kind."""
    if phone not in _numbers:
        letter = phone.lstrip("ˈˌ")[:1]
        kind = next((k for k, letters in enumerate(_KINDS) if letter in letters), len(_KINDS))
        _kinds.append(kind)
        _numbers[phone] = len(_numbers)
    return _numbers[phone]


def _distances(heard: NDArray[np.int32], table: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.float64]:
    """Edit distances of ``heard`` to every row of ``table`` (its first ``lengths`` phones), float (rows,)."""
    kinds = np.array([*_kinds, -1])
    rows, width = table.shape
    steps = np.arange(width + 1, dtype=np.float64)
    last = np.tile(steps, (rows, 1))
    for k, phone in enumerate(heard, 1):
        swap = np.where(table == phone, 0.0, np.where(kinds[table] == kinds[phone], _NEAR, 1.0))
        now = np.empty_like(last)
        now[:, 0] = k
        now[:, 1:] = np.minimum(last[:, 1:] + 1.0, last[:, :-1] + swap)
        # Phones too few: each costs 1 from the cell before, so the best beginning is a running minimum of cost - place.
        last = np.minimum.accumulate(now - steps, axis=1) + steps
    return last[np.arange(rows), lengths]

"""Text on its way to a voice: sentences out of a stream, languages told apart, and everything made speakable."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from speech.verbalise import verbalise

Language = Literal["zh", "en"]

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN = re.compile(f"[{HAN}]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ][A-Za-zÀ-ÖØ-öø-ɏ'’\-]*")
_CLOSERS = "\"'”’」』）)]】》〉*_~"
_HARD = "。！？!?…"
_CLAUSE = "，、；：,;:—"
_URL = re.compile(r"(?:https?://|www\.)[^\s" + HAN + r"，。！？；：、）】》」』<>\"`]+", re.IGNORECASE)
_URL_BEGIN = re.compile(r"(?:https?://|www\.)", re.IGNORECASE)
_DOTTED = re.compile(r"[A-Za-z]\.(?:[A-Za-z]\.)+$")
_WORD_BEFORE = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ.]+$")
_ABBREVIATIONS = """
mr mrs ms mx dr prof st vs fig figs no nos vol pp e.g i.e cf al gen col capt lt sgt rev hon gov sen rep approx est
dept univ u.s u.k u.n e.u d.c jan feb mar apr jun jul aug sep sept oct nov dec mt ft
"""
_NEVER_ENDS = frozenset(_ABBREVIATIONS.split())
_ENDINGS = "etc inc ltd co corp jr sr a.m p.m ph.d b.a m.a bros ave blvd rd"
_MAY_END = frozenset(_ENDINGS.split())


@dataclass(frozen=True)
class Segment:
    """A run of text in one language."""

    text: str
    language: Language


def detect_language(text: str, default: Language = "en") -> Language:
    """The language most of ``text`` is in: a Han character weighs as much as a Latin word."""
    han, latin = len(_HAN.findall(text)), len(_LATIN_WORD.findall(text))
    if han == latin == 0:
        return default
    return "zh" if han >= latin else "en"


def language_segments(text: str, main: Language | None = None) -> list[Segment]:
    """Cut ``text`` where its language changes, so that each run is read by a voice that knows it.

    Digits and punctuation go with the run before them; a number that stands alone is read in the main language.
    """
    main = main or detect_language(text)
    runs: list[tuple[Language, int]] = []
    # Digits glued to Latin letters ("GPT4", "5G", "mp3") belong to the word.
    for found in re.finditer(
        rf"(?P<zh>[{HAN}]+)|(?P<en>\d*[A-Za-zÀ-ÖØ-öø-ɏ][\w'’\-&+#]*(?<![{HAN}]))|(?P<number>\d[\d.,:/%\-]*)",
        text,
        re.ASCII,
    ):
        if found["number"] is not None:
            between = text[runs[-1][1] : found.start()] if runs else ""
            near_latin = bool(runs) and runs[-1][0] == "en" and between.strip() == "" and main == "en"
            language: Language = "en" if near_latin else main
        else:
            language = "zh" if found["zh"] is not None else "en"
        if not runs or runs[-1][0] != language:
            runs.append((language, found.start()))
    if not runs:
        return [Segment(text, main)] if text.strip() else []
    starts = [0, *(start for _, start in runs[1:]), len(text)]
    return [
        Segment(text[starts[i] : starts[i + 1]], language)
        for i, (language, _) in enumerate(runs)
        if text[starts[i] : starts[i + 1]].strip()
    ]


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd\ud800-\udfff]")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U00002600-\U000027bf\U00002190-\U000021ff\U00002b00-\U00002bff\U000024c2\U0000fe00-\U0000fe0f"
    "\U000020e3\U000e0020-\U000e007f\u2122\u00a9\u00ae]+"
)
_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,300}>|<!--.*?-->|<\?[^<>]{0,200}\?>", re.DOTALL)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&nbsp;": " "}
_MARKDOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"\[([^\]\n]+)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE), ""),
    (re.compile(r"^\s*>\s?", re.MULTILINE), ""),
    (re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+", re.MULTILINE), ""),
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$", re.MULTILINE), ""),
    (re.compile(r"^\s*\|?(?:\s*:?-{3,}:?\s*\|)+\s*:?-*:?\s*$", re.MULTILINE), ""),
    (re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (re.compile(r"\s*\|\s*"), ", "),
)
_SPEAKABLE = re.compile(r"\w")


def clean(text: str) -> str:
    """Take away what no voice should read: code blocks, Markdown signs, tags, emoji, control characters."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\t", " "))
    text = _FENCE.sub(" ", text)
    text = _TAG.sub(" ", text)
    for entity, sign in _ENTITIES.items():
        text = text.replace(entity, sign)
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text)
    text = _EMOJI.sub(" ", text)
    text = re.sub(r"[*_#~`|\\]+", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" ,")
    return text if _SPEAKABLE.search(text) else ""


def normalise(text: str, language: str = "auto") -> str:
    """``text`` as it is spoken: cleaned, with numbers, dates, money, units and addresses in words of ``language``.

    An empty string means that there is nothing to say. ``language`` is "zh", "en" or "auto".
    """
    return "".join(segment.text for segment in speakable(text, language))


def speakable(text: str, language: str = "auto") -> list[Segment]:
    """``text`` as runs ready for a voice of each run's language; empty where there is nothing to say.

    Numbers, dates and addresses are put into words in the main language of the text before it is cut into runs.
    """
    cleaned = clean(text)
    if not cleaned:
        return []
    main: Language = (
        "zh" if language.startswith("zh") else "en" if language.startswith("en") else detect_language(cleaned)
    )
    spoken = verbalise(cleaned, main)
    return [segment for segment in language_segments(spoken, main) if _SPEAKABLE.search(segment.text)]


class SentenceSplitter:
    """Cuts a stream of text into sentences as soon as each is certain to be whole.

    The cut does not depend on how the stream was chopped up: any pieces of the same text give the same sentences, and
    the sentences joined give the text back (white space aside).

    Args:
        max_chars: A sentence longer than this is cut at a clause, else a space, else here.
        eager_chars: The first sentence may already end at a comma once it has this many characters (0: never), so
            that speech begins early.
    """

    def __init__(self, max_chars: int = 200, eager_chars: int = 0) -> None:
        self._max, self._eager = max_chars, eager_chars
        self._buffer = ""
        self._first = True

    def push(self, text: str) -> list[str]:
        """Take more text and return the sentences it completed."""
        self._buffer += text
        return list(self._take(final=False))

    def flush(self) -> list[str]:
        """End the text: return what is left, then begin anew."""
        rest = list(self._take(final=True))
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget the text so far."""
        self._buffer, self._first = "", True

    def _take(self, final: bool) -> Iterable[str]:
        while True:
            self._buffer = self._buffer.lstrip()
            if not self._buffer:
                return
            end = self._boundary(final)
            if end is None:
                if not final:
                    return
                end = len(self._buffer)
            sentence, self._buffer = self._buffer[:end].strip(), self._buffer[end:]
            if sentence:
                self._first = False
                yield sentence

    def _boundary(self, final: bool) -> int | None:
        """Where the first sentence of the buffer ends; None while that cannot be known."""
        text, size = self._buffer, len(self._buffer)
        i = 0
        clause = space = 0
        while i < size:
            if i >= self._max:
                return clause or space or self._max
            char = text[i]
            atom = self._atom(i, final)
            if atom is None:
                return None
            if atom > i:
                i = atom
                continue
            if char == "\n":
                return i + 1
            if char in _HARD or char == ".":
                end = self._terminator(i, final)
                if end is None:
                    return None
                if end > 0:
                    return end
                i = -end
                continue
            if char in _CLAUSE:
                if char in ",:" and i + 1 >= size and not final:
                    return None
                inside_number = char in ",:" and i + 1 < size and text[i + 1].isdigit() and text[i - 1 : i].isdigit()
                if not inside_number:
                    clause = i + 1
                    if char == "；" or (self._first and 0 < self._eager <= i + 1):
                        return i + 1
            elif char.isspace():
                space = i + 1
            i += 1
        return None

    def _atom(self, i: int, final: bool) -> int | None:
        """End of the code or address that begins at ``i``; ``i`` if none does; None if more text is needed to know."""
        text, size = self._buffer, len(self._buffer)
        if text[i] == "`":
            if not final and size - i < 3 and text[i:] == "`" * (size - i):
                return None
            if text.startswith("```", i):
                close = text.find("```", i + 3)
                return close + 3 if close >= 0 else size if final else None
            close = text.find("`", i + 1)
            line = text.find("\n", i + 1)
            if close >= 0 and (line < 0 or close < line) and close - i < self._max:
                return close + 1
            undecided = close < 0 and line < 0 and size - i < self._max
            return None if undecided and not final else i
        if text[i] in "hHwW" and (i == 0 or not (text[i - 1].isascii() and text[i - 1].isalnum())):
            head = text[i : i + 8].lower()
            if not final and i + len(head) == size and any(p.startswith(head) for p in ("https://", "http://", "www.")):
                return None
            if _URL_BEGIN.match(text, i):
                found = _URL.match(text, i)
                if found is None:
                    return None if not final else i
                if found.end() == size and not final and size - i < 2000:
                    return None
                return i + len(found.group().rstrip(".,!?;:'*_)]"))
        return i

    def _terminator(self, i: int, final: bool) -> int | None:
        """Decide about the sign at ``i``.

        Returns:
            The sentence's end (> 0); where to go on if it does not end (negated); None if more text is needed to know.
        """
        text, size = self._buffer, len(self._buffer)
        j = i
        while j < size and (text[j] in _HARD or text[j] == "."):
            j += 1
        signs = text[i:j]
        while j < size and text[j] in _CLOSERS:
            j += 1
        if j >= size:
            return j if final else None
        following = text[j]
        wide = any(sign in "。！？" for sign in signs)
        if not wide and not (
            following.isspace() or _HAN.match(following) or following in "“‘「『（《【" or ord(following) > 0x2190
        ):
            return -max(j, i + 1)
        k = j
        while k < size and text[k] in " \t":
            k += 1
        if k >= size and not wide:
            return j if final else None
        after = text[k] if k < size else ""
        if signs == ".":
            verdict = self._full_stop(i, after)
            if verdict is not None and not verdict:
                return -j
        # "Stop!" he said. / and so on... but then
        if not wide and after.islower() and (signs[-1] in ".…" or j > i + len(signs)):
            return -j
        return j

    def _full_stop(self, i: int, after: str) -> bool | None:
        """Whether a single '.' at ``i`` ends the sentence; None where nothing speaks against it."""
        text = self._buffer
        before = text[:i]
        if before[-1:].isdigit():
            # "1. First" opens a list item; "3.14" never comes here because a digit follows the sign.
            line = before.rsplit("\n", 1)[-1].strip()
            return False if line.isdigit() and len(line) <= 3 else None
        found = _WORD_BEFORE.search(before)
        if not found:
            return None
        word = found.group().lower().lstrip(".")
        if word in _NEVER_ENDS:
            return False
        if word in _MAY_END or _DOTTED.search(before + "."):
            return after.isupper() or not after.isascii() or after in "\"'“‘(\n"
        single_initial = len(word) == 1 and found.group().isupper() and after.isupper() and word != "i"
        return False if single_initial else None


def split_sentences(text: str, max_chars: int = 200) -> list[str]:
    """All sentences of a whole text."""
    splitter = SentenceSplitter(max_chars)
    return [*splitter.push(text), *splitter.flush()]

"""Documents cut into passages and found again by BM25 (rank-bm25; Chinese words by jieba)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lipsync.errors import InvalidInputError
from speech.text import HAN, clean, split_sentences

PASSAGE_CHARS = 320
SUFFIXES = (".md", ".markdown", ".txt")
MAX_FILE = 8 << 20
_HAN = re.compile(f"[{HAN}]")
_TOKEN = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+")
_QUESTION = re.compile(r"^\s*(?:Q|Question|问|问题)\s*[:：.．]\s*(?P<text>.+)$", re.IGNORECASE)
_ANSWER = re.compile(r"^\s*(?:A|Answer|答|回答)\s*[:：.．]\s*(?P<text>.*)$", re.IGNORECASE)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<text>.+?)\s*#*$")
_STOP_ZH = """
的 了 是 在 有 和 就 都 而 及 与 着 或 吗 呢 吧 啊 呀 什么 怎么 怎样 如何 哪 哪里 哪个 多少 几 请问 请 我 你 您 他 她 它
我们 你们 一个 这 那 这个 那个 可以 能 会 要 想 知道 告诉 为什么
"""
_STOP_EN = """
a an the is are was were be been do does did of to in on at for with and or i you he she it we they me my your our what
how which who when where why can could would should will please tell about this that there have has
"""
STOP = frozenset((_STOP_ZH + _STOP_EN).split())


@dataclass(frozen=True)
class Document:
    """A document of the knowledge base; Markdown or plain text, Chinese or English."""

    title: str
    text: str


@dataclass(frozen=True)
class Passage:
    """A piece that can be an answer.

    Attributes:
        document: Title of the document.
        question: The question it answers or the heading it stands under; may be empty.
        text: What is said.
        is_answer: Whether it was written as the answer to ``question``.
    """

    document: str
    question: str
    text: str
    is_answer: bool


@dataclass(frozen=True)
class Found:
    """A passage found: its BM25 score and the share of the question's weight that occurs in it, 0 to 1."""

    passage: Passage
    score: float
    coverage: float


@cache
def _jieba() -> Any:
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba


def _stem(word: str) -> str:
    """Plurals and common endings off, so that "opening" finds "open" and "hours" finds "hour"."""
    for ending, least in (("ingly", 4), ("ing", 3), ("ies", 2), ("ed", 3), ("es", 4), ("ly", 4), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            stem = word[: -len(ending)] + ("y" if ending == "ies" else "")
            return stem.removesuffix("e") if len(stem) > 3 else stem
    return word.removesuffix("e") if len(word) > 3 else word


def tokens(text: str) -> list[str]:
    """Words that carry meaning: Chinese ones cut by jieba (search mode), English ones lowered and stemmed."""
    found: list[str] = []
    for run in _TOKEN.findall(text):
        words = list(_jieba().cut_for_search(run)) if _HAN.match(run) else [run.lower()]
        found += [word if _HAN.match(word) else _stem(word) for word in words if word not in STOP]
    return found


def passages(document: Document) -> list[Passage]:
    """Cut a document: question-and-answer pairs whole, other text into runs of sentences under their heading."""
    made: list[Passage] = []
    heading = ""
    question: str | None = None
    lines: list[str] = []

    def close() -> None:
        nonlocal lines, question
        text = "\n".join(lines).strip()
        lines = []
        if question is not None:
            if clean(text):
                made.append(Passage(document.title, question, text, True))
            question = None
            return
        run = ""
        for sentence in split_sentences(text):
            if run and len(run) + len(sentence) > PASSAGE_CHARS:
                made.append(Passage(document.title, heading, run, False))
                run = ""
            run = f"{run} {sentence}".strip() if not _HAN.search(run[-2:]) else run + sentence
        if clean(run):
            made.append(Passage(document.title, heading, run, False))

    for line in document.text.splitlines():
        if found := _HEADING.match(line):
            close()
            heading = found["text"]
        elif found := _QUESTION.match(line):
            close()
            question = found["text"].strip()
        elif (found := _ANSWER.match(line)) and question is not None:
            lines.append(found["text"])
        elif not line.strip() and question is None:
            close()
        else:
            lines.append(line)
    close()
    return made


class KnowledgeBase:
    """Passages that can be searched. Building and searching are CPU work: call them off the event loop.

    Args:
        documents: What it knows.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self.passages: list[Passage] = [passage for document in documents for passage in passages(document)]
        self._words = [tokens(f"{p.document} {p.question} {p.question} {p.text}") for p in self.passages]
        self._index: Any = None
        if any(self._words):
            from rank_bm25 import BM25Plus

            self._index = BM25Plus(self._words)

    def search(self, question: str, count: int = 3) -> list[Found]:
        """The passages that answer ``question`` best, best first; those that share no word with it are left out."""
        asked = list(dict.fromkeys(tokens(question)))
        if self._index is None or not asked:
            return []
        weight = {word: float(self._index.idf.get(word, 0.0)) or self._rare() for word in asked}
        total = sum(weight.values())
        scores = self._index.get_scores(asked)
        found: list[Found] = []
        for position, words in enumerate(self._words):
            shared = sum(weight[word] for word in asked if word in set(words))
            if shared:
                found.append(Found(self.passages[position], float(scores[position]), shared / total))
        return sorted(found, key=lambda f: (f.coverage * 2 + f.passage.is_answer * 0.1, f.score), reverse=True)[:count]

    def _rare(self) -> float:
        """The weight of a word no passage holds: as much as one that a single passage holds."""
        values: Sequence[float] = list(self._index.idf.values())
        return max(values, default=1.0)


def load_documents(folder: Path) -> list[Document]:
    """Read every .md and .txt file under ``folder``, by name.

    Raises:
        InvalidInputError: the folder is missing, a file is over 8 MiB or not UTF-8 text.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"There is no folder {folder.name!r} of documents.", "Choose a folder.")
    documents = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        if path.stat().st_size > MAX_FILE:
            raise InvalidInputError(f"The document {path.name!r} is over 8 MiB.", "Split it.")
        try:
            documents.append(Document(path.stem, path.read_text("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"The document {path.name!r} is not UTF-8 text.", "Save it as UTF-8.") from error
    return documents

"""Replies that need no model and no network: rules first, then the knowledge base, then an honest "I do not know"."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from speech.llm.base import ChatMessage, ReplyBackend, ReplyCapabilities, ReplyCheck, ReplySettings
from speech.llm.documents import Document, Found, KnowledgeBase, load_documents, tokens
from speech.text import detect_language, split_sentences
from speech.verbalise import verbalise


class Rule(BaseModel):
    """An answer to what matches a pattern.

    Attributes:
        patterns: Regular expressions looked for in the text, case ignored.
        answers: One is taken in turn; ``{name}``, ``{time}`` and ``{date}`` are filled in.
        language: "zh", "en", or "any".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    patterns: list[str] = Field(min_length=1)
    answers: list[str] = Field(min_length=1)
    language: str = "any"

    @field_validator("patterns")
    @classmethod
    def _valid(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return patterns


DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(
        patterns=[r"^\W*(你|您)好", r"^\W*(嗨|哈喽|大家好|早上好|下午好|晚上好)\W*$"],
        answers=["你好，很高兴见到你。有什么可以帮你的吗？", "你好，欢迎来到直播间。想了解什么？"],
        language="zh",
    ),
    Rule(
        patterns=[r"^\W*(hi|hello|hey|good (morning|afternoon|evening))\b[^?]{0,20}$"],
        answers=["Hello, nice to meet you. How can I help?", "Hi, welcome. What would you like to know?"],
        language="en",
    ),
    Rule(patterns=[r"谢谢|多谢|感谢"], answers=["不客气，很高兴能帮到你。"], language="zh"),
    Rule(patterns=[r"\bthank(s| you)\b"], answers=["You are welcome, I am glad I could help."], language="en"),
    Rule(patterns=[r"再见|拜拜|下次见"], answers=["再见，期待下次和你聊天。"], language="zh"),
    Rule(patterns=[r"\b(good ?bye|see you|bye)\b"], answers=["Goodbye, I hope to talk with you again."], language="en"),
    Rule(patterns=[r"(你|您)(叫什么|是谁|的名字)"], answers=["我叫{name}，是一个数字人。"], language="zh"),
    Rule(
        patterns=[r"\b(what('s| is) your name|who are you)\b"],
        answers=["My name is {name}. I am a digital human."],
        language="en",
    ),
    Rule(patterns=[r"几点(了|钟)?|现在(的)?时间"], answers=["现在是{time}。"], language="zh"),
    Rule(patterns=[r"\bwhat time is it\b|\bthe time now\b"], answers=["It is {time}."], language="en"),
    Rule(patterns=[r"今天(是)?(几号|几月|星期几|周几|什么日子)"], answers=["今天是{date}。"], language="zh"),
    Rule(patterns=[r"\bwhat('s| is) the date\b|\bwhat day is it\b"], answers=["Today is {date}."], language="en"),
    Rule(
        patterns=[r"(你|您)会(做)?什么|能做什么"],
        answers=["我可以回答资料库里的问题，也可以陪你聊聊天。"],
        language="zh",
    ),
    Rule(
        patterns=[r"\bwhat can you do\b"],
        answers=["I can answer questions from my documents, and talk with you."],
        language="en",
    ),
)
UNKNOWN = {
    "zh": ("这个问题我暂时还不了解，可以换个说法再问我一次吗？", "抱歉，我的资料里没有这个答案。"),
    "en": (
        "I do not know that yet. Could you ask it another way?",
        "Sorry, my documents do not hold an answer to that.",
    ),
}
_NAMES = {"zh": "小灵", "en": "Ling"}
_WEEKDAYS_ZH = "一二三四五六日"


class KnowledgeSettings(ReplySettings):
    """Settings of the offline replies.

    Attributes:
        persona: The avatar's name; empty for a name of the studio's.
        folder: A folder of .md and .txt documents, or None.
        documents: Documents given directly, as {"title", "text"}.
        rules: Own rules; they come before the studio's.
        unknown: What is said where nothing fits; empty for the studio's own words.
        minimum_coverage: How much of the question (by weight of its words, 0 to 1) a passage must hold to be an answer.
        max_chars: An answer is not longer than this, cut at a sentence.
    """

    persona: str = ""
    folder: Path | None = None
    documents: list[dict[str, str]] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    unknown: str = ""
    minimum_coverage: float = Field(default=0.5, ge=0, le=1)
    max_chars: int = Field(default=240, ge=20)


class KnowledgeReply(ReplyBackend):
    """Rules and documents; the default. Answers within milliseconds, the same offline as online."""

    name = "knowledge"
    capabilities = ReplyCapabilities(streaming=True, needs_network=False)
    Settings = KnowledgeSettings
    settings: KnowledgeSettings

    def __init__(self, settings: ReplySettings | None = None) -> None:
        super().__init__(settings)
        self._base: KnowledgeBase | None = None
        self._building = asyncio.Lock()

    async def base(self) -> KnowledgeBase:
        """The knowledge base, built on first use off the event loop. Raises ``InvalidInputError`` for bad documents."""
        async with self._building:
            if self._base is None:
                self._base = await asyncio.to_thread(self._build)
        return self._base

    def _build(self) -> KnowledgeBase:
        given = [Document(d.get("title", ""), d.get("text", "")) for d in self.settings.documents]
        read = load_documents(self.settings.folder) if self.settings.folder else []
        return KnowledgeBase([*given, *read])

    async def warm_up(self) -> None:
        """Build the knowledge base and load the dictionary of Chinese words."""
        await self.base()
        await asyncio.to_thread(tokens, "今天天气")

    async def check(self) -> ReplyCheck:
        """Read the documents."""
        base = await self.base()
        return ReplyCheck(True, f"{len(base.passages)} passages are known.")

    async def answer(
        self, text: str, history: Sequence[ChatMessage], cancel: asyncio.Event
    ) -> AsyncGenerator[str, None]:
        """Yield the answer sentence by sentence."""
        language = detect_language(text, detect_language(history[-1].content) if history else "zh")
        turn = sum(message.role == "user" for message in history)
        answer = self._by_rule(text, language, turn, self.settings.rules)
        if answer is None:
            answer = await self._by_knowledge(text, history)
        if answer is None:
            answer = self._by_rule(text, language, turn, DEFAULT_RULES)
        if answer is None:
            answer = self.settings.unknown or UNKNOWN[language][turn % len(UNKNOWN[language])]
        for sentence in split_sentences(answer):
            yield sentence + ("" if detect_language(sentence) == "zh" else " ")

    def _by_rule(self, text: str, language: str, turn: int, rules: Sequence[Rule]) -> str | None:
        for rule in rules:
            if rule.language not in {"any", language}:
                continue
            if any(re.search(pattern, text, re.IGNORECASE) for pattern in rule.patterns):
                return _filled(rule.answers[turn % len(rule.answers)], self._facts(language))
        return None

    def _facts(self, language: str) -> dict[str, Any]:
        now = dt.datetime.now().astimezone()
        if language == "zh":
            date = f"{now.year}年{now.month}月{now.day}日，星期{_WEEKDAYS_ZH[now.weekday()]}"
        else:
            date = f"{now:%A}, {now:%B} {now.day}, {verbalise(f'in {now.year}', 'en')[3:]}"
        return {"name": self.settings.persona or _NAMES[language], "time": f"{now:%H:%M}", "date": date}

    async def _by_knowledge(self, text: str, history: Sequence[ChatMessage]) -> str | None:
        base = await self.base()
        if not base.passages:
            return None

        def look() -> str | None:
            found = base.search(text, 1)
            if not found or found[0].coverage < self.settings.minimum_coverage:
                # "And on Sundays?" is understood with what was asked before it.
                earlier = next((m.content for m in reversed(history) if m.role == "user"), "")
                if not earlier or len(tokens(text)) > 3 or not found:
                    return None
                found = base.search(f"{text} {earlier}", 1)
                if not found or found[0].coverage < self.settings.minimum_coverage:
                    return None
            return self._told(found[0], text)

        return await asyncio.to_thread(look)

    def _told(self, found: Found, question: str) -> str:
        """The passage, or those of its sentences that begin with the one nearest the question."""
        sentences = split_sentences(found.passage.text)
        start = 0
        if not found.passage.is_answer:
            asked = set(tokens(question))
            hits = [len(asked & set(tokens(sentence))) for sentence in sentences]
            start = hits.index(max(hits))
        told = ""
        for sentence in sentences[start:]:
            if told and len(told) + len(sentence) > self.settings.max_chars:
                break
            told += (" " if told and detect_language(sentence) == "en" else "") + sentence
        return told


def _filled(answer: str, facts: dict[str, Any]) -> str:
    """Fill ``{name}``, ``{time}``, ``{date}``; other braces stay as they are."""
    return re.sub(r"\{(name|time|date)\}", lambda found: str(facts[found[1]]), answer)

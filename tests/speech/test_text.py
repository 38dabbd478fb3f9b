"""Sentences, languages, and text made speakable."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.text import (
    SentenceSplitter,
    clean,
    detect_language,
    language_segments,
    normalise,
    speakable,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。今天天气很好！我们走吧？", ["你好。", "今天天气很好！", "我们走吧？"]),
        ("他说：“你好！”然后走了。好。", ["他说：“你好！”", "然后走了。", "好。"]),
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        (
            "Dr. Smith and Mr. J. Doe met at 3 p.m. They talked.",
            ["Dr. Smith and Mr. J. Doe met at 3 p.m.", "They talked."],
        ),
        ("It costs $3.14. That is 1,000.50 in all.", ["It costs $3.14.", "That is 1,000.50 in all."]),
        ("The U.S. economy, e.g. trade, grew. Good.", ["The U.S. economy, e.g. trade, grew.", "Good."]),
        ('"Stop!" he said. Then he left.', ['"Stop!" he said.', "Then he left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("See https://example.com/a.b?c=1. Then go.", ["See https://example.com/a.b?c=1.", "Then go."]),
        ("访问www.example.com。好的。", ["访问www.example.com。", "好的。"]),
        ("Use `a.b. C` now. Ok.", ["Use `a.b. C` now.", "Ok."]),
        ("```py\nprint(1). X\n``` Done. Next.", ["```py\nprint(1). X\n``` Done.", "Next."]),
        ("# Title\n1. First point\n2. Second", ["# Title", "1. First point", "2. Second"]),
        ("好的😀。再见👋！", ["好的😀。", "再见👋！"]),
        ("我用Python 3.11。It works. 很好！", ["我用Python 3.11。", "It works.", "很好！"]),
        ("No end here", ["No end here"]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


def test_a_sentence_comes_before_the_text_ends() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("One is do") == []
    assert splitter.push("ne. Tw") == ["One is done."]
    assert splitter.push("o") == []
    assert splitter.flush() == ["Two"]
    assert splitter.flush() == []


def test_the_first_sentence_may_end_at_a_comma_to_begin_early() -> None:
    splitter = SentenceSplitter(eager_chars=5)
    assert splitter.push("今天天气很好，我们去公园，好吗？走吧。") == ["今天天气很好，", "我们去公园，好吗？"]
    assert splitter.flush() == ["走吧。"]


@pytest.mark.parametrize("text", ["word " * 400, "字" * 900, "字，" * 400, "x" * 900])
def test_a_sentence_without_end_is_cut(text: str) -> None:
    parts = split_sentences(text, max_chars=120)
    assert all(len(part) <= 120 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


ALPHABET = st.sampled_from(
    [*"aB1. ,!?。！？，“”\"'`\n好的;", "Mr.", "3.14", "http://a.b/c. ", "```", "😀", "e.g. ", "... "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ALPHABET, max_size=40), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_the_cut_does_not_depend_on_the_pieces_and_loses_nothing(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    splitter = SentenceSplitter(max_chars=25, eager_chars=4)
    whole = [*splitter.push(text), *splitter.flush()]
    pieces: list[str] = []
    position = turn = 0
    while position < len(text):
        size = sizes[turn % len(sizes)]
        pieces += splitter.push(text[position : position + size])
        position, turn = position + size, turn + 1
    pieces += splitter.flush()
    assert pieces == whole
    assert "".join("".join(whole).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好", "zh"),
        ("hello", "en"),
        ("我们用PyTorch训练", "zh"),
        ("He said 你好 to all of us", "en"),
        ("123", "en"),
        ("", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_mixed_text_is_cut_by_language() -> None:
    segments = language_segments("我们用 PyTorch 和 GPT4 训练模型，很快。")
    assert [(s.language, s.text.strip()) for s in segments] == [
        ("zh", "我们用"),
        ("en", "PyTorch"),
        ("zh", "和"),
        ("en", "GPT4"),
        ("zh", "训练模型，很快。"),
    ]
    assert "".join(s.text for s in segments) == "我们用 PyTorch 和 GPT4 训练模型，很快。"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It costs $1,234.50.", "It costs one thousand two hundred thirty-four dollars and fifty cents."),
        ("On 2024-05-01 at 14:05", "On May first, twenty twenty-four at fourteen oh five"),
        ("3.5% of 10 km", "three point five percent of ten kilometers"),
        ("the 21st, in 1999", "the twenty-first, in nineteen ninety-nine"),
        ("-5 °C", "minus five degrees Celsius"),
        ("call 555-123-4567", "call five five five one two three four five six seven"),
        ("version 1.2.3", "version one point two point three"),
        ("pages 3-5", "pages three to five"),
        ("mail me@site.org", "mail me at site dot org"),
        ("$5 million", "five million dollars"),
        ("1 kg", "one kilogram"),
    ],
)
def test_english_in_words(text: str, spoken: str) -> None:
    assert normalise(text, "en") == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("价格¥1,200.50元起", "价格一千二百点五元元起"),
        ("2024年5月1日", "二零二四年五月一日"),
        ("2024-05-01 14:30", "二零二四年五月一日 十四点三十分"),
        ("涨了3.5%", "涨了百分之三点五"),
        ("买2个苹果，第2次", "买两个苹果，第二次"),
        ("10kg大米，零下-5℃", "十公斤大米，零下负五摄氏度"),
        ("电话13800138000", "电话一三八零零一三八零零零"),
        ("3-5天，1/2", "三到五天，二分之一"),
        ("比分3:2", "比分三比二"),
        ("$5万", "五万美元"),
        ("见 www.example.com/x", "见 example 点 com"),
    ],
)
def test_chinese_in_words(text: str, spoken: str) -> None:
    assert normalise(text, "zh") == spoken


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("**Bold** and *soft* [link](http://x.y) ![pic](a.png)", "Bold and soft link pic"),
        ("# Head\n- item\n> quote", "Head item quote"),
        ("<speak>Hello <break time='1s'/>there</speak> &amp; more", "Hello there & more"),
        ("a\x00b\x07c\u200bd", "abcd"),
        ("😀🎉👩‍👩‍👧", ""),
        ("```py\ncode\n```", ""),
        ("...!!!", ""),
        ("snake_case 2*3", "snake case 2 3"),
    ],
)
def test_what_no_voice_should_read_goes(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_can_be_prepared(text: str) -> None:
    for segment in speakable(text):
        assert segment.text.strip()
        assert segment.language in {"zh", "en"}

"""Offline replies: rules, documents in both languages, and honesty where neither knows."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from lipsync.errors import InvalidInputError
from speech.errors import SpeechSettingsError
from speech.llm import ChatMessage, ReplyBackend, create
from speech.llm.documents import Document, KnowledgeBase, load_documents, passages

SHOP_EN = """# Opening hours
The shop is open from nine in the morning to six in the evening, Monday to Saturday. On Sundays it is closed.

# Delivery
We deliver within the city for free. Orders from other cities arrive after three days and cost five dollars.

# Returns
You can return any item within thirty days. Bring the receipt, and we give the money back.
"""
SHOP_ZH = """# 营业时间
本店周一到周六早上九点开门，晚上六点关门。星期天不营业。

# 快递
市内免费送货。其他城市的订单三天到达，运费五元。

问：可以退货吗？
答：三十天之内都可以退货，请带上小票。

问：会员卡怎么办理？
答：在前台出示手机号就能办理会员卡，当天有效。
"""
MORE = """# 天气
北方的冬天很冷，南方的夏天很热。

# 公司
公司成立于2010年，总部在杭州，主要生产绿茶和红茶。
"""


@pytest.fixture
def shop() -> ReplyBackend:
    documents = [
        {"title": "shop", "text": SHOP_EN},
        {"title": "商店", "text": SHOP_ZH},
        {"title": "更多", "text": MORE},
    ]
    return create("knowledge", {"documents": documents, "persona": "Mei"})


async def ask(reply: ReplyBackend, text: str, history: tuple[ChatMessage, ...] = ()) -> str:
    return "".join([piece async for piece in reply.reply(text, history, asyncio.Event())])


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("When does the shop open?", "nine in the morning"),
        ("Is the shop open on Sundays?", "closed"),
        ("How much is delivery to other cities?", "five dollars"),
        ("Can I return an item?", "thirty days"),
        ("你们几点开门？", "九点"),
        ("星期天营业吗？", "不营业"),
        ("可以退货吗", "三十天"),
        ("怎么办会员卡？", "手机号"),
        ("其他城市运费多少？", "五元"),
        ("公司总部在哪里？", "杭州"),
    ],
)
async def test_documents_answer_in_both_languages(shop: ReplyBackend, question: str, part: str) -> None:
    assert part in await ask(shop, question)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("你好！", "你好"),
        ("Hello there", "Hello"),
        ("谢谢你", "不客气"),
        ("thanks a lot", "welcome"),
        ("你叫什么名字？", "Mei"),
        ("What's your name?", "Mei"),
        ("今天几号？", f"{dt.datetime.now().year}年"),
        ("what time is it?", ":"),
    ],
)
async def test_rules_answer(shop: ReplyBackend, text: str, part: str) -> None:
    assert part in await ask(shop, text)


@pytest.mark.parametrize("text", ["Who won the chess championship?", "火星上有水吗？", "", "😀", "？？？"])
async def test_what_is_not_known_is_said_to_be_unknown(shop: ReplyBackend, text: str) -> None:
    answer = await ask(shop, text)
    assert answer.strip()
    assert any(word in answer for word in ("不了解", "没有这个答案", "do not know", "do not hold"))


async def test_a_follow_up_is_understood_with_what_came_before(shop: ReplyBackend) -> None:
    history = (ChatMessage("user", "When is the shop open?"), ChatMessage("assistant", "From nine to six."))
    assert "closed" in await ask(shop, "And Sundays?", history)


async def test_own_rules_come_first_and_answers_take_turns(shop: ReplyBackend) -> None:
    reply = create("knowledge", {"rules": [{"patterns": ["优惠"], "answers": ["一。", "二。"]}]})
    assert await ask(reply, "有优惠吗") == "一。"
    assert await ask(reply, "有优惠吗", (ChatMessage("user", "有优惠吗"), ChatMessage("assistant", "一。"))) == "二。"


async def test_an_answer_comes_by_sentences(shop: ReplyBackend) -> None:
    await shop.warm_up()
    pieces = [piece async for piece in shop.reply("When does the shop open?", (), asyncio.Event())]
    assert len(pieces) >= 2


async def test_cancel_ends_it(shop: ReplyBackend) -> None:
    cancel = asyncio.Event()
    heard = []
    async for piece in shop.reply("When does the shop open?", (), cancel):
        heard.append(piece)
        cancel.set()
    assert len(heard) == 1


def test_passages_keep_question_and_answer_together() -> None:
    made = passages(Document("d", SHOP_ZH))
    pairs = {p.question: p.text for p in made if p.is_answer}
    assert pairs["可以退货吗？"].startswith("三十天")
    assert any(p.question == "营业时间" and "九点" in p.text for p in made)


def test_one_document_and_none_can_be_searched() -> None:
    assert KnowledgeBase([]).search("anything") == []
    assert KnowledgeBase([Document("x", "Tea is grown in the hills.")]).search("where is tea grown")[0].coverage > 0.5
    assert KnowledgeBase([Document("x", "```\ncode\n```\n\n😀")]).search("code") == []


def test_documents_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("\ufeff# T\n你好世界", "utf-8")
    (tmp_path / "b.txt").write_text("Hello", "utf-8")
    (tmp_path / "c.bin").write_bytes(b"\xff\x00")
    assert [d.title for d in load_documents(tmp_path)] == ["a", "b"]
    (tmp_path / "d.txt").write_bytes("你好".encode("gbk"))
    with pytest.raises(InvalidInputError, match="UTF-8"):
        load_documents(tmp_path)
    with pytest.raises(InvalidInputError, match="no folder"):
        load_documents(tmp_path / "missing")


def test_a_rule_that_is_no_expression_is_refused() -> None:
    with pytest.raises(SpeechSettingsError, match="regular expression"):
        create("knowledge", {"rules": [{"patterns": ["("], "answers": ["x"]}]})

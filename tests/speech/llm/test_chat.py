"""Chat back-ends against a real HTTP server, with the faults a model server has."""

import asyncio
import json

import pytest

from speech.errors import SpeechAuthError, SpeechError, SpeechProtocolError, SpeechSettingsError, SpeechTimeoutError
from speech.llm import ChatMessage, create, names
from speech.llm.base import ReplyBackend
from speech.llm.chat import ThoughtFilter
from tests.fakes.http_server import Answer, Request, serving

KEY = "sk-very-secret-key"
WORDS = ["你好", "，我是", " a model.", " Line\u2028sep", " 🙂 end."]


def sse(words: list[str], done: bool = True) -> bytes:
    events = [{"choices": [{"delta": {"role": "assistant"}}]}]
    events += [{"choices": [{"delta": {"content": word}}]} for word in words]
    out = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events)
    end = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    return (": hello\n\n" + out + (end if done else "")).encode()


def ndjson(words: list[str], done: bool = True) -> bytes:
    out = "".join(
        json.dumps({"message": {"role": "assistant", "content": w}, "done": False}, ensure_ascii=False) + "\n"
        for w in words
    )
    return (out + ('{"message":{"content":""},"done":true,"done_reason":"stop"}\n' if done else "")).encode()


FORMATS = {"openai": (sse, "text/event-stream"), "ollama": (ndjson, "application/x-ndjson")}


def backend(name: str, url: str, **more: object) -> ReplyBackend:
    timeouts = {"connect_s": 1.0, "first_s": 0.4, "stall_s": 0.4}
    return create(name, {"base_url": url, "model": "m", "api_key": KEY, "timeouts": timeouts, "attempts": 2, **more})


async def said(reply: ReplyBackend, text: str = "hi", history: tuple[ChatMessage, ...] = ()) -> list[str]:
    try:
        return [piece async for piece in reply.reply(text, history, asyncio.Event())]
    finally:
        await reply.close()


each = pytest.mark.parametrize("name", list(FORMATS))


@each
@pytest.mark.parametrize("sizes", [[1], [3, 1, 7], [10_000]])
async def test_the_whole_answer_comes_through_odd_splits(name: str, sizes: list[int]) -> None:
    form, kind = FORMATS[name]

    async def handler(request: Request, answer: Answer) -> None:
        await answer.start(kind=kind)
        await answer.pieces(form(WORDS), sizes)
        await answer.end()

    async with serving(handler) as server:
        assert "".join(await said(backend(name, server.url))) == "".join(WORDS)
        assert await server.all_closed()
        [request] = server.requests
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.path == {"openai": "/chat/completions", "ollama": "/api/chat"}[name]
        assert request.json["stream"] is True


@each
async def test_the_first_piece_comes_before_the_answer_ends(name: str) -> None:
    form, kind = FORMATS[name]
    go = asyncio.Event()

    async def handler(request: Request, answer: Answer) -> None:
        await answer.start(kind=kind)
        await answer.send(form(["first "], done=False))
        await go.wait()
        await answer.send(form(["last"]))
        await answer.end()

    async with serving(handler) as server:
        reply = backend(name, server.url)
        stream = reply.reply("hi", (), asyncio.Event())
        assert await anext(stream) == "first "
        go.set()
        assert [piece async for piece in stream] == ["last"]
        await reply.close()


@each
async def test_history_and_system_prompt_are_sent_and_bounded(name: str) -> None:
    form, kind = FORMATS[name]

    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(form(["ok"]), kind=kind)

    history = tuple(ChatMessage("user" if i % 2 == 0 else "assistant", str(i)) for i in range(8))
    async with serving(handler) as server:
        await said(backend(name, server.url, system_prompt="Be kind.", history_messages=3), "now?", history)
        messages = server.requests[0].json["messages"]
        assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
        assert [m["content"] for m in messages] == ["Be kind.", "6", "7", "now?"]


@each
@pytest.mark.parametrize(
    ("status", "body", "error", "requests"),
    [
        (401, '{"error":{"message":"bad key"}}', SpeechAuthError, 1),
        (404, '{"error":"model not found"}', SpeechError, 1),
        (400, '{"error":{"message":"too long"}}', SpeechError, 1),
        (429, "slow down", SpeechError, 2),
        (500, "<html><body><h1>Oops</h1></body></html>", SpeechError, 2),
        (503, "", SpeechError, 2),
    ],
)
async def test_error_statuses(name: str, status: int, body: str, error: type[SpeechError], requests: int) -> None:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(body, status, "text/html" if "<" in body else "application/json")

    async with serving(handler) as server:
        with pytest.raises(error) as caught:
            await said(backend(name, server.url))
        assert len(server.requests) == requests
        assert caught.value.detail["status"] == status
        assert KEY not in repr(caught.value) + str(caught.value.detail)
        assert "<" not in caught.value.message


@each
async def test_a_failure_that_passes_is_tried_again(name: str) -> None:
    form, kind = FORMATS[name]
    count = 0

    async def handler(request: Request, answer: Answer) -> None:
        nonlocal count
        count += 1
        if count == 1:
            await answer.whole("busy", 503, "text/plain")
        else:
            await answer.whole(form(WORDS), kind=kind)

    async with serving(handler) as server:
        assert "".join(await said(backend(name, server.url))) == "".join(WORDS)


@each
async def test_an_error_body_inside_200_is_an_error(name: str) -> None:
    async def handler(request: Request, answer: Answer) -> None:
        body = b'{"error": {"message": "out of memory"}}\n' if name == "openai" else b'{"error": "out of memory"}\n'
        await answer.start(kind="application/json")
        await answer.pieces(body, [5])
        await answer.end()

    async with serving(handler) as server:
        with pytest.raises(SpeechError, match="out of memory"):
            await said(backend(name, server.url))


@each
@pytest.mark.parametrize(
    "body", [b"<html>login</html>", b"\xff\xfe\x00garbage\n", b"data: {broken\n\n", b"data: [1]\n[1]\n", b""]
)
async def test_garbage_is_an_error(name: str, body: bytes) -> None:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(body, kind="text/html")

    async with serving(handler) as server:
        with pytest.raises(SpeechProtocolError):
            await said(backend(name, server.url))


@each
@pytest.mark.parametrize("when", ["before", "middle"])
async def test_a_stall_ends_in_time_and_closes_the_socket(name: str, when: str) -> None:
    form, kind = FORMATS[name]

    async def handler(request: Request, answer: Answer) -> None:
        if when == "middle":
            await answer.start(kind=kind)
            await answer.send(form(["some"], done=False))
        await answer.stall()

    async with serving(handler) as server:
        heard: list[str] = []
        reply = backend(name, server.url, attempts=1)
        with pytest.raises(SpeechTimeoutError):
            async for piece in reply.reply("hi", (), asyncio.Event()):
                heard.append(piece)
        assert heard == (["some"] if when == "middle" else [])
        await reply.close()
        assert await server.all_closed()


@each
@pytest.mark.parametrize("clean", [True, False])
async def test_a_dropped_answer_is_an_error_and_not_repeated(name: str, clean: bool) -> None:
    form, kind = FORMATS[name]

    async def handler(request: Request, answer: Answer) -> None:
        await answer.start(kind=kind)
        await answer.send(form(["half an"], done=False))
        await asyncio.sleep(0.02)
        await answer.end() if clean else answer.drop()

    async with serving(handler) as server:
        heard = []
        reply = backend(name, server.url)
        with pytest.raises(SpeechError):
            async for piece in reply.reply("hi", (), asyncio.Event()):
                heard.append(piece)
        await reply.close()
        assert heard == ["half an"]
        assert len(server.requests) == 1


@each
@pytest.mark.parametrize("when", ["before", "middle"])
async def test_cancel_ends_at_once_and_closes_the_socket(name: str, when: str) -> None:
    form, kind = FORMATS[name]
    cancel = asyncio.Event()

    async def handler(request: Request, answer: Answer) -> None:
        if when == "middle":
            await answer.start(kind=kind)
            await answer.send(form(["some"], done=False))
        asyncio.get_running_loop().call_later(0.05, cancel.set)
        await answer.stall()

    async with serving(handler) as server:
        reply = backend(name, server.url)
        heard = [piece async for piece in reply.reply("hi", (), cancel)]
        assert heard == (["some"] if when == "middle" else [])
        assert await server.all_closed()
        assert server.left_early == 1
        await reply.close()


@each
async def test_nobody_there(name: str) -> None:
    with pytest.raises(SpeechError, match="cannot be reached"):
        await said(backend(name, "http://127.0.0.1:9"))
    result = await backend(name, "http://127.0.0.1:9").check()
    assert not result.ok
    assert "cannot be reached" in result.message


@each
@pytest.mark.parametrize("url", ["nonsense", "ftp://x/y", "http://user:hunter2@127.0.0.1:9/v1"])
async def test_a_bad_address_says_so_without_its_password(name: str, url: str) -> None:
    with pytest.raises(SpeechError) as caught:
        await said(backend(name, url))
    assert "hunter2" not in caught.value.message + str(caught.value.detail)


@each
async def test_check_says_what_is_wrong(name: str) -> None:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole('{"error":{"message":"invalid key"}}', 401)

    async with serving(handler) as server:
        reply = backend(name, server.url)
        result = await reply.check()
        await reply.close()
    assert not result.ok
    assert "invalid key" in result.message
    assert "credentials" in result.remedy
    assert KEY not in str(result)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_thoughts_are_not_spoken(size: int) -> None:
    text = "<think>hidden <b>x</b> </think>Shown a<b and <think>more</think>end <thi"
    thoughts = ThoughtFilter()
    shown = "".join(thoughts.push(text[i : i + size]) for i in range(0, len(text), size)) + thoughts.finish()
    assert shown == "Shown a<b and end <thi"


@each
async def test_an_answer_of_thoughts_alone_is_an_error(name: str) -> None:
    form, kind = FORMATS[name]

    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(form(["<think>only", " this</think>", "\n"]), kind=kind)

    async with serving(handler) as server:
        with pytest.raises(SpeechProtocolError, match="empty"):
            await said(backend(name, server.url))


@pytest.mark.parametrize("name", names())
def test_every_name_resolves_and_refuses_unknown_settings(name: str) -> None:
    assert create(name).name == name
    with pytest.raises(SpeechSettingsError) as caught:
        create(name, {"nonsense": KEY})
    assert KEY not in caught.value.message + str(caught.value.detail)

"""Voice services as local servers that speak each protocol over a real socket, with faults to order.

Each checks the request as the service would (path, method, fields, signature) and answers 4xx where it is wrong.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import io
import json
import struct
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import cycle
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np

from tests.fakes.http_server import Answer, FakeServer, Request, serving

SECRET = "s3cr3t-credential-value"


@dataclass
class Plan:
    """What the service says (int16 at its own rate) and what goes wrong.

    ``fault``: "" | "unauthorised" | "500" | "error_in_200" | "page" | "stall" | "silent" | "drop" | "empty".
    ``gate``: if given, the second half is sent only after it is set.
    """

    pcm: np.ndarray
    rate: int
    fault: str = ""
    sizes: tuple[int, ...] = (1, 3, 4097)
    gate: asyncio.Event | None = None
    fail_first: int = 0
    seen: list[Any] = field(default_factory=list)


def wav(pcm: np.ndarray, rate: int, *, streamed: bool = True, extra: bytes = b"") -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    data = out.getvalue()
    if streamed:  # sizes unknown, and a chunk before the sound
        data = data[:4] + b"\xff\xff\xff\xff" + data[8:36] + extra + b"data\xff\xff\xff\xff" + data[44:]
    return data


def raw(pcm: np.ndarray, rate: int) -> bytes:
    return pcm.astype("<i2").tobytes()


def mp3(pcm: np.ndarray, rate: int) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream: Any = container.add_stream("libmp3lame", rate=rate)
        stream.layout = "mono"
        stream.bit_rate = 48_000
        frame: Any = av.AudioFrame.from_ndarray(pcm.reshape(1, -1).astype(np.int16), "s16", "mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return out.getvalue()


async def _speak(answer: Answer, plan: Plan, data: bytes, kind: str, **headers: str) -> None:
    """Send ``data`` with the plan's fault."""
    if plan.fault == "error_in_200":
        words = json.dumps({"Response": {"Error": {"Code": "InternalError", "Message": "model out of memory"}}})
        await answer.start(kind=kind)
        await answer.pieces(words.encode(), [3, 1, 9])
        await answer.end()
    elif plan.fault == "page":
        await answer.whole("<!doctype html><html><body>Please log in</body></html>", kind="text/html")
    elif plan.fault == "empty":
        await answer.start(kind=kind, **headers)
        await answer.end()
    elif plan.fault in {"stall", "drop"} or plan.gate:
        await answer.start(kind=kind, **headers)
        half = len(data) // 2 | 1
        await answer.pieces(data[:half], plan.sizes)
        if plan.fault == "stall":
            await answer.stall()
        elif plan.fault == "drop":
            await asyncio.sleep(0.02)
            answer.drop()
        else:
            assert plan.gate is not None
            await plan.gate.wait()
            await answer.pieces(data[half:], plan.sizes)
            await answer.end()
    else:
        await answer.start(kind=kind, **headers)
        await answer.pieces(data, plan.sizes)
        await answer.end()


Check = Callable[[Request], str]
Body = Callable[[np.ndarray, int], bytes]


def speaker(plan: Plan, check: Check, body: Body, kind: str, **headers: str):
    """A handler that speaks on the one request ``check`` finds right."""

    async def handler(request: Request, answer: Answer) -> None:
        problem = check(request)
        if problem:
            await answer.whole(json.dumps({"detail": problem}), 422)
        elif plan.fault == "unauthorised":
            await answer.whole(json.dumps({"message": "wrong key"}), 401)
        elif plan.fault == "500" or plan.fail_first > 0:
            plan.fail_first -= 1
            await answer.whole("<html><h1>Internal error</h1></html>", 500, "text/html")
        elif plan.fault == "silent":
            await answer.stall()
        else:
            await _speak(answer, plan, body(plan.pcm, plan.rate), kind, **headers)

    return handler


def _form(request: Request) -> dict[str, bytes]:
    """The fields of a multipart body."""
    boundary = request.headers["content-type"].split("boundary=")[1].encode()
    fields = {}
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0].decode()
        fields[name] = value
    return fields


def fish(plan: Plan):
    def check(request: Request) -> str:
        body = request.json
        right = (request.method, request.path) == ("POST", "/v1/tts") and body["text"] and body["format"] == "wav"
        reference = base64.b64decode(body["references"][0]["audio"])[:4] == b"RIFF"
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return "no key"
        return "" if right and reference and body["streaming"] is True else "wrong request"

    return speaker(plan, check, wav, "audio/wav")


def gpt_sovits(plan: Plan):
    def check(request: Request) -> str:
        body = request.json
        right = request.path == "/tts" and body["media_type"] == "wav" and body["streaming_mode"] is True
        return "" if right and body["text_lang"] in {"zh", "en"} and body["ref_audio_path"] else "wrong request"

    return speaker(plan, check, lambda pcm, rate: wav(pcm, rate, extra=b"LIST\x04\0\0\0abcd"), "audio/wav")


def cosyvoice(plan: Plan):
    def check(request: Request) -> str:
        if request.method != "POST":
            return "method not allowed"
        form = _form(request)
        right = request.path == "/inference_zero_shot" and form["tts_text"] and form["prompt_text"]
        return "" if right and form["prompt_wav"][:4] == b"RIFF" else "wrong request"

    return speaker(plan, check, raw, "application/octet-stream")


def cosyvoice_float(plan: Plan):
    as_float = lambda pcm, rate: (pcm.astype("<f4") / 32768).tobytes()  # noqa: E731
    return speaker(plan, lambda _: "", as_float, "audio/x", **{"X_Custom_Header_sampleRate": str(plan.rate)})


def tencent(plan: Plan):
    def check(request: Request) -> str:
        body = request.json
        query = "&".join(f"{key}={body[key]}" for key in sorted(body))
        signed = f"POSTtts.cloud.tencent.com/stream?{query}".encode()
        wanted = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha1).digest()).decode()
        if request.headers["authorization"] != wanted:
            return "AuthFailure.SignatureFailure"
        fresh = abs(body["Timestamp"] - time.time()) < 60 < body["Expired"] - body["Timestamp"]
        return "" if request.path == "/stream" and body["Codec"] == "pcm" and fresh else "wrong request"

    return speaker(plan, check, raw, "application/octet-stream")


def azure(plan: Plan):
    def check(request: Request) -> str:
        if request.headers.get("ocp-apim-subscription-key") != SECRET:
            return "no key"
        spoken = ElementTree.fromstring(request.body)
        plan.seen.append("".join(spoken.itertext()))
        right = request.path == "/cognitiveservices/v1" and request.headers["x-microsoft-outputformat"].startswith(
            "raw-24khz"
        )
        return "" if right and spoken.tag.endswith("speak") else "wrong request"

    return speaker(plan, check, raw, "audio/x-wav")


def openai_speech(plan: Plan):
    def check(request: Request) -> str:
        body = request.json
        right = request.path == "/v1/audio/speech" and body["response_format"] == "pcm" and body["input"]
        return "" if right and request.headers.get("authorization") == f"Bearer {SECRET}" else "wrong request"

    return speaker(plan, check, raw, "audio/pcm")


def xtts(plan: Plan):
    latents = {"gpt_cond_latent": [[0.5] * 4], "speaker_embedding": [0.25] * 8}

    def check(request: Request) -> str:
        body = request.json
        if body["language"] not in {"zh", "en"}:  # one server's Literal: "zh-cn" is refused
            return "language must be zh or en"
        right = body["gpt_cond_latent"] == latents["gpt_cond_latent"] and body["add_wav_header"]
        return "" if request.path == "/tts_stream" and right else "wrong request"

    speak = speaker(plan, check, wav, "audio/wav")

    async def handler(request: Request, answer: Answer) -> None:
        if request.path == "/clone_speaker":
            sound = _form(request)["wav_file"]
            await answer.whole(json.dumps(latents), 200 if sound[:4] == b"RIFF" else 422)
        else:
            await speak(request, answer)

    return handler


def indextts2(plan: Plan):
    names = ["emo_control_method", "prompt", "text", "emo_ref_path", "max_text_tokens_per_segment", "param_17"]
    info = {
        "named_endpoints": {
            "/gen_single": {"parameters": [{"parameter_name": n, "parameter_default": f"default {n}"} for n in names]}
        }
    }

    def check(request: Request) -> str:
        right = request.path.startswith("/gradio_api/file=")
        return "" if right and request.path.endswith("/tmp/out.wav") else "wrong file"

    speak = speaker(plan, check, lambda pcm, rate: wav(pcm, rate, streamed=False), "audio/wav")

    async def handler(request: Request, answer: Answer) -> None:
        path = request.path.removeprefix("/gradio_api/")
        if path == "upload":
            await answer.whole(json.dumps(["/tmp/gradio/ref.wav"]), 200 if b"RIFF" in request.body else 422)
        elif path == "info":
            await answer.whole(json.dumps(info))
        elif path == "call/gen_single" and request.method == "POST":
            data = dict(zip(names, request.json["data"], strict=True))
            right = data["prompt"]["path"] == "/tmp/gradio/ref.wav" and data["param_17"] == "default param_17"
            plan.seen.append(data["text"])
            await answer.whole(json.dumps({"event_id": "e1"}), 200 if right else 422)
        elif path == "call/gen_single/e1":
            await answer.start(kind="text/event-stream")
            if plan.fault == "error_in_200":
                await answer.pieces(b'event: error\ndata: "model out of memory"\n\n', [3, 1, 9])
            else:
                done = json.dumps([{"value": {"path": "/tmp/out.wav"}}])
                await answer.pieces(f"event: generating\ndata: null\n\nevent: complete\ndata: {done}\n\n".encode(), [7])
            await answer.end()
        else:
            await speak(request, answer)

    return handler


@asynccontextmanager
async def serving_socket(
    session: Callable[[Any, Plan], Any], plan: Plan, refuse: Callable[[Any], int]
) -> AsyncIterator[FakeServer]:
    """A WebSocket server; ``refuse`` gives the status of a handshake that is wrong, else 0."""
    from websockets.asyncio.server import serve
    from websockets.datastructures import Headers
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Response

    served = FakeServer("", 0)

    def handshake(connection: Any, request: Any) -> Any:
        served.requests.append(
            Request(
                "GET", urlsplit(request.path).path, parse_qs(urlsplit(request.path).query), dict(request.headers), b""
            )
        )
        status = refuse(request)
        if plan.fault == "unauthorised":
            status = 401
        if plan.fault == "500" or plan.fail_first > 0:
            plan.fail_first -= 1
            status = 500
        if status:
            date = formatdate(plan.seen[0] if plan.seen else None, usegmt=True)
            return Response(status, "X", Headers({"Date": date, "Content-Length": "9"}), b"wrong key")
        return None

    async def handler(connection: Any) -> None:
        served.open_connections += 1
        try:
            await session(connection, plan)
            await connection.wait_closed()
        except ConnectionClosed:
            served.left_early += 1
        finally:
            served.open_connections -= 1

    async with serve(handler, "127.0.0.1", 0, process_request=handshake, compression=None) as server:
        served.port = next(iter(server.sockets)).getsockname()[1]
        served.url = f"ws://127.0.0.1:{served.port}/path"
        yield served


async def _stall(connection: Any) -> None:
    """Say nothing until the client leaves."""
    async for _ in connection:
        pass
    await connection.send(b"")  # raises ConnectionClosed: the client left first


async def _in_pieces(connection: Any, plan: Plan, data: bytes, frame: Callable[[bytes], bytes]) -> bool:
    """Send the sound in frames of the plan's sizes; False if a fault ended it."""
    position, sizes = 0, cycle(plan.sizes)
    half = len(data) // 2
    while position < len(data):
        size = next(sizes)
        await connection.send(frame(data[position : position + size]))
        position += size
        if position >= half:
            if plan.fault == "stall":
                await _stall(connection)
            if plan.fault == "drop":
                await asyncio.sleep(0.02)
                connection.transport.abort()
                return False
            if plan.gate:
                await plan.gate.wait()
    return True


async def doubao_session(connection: Any, plan: Plan) -> None:
    frame = await connection.recv()
    assert frame[:4] == b"\x11\x10\x11\x00"
    [size] = struct.unpack_from(">I", frame, 4)
    body = json.loads(gzip.decompress(frame[8 : 8 + size]))
    audio = lambda sequence, data: b"\x11\xb1\x10\x00" + struct.pack(">iI", sequence, len(data)) + data  # noqa: E731
    if body["app"]["token"] != SECRET or body["request"]["operation"] != "submit" or body["audio"]["encoding"] != "pcm":
        plan.fault = "error_in_200"
    await connection.send(b"\x11\xb0\x10\x00")  # acknowledged: no payload
    if plan.fault == "silent":
        await _stall(connection)
    if plan.fault in {"error_in_200", "page"}:
        words = gzip.compress(b'{"message": "model out of memory"}')
        await connection.send(b"\x11\xf0\x11\x00" + struct.pack(">iI", 3031, len(words)) + words)
        return
    if plan.fault == "empty":
        await connection.send(audio(-1, b""))
        return
    if await _in_pieces(connection, plan, raw(plan.pcm, plan.rate), lambda data: audio(1, data)):
        await connection.send(audio(-2, b""))


def doubao_refuse(request: Any) -> int:
    return 0 if request.headers.get("Authorization") == f"Bearer; {SECRET}" else 401


async def edge_session(connection: Any, plan: Plan) -> None:
    config, markup = await connection.recv(), await connection.recv()
    assert "Path:speech.config" in config
    assert json.loads(config.split("\r\n\r\n", 1)[1])["context"]["synthesis"]["audio"]["outputFormat"].endswith("mp3")
    plan.seen.append("".join(ElementTree.fromstring(markup.split("\r\n\r\n", 1)[1]).itertext()))
    head = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nPath:audio\r\n"
    audio = lambda data: len(head).to_bytes(2, "big") + head + data  # noqa: E731
    await connection.send("X-RequestId:1\r\nPath:turn.start\r\n\r\n{}")
    if plan.fault == "silent":
        await _stall(connection)
    if plan.fault in {"error_in_200", "page"}:
        await connection.close(1007, "model out of memory")
        return
    if plan.fault != "empty" and not await _in_pieces(connection, plan, mp3(plan.pcm, plan.rate), audio):
        return
    await connection.send("X-RequestId:1\r\nPath:audio.metadata\r\n\r\n{}")
    await connection.send("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}")


def edge_refuse_at(now: Callable[[], float]) -> Callable[[Any], int]:
    def refuse(request: Any) -> int:
        query = parse_qs(urlsplit(request.path).query)
        ticks = (int(now()) + 11644473600) // 300 * 300 * 10**7
        token = hashlib.sha256(f"{ticks}{query['TrustedClientToken'][0]}".encode()).hexdigest().upper()
        right = query["Sec-MS-GEC"] == [token] and request.headers["Origin"].startswith("chrome-extension://")
        return 0 if right and "Edg/" in request.headers["User-Agent"] else 403

    return refuse


@asynccontextmanager
async def service(name: str, plan: Plan) -> AsyncIterator[FakeServer]:
    """The service ``name`` on a local port."""
    if name == "doubao":
        async with serving_socket(doubao_session, plan, doubao_refuse) as served:
            yield served
    elif name == "edge":
        async with serving_socket(edge_session, plan, edge_refuse_at(time.time)) as served:
            yield served
    else:
        async with serving(globals()[name](plan)) as served:
            yield served

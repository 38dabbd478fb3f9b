"""An HTTP/1.1 server on a real socket whose every byte and fault a test decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer:
    """Writes one answer. ``gone`` is set once the client has closed the connection."""

    def __init__(self, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self._writer, self.gone = writer, gone
        self._chunked = False
        self.ended = False

    async def start(
        self, status: int = 200, kind: str = "application/octet-stream", length: int | None = None, **extra: str
    ) -> None:
        self._chunked = length is None
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in extra.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n{size}\r\n{more}\r\n"
        self._writer.write(head.encode())
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        if data:
            self._writer.write(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.ended = True
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def whole(self, body: bytes | str, status: int = 200, kind: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.ended = True
        await self.start(status, kind, len(data))
        await self.send(data)

    async def pieces(self, data: bytes, sizes: Iterable[int], pause: float = 0.0) -> None:
        """Send ``data`` cut into ``sizes`` (the last repeats)."""
        position, size = 0, 1
        sizes = iter(sizes)
        while position < len(data):
            size = next(sizes, size)
            await self.send(data[position : position + size])
            position += size
            await asyncio.sleep(pause)

    async def stall(self) -> None:
        """Say nothing more until the client leaves."""
        await self.gone.wait()

    def drop(self) -> None:
        """Break the connection in the middle."""
        self.ended = True
        self._writer.transport.abort()


Handler = Callable[[Request, Answer], Awaitable[None]]


@dataclass
class FakeServer:
    """Where the server listens and what it was asked."""

    url: str
    port: int
    requests: list[Request] = field(default_factory=list)
    open_connections: int = 0
    left_early: int = 0

    async def all_closed(self, within: float = 2.0) -> bool:
        """Whether every connection is closed within so many seconds."""
        for _ in range(int(within / 0.01)):
            if self.open_connections == 0:
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def serving(handler: Handler):
    """Serve ``handler`` on a free port of loopback; each connection answers one request."""
    served = FakeServer("", 0)
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        served.open_connections += 1
        gone = asyncio.Event()
        watch: asyncio.Task[None] | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
            body = b""
            if "content-length" in headers:
                body = await reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding") == "chunked":
                while size := int((await reader.readline()).strip(), 16):
                    body += await reader.readexactly(size)
                    await reader.readline()
            parts = urlsplit(target)
            request = Request(method, parts.path, parse_qs(parts.query), headers, body)
            served.requests.append(request)

            async def until_gone() -> None:
                try:
                    while await reader.read(1024):
                        pass
                except OSError:
                    pass
                gone.set()

            watch = asyncio.create_task(until_gone())
            answer = Answer(writer, gone)
            work = asyncio.ensure_future(handler(request, answer))
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            served.left_early += not answer.ended
            work.cancel()
            await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if watch is not None:
                watch.cancel()
            writer.close()
            served.open_connections -= 1
            tasks.discard(asyncio.current_task())  # type: ignore[arg-type]

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    served.url = f"http://127.0.0.1:{served.port}"
    try:
        yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

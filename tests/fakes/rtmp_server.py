"""RTMP servers on real sockets: ffmpeg's own, one that refuses, and a wire between that stalls and breaks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

KEY = "the-secret-stream-key"


@asynccontextmanager
async def ffmpeg_server(port: int, out: Path, key: str = KEY) -> AsyncIterator[asyncio.subprocess.Process]:
    """An RTMP server for one connection, which keeps what it is sent, as it is, in ``out`` (FLV)."""
    import imageio_ffmpeg

    process = await asyncio.create_subprocess_exec(
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/live/{key}",
        "-c", "copy", "-y", str(out), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await listening(port)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def listening(port: int, address: str = "") -> None:
    """Wait until somebody listens, without connecting: the server takes one connection only."""
    wanted = f"{address}:{port:04X} 00000000:0000 0A"
    while wanted not in Path("/proc/net/tcp").read_text():
        await asyncio.sleep(0.02)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Wire:
    """A TCP line to a server that a test may break or block."""

    port: int
    connections: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def drop(self) -> None:
        """Break every connection."""
        for writer in list(self.writers):
            writer.transport.abort()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A line to ``port``; clearing ``open`` stops it taking anything, so that the sender's window fills."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await wire.open.wait()
            data = await reader.read(4096)
            if not data:
                return
            writer.write(data)
            await writer.drain()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        wire.writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            wire.writers.add(back)
            both = [asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            back.close()
        except OSError:
            pass
        finally:
            writer.close()
            tasks.discard(asyncio.current_task())  # type: ignore[arg-type]

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=4096)
    wire = Wire(server.sockets[0].getsockname()[1])
    wire.open.set()
    try:
        yield wire
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def refusing_server(said: str) -> AsyncIterator[int]:
    """A server that takes the connection and refuses the stream, as platforms do with a wrong key; its port."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            hello = await reader.readexactly(1537)
            writer.write(b"\x03" + bytes(8) + os.urandom(1528) + hello[1:])
            await reader.readexactly(1536)
            seen = b""
            done = set()
            while data := await reader.read(4096):
                seen += data
                for name, number, answer in (
                    (b"connect", 1, _number(0) + _object({"code": "NetConnection.Connect.Success", "level": "status"})),
                    (b"createStream", 4, b"\x05" + _number(1)),
                ):
                    if name in seen and name not in done:
                        done.add(name)
                        writer.write(_message(_string("_result") + _number(number) + answer))
                if b"publish" in seen.replace(b"FCPublish", b"") and b"publish" not in done:
                    done.add(b"publish")
                    status = {"level": "error", "code": "NetStream.Publish.BadName", "description": said}
                    writer.write(_message(_string("onStatus") + _number(0) + b"\x05" + _object(status), stream=1))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def _message(body: bytes, stream: int = 0) -> bytes:
    """An AMF0 command in chunks of 128 bytes."""
    head = b"\x03" + bytes(3) + struct.pack(">I", len(body))[1:] + b"\x14" + struct.pack("<I", stream)
    return head + b"\xc3".join(body[k : k + 128] for k in range(0, len(body), 128))


def _string(text: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(text.encode())) + text.encode()


def _number(value: float) -> bytes:
    return b"\x00" + struct.pack(">d", value)


def _object(values: dict[str, str]) -> bytes:
    inside = b"".join(struct.pack(">H", len(k)) + k.encode() + _string(v) for k, v in values.items())
    return b"\x03" + inside + b"\x00\x00\x09"

"""What every back-end behind HTTP shares: one client, bounded reads, and errors that say what is wrong."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from speech.errors import SpeechAuthError, SpeechError, SpeechProtocolError, SpeechTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

MAX_LINE = 1 << 20
_SECRET = re.compile(r"(?i)(bearer;?\s+|key[\"'=:\s]+|token[\"'=:\s]+)[\w\-.~+/]{8,}=*")


class Timeouts(BaseModel):
    """How long a service may be silent, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect_s: float = Field(default=5.0, gt=0)
    first_s: float = Field(default=20.0, gt=0)
    stall_s: float = Field(default=8.0, gt=0)


class HttpService:
    """A client of one service, made on first use and closed by its owner.

    Args:
        backend: The name errors carry.
        timeouts: See ``Timeouts``.
        proxy: URL of a proxy; the environment's proxies are not asked.
    """

    def __init__(self, backend: str, timeouts: Timeouts, proxy: str | None = None) -> None:
        self.backend, self.timeouts, self._proxy = backend, timeouts, proxy
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The client; it is bound to the event loop it is first used on."""
        import httpx

        if self._client is None or self._client.is_closed:
            limit = httpx.Timeout(None, connect=self.timeouts.connect_s, pool=self.timeouts.connect_s)
            self._client = httpx.AsyncClient(timeout=limit, proxy=self._proxy, trust_env=False)
        return self._client

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @asynccontextmanager
    async def stream(self, method: str, url: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and hold its answer open; the socket is closed on leaving.

        Raises:
            SpeechError: no connection, an error status (with what the service says), or silence beyond ``first_s``.
        """
        with self.explained(url):
            opened = self.client.build_request(method, url, **request)
            async with asyncio.timeout(self.timeouts.first_s):
                response = await self.client.send(opened, stream=True)
            try:
                if response.status_code >= 400:
                    async with asyncio.timeout(self.timeouts.stall_s):
                        body = await _some(response)
                    raise error_of(self.backend, response.status_code, body)
                yield response
            finally:
                await response.aclose()

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes. Raises ``SpeechTimeoutError`` on silence, ``SpeechError`` on a broken one."""
        source = response.aiter_bytes()
        limit = self.timeouts.first_s
        with self.explained(str(response.url)):
            while True:
                try:
                    async with asyncio.timeout(limit):
                        chunk = await anext(source)
                except StopAsyncIteration:
                    return
                limit = self.timeouts.stall_s
                if chunk:
                    yield chunk

    async def lines(self, response: httpx.Response) -> AsyncGenerator[str, None]:
        r"""Yield the body's lines, cut at ``\n`` only: JSON may hold other separators of lines unescaped."""
        rest = b""
        async for chunk in self.chunks(response):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE:
                raise SpeechProtocolError(self.backend, "The service sends a line without end.")
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip("\r")
        if rest:
            yield rest.decode("utf-8", "replace")

    @contextmanager
    def explained(self, url: str) -> Iterator[None]:
        """Turn the client's exceptions into ``SpeechError`` that name the service's host, never its credentials."""
        import httpx

        host = host_of(url)
        try:
            yield
        except TimeoutError as error:
            raise SpeechTimeoutError(self.backend, f"The service at {host} went silent.", "Try again later.") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SpeechError(
                self.backend,
                f"The service at {host} cannot be reached.",
                "Check that it runs, that its address is right, and the network.",
            ) from error
        except httpx.TimeoutException as error:
            raise SpeechTimeoutError(self.backend, f"The service at {host} went silent.", "Try again later.") from error
        except httpx.InvalidURL as error:
            raise SpeechError(
                self.backend, "The address of the service is not valid.", "Correct it in the settings.", retryable=False
            ) from error
        except httpx.UnsupportedProtocol as error:
            raise SpeechError(
                self.backend, "The address must begin with http:// or https://.", "Correct it.", retryable=False
            ) from error
        except httpx.HTTPError as error:
            raise SpeechError(
                self.backend, f"The connection to {host} broke: {type(error).__name__}.", "Try again later."
            ) from error


def host_of(url: str) -> str:
    """Host and port of ``url`` without user, password, path or query."""
    parts = urlsplit(url)
    return f"{parts.hostname or '?'}:{parts.port}" if parts.port else (parts.hostname or "?")


async def _some(response: httpx.Response, limit: int = 4096) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= limit:
            break
    return body[:limit]


def said(body: bytes | str) -> str:
    """What an error body says, in at most 200 characters: a JSON message, or HTML without its tags; no credentials."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        text = message_of(json.loads(text)) or text
    except ValueError:
        if "<" in text:
            text = html.unescape(re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE))
    text = _SECRET.sub(r"\1***", " ".join(text.split()))
    return text[:200]


def message_of(data: Any) -> str:
    """The message inside the many shapes of JSON errors; empty if there is none."""
    if isinstance(data, str):
        return data
    if isinstance(data, dict):
        for key in ("error", "Error", "Response", "message", "Message", "detail", "msg", "Exception", "code"):
            if data.get(key):
                found = message_of(data[key])
                code = data.get("Code") or data.get("code")
                return f"{code}: {found}" if found and code and str(code) not in found else found
    if isinstance(data, list) and data:
        return message_of(data[0])
    return ""


def error_of(backend: str, status: int, body: bytes | str) -> SpeechError:
    """The error an HTTP status and body mean."""
    words = said(body)
    detail = {"status": status, "said": words}
    suffix = f": {words}" if words else ""
    if status in {401, 403}:
        return SpeechAuthError(backend, f"The service refuses the credentials ({status}){suffix}", detail=detail)
    if status == 404:
        return SpeechError(
            backend,
            f"The service does not know this address, model or voice (404){suffix}",
            "Check the address, the model's and the voice's name.",
            detail,
            retryable=False,
        )
    if status == 429:
        return SpeechError(
            backend, f"The service asks to slow down (429){suffix}", "Wait, or raise your quota.", detail
        )
    if status >= 500:
        return SpeechError(backend, f"The service failed ({status}){suffix}", "Try again later.", detail)
    return SpeechError(
        backend, f"The service refuses the request ({status}){suffix}", "Check the settings.", detail, retryable=False
    )

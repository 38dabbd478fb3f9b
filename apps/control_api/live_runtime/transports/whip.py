"""A WHIP push (RFC 9725): we offer sound and picture over HTTP, the server answers, and WebRTC carries the rest.

All candidates are in the offer and in the answer (no trickling): a server that cannot be reached so is not reached by a
later one either, and the end of a session needs no second request in flight. A broken connection is begun anew, not
restarted: WHIP servers may refuse an ICE restart, none may refuse a new stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from aiortc import RTCBundlePolicy, RTCPeerConnection, RTCSessionDescription
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from apps.control_api.live_runtime.frames import PacketFrame
from apps.control_api.live_runtime.outputs import Output, Source, WhipSpec
from apps.control_api.live_runtime.transports import backoff, ice
from apps.control_api.live_runtime.transports.feed import PacketFeed, agreed_codec
from apps.control_api.live_runtime.troubles import Trouble, trouble
from lipsync.errors import StudioError

_LOG = logging.getLogger(__name__)
CONNECT_S = 15.0
SILENT_S = 8.0
"""A server of which nothing comes for so long, not even a report, is lost."""
_HTTP_S = 10.0
_BYE_S = 3.0
_REDIRECTS = 3
_BODY = 200_000


class PushError(Exception):
    """An attempt that failed, with its trouble."""

    def __init__(self, cause: Trouble) -> None:
        super().__init__(cause.code)
        self.cause = cause


class WhipPush(Output):
    """Pushes a session to a WHIP endpoint until it is stopped, connecting again with growing pauses.

    Args:
        spec: Where, and how much.
        source: The session's facts.
    """

    def __init__(self, spec: WhipSpec, source: Source) -> None:
        parts = urlsplit(spec.url)
        super().__init__("whip", f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
        self._spec, self._source = spec, source
        self._feed: PacketFeed | None = None
        self._before = (0, 0, 0)
        self._told: Trouble | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = asyncio.create_task(self._keep(), name="live-whip")

    def _take(self, packet: PacketFrame) -> None:
        if self._feed is None:
            self.dropped += packet.picture is not None
            return
        self._feed.take(packet)
        frames, size, dropped = self._before
        self.frames, self.bytes = frames + self._feed.pictures, size + self._feed.bytes
        self.dropped = dropped + self._feed.dropped

    async def stop(self) -> None:
        """Take leave of the server and end the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        try:
            while await self._until_one_stood():
                self._become("retrying", self._told)
                await asyncio.sleep(backoff.FIRST_S)
            self._become("failed", trouble("push_gave_up", self._told.said if self._told else ""))
        except Exception:
            _LOG.exception("a WHIP push broke")
            self._become("failed", trouble("push_failed"))

    async def _until_one_stood(self) -> bool:
        """Connect again and again until a connection stood for a while and broke; False once it is given up."""
        began = time.monotonic()

        def enough(_state: RetryCallState) -> bool:
            return time.monotonic() - began > backoff.GIVE_UP_S

        async def pause(seconds: float) -> None:
            self._become("retrying", self._told)
            await asyncio.sleep(seconds)

        tries = AsyncRetrying(
            wait=backoff.waits(),
            retry=retry_if_result(lambda stood: not stood),
            stop=enough,
            sleep=pause,
            retry_error_callback=lambda state: False,
        )
        return bool(await tries(self._attempt))

    async def _attempt(self) -> bool:
        """Push until the connection ends; whether it stood for a while."""
        self.attempts += 1
        spec, source = self._spec, self._source
        self._before = (self.frames, self.bytes, self.dropped)
        began: float | None = None
        connection = RTCPeerConnection(ice.configuration(spec.ice_servers, bundle=RTCBundlePolicy.MAX_BUNDLE))
        feed = PacketFeed(
            source.width, source.height, bitrate=spec.video_bitrate, codec=spec.video_codec, pool=source.pool
        )
        # Made in a thread: reading the system's certificates takes longer than the loop may stand still.
        client = await asyncio.to_thread(httpx.AsyncClient, timeout=_HTTP_S, trust_env=False)
        resource: str | None = None
        try:
            feed.offer_tracks(connection)
            await connection.setLocalDescription(await connection.createOffer())
            answer, resource = await self._post(client, connection.localDescription.sdp)
            codec = agreed_codec(answer)
            if codec is None:
                raise PushError(trouble("whip_bad_answer", "It names neither VP8 nor H.264."))
            await _accept(connection, answer)
            feed.begin(connection, codec)
            await self._connected(connection)
            self._feed, began = feed, time.monotonic()
            feed.request_key()
            self._become("live")
            self._told = await _ended(connection)
        except PushError as error:
            self._told = error.cause
        except httpx.HTTPError as error:
            self._told = trouble("push_unreachable", self._clean(f"{type(error).__name__} {error}"))
        finally:
            self._feed = None
            await feed.end()
            await connection.close()
            feed.release()
            if resource is not None:
                await self._leave(client, resource)
            await client.aclose()
        return began is not None and time.monotonic() - began > backoff.STEADY_S

    # -- HTTP --------------------------------------------------------------------------------------------------------

    async def _post(self, client: httpx.AsyncClient, offer: str) -> tuple[str, str | None]:
        """Send the offer; returns the answer's SDP and the stream's own address, which ends it."""
        url = self._spec.url
        for _ in range(_REDIRECTS + 1):
            headers = {"Content-Type": "application/sdp", "Accept": "application/sdp", **self._token(url)}
            async with client.stream("POST", url, content=offer.encode(), headers=headers) as response:
                if response.status_code in (301, 302, 303, 307, 308):
                    url = self._redirected(url, response)
                    continue
                body = await _read(response)
            if response.status_code != 201:
                code = "whip_refused" if 400 <= response.status_code < 500 else "whip_bad_answer"
                code = "push_unreachable" if response.status_code >= 500 else code
                raise PushError(trouble(code, self._clean(f"{response.status_code} {' '.join(body.split())}")))
            if response.headers.get("content-type", "").split(";")[0].strip().lower() != "application/sdp":
                raise PushError(trouble("whip_bad_answer", self._clean(response.headers.get("content-type", ""))))
            return body, self._own_address(url, response.headers.get("location"))
        raise PushError(trouble("whip_redirect", "It redirects without end."))

    def _redirected(self, url: str, response: httpx.Response) -> str:
        """Where to go instead: as RFC 9725 has it (307, 308), never from https to http, never elsewhere unasked."""
        target = urljoin(url, response.headers.get("location", ""))
        parts = urlsplit(target)
        shown = f"{response.status_code} {parts.scheme}://{parts.hostname}"
        if response.status_code not in (307, 308) or not response.headers.get("location"):
            raise PushError(trouble("whip_redirect", shown))
        if parts.scheme not in ("http", "https") or (url.startswith("https:") and parts.scheme != "https"):
            raise PushError(trouble("whip_redirect", shown))
        try:
            self._spec.allow(target)
        except StudioError:
            raise PushError(trouble("whip_redirect", shown)) from None
        return target

    def _own_address(self, url: str, location: str | None) -> str | None:
        """The stream's address if it lies where the offer went: a token is sent nowhere else."""
        if not location:
            return None
        target = urljoin(url, location)
        return target if urlsplit(target)[:2] == urlsplit(url)[:2] else None

    async def _leave(self, client: httpx.AsyncClient, resource: str) -> None:
        with contextlib.suppress(httpx.HTTPError):  # the server notices the end by itself, some seconds later
            await client.delete(resource, headers=self._token(resource), timeout=_BYE_S)

    def _token(self, url: str) -> dict[str, str]:
        """The bearer token, for the host it was given for."""
        same = urlsplit(url)[:2] == urlsplit(self._spec.url)[:2]
        return {"Authorization": f"Bearer {self._spec.token}"} if self._spec.token and same else {}

    def _clean(self, text: str) -> str:
        return text.replace(self._spec.token, "…") if self._spec.token else text

    async def _connected(self, connection: RTCPeerConnection) -> None:
        """Wait until the connection stands."""
        end = time.monotonic() + CONNECT_S
        while connection.connectionState != "connected":
            if connection.connectionState in ("failed", "closed") or time.monotonic() > end:
                raise PushError(ice.facts(connection, "never_connected").trouble or trouble("udp_blocked"))
            await asyncio.sleep(0.05)


async def _accept(connection: RTCPeerConnection, answer: str) -> None:
    try:
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    except (ValueError, KeyError, IndexError, AttributeError, AssertionError, TypeError) as error:
        raise PushError(trouble("whip_bad_answer", str(error))) from error


async def _ended(connection: RTCPeerConnection) -> Trouble:
    """Wait for the end of a connection; returns its cause."""
    heard, packets = time.monotonic(), -1
    while True:
        await asyncio.sleep(0.5)
        if connection.connectionState != "connected":
            return trouble("push_lost")
        stats: dict[str, Any] = await connection.getStats()
        received = sum(s.packetsReceived for s in stats.values() if s.type == "transport")
        if received != packets:
            heard, packets = time.monotonic(), received
        elif time.monotonic() - heard > SILENT_S:
            return trouble("peer_silent")


async def _read(response: httpx.Response) -> str:
    """The body, as far as an SDP could be long."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _BODY:
            raise PushError(trouble("whip_bad_answer", "It is too long."))
    return body.decode("utf-8", "replace")

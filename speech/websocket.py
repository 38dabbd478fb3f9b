"""What every back-end behind a WebSocket shares: bounded opening and waiting, and errors that say what is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from speech.errors import SpeechError, SpeechTimeoutError
from speech.http import Timeouts, error_of, host_of, said

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

# websockets writes the headers of its handshake, credentials among them, to its debug log.
_QUIET = logging.getLogger(f"{__name__}.quiet")
_QUIET.setLevel(logging.WARNING)


class SocketService:
    """Opens WebSockets of one service.

    Args:
        backend: The name errors carry.
        timeouts: See ``Timeouts``.
        proxy: URL of a proxy; the environment's proxies are not asked.
    """

    def __init__(self, backend: str, timeouts: Timeouts, proxy: str | None = None) -> None:
        self.backend, self.timeouts, self.proxy = backend, timeouts, proxy

    @asynccontextmanager
    async def open(
        self, url: str, headers: dict[str, str], subprotocols: tuple[str, ...] = ()
    ) -> AsyncIterator[ClientConnection]:
        """Open a WebSocket; it is closed at once on leaving. Raises ``SpeechError``."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
        from websockets.typing import Subprotocol

        host = host_of(url)
        try:
            connection = await connect(
                url,
                additional_headers=headers,
                user_agent_header=None,
                compression=None,
                open_timeout=self.timeouts.connect_s,
                close_timeout=0.2,
                max_size=16 << 20,
                proxy=self.proxy,
                subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                logger=_QUIET,
            )
        except InvalidStatus as error:
            response = error.response
            failure = error_of(self.backend, response.status_code, bytes(response.body or b""))
            failure.detail["date"] = response.headers.get("Date", "")
            raise failure from error
        except TimeoutError as error:
            raise SpeechTimeoutError(self.backend, f"The service at {host} does not answer.") from error
        except (InvalidURI, ValueError) as error:
            raise SpeechError(self.backend, "The address of the service is not valid.", retryable=False) from error
        except (OSError, InvalidHandshake, WebSocketException) as error:
            raise SpeechError(
                self.backend, f"The service at {host} cannot be reached.", "Check its address and the network."
            ) from error
        try:
            yield connection
        finally:
            closing = asyncio.ensure_future(connection.close())
            try:
                await asyncio.wait({closing}, timeout=0.5)
            finally:
                connection.transport.abort()

    async def frames(self, connection: ClientConnection) -> AsyncGenerator[str | bytes, None]:
        """Yield what comes until the service closes. Raises ``SpeechError`` on silence or a broken connection."""
        from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

        limit = self.timeouts.first_s
        while True:
            try:
                async with asyncio.timeout(limit):
                    frame = await connection.recv()
            except TimeoutError as error:
                raise SpeechTimeoutError(self.backend, "The service went silent.", "Try again later.") from error
            except ConnectionClosedOK:
                return
            except ConnectionClosedError as error:
                words = said(error.rcvd.reason) if error.rcvd else ""
                raise SpeechError(
                    self.backend, f"The connection broke{': ' + words if words else ''}.", "Try again later."
                ) from error
            limit = self.timeouts.stall_s
            yield frame

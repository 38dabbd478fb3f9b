"""How a peer connection finds its way through networks, and what the likely cause is where it does not.

Candidates are gathered in full before a description is sent (no trickling): one round of HTTP, no second channel, and
every address that was tried is known when a connection fails. A browser has its host candidates within milliseconds
and those of STUN within one round trip; what waiting for them costs was below 100 ms wherever it was measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aioice import Candidate, turn
from aioice.stun import TransactionFailed
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.rtcicetransport import connection_kwargs

from apps.control_api.live_runtime.spec import IceServer
from apps.control_api.live_runtime.troubles import Trouble, trouble

_TURN_S = 5.0
_CANDIDATE = re.compile(r"^a=candidate:(.+?)\r?$", re.MULTILINE)
_REFUSED = (400, 401, 403, 438)


def configuration(
    servers: tuple[IceServer, ...], relay_only: bool = False, bundle: RTCBundlePolicy = RTCBundlePolicy.BALANCED
) -> RTCConfiguration:
    """A connection's configuration; with no servers nothing outside is asked (aiortc's default asks a public one)."""
    return RTCConfiguration(
        iceServers=_servers(servers),
        iceTransportPolicy=RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL,
        bundlePolicy=bundle,
    )


@dataclass(frozen=True)
class ConnectionFacts:
    """What is known of one connection.

    Attributes:
        state: Of the whole: new, connecting, connected, failed, closed.
        ice, dtls: Of its parts.
        ours, theirs: Kinds of candidates and how many: host, srflx, prflx, relay, mdns (a host hidden behind a name),
            tcp.
        pair: Kinds of the pair in use, (ours, theirs); None until there is one.
        heard: Whether anything ever came from the other side.
        said: The other side's addresses, as far as they name one.
        trouble: The likely cause where it failed.
    """

    state: str
    ice: str
    dtls: str
    ours: dict[str, int]
    theirs: dict[str, int]
    pair: tuple[str, str] | None
    heard: bool
    trouble: Trouble | None = None
    said: tuple[str, ...] = field(default=())


def facts(connection: RTCPeerConnection, reason: str | None = None, sent: str | None = None) -> ConnectionFacts:
    """What a connection shows now.

    Args:
        connection: Of aiortc.
        reason: How it ended, where it did.
        sent: The description that was sent, for a connection without a way forgets its own candidates.
    """
    transports = {t.sender.transport for t in connection.getTransceivers()}
    ices = [t.transport for t in transports]
    ours = Counter(_kind(c.type, c.host, c.transport) for c in _candidates(sent or _sdp(connection.localDescription)))
    offered = _candidates(_sdp(connection.remoteDescription))
    theirs = Counter(_kind(c.type, c.host, c.transport) for c in offered)
    pairs = [p for ice in ices for p in ice._connection._nominated.values()]
    pair = (pairs[0].local_candidate.type, pairs[0].remote_candidate.type) if pairs else None
    heard = bool(pairs) or any(
        c.type == "prflx" for ice in ices for c in ice._connection._remote_candidates or () if c is not None
    )
    ice_state = connection.iceConnectionState
    dtls_state = next(iter(sorted({t.state for t in transports}, key=_rank)), "new")
    found = ConnectionFacts(
        state=connection.connectionState,
        ice=ice_state,
        dtls=dtls_state,
        ours=dict(ours),
        theirs=dict(theirs),
        pair=pair,
        heard=heard,
        said=tuple(sorted({c.host for c in offered})),
    )
    if reason is None and found.state not in ("failed",):
        return found
    return ConnectionFacts(**{**vars(found), "trouble": likely_cause(found, reason)})


def likely_cause(found: ConnectionFacts, reason: str | None) -> Trouble | None:
    """Why a connection failed, from what it showed; None where it simply ended.

    Args:
        found: Its facts.
        reason: How it ended: never_connected, connection_failed, client_lost, client_left.
    """
    if reason == "client_left":
        return None
    if reason == "client_lost":
        return trouble("peer_silent")
    if found.dtls == "failed" or found.pair is not None:
        return trouble("dtls_failed")
    kinds = {kind for kind, count in found.theirs.items() if count}
    udp = kinds - {"tcp"}
    if not udp:
        return trouble("no_candidates")
    if udp == {"mdns"} and not found.heard:
        return trouble("only_mdns")
    if found.heard:
        # Their packets arrive, ours do not get back, or the other way round: something filters.
        return trouble("udp_blocked")
    if udp <= {"host", "mdns"} and "relay" not in found.ours:
        return trouble("host_unreachable", ", ".join(found.said))
    return trouble("udp_blocked", ", ".join(found.said))


async def try_turn(servers: tuple[IceServer, ...]) -> Trouble | None:
    """Ask the TURN server of the settings for an address, as a connection would; what is wrong with it, or None."""
    kwargs = connection_kwargs(_servers(servers))
    if "turn_server" not in kwargs:
        return None
    transport: Any = None
    try:
        async with asyncio.timeout(_TURN_S):
            transport, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=kwargs["turn_server"],
                username=kwargs["turn_username"],
                password=kwargs["turn_password"],
                ssl=kwargs["turn_ssl"],
                transport=kwargs["turn_transport"],
            )
    except TransactionFailed as error:
        number, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
        return trouble("turn_auth_failed" if number in _REFUSED else "turn_unreachable", f"{number} {reason}".strip())
    except Exception as error:
        # aioice has no error of its own for a server that is silent, away or speaks something else.
        return trouble("turn_unreachable", f"{type(error).__name__} {error}".strip())
    finally:
        if transport is not None:
            with contextlib.suppress(OSError):
                transport.close()
    return None


def _sdp(description: RTCSessionDescription | None) -> str:
    return description.sdp if description is not None else ""


def _candidates(sdp: str) -> list[Candidate]:
    return [Candidate.from_sdp(found) for found in _CANDIDATE.findall(sdp)]


def _servers(servers: tuple[IceServer, ...]) -> list[RTCIceServer]:
    return [RTCIceServer(list(s.urls), s.username, s.credential) for s in servers]


def _kind(kind: str, host: str, transport: str) -> str:
    if transport.lower() == "tcp":
        return "tcp"
    return "mdns" if host.endswith(".local") else kind


def _rank(state: str) -> int:
    order = ("failed", "closed", "connecting", "new", "connected")
    return order.index(state) if state in order else len(order)

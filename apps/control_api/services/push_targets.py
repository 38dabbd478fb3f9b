"""Where a session may be pushed to: the owner names the address, and confirms or allows its host.

A push sends a person's likeness out of this machine, and makes this machine call an address that a caller chose. So
the host must be loopback, stand in the setting ``push_hosts``, or be named a second time (``confirm_host``), which a
page asks its user for; and addresses that only ever mean trouble (link-local: cloud metadata; multicast; none) are
never called unless the setting names them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import SplitResult, urlsplit

from lipsync.errors import ForbiddenError, InvalidInputError

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class PushTarget:
    """An address a push may go to, and whether one it redirects to may be called too."""

    url: str
    allow: Callable[[str], None]


def push_target(url: str, schemes: Sequence[str], hosts: Sequence[str], confirm_host: str | None) -> PushTarget:
    """Judge an address. Blocking: looks the host up.

    Args:
        url: As the caller gave it.
        schemes: Those that fit.
        hosts: The setting ``push_hosts``: names or patterns such as ``*.example.com``.
        confirm_host: The host as the user confirmed it.

    Raises:
        InvalidInputError: It is no such address, or its host does not exist.
        ForbiddenError: Its host is neither allowed nor confirmed.
    """
    parts = _parsed(url, schemes)
    host = parts.hostname or ""
    if not (host in _LOOPBACK or _named(host, hosts) or (confirm_host or "").strip().lower() == host):
        raise ForbiddenError(
            f"Pictures and sound of a person would be sent to {host}.",
            "Confirm it by sending `confirm_host` with this host, or add it to the setting `push_hosts`.",
            {"host": host, "reason": "confirm_host"},
        )
    _harmless(parts, hosts)

    def allow(other: str) -> None:
        found = _parsed(other, schemes)
        if found.hostname != host and not _named(found.hostname or "", hosts):
            raise ForbiddenError("The endpoint redirects to a host that is not allowed.", "Name that host itself.")
        _harmless(found, hosts)

    return PushTarget(url, allow)


def split_key(url: str) -> tuple[str, str]:
    """Part an RTMP address that carries its stream key: everything up to the application, and the rest.

    Raises:
        InvalidInputError: There is no key in it.
    """
    head, _, key = url.rpartition("/")
    if head.count("/") < 3 or not key:
        raise InvalidInputError(
            "The stream key is missing.", "Send `key`, as the platform shows it beside the address."
        )
    return head, key


def _parsed(url: str, schemes: Sequence[str]) -> SplitResult:
    if any(c.isspace() or ord(c) < 32 for c in url):
        raise InvalidInputError("The address holds a space.", "Copy it again without.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInputError("This is no address.", f"Send one that begins with {schemes[0]}://.") from None
    if parts.scheme.lower() not in schemes or not parts.hostname or port == 0:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InvalidInputError("This address is of another kind.", f"Send one that begins with {wanted}.")
    return parts


def _named(host: str, hosts: Sequence[str]) -> bool:
    return any(fnmatchcase(host, pattern.strip().lower()) for pattern in hosts)


def _harmless(parts: SplitResult, hosts: Sequence[str]) -> None:
    host = parts.hostname or ""
    if _named(host, hosts):
        return
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise InvalidInputError(f"There is no host {host}.", "Check the address and the network.") from None
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
            raise ForbiddenError(f"Nothing is pushed to {ip}.", "If it is meant, add its host to `push_hosts`.")

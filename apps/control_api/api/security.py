"""Who may call: Host and Origin, token, signed addresses, rates and body sizes. Decided before a body is read."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.control_api import errors, log
from apps.control_api.api import roles
from apps.control_api.services.audit import Audit
from apps.control_api.services.tokens import OWNER, Identity, Tokens
from apps.control_api.settings import Settings

PREFIX = "/api/v1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_log = log.get(__name__)
BODY_STALLS_S = 60.0
"""A client that sends nothing of its body for so long has left, whatever its connection says."""


def make_token(settings: Settings) -> str:
    """Return the token of the settings; else the one kept in ``<data-dir>/token`` (0600), made if there is none."""
    if settings.token is not None and settings.token.get_secret_value():
        return settings.token.get_secret_value()
    path = Path(settings.data_dir) / "token"
    if path.is_file() and (kept := path.read_text().strip()):
        path.chmod(0o600)
        return kept
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(token + "\n")
    return token


class Signer:
    """Signs addresses of pictures and films, for elements of a page that can send no header."""

    def __init__(self, token: str, hours: float = 12.0) -> None:
        self._key = hashlib.sha256(b"signed addresses\0" + token.encode()).digest()
        self._seconds = int(hours * 3600)

    def url(self, path: str) -> str:
        """Return ``path`` with a permission that lasts for between half and all of the hours (steady, for caches)."""
        half = self._seconds // 2
        until = (int(time.time()) // half + 2) * half
        return f"{path}?exp={until}&sig={self._sign(path, until)}"

    def allows(self, path: str, query: str) -> bool:
        """Return whether the query carries a permission for just this path that has not ended."""
        values = parse_qs(query)
        until, signature = values.get("exp", [""])[0], values.get("sig", [""])[0]
        if not (until.isascii() and until.isdigit() and len(until) < 12 and signature) or int(until) < time.time():
            return False
        return hmac.compare_digest(self._sign(path, int(until)).encode(), signature.encode())

    def _sign(self, path: str, until: int) -> str:
        return hmac.new(self._key, f"{path}|{until}".encode(), hashlib.sha256).hexdigest()[:40]


class Tickets:
    """One-time tickets for WebSockets, which can send no header from a page."""

    def __init__(self, seconds: int = 30) -> None:
        self.seconds = seconds
        self._until: dict[str, float] = {}

    def issue(self) -> str:
        """Make a ticket."""
        now = time.monotonic()
        self._until = {k: v for k, v in self._until.items() if v > now}
        ticket = secrets.token_urlsafe(24)
        self._until[ticket] = now + self.seconds
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Use a ticket up."""
        return self._until.pop(ticket, 0.0) > time.monotonic()


class Rate:
    """A bucket of tokens for each key: ``rate`` a second for long, ``burst`` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def allow(self, key: str, cost: float = 1.0) -> bool:
        """Take ``cost`` tokens if they are there."""
        now = time.monotonic()
        if len(self._buckets) > 10_000:
            self._buckets.clear()
        level, then = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        allowed = level >= cost
        self._buckets[key] = (level - cost if allowed else level, now)
        return allowed


@dataclass
class Gate:
    """What the guard decides by."""

    settings: Settings
    token: str
    signer: Signer
    audit: Audit
    body_limit: Callable[[str, str], int]
    compatibility_paths: frozenset[str] = frozenset()
    tokens: Tokens | None = None
    calls: Rate = field(init=False)
    failures: Rate = field(init=False)

    def __post_init__(self) -> None:
        """Build the rates."""
        self.calls = Rate(self.settings.requests_per_second, 2 * self.settings.requests_per_second)
        per_minute = self.settings.failed_logins_per_minute
        self.failures = Rate(per_minute / 60, per_minute)

    def host_ok(self, host: str) -> bool:
        """Return whether a Host header names this machine as we know it (any port): stops DNS rebinding."""
        name = host.lower()
        if not name.endswith("]"):
            head, _, port = name.rpartition(":")
            if head and port.isdigit():
                name = head
        return name in LOOPBACK or name in {h.lower() for h in self.settings.allowed_hosts}

    def origin_ok(self, origin: str, host: str) -> bool:
        """Return whether a page of this origin may call: our own page, or one named exactly in the settings."""
        if origin in self.settings.allowed_origins:
            return True
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    def who(self, header: str) -> Identity | None:
        """Return whose bearer token this is; the owner's is compared in constant time."""
        kind, _, given = header.partition(" ")
        given = given.strip()
        if kind.lower() != "bearer" or not given:
            return None
        if hmac.compare_digest(given.encode(), self.token.encode()):
            return OWNER
        return self.tokens.who(given) if self.tokens is not None else None


class BodyTooLargeError(HTTPException):
    """The body went over its limit while it was read. An ``HTTPException``, for FastAPI makes others a 400."""

    def __init__(self) -> None:
        super().__init__(413)


class Outer:
    """The outermost layer: Host, Origin, rate. Applies to pages, calls and WebSockets alike."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._gate.host_ok(host):
            await refuse(
                scope,
                receive,
                send,
                Refusal(
                    403,
                    "wrong_host",
                    "This host name is not the studio's.",
                    "Call it by 127.0.0.1 or localhost, or add the name to `allowed_hosts`.",
                ),
            )
            return
        if origin is not None and not self._gate.origin_ok(origin, host):
            await refuse(
                scope,
                receive,
                send,
                Refusal(
                    403,
                    "wrong_origin",
                    "Pages of this origin may not call the studio.",
                    "Open the studio's own page, or add the origin to `allowed_origins`.",
                ),
            )
            return
        if not self._gate.calls.allow(client_of(scope)):
            await refuse(
                scope, receive, send, Refusal(429, "too_many", "Too many calls.", "Wait a second and call again.")
            )
            return
        await self._app(scope, receive, send)


class Guard:
    """The inner layer for ``/api/v1`` and the compatibility routes: token, body size, audit."""

    open_paths = frozenset({"/health", f"{PREFIX}/health"})

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on or refuse it."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not self._guards(path) or path in self.open_paths:
            await self._app(scope, receive, send)
            return
        if not await self._authorised(scope, receive, send):
            return
        if "\0" in path or b"%00" in scope.get("query_string", b""):  # no name holds one, and PostgreSQL takes none
            refusal = Refusal(400, "bad_request", "The address holds a NUL.", "Send it without.")
            await refuse(scope, receive, send, refusal)
            return
        limit = self._gate.body_limit(scope["method"], path)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await self._too_large(scope, receive, send, limit)
            return
        await self._call(scope, receive, send, limit)

    def _guards(self, path: str) -> bool:
        return (
            path == PREFIX
            or path.startswith(PREFIX + "/")
            or path == "/metrics"
            or (path in self._gate.compatibility_paths)
        )

    async def _authorised(self, scope: Scope, receive: Receive, send: Send) -> bool:
        headers, path, source = Headers(scope=scope), scope["path"], client_of(scope)
        scope.setdefault("state", {})["actor"] = "owner"
        if path in self._gate.compatibility_paths:
            if source in ("127.0.0.1", "::1"):
                scope["state"]["actor"] = "compatibility"
                return True
            await refuse(
                scope, receive, send, Refusal(403, "forbidden", "Compatibility routes answer on loopback only.", "")
            )
            return False
        if (caller := self._gate.who(headers.get("authorization", ""))) is not None:
            scope["state"]["actor"] = caller.actor
            roles.caller_role.set(caller.role)
            if roles.may(caller.role, scope["method"], path.removeprefix(PREFIX)):
                return True
            await self._not_yours(scope, receive, send, caller)
            return False
        query = scope.get("query_string", b"").decode("latin-1")
        if scope["method"] in ("GET", "HEAD") and "sig=" in query and self._gate.signer.allows(path, query):
            return True
        if not self._gate.failures.allow(source):
            await refuse(scope, receive, send, Refusal(429, "too_many", "Too many wrong tokens.", "Wait a minute."))
            return False
        await refuse(
            scope,
            receive,
            send,
            Refusal(
                401,
                "unauthorised",
                "The token is missing or wrong.",
                "Send `Authorization: Bearer <token>`; the token is printed at the start and kept in data/token.",
            ),
        )
        if headers.get("authorization"):
            await asyncio.to_thread(
                self._gate.audit.record, "unknown", "sign_in_failed", 401, source=source, detail={"path": path}
            )
        return False

    async def _not_yours(self, scope: Scope, receive: Receive, send: Send, caller: Identity) -> None:
        """Refuse what a role may not do, and write it down."""
        message = f"The role {caller.role} may not do this."
        await refuse(scope, receive, send, Refusal(403, "forbidden", message, "Ask the studio's owner."))
        await asyncio.to_thread(
            self._gate.audit.record,
            caller.actor,
            "refused_by_role",
            403,
            object_kind=_kind_of(scope),
            source=client_of(scope),
            detail={"call": f"{scope['method']} {scope['path']}"[:200]},
        )

    async def _call(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        seen, status, whole = 0, 0, False

        async def counted() -> Message:
            nonlocal seen, whole
            try:
                async with asyncio.timeout(None if whole else BODY_STALLS_S):
                    message = await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}
            if message["type"] == "http.request":
                whole = not message.get("more_body", False)
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLargeError()
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, counted, noted)
        finally:
            await self._note(scope, status or 500)

    async def _note(self, scope: Scope, status: int) -> None:
        """Write the audit row of a mutating call, after its answer has gone out."""
        if scope["method"] in _SAFE and "audit_as" not in scope["state"]:
            return
        if status < 400 and scope["path"].startswith(f"{PREFIX}/uploads/"):
            return  # every chunk of an upload is not an act; its creation is
        route, state = scope.get("route"), scope["state"]
        if getattr(route, "name", "") in ("create_event_ticket", "check_take_name"):
            return
        ids = {k: v for k, v in scope.get("path_params", {}).items() if isinstance(v, str) and len(v) <= 64}
        await asyncio.to_thread(
            self._gate.audit.record,
            state.get("actor", "owner"),
            state.get("audit_as") or getattr(route, "name", None) or f"{scope['method']} {scope['path']}"[:200],
            status,
            object_kind=_kind_of(scope),
            object_id=state.get("object_id") or next(iter(ids.values()), None),
            source=client_of(scope),
            detail=state.get("audit_detail", {}),
        )

    async def _too_large(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        await refuse(
            scope,
            receive,
            send,
            Refusal(
                413,
                "too_large",
                f"The body is over its limit of {limit} bytes.",
                "Send less; large files go by resumable upload.",
                {"limit": limit},
            ),
        )


def _kind_of(scope: Scope) -> str:
    """What a call is about, from its path: takes, avatars, live and so on."""
    return str(scope["path"]).removeprefix(PREFIX).strip("/").split("/")[0].split(":")[0][:40]


def client_of(scope: Scope) -> str:
    """Return the caller's address."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


@dataclass(frozen=True)
class Refusal:
    """An error that is answered before the application is asked."""

    status: int
    code: str
    message: str
    remedy: str
    detail: dict[str, object] = field(default_factory=dict)


async def refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """Answer with an error without asking the application."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + refusal.status, "reason": refusal.message})
        return
    payload = json.dumps(
        errors.body(refusal.code, refusal.message, refusal.remedy, refusal.detail), ensure_ascii=False
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
    status = refusal.status
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (413, 401, 403):
        headers.append((b"connection", b"close"))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})

"""Outputs of live sessions: pushes to platforms, virtual cameras and sound devices."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from pydantic import SecretStr

from apps.control_api import log
from apps.control_api.services.live import Live, Opened
from apps.control_api.services.push_targets import push_target, split_key
from apps.control_api.services.tools import Tools
from lipsync.errors import InvalidInputError

_log = log.get(__name__)
Wanted = dict[str, Any]


class LiveOutputs:
    """The use-cases of outputs. What is wanted comes as the wire types give it, secrets as ``SecretStr``."""

    def __init__(self, tools: Tools, live: Live) -> None:
        self._tools, self._live = tools, live

    async def open(self, wanted: Wanted) -> Opened:
        """Open a session; where ``transport`` is a list of outputs, with these, and no browser is needed.

        Raises:
            As ``Live.open`` and ``add``; an output that cannot begin ends the session again.
        """
        transport = wanted["transport"]
        if isinstance(transport, str):
            return await self._live.open(wanted)
        specs = [await asyncio.to_thread(self._spec, output) for output in transport]
        kinds = ",".join(output["kind"] for output in transport)
        opened = await self._live.open({**wanted, "transport": kinds})
        try:
            for spec in specs:
                await self._live.session(opened.id).audience.outputs.add(spec)
        except BaseException:
            await self._live.close(opened.id, "an output could not begin")
            raise
        return self._live.get(opened.id)

    async def add(self, session_id: str, wanted: Wanted) -> Wanted:
        """Begin another output of a session; returns its figures.

        Raises:
            NotFoundError, ConflictError: the session is not there or has ended.
            ForbiddenError: consent no longer covers going live, or the host is neither allowed nor confirmed.
            InvalidInputError: the address does not fit.
            TooManyError: the session has as many outputs as may be.
            UnavailableError: the driver or device is not there.
        """
        session = self._live.session(session_id)
        await asyncio.to_thread(self._live.require_consent, session_id)
        spec = await asyncio.to_thread(self._spec, wanted)
        return asdict(await session.audience.outputs.add(spec))

    def list(self, session_id: str) -> list[Wanted]:
        """Outputs of a session, oldest first."""
        return [asdict(stats) for stats in self._live.session(session_id).audience.outputs.stats()]

    async def remove(self, session_id: str, output_id: str) -> None:
        """End an output."""
        await self._live.session(session_id).audience.outputs.remove(output_id)

    async def connection(self, session_id: str, check_turn: bool) -> Wanted:
        """How the WebRTC clients of a session connect, and why one could not; as the wire type ``Connections``."""
        from apps.control_api.live_runtime.transports.ice import try_turn

        session = self._live.session(session_id)
        servers = session.spec.ice_servers
        found = await try_turn(servers) if check_turn else None
        return {
            "ice_servers": [asdict(server) for server in servers],
            "relay_only": session.spec.relay_only,
            "clients": [
                {"id": id_, "ended": ended, **asdict(facts)} for id_, ended, facts in session.audience.connections()
            ],
            "turn_trouble": asdict(found) if found is not None else None,
        }

    def _spec(self, wanted: Wanted) -> Any:
        """The runtime's spec of an output; blocking."""
        from apps.control_api.live_runtime.outputs import CameraSpec, RtmpSpec, SoundSpec, WhipSpec
        from apps.control_api.services.live import ice_servers

        values = {k: v for k, v in wanted.items() if k not in ("kind", "confirm_host")}
        if wanted["kind"] == "camera":
            return CameraSpec(**values)
        if wanted["kind"] == "sound":
            return SoundSpec(**values)
        hosts = self._tools.settings.push_hosts
        confirmed = wanted.get("confirm_host")
        if wanted["kind"] == "rtmp":
            key = _secret(values.pop("key"))
            url = push_target(values.pop("url"), ("rtmp", "rtmps"), hosts, confirmed).url
            if key is None:
                url, key = split_key(url)
            if any(c.isspace() for c in key):
                raise InvalidInputError("The stream key holds a space.", "Copy it again without.")
            return RtmpSpec(url, key, **values)
        target = push_target(values.pop("url"), ("https", "http"), hosts, confirmed)
        token = _secret(values.pop("token"))
        return WhipSpec(
            target.url, token, allow=target.allow, ice_servers=ice_servers(self._tools.owner.in_force()), **values
        )


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value().strip() or None if value is not None else None

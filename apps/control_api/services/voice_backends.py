"""The voice back-ends: what each can do, whether it is set up, and what a check of it finds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from apps.control_api.services.tools import Tools
from lipsync.errors import NotFoundError, StudioError

CHECK_S = 20.0
"""How long a service may take to say whether it can be used."""
Backend = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a check found; ``problem`` is a word of ``speech.errors.Problem``. Never holds a credential."""

    ok: bool
    problem: str
    message: str
    remedy: str
    took_ms: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)


class VoiceBackends:
    """Lists and checks voice back-ends with the settings kept for them."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def told(self) -> list[Backend]:
        """Return every back-end by name; imports them, so the first call is slow. Asks no service anything."""
        from speech.tts import registry

        return [self._told(name) for name in registry.names()]

    async def check(self, name: str) -> Finding:
        """Ask a back-end for one short word with the settings in force.

        Raises:
            NotFoundError: there is no such back-end.
        """
        from speech.tts import registry
        from speech.tts.setup import problem_of

        if name not in registry.names():
            raise NotFoundError(f"There is no voice back-end named {name!r}.", f"Known: {', '.join(registry.names())}.")
        begun = time.perf_counter()
        try:
            settings = await asyncio.to_thread(self.settings, name)
            backend = await asyncio.to_thread(registry.create, name, settings)
            try:
                missing = backend.missing()
                if missing:
                    return self._missing(name, missing)
                found = await asyncio.wait_for(backend.check(), CHECK_S)
            finally:
                await backend.close()
        except TimeoutError:
            return Finding(
                False,
                "silent",
                "The service does not answer.",
                "Check its address and that it is running.",
                CHECK_S * 1e3,
            )
        except StudioError as error:
            problem = problem_of(error.code, error.detail, error.message)
            return Finding(False, problem, error.message, error.remedy, detail=_told(error.detail))
        took = 1000 * (time.perf_counter() - begun)
        if found.ok:
            return Finding(True, "none", found.message, "", took)
        problem = found.detail.get("problem") or problem_of(
            str(found.detail.get("code", "")), found.detail, found.message
        )
        return Finding(False, problem, found.message, found.remedy, took, _told(found.detail))

    def settings(self, name: str) -> dict[str, Any]:
        """Return the settings in force of a back-end; credentials in clear."""
        settings = self._tools.owner.service("voice", name)
        if name == "xtts_local":
            settings.setdefault("weights", str(self._tools.files.models / "base" / "xtts"))
        return settings

    def _missing(self, name: str, missing: list[str]) -> Finding:
        from speech.tts.setup import HINTS, UNKNOWN_HINT

        return Finding(
            False,
            "not_configured",
            f"Not set: {', '.join(missing)}.",
            HINTS.get(name, UNKNOWN_HINT)[1],
            detail={"missing": missing},
        )

    def _told(self, name: str) -> Backend:
        from speech.tts import registry
        from speech.tts.setup import HINTS, UNKNOWN_HINT

        zh, en = HINTS.get(name, UNKNOWN_HINT)
        told: Backend = {"name": name, "setup": {"zh-CN": zh, "en": en}, "capabilities": None, "missing": []}
        try:
            can = registry.load_class(name).capabilities
            told["capabilities"] = {
                "languages": list(can.languages),
                "streaming": can.streaming,
                "cloning": can.cloning,
                "needs_network": can.needs_network,
                "word_timings": can.word_timings,
                "phoneme_timings": can.phoneme_timings,
                "max_chars": can.max_chars,
            }
            if name == "clone":  # has no settings of its own: each trained voice brings its bundle
                return {**told, "state": "ready", "reason": ""}
            backend = registry.create(name, self.settings(name))
            told["missing"] = backend.missing()
        except StudioError as error:
            return {**told, "state": "unavailable", "reason": f"{error.message} {error.remedy}".strip()}
        if told["missing"]:
            return {**told, "state": "not_configured", "reason": f"Not set: {', '.join(told['missing'])}."}
        return {**told, "state": "ready", "reason": ""}


def _told(detail: dict[str, Any]) -> dict[str, Any]:
    """The facts that may be told: plain ones of names we know."""
    return {key: detail[key] for key in ("code", "status", "said", "host", "missing") if key in detail}

"""What each role may call: the one matrix, read from the top, the first line that fits decides.

* **owner** may do everything.
* **operator** runs the studio: takes, training, live, films. What is a matter of trust is the owner's: who has a token,
  what leaves the studio, which version is good enough, what is forgotten, what the audit trail says, the settings.
* **auditor** reads models, the metadata of takes, and the audit trail, and nothing else: no picture, no sound.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import NamedTuple

from apps.control_api.services.tokens import Role

OWNER: frozenset[Role] = frozenset({"owner"})
WATCH: frozenset[Role] = frozenset({"owner", "auditor"})
WORK: frozenset[Role] = frozenset({"owner", "operator"})
ALL: frozenset[Role] = frozenset({"owner", "operator", "auditor"})


class Line(NamedTuple):
    """One line of the matrix: methods (``*`` for all), a pattern of the path below the prefix, and who may."""

    methods: str
    path: str
    roles: frozenset[Role]


_ID = r"[^/:]+"
MATRIX: tuple[Line, ...] = (
    Line("GET", r"/(health|whoami|openapi\.json)", ALL),
    Line("GET", r"/audit/.*", WATCH),
    Line("GET", rf"/models(/{_ID})?", ALL),
    Line("GET", rf"/takes(/{_ID})?", ALL),
    Line("*", r"/(tokens|persons|audit)([/:].*)?", OWNER),
    Line("POST", r"/models/register", OWNER),
    Line("DELETE", r"/models/.*", OWNER),
    Line("POST", rf"/models/{_ID}:evaluate", WORK),
    Line("POST", r"/models/.*", OWNER),
    Line("POST", r"/(avatars|voices):export", OWNER),
    Line("GET", r"/settings", WORK),
    Line("*", r"/settings(/.*)?", OWNER),
    Line("GET", r"/system/diagnostics", OWNER),
    Line("POST", r"/system/.*", OWNER),
    Line("GET", r"/(system/.*|metrics)", WORK),
    Line("*", r"/(takes|uploads|avatars|voices|jobs|live|inference|messages|scripts|playlists|events)([/:].*)?", WORK),
)
"""What no line fits is the owner's alone."""

_COMPILED = tuple((line.methods, re.compile(line.path + r"/?"), line.roles) for line in MATRIX)

caller_role: ContextVar[Role] = ContextVar("caller_role", default="owner")
"""The role of the call at hand; what is presented to an auditor holds no address of a picture."""


def may(role: Role, method: str, path: str) -> bool:
    """Return whether a role may call ``method`` on a path below the API's prefix (such as ``/takes``)."""
    method = "GET" if method in ("HEAD", "OPTIONS") else method
    for methods, pattern, roles in _COMPILED:
        if methods in ("*", method) and pattern.fullmatch(path):
            return role in roles
    return role in OWNER

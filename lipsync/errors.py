"""The error tree: stable codes, one mapping to HTTP, and each error says what to do."""

from __future__ import annotations

from typing import Any, ClassVar


class StudioError(Exception):
    """An error a user can act on.

    Args:
        message: What went wrong, in English, one sentence.
        remedy: What to do about it, one sentence; empty where nothing can be done.
        detail: Machine-readable facts (ids, measured and wanted values), JSON-serialisable.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, remedy: str = "", detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail or {}


class InvalidInputError(StudioError):
    """Input that breaks a rule; ``detail["reasons"]`` may list every one."""

    code = "invalid_input"
    http_status = 422


class NotFoundError(StudioError):
    """No such object."""

    code = "not_found"
    http_status = 404


class ConflictError(StudioError):
    """The object is in a state that does not allow this."""

    code = "conflict"
    http_status = 409


class ForbiddenError(StudioError):
    """Consent, role or licence does not allow this."""

    code = "forbidden"
    http_status = 403


class TooManyError(StudioError):
    """A cap is reached: sessions, queue length, rate."""

    code = "too_many"
    http_status = 429
    retryable = True


class TooLargeError(StudioError):
    """A body or file is over its limit."""

    code = "too_large"
    http_status = 413


class UnavailableError(StudioError):
    """A neighbour, device, extra or weight file is missing or does not answer."""

    code = "unavailable"
    http_status = 503
    retryable = True


class NoSpaceError(StudioError):
    """The disk has too little room; nothing was written."""

    code = "no_space"
    http_status = 507


class BundleError(InvalidInputError):
    """A bundle or checkpoint that is damaged, foreign or unsafe."""

    code = "bad_bundle"


class CancelledError(StudioError):
    """Work stopped at a safe point because somebody asked for it."""

    code = "cancelled"
    http_status = 409

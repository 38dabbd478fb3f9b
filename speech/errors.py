"""What can go wrong with speech and replies, on the studio's one error tree."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from lipsync.errors import InvalidInputError, UnavailableError

Problem = Literal[
    "none",
    "not_configured",
    "refused",
    "wrong_place",
    "unreachable",
    "silent",
    "not_the_service",
    "busy",
    "not_installed",
    "failed",
]
"""What a check found, as one word a page can translate. ``wrong_place``: an address, region or voice that is not
there; ``not_the_service``: something answers (a web page, say), but not with speech."""


class SpeechError(UnavailableError):
    """A voice, recogniser or reply back-end failed. ``detail["backend"]`` names it."""

    code: ClassVar[str] = "speech_failed"

    def __init__(
        self, backend: str, message: str, remedy: str = "", detail: dict[str, Any] | None = None, retryable: bool = True
    ) -> None:
        super().__init__(message, remedy, {"backend": backend, **(detail or {})})
        self.backend = backend
        self.may_retry = retryable


class SpeechAuthError(SpeechError):
    """The service refuses our credentials, or none are set."""

    code: ClassVar[str] = "speech_unauthorised"

    def __init__(self, backend: str, message: str, remedy: str = "", detail: dict[str, Any] | None = None) -> None:
        super().__init__(backend, message, remedy or "Check the credentials of this back-end.", detail, retryable=False)


class SpeechTimeoutError(SpeechError):
    """The service went silent in the middle of an answer, or never began one."""

    code: ClassVar[str] = "speech_timeout"


class SpeechProtocolError(SpeechError):
    """The service answered with something that is not what its protocol promises."""

    code: ClassVar[str] = "speech_protocol"


class SpeechSettingsError(InvalidInputError):
    """Settings of a back-end are missing, unknown or of the wrong kind."""

    code: ClassVar[str] = "speech_settings"

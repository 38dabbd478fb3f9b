"""What live sessions hear: settings of the ears, opening and shutting them, and sound that comes as a stream."""

from __future__ import annotations

from typing import Any

from apps.control_api.settings import Settings
from lipsync.errors import ConflictError, InvalidInputError, StudioError

COMMON = (
    "Hello.",
    "Hello, how are you?",
    "Good morning.",
    "What is your name?",
    "Who are you?",
    "What can you do?",
    "What time is it?",
    "What day is it today?",
    "Thank you.",
    "Thank you very much.",
    "Goodbye.",
    "你好",
    "你是谁",
    "你叫什么名字",
    "你能做什么",
    "现在几点了",
    "今天星期几",
    "谢谢你",
    "再见",
)
"""What the studio's own rules answer, so people will say it."""


def listen_spec(wanted: dict[str, Any], knowledge: list[dict[str, str]], settings: Settings) -> Any:
    """Return the runtime's ``ListenSpec`` of what a caller asked for.

    Args:
        wanted: As the wire type ``Listen`` gives it.
        knowledge: The questions and answers of the session's replies: people will ask these.
        settings: The recognisers' own settings are the studio's, never a caller's.

    Raises:
        NotFoundError: there is no such recogniser.
    """
    from apps.control_api.live_runtime.ear import ListenSpec
    from speech.asr.registry import load_class

    load_class(wanted["backend"])
    questions = [item["question"] for item in knowledge]
    return ListenSpec(
        backend=wanted["backend"],
        settings=settings.recognisers.get(wanted["backend"], {}),
        language=wanted["language"],
        phrases=tuple(dict.fromkeys([*wanted["phrases"], *questions, *COMMON])),
        act=wanted["act"],
        barge_in=wanted["barge_in"],
        enabled=wanted["enabled"],
        end_silence_ms=float(wanted["end_silence_ms"]),
    )


def listener_of(session: Any) -> Any:
    """The ears of a session.

    Raises:
        ConflictError: it was opened without any.
    """
    if session.listener is None:
        raise ConflictError("This session does not listen.", "Open one with `listen`.")
    return session.listener


async def enable(session: Any, enabled: bool, device: str | None = None) -> dict[str, Any]:
    """Open or shut the microphones of a session; returns how it listens now.

    Args:
        session: The runtime's.
        enabled: Whether it listens from now on.
        device: A sound device to hear too, by name; "" is the system's default. It is let go when listening stops.

    Raises:
        ConflictError: the session was opened without ears.
        UnavailableError: there is no such device.
    """
    listener = listener_of(session)
    if enabled and device is not None:
        await listener.use_device(device or None)
    if not enabled:
        await listener.leave_device()
    listener.enable(enabled)
    spec = listener.spec
    return {
        "enabled": listener.enabled,
        "backend": spec.backend,
        "language": spec.language,
        "barge_in": spec.barge_in,
        "dropped": listener.dropped,
    }


def recognisers() -> list[dict[str, Any]]:
    """Every recogniser known, with why it cannot be used where that is so. Imports them: call it off the loop."""
    from speech.asr import registry

    found: list[dict[str, Any]] = []
    for name in registry.names():
        about: dict[str, Any] = {
            "name": name,
            "languages": [],
            "phrase_languages": [],
            "streaming": False,
            "needs_network": False,
            "needs_download": False,
        }
        try:
            known = registry.load_class(name).capabilities
            about |= {
                "languages": list(known.languages),
                "phrase_languages": list(known.phrase_languages),
                "streaming": known.streaming,
                "needs_network": known.needs_network,
                "needs_download": known.needs_download,
            }
        except StudioError as error:
            about["problem"] = error.message
        found.append(about)
    return found


def sound_of(data: bytes, kind: str) -> Any:
    """Samples of a message of a sound stream, float32 mono.

    Raises:
        InvalidInputError: it is not whole samples.
    """
    import numpy as np

    size = 2 if kind == "pcm16" else 4
    if len(data) % size:
        raise InvalidInputError("The message does not hold whole samples.", f"Send a multiple of {size} bytes.")
    if kind == "pcm16":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    return np.nan_to_num(np.frombuffer(data, "<f4").astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)

"""The outputs of a session beside its clients: pushes to platforms, virtual cameras, sound devices. Any number at once.

Every output is a ``Sink`` of the session's one clock with a life of its own: it may fail, wait and begin again, and the
session goes on. What it needs secret (a stream key, a bearer token) is in no ``repr``, no event, no figure and no log.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from apps.control_api.live_runtime.frames import PacketFrame
from apps.control_api.live_runtime.spec import IceServer, VideoCodec
from apps.control_api.live_runtime.troubles import Trouble
from lipsync.errors import ConflictError, NotFoundError, TooManyError

_LOG = logging.getLogger(__name__)
MOST = 6
"""Outputs of one session at once: each push encodes for itself."""
_SECOND = 100
"""Packets to a second."""

Kind = Literal["rtmp", "whip", "camera", "sound"]
OutputState = Literal["starting", "live", "retrying", "failed", "ended"]


@dataclass(frozen=True)
class RtmpSpec:
    """A push of H.264 and AAC in FLV to a platform.

    Attributes:
        url: Of the server and its application, ``rtmp://host[:port]/app`` or ``rtmps://``.
        key: The stream's name there, which is also its secret.
        video_bitrate: Bits a second of the picture; platforms refuse or shrink much above their advice (2,500,000 to
            6,000,000).
        sound_bitrate: Bits a second of the sound.
        key_frame_s: Seconds between whole pictures: viewers begin at one, and platforms ask for 2.
    """

    url: str
    key: str = field(repr=False)
    video_bitrate: int = 2_500_000
    sound_bitrate: int = 128_000
    key_frame_s: float = 2.0
    kind: ClassVar[Kind] = "rtmp"


@dataclass(frozen=True)
class WhipSpec:
    """A push over WebRTC (RFC 9725).

    Attributes:
        url: Of the endpoint, http or https.
        token: Its bearer token, if it wants one.
        video_codec: Asked for first; most WHIP servers want H.264.
        video_bitrate: Bits a second of the picture.
        ice_servers: STUN and TURN.
        allow: Asked before any address the endpoint redirects to is called; raises where it may not be.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    video_codec: VideoCodec = "h264"
    video_bitrate: int = 2_500_000
    ice_servers: tuple[IceServer, ...] = ()
    allow: Callable[[str], None] = field(default=lambda url: None, repr=False, compare=False)
    kind: ClassVar[Kind] = "whip"


@dataclass(frozen=True)
class CameraSpec:
    """A virtual camera, with the sound to a device of which programs take it as a microphone.

    Attributes:
        backend: One of pyvirtualcam's (v4l2loopback, obs, unitycapture); the first that works if not given.
        device: The camera's name; the first there is if not given.
        sound_device: Name or number of the sound device, or None for a silent camera.
    """

    backend: str | None = None
    device: str | None = None
    sound_device: str | int | None = None
    kind: ClassVar[Kind] = "camera"


@dataclass(frozen=True)
class SoundSpec:
    """Sound alone to a device: name or number, the system's default if None."""

    device: str | int | None = None
    kind: ClassVar[Kind] = "sound"


OutputSpec = RtmpSpec | WhipSpec | CameraSpec | SoundSpec


@dataclass(frozen=True)
class OutputStats:
    """An output at a glance.

    Attributes:
        target: Where it goes, without secrets.
        live_s: Seconds since it last became live; 0 while it is not.
        frames: Pictures handed over (for ``sound``: 10 ms packets).
        dropped: Pictures there was no time or no connection for.
        bytes: Encoded bytes sent; 0 for devices.
        bitrate: Bits a second lately.
        attempts: Times it began to connect.
        delay_ms: What the output itself adds, where it is known: buffer and device of a sound output.
        last_error: What went wrong last, also where it has recovered since.
    """

    id: str
    kind: Kind
    target: str
    state: OutputState
    live_s: float
    frames: int
    dropped: int
    bytes: int
    bitrate: int
    attempts: int
    delay_ms: float | None
    last_error: Trouble | None

    def told(self) -> dict[str, Any]:
        """What an event says of it."""
        error = asdict(self.last_error) if self.last_error is not None and self.state != "live" else None
        return {"output_id": self.id, "kind": self.kind, "target": self.target, "state": self.state, "error": error}


class Output(ABC):
    """One output; made, started and stopped by ``Outputs`` on the session's loop.

    Args:
        kind: Its kind.
        target: Where it goes, without secrets.
    """

    def __init__(self, kind: Kind, target: str) -> None:
        self.id = str(uuid.uuid4())
        self.kind, self.target = kind, target
        self.state: OutputState = "starting"
        self.last_error: Trouble | None = None
        self.frames = self.dropped = self.bytes = self.attempts = 0
        self.on_change: Callable[[Output], None] = lambda output: None
        self._loop = asyncio.get_running_loop()
        self._live_since: float | None = None
        self._seconds: deque[tuple[int, int]] = deque(maxlen=6)

    @abstractmethod
    async def start(self) -> None:
        """Begin; what takes long goes on in the background.

        Raises:
            UnavailableError: It cannot work here at all (no driver, no such device).
        """

    @abstractmethod
    def _take(self, packet: PacketFrame) -> None:
        """Take 10 ms; must neither block nor keep more than a bounded number."""

    @abstractmethod
    async def stop(self) -> None:
        """End everything of it and wait for that. Safe to call twice, also in the middle of ``start``."""

    def take(self, packet: PacketFrame) -> None:
        """Feed 10 ms (the clock calls this)."""
        if packet.number % _SECOND == 0:
            self._seconds.append((packet.number, self.bytes))
        if self.state not in ("failed", "ended"):
            self._take(packet)

    @property
    def delay_ms(self) -> float | None:
        """What the output itself adds to the time between the clock and the ear, None where that is not known."""
        return None

    def stats(self) -> OutputStats:
        """The output at a glance."""
        (first, before), (last, after) = (self._seconds[0], self._seconds[-1]) if self._seconds else ((0, 0), (0, 0))
        return OutputStats(
            id=self.id,
            kind=self.kind,
            target=self.target,
            state=self.state,
            live_s=0.0 if self._live_since is None else round(time.monotonic() - self._live_since, 1),
            frames=self.frames,
            dropped=self.dropped,
            bytes=self.bytes,
            bitrate=round((after - before) * 8 * _SECOND / (last - first)) if last > first else 0,
            attempts=self.attempts,
            delay_ms=self.delay_ms,
            last_error=self.last_error,
        )

    def _become(self, state: OutputState, trouble: Trouble | None = None) -> None:
        """Change state; on the loop. ``failed`` and ``ended`` are for good."""
        if self.state in ("failed", "ended"):
            return
        changed = state != self.state or trouble is not None
        self.state = state
        self.last_error = trouble or self.last_error
        if state != "live":
            self._live_since = None
        elif self._live_since is None:
            self._live_since = time.monotonic()
        if changed:
            self.on_change(self)

    def _become_soon(self, state: OutputState, trouble: Trouble | None = None) -> None:
        """The same from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._become, state, trouble)


@dataclass(frozen=True)
class Source:
    """What outputs need to know of the session they belong to."""

    session_id: str
    width: int
    height: int
    pool: ThreadPoolExecutor = field(repr=False)


class Outputs:
    """The outputs of one session.

    Args:
        source: The session's facts.
        attach: Begins to feed a sink.
        detach: Ends that.
        tell: Told of every change of an output's state.
    """

    def __init__(
        self,
        source: Source,
        attach: Callable[[Output], None],
        detach: Callable[[Output], None],
        tell: Callable[[OutputStats], None],
    ) -> None:
        self._source, self._attach, self._detach, self._tell = source, attach, detach, tell
        self._open: dict[str, Output] = {}
        self._closed = False

    @property
    def live(self) -> bool:
        """Whether any of them reaches somebody."""
        return any(output.state == "live" for output in self._open.values())

    def stats(self) -> list[OutputStats]:
        """All of them, oldest first."""
        return [output.stats() for output in self._open.values()]

    def get(self, output_id: str) -> Output:
        """One of them.

        Raises:
            NotFoundError: There is none of this id.
        """
        if output_id not in self._open:
            raise NotFoundError("The session has no such output.", "List its outputs.", {"output_id": output_id})
        return self._open[output_id]

    async def add(self, spec: OutputSpec) -> OutputStats:
        """Begin another output.

        Raises:
            TooManyError: There are as many as may be.
            ConflictError: The session is ending.
            UnavailableError: The device or driver is not there; ``detail`` has message and remedy in zh and en.
        """
        if self._closed:
            raise ConflictError("The session has ended.", "Open a new one.")
        if len(self._open) >= MOST:
            raise TooManyError(f"The session has {MOST} outputs already.", "End one of them.", {"max_outputs": MOST})
        output = make_output(spec, self._source)
        self._open[output.id] = output
        output.on_change = self._changed
        try:
            await output.start()
            self._attach(output)
        except BaseException:
            self._open.pop(output.id, None)
            await output.stop()
            raise
        self._changed(output)
        return output.stats()

    async def remove(self, output_id: str) -> None:
        """End an output; raises as ``get``."""
        await self._end(self.get(output_id))

    async def close(self) -> None:
        """End all of them. Safe to call twice."""
        self._closed = True
        await asyncio.gather(*(self._end(output) for output in [*self._open.values()]))

    async def _end(self, output: Output) -> None:
        self._detach(output)
        self._open.pop(output.id, None)
        await output.stop()
        output._become("ended")

    def _changed(self, output: Output) -> None:
        stats = output.stats()
        if stats.state == "failed":
            # It takes no more; the session may end if nobody else watches. It stays listed with its cause.
            self._detach(output)
        _LOG.info("live output %s of %s is %s", stats.kind, self._source.session_id, stats.state)
        self._tell(stats)


def make_output(spec: OutputSpec, source: Source) -> Output:
    """Make the output a spec names; what it needs is imported only now."""
    if isinstance(spec, RtmpSpec):
        from apps.control_api.live_runtime.transports.rtmp import RtmpPush

        return RtmpPush(spec, source)
    if isinstance(spec, WhipSpec):
        from apps.control_api.live_runtime.transports.whip import WhipPush

        return WhipPush(spec, source)
    if isinstance(spec, CameraSpec):
        from apps.control_api.live_runtime.transports.camera import CameraOutput

        return CameraOutput(spec, source)
    from apps.control_api.live_runtime.transports.sound_out import SoundOutput

    return SoundOutput(spec)

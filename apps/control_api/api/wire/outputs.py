"""Outputs of a live session, devices to send them to, and why a connection fails."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from apps.control_api.api.wire.base import Command, ShortText, TwoLanguages, Wire

Address = Annotated[str, Field(min_length=1, max_length=1000)]
Secret = Annotated[SecretStr, Field(max_length=1000)]
Device = Annotated[str, Field(min_length=1, max_length=200)]
VideoBitrate = Annotated[int, Field(ge=100_000, le=20_000_000, description="Bits a second of the picture.")]
ConfirmHost = Annotated[
    str | None,
    Field(
        max_length=255,
        description="The address's host once more, as its user confirmed it; not needed for loopback and `push_hosts`.",
    ),
]


class RtmpCreate(Command):
    """Push H.264 and AAC to a platform."""

    kind: Literal["rtmp"]
    url: Address = Field(description="The server: `rtmp://…` or `rtmps://…`.")
    key: Secret | None = Field(None, description="The stream key; never shown again. May be the address's last part.")
    video_bitrate: VideoBitrate = 2_500_000
    sound_bitrate: Annotated[int, Field(ge=32_000, le=320_000, description="Bits a second of the sound.")] = 128_000
    key_frame_s: Annotated[float, Field(ge=0.5, le=10, description="Seconds between whole pictures.")] = 2.0
    confirm_host: ConfirmHost = None


class WhipCreate(Command):
    """Push over WebRTC (RFC 9725)."""

    kind: Literal["whip"]
    url: Address = Field(description="The WHIP endpoint: `https://…` or `http://…`.")
    token: Secret | None = Field(None, description="Its bearer token; never shown again.")
    video_codec: Literal["vp8", "h264"] = "h264"
    video_bitrate: VideoBitrate = 2_500_000
    confirm_host: ConfirmHost = None


class CameraCreate(Command):
    """Be a webcam of this machine."""

    kind: Literal["camera"]
    backend: Literal["v4l2loopback", "obs", "unitycapture"] | None = None
    device: Device | None = Field(None, description="The camera's name; the first there is if not given.")
    sound_device: Device | int | None = Field(
        None, description="Name or number of a sound device, such as a virtual cable; silent if not given."
    )


class SoundCreate(Command):
    """Be heard on a sound device of this machine."""

    kind: Literal["sound"]
    device: Device | int | None = Field(None, description="Name or number; the system's default if not given.")


OutputCreate = Annotated[RtmpCreate | WhipCreate | CameraCreate | SoundCreate, Field(discriminator="kind")]


class Trouble(Wire):
    """What is wrong and what to do about it."""

    code: str
    message: TwoLanguages
    remedy: TwoLanguages
    said: ShortText = Field("", description="What the other side or the system said.")


class Output(Wire):
    """An output and how it runs."""

    id: str
    kind: Literal["rtmp", "whip", "camera", "sound"]
    target: str = Field(description="Where it goes, without secrets.")
    state: Literal["starting", "live", "retrying", "failed", "ended"]
    live_s: float = Field(description="Seconds since it last became live.")
    frames: int = Field(description="Pictures handed over; 10 ms packets for sound alone.")
    dropped: int
    bytes: int
    bitrate: int = Field(description="Bits a second lately.")
    attempts: int = Field(description="Times it began to connect.")
    delay_ms: float | None = Field(description="What buffer and device add, where that is known.")
    last_error: Trouble | None


class OutputList(Wire):
    """The outputs of a session, oldest first."""

    items: list[Output]


class IceServer(Wire):
    """A STUN or TURN server, as `RTCPeerConnection` takes it."""

    urls: list[str]
    username: str | None
    credential: str | None


class Connection(Wire):
    """How a WebRTC client's connection stands, or how it ended."""

    id: str
    ended: str | None = Field(
        description="never_connected, connection_failed, client_lost, client_left; null: it stands."
    )
    state: str
    ice: str
    dtls: str
    ours: dict[str, int] = Field(description="Our candidates by kind: host, srflx, relay, mdns, tcp.")
    theirs: dict[str, int]
    pair: tuple[str, str] | None = Field(description="Kinds of the pair in use: ours, theirs.")
    trouble: Trouble | None = Field(description="The likely cause where it failed.")


class Connections(Wire):
    """What a client needs to connect, and how the connections of a session stand."""

    ice_servers: list[IceServer]
    relay_only: bool
    clients: list[Connection] = Field(description="The last that ended and those there are, oldest first.")
    turn_trouble: Trouble | None = Field(description="What is wrong with the TURN server, where that was asked for.")


class CameraDevice(Wire):
    """A virtual camera of this machine."""

    backend: str
    device: str | None = Field(description="What to send as `device`; null where the driver knows just one.")
    name: str


class SoundDevice(Wire):
    """A sound device of this machine."""

    index: int
    name: str
    host_api: str
    outputs: int = Field(description="Channels it can be heard on.")
    inputs: int = Field(description="Channels it hears.")
    rate: int
    default_output: bool
    default_input: bool


class Devices(Wire):
    """Cameras to be and sound devices to be heard on; where there are none, why and what to do."""

    cameras: list[CameraDevice]
    camera_trouble: Trouble | None
    sounds: list[SoundDevice]
    sound_trouble: Trouble | None

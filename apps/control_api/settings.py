"""Every setting of the control API, built once at the entry point and passed on.

No other module reads the environment. A setting is named ``STUDIO_<NAME>`` there; command line arguments win.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.control_api.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the studio itself: where ``models/``, ``data/`` and the built page lie by default."""

GIB = 1024**3
MIB = 1024**2


class Settings(BaseSettings):
    """The control API's settings; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="STUDIO_", extra="ignore")

    version: str = VERSION
    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback is reachable by others.")
    port: int = Field(9001, ge=0, le=65535, description="0 lets the system choose; the ready line says which.")
    data_dir: Path = Field(ROOT / "data", description="Takes, thumbnails, the database, the token, logs.")
    models_dir: Path | None = Field(None, description="Trained bundles; `models/` beside the data folder by default.")
    page_dir: Path = Field(ROOT / "apps/web_admin/dist/renderer", description="The built page served at /.")
    database_url: str | None = Field(None, description="PostgreSQL URL; SQLite in the data folder by default.")
    token: SecretStr | None = Field(None, description="Bearer token; made and written to <data-dir>/token if unset.")

    allowed_hosts: list[str] = Field(default_factory=list, description="Host names accepted beside loopback's own.")
    allowed_origins: list[str] = Field(
        default_factory=lambda: ["app://studio"], description="Exact origins allowed to call from another page."
    )
    compatibility: bool = Field(False, description="Open LiveTalking's own routes, without token, on loopback only.")

    json_limit: int = Field(1 * MIB, ge=1024, description="Largest JSON body.")
    upload_limit: int = Field(4 * GIB, ge=MIB, description="Largest uploaded file.")
    voice_limit: int = Field(512 * MIB, ge=MIB, description="Largest reference voice.")
    total_limit: int = Field(512 * GIB, ge=MIB, description="All recordings and unfinished uploads together.")
    free_space: int = Field(1 * GIB, ge=0, description="Room that must stay on the disk beside an upload.")
    requests_per_second: float = Field(200.0, gt=0, description="Calls a client may make for long; bursts of twice it.")
    failed_logins_per_minute: float = Field(30.0, gt=0, description="Wrong tokens an address may try.")
    previews_per_minute: float = Field(60.0, gt=0, description="Voice previews an address may ask for.")

    check_timeout: float = Field(120.0, gt=0, description="Longest judging of one take before it is refused.")
    checks_at_once: int = Field(1, ge=1, description="Takes judged at the same time.")
    workers: int = Field(1, ge=0, description="Worker processes; 0 when workers run elsewhere.")
    dispatcher: Literal["local", "celery"] = Field(
        "local", description="Who wakes workers: this studio's own processes, or Celery on Redis on many machines."
    )
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis of the dispatcher `celery`.")
    queues: tuple[Literal["cpu", "gpu"], ...] = Field(
        ("cpu", "gpu"), min_length=1, description="Queues that a Celery worker serves."
    )
    objects_url: str | None = Field(
        None, description="Store shared with workers elsewhere: s3://bucket/prefix, or file:///folder; none by default."
    )
    objects_endpoint: str | None = Field(None, description="Address of an S3-compatible store that is not Amazon's.")
    scratch: bool = Field(
        False, description="For workers elsewhere: empty this data folder of a job's files when the job has ended."
    )
    machine: str = Field(
        "", description="Name shared by what runs on one machine, which trains one at a time; the host's if empty."
    )
    lease: float = Field(15.0, gt=1, description="A job whose worker is silent this long is given to another.")
    max_attempts: int = Field(3, ge=1, description="Times a job is begun before it is failed for good.")
    training_yields_to_live: bool = Field(True, description="Training pauses while somebody is live.")
    max_sessions: int = Field(2, ge=1, description="Live sessions at the same time.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where training and inference run.")
    ice_servers: list[str] = Field(default_factory=list, description="STUN and TURN URLs for WebRTC over networks.")
    turn_username: str | None = Field(None, description="User name at the TURN servers of `ice_servers`.")
    turn_credential: SecretStr | None = Field(None, description="Password at the TURN servers of `ice_servers`.")
    ice_relay_only: bool = Field(False, description="Connect through TURN alone: no address of this machine is told.")
    push_hosts: list[str] = Field(
        default_factory=list,
        description="Hosts (patterns such as *.example.com) that may be pushed to by RTMP and WHIP unasked.",
    )
    replies: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of reply back-ends by name, such as base_url, model, api_key."
    )
    recognisers: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of recognisers by name, such as base_url, api_key, model."
    )
    voice_services: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Settings of voice back-ends by name, such as their address and key."
    )
    allowed_services: list[str] = Field(
        default_factory=list, description="Hosts beside loopback that a caller may name as `base_url` of replies."
    )
    minimum_metrics: dict[str, float] = Field(
        default_factory=lambda: {
            "lip_gap_corr": 0.4,
            "gap_std_ratio": 0.4,
            "sharpness": 0.6,
            "lag_ms": -80.0,
            "sync": 0.3,
            "psnr_gain": -1.0,
            "person": 0.4,
            "faces_found": 0.9,
        },
        description="A trained version below any of these goes to review instead of live.",
    )
    maximum_metrics: dict[str, float] = Field(
        default_factory=lambda: {"sharpness": 1.5, "lag_ms": 80.0},
        description="The same for one above any of these. A figure that was not measured counts for neither.",
    )
    minimum_voice_metrics: dict[str, float] = Field(
        default_factory=lambda: {"similarity": 0.7, "similarity_zh": 0.6, "dnsmos": 2.0},
        description="A version of a voice below any of these goes to review when it is evaluated.",
    )
    maximum_voice_metrics: dict[str, float] = Field(
        default_factory=lambda: {"wer": 0.6}, description="The same for one above any of these."
    )

    imports_need_signature: bool = Field(False, description="Refuse bundles not signed by a studio trusted here.")
    trusted_studios: list[str] = Field(
        default_factory=list, description="Public keys (base64) of studios whose exports are trusted."
    )

    job_kinds: dict[str, str] = Field(
        default_factory=dict, description='Job kinds of plug-ins: {"kind": "module:Body"}.'
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = Field(True, description="One JSON object a line on standard error.")

    @property
    def models(self) -> Path:
        """Folder of trained bundles and downloaded weights."""
        if self.models_dir is not None:
            return self.models_dir
        return self.data_dir.parent / "models" if self.data_dir.name == "data" else self.data_dir / "models"

    @property
    def place(self) -> str:
        """Name of the machine this process runs on."""
        return self.machine or socket.gethostname()

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'meta.db'}"

"""Who made an export: an Ed25519 signature over its manifest, which names every other file with its SHA-256."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lipsync.errors import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "signature.json"
_ALGORITHM = "ed25519"
_CONTEXT = b"livetalking-studio bundle manifest v1\0"


@dataclass(frozen=True)
class Signature:
    """What ``signature.json`` of an export holds; key and value in base64."""

    algorithm: str
    key: str
    value: str


def studio_key(path: Path) -> Ed25519PrivateKey:
    """Return the studio's signing key; made at the first call and kept at ``path`` (PEM, 0600)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.is_file():
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(made)
        try:
            os.link(aside, path)  # the first of two processes wins, and the other reads what it wrote
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError("The studio's signing key is of another kind.", f"Move {path.name} away; a new one is made.")
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public half in base64: what other studios know this one by."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the content of ``signature.json`` for a manifest's bytes."""
    value = base64.b64encode(key.sign(_CONTEXT + manifest)).decode()
    return json.dumps(asdict(Signature(_ALGORITHM, public_text(key), value)), indent=2).encode() + b"\n"


def signer_of(manifest: bytes, signature: bytes) -> str:
    """Return the public key (base64) that signed a manifest.

    Raises:
        BundleError: The signature is damaged, or of another manifest.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    remedy = "Do not use this file; ask for a new export."
    try:
        found = Signature(**json.loads(signature))
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(found.key, validate=True))
        value = base64.b64decode(found.value, validate=True)
        if found.algorithm != _ALGORITHM:
            raise ValueError(found.algorithm)
    except (ValueError, TypeError, AttributeError) as error:
        raise BundleError("The file's signature cannot be read.", remedy) from error
    try:
        key.verify(value, _CONTEXT + manifest)
    except InvalidSignature:
        raise BundleError("The file's signature does not fit: it was changed after it was signed.", remedy) from None
    return found.key

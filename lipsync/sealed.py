"""A file under a passphrase: encrypted and authenticated in pieces, so that no part is believed before it is checked.

Layout, big-endian: ``LTSEAL`` and a byte of version (1); then one line of JSON naming the cost of the key (Argon2id:
passes, lanes, KiB), its salt and the size of a piece; then pieces, each AES-256-GCM with a nonce that counts them and a
last byte that marks the final one, so none can be left out, moved, doubled or cut off unseen (the STREAM construction,
Hoang, Reyhanitabar, Rogaway and Vizar, 2015). The header is authenticated with every piece.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lipsync.errors import BundleError, InvalidInputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"LTSEAL\x01"
PIECE = 1 << 20
SHORTEST = 8
"""Characters that a passphrase has at least."""
_PASSES, _LANES, _KIB = 3, 4, 64 * 1024
_MOST_KIB = 1024 * 1024
_TAG = 16
_WRONG = "Check the passphrase; if it is right, the file was changed on its way: ask for it again."


def is_sealed(path: Path) -> bool:
    """Return whether a file begins as a sealed one."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def seal(source: Path, target: Path, passphrase: str) -> Path:
    """Write ``source`` encrypted to ``target`` (aside, then renamed) and return it.

    Raises:
        InvalidInputError: The passphrase is shorter than 8 characters.
    """
    if len(passphrase) < SHORTEST:
        raise InvalidInputError(f"The passphrase has fewer than {SHORTEST} characters.", "Choose a longer one.")
    salt = os.urandom(16)
    facts = {"kdf": "argon2id", "passes": _PASSES, "lanes": _LANES, "kib": _KIB, "piece": PIECE}
    header = json.dumps({**facts, "salt": base64.b64encode(salt).decode()}, separators=(",", ":")).encode()
    cipher = _cipher(passphrase, salt, _PASSES, _LANES, _KIB)
    target = Path(target)
    aside = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        with Path(source).open("rb") as plain, aside.open("xb") as sink:
            sink.write(MAGIC + header + b"\n")
            for number, piece, last in _pieces(plain, PIECE):
                sink.write(cipher.encrypt(_nonce(number, last), piece, MAGIC + header))
            sink.flush()
            os.fsync(sink.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def unseal(source: Path, target: Path, passphrase: str) -> Path:
    """Decrypt a file that ``seal`` wrote; nothing is left at ``target`` unless all of it was authentic.

    Raises:
        BundleError: Not sealed, sealed by a later version, wrong passphrase, changed, or cut off.
    """
    from cryptography.exceptions import InvalidTag

    target = Path(target)
    aside = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        with Path(source).open("rb") as sealed, aside.open("xb") as sink:
            if sealed.read(len(MAGIC)) != MAGIC:
                raise BundleError("The file is not sealed, or by a later version of the studio.", "Import it as it is.")
            header = sealed.readline(4096)
            facts, salt = _parse(header)
            cipher = _cipher(passphrase, salt, facts["passes"], facts["lanes"], facts["kib"])
            opened = 0
            try:
                for number, piece, last in _pieces(sealed, facts["piece"] + _TAG):
                    sink.write(cipher.decrypt(_nonce(number, last), piece, MAGIC + header[:-1]))
                    opened += 1
            except InvalidTag:
                if opened:
                    raise BundleError(
                        f"The file was changed or cut off after {opened} MiB.", "Copy or download it again."
                    ) from None
                raise BundleError("The passphrase is wrong, or the file was changed.", _WRONG) from None
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def _parse(header: bytes) -> tuple[dict[str, int], bytes]:
    remedy = "Copy or download the file again."
    try:
        raw = json.loads(header)
        salt = base64.b64decode(raw["salt"], validate=True)
        facts = {key: int(raw[key]) for key in ("passes", "lanes", "kib", "piece")}
        kdf = raw["kdf"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError("The sealed file's header is damaged.", remedy) from error
    honest = (
        1 <= facts["passes"] <= 16 and 1 <= facts["lanes"] <= 16 and 8 * facts["lanes"] <= facts["kib"] <= _MOST_KIB
    )
    if kdf != "argon2id" or not honest or len(salt) != 16 or not 1 << 10 <= facts["piece"] <= 1 << 26:
        raise BundleError("The sealed file's header asks for what cannot be.", remedy)
    return facts, salt


def _cipher(passphrase: str, salt: bytes, passes: int, lanes: int, kib: int) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=kib)
    return AESGCM(kdf.derive(passphrase.encode("utf-8")))


def _nonce(number: int, last: bool) -> bytes:
    return struct.pack(">7xIB", number, last)


def _pieces(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether it is the last, of each piece; an empty file is one empty piece."""
    number, piece = 0, file.read(size)
    while True:
        after = file.read(size) if len(piece) == size else b""
        yield number, piece, not after
        if not after:
            return
        number, piece = number + 1, after

"""Bundles that leave and enter the studio: signed by it, sealed with a passphrase if one is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.control_api.services.tools import Tools
from lipsync.errors import BundleError, ForbiddenError
from lipsync.progress import Progress

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from lipsync.bundle import Manifest

PASSPHRASE_FIELD = "sealed_passphrase"  # noqa: S105  (a name, not a secret)
"""Under this name a job's request holds a passphrase, sealed with the studio's own key; it is never presented."""
_KEY_FILE = "studio.key"


def own_key(tools: Tools) -> Ed25519PrivateKey:
    """Return the key that this studio signs with; made when it is first needed."""
    from lipsync.signature import studio_key

    return studio_key(tools.settings.data_dir / _KEY_FILE)


def with_secret(tools: Tools, request: dict[str, Any], passphrase: str | None) -> dict[str, Any]:
    """Return a job's request with a passphrase put into it, sealed."""
    return request if passphrase is None else {**request, PASSPHRASE_FIELD: tools.owner.seal(passphrase)}


def write(tools: Tools, source: Path, target: Path, request: dict[str, Any]) -> Path:
    """Pack a bundle, signed, and sealed if the request holds a passphrase; returns the ``.zip`` or ``.ltseal``."""
    from lipsync.bundle import pack
    from lipsync.sealed import seal

    packed = pack(source, target.with_name(f"{target.name}.zip"), own_key(tools))
    if PASSPHRASE_FIELD not in request:
        return packed
    try:
        return seal(packed, target.with_name(f"{target.name}.ltseal"), tools.owner.unseal(request[PASSPHRASE_FIELD]))
    finally:
        packed.unlink()


def write_networks(tools: Tools, source: Path, target: Path, request: dict[str, Any], progress: Progress) -> Path:
    """Pack an avatar's networks in other formats, each held against the network itself; sealed as ``write`` does."""
    import zipfile

    from lipsync.export import export_bundle
    from lipsync.sealed import seal

    folder, packed = target.with_name(f".{target.name}.networks"), target.with_name(f"{target.name}-networks.zip")
    try:
        written = export_bundle(source, folder, request["formats"], progress)
        for one in written:
            progress.log(f"{one.file} answers as the network does, to {one.difference:.1e}.")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
    finally:
        tools.files.remove(folder)
    if PASSPHRASE_FIELD not in request:
        return packed
    try:
        return seal(packed, packed.with_suffix(".ltseal"), tools.owner.unseal(request[PASSPHRASE_FIELD]))
    finally:
        packed.unlink()


def read(tools: Tools, source: Path, folder: Path, request: dict[str, Any]) -> tuple[Manifest, dict[str, Any]]:
    """Open a package into ``folder``.

    Returns:
        Its manifest, and ``signed_by`` (a public key or None) and ``trusted`` for the job's result.

    Raises:
        BundleError: sealed and no passphrase or a wrong one; changed; no bundle; signed wrongly.
        ForbiddenError: the settings ask for the signature of a studio that is known here, and it has none.
    """
    from lipsync.bundle import unpack_signed
    from lipsync.sealed import is_sealed, unseal
    from lipsync.signature import public_text

    opened = source
    if is_sealed(source):
        if PASSPHRASE_FIELD not in request:
            raise BundleError("The file is sealed with a passphrase.", "Send its passphrase with the import.")
        opened = folder.with_name(f".opened-{folder.name}")
        opened.parent.mkdir(parents=True, exist_ok=True)
        opened.unlink(missing_ok=True)
        unseal(source, opened, tools.owner.unseal(request[PASSPHRASE_FIELD]))
    try:
        manifest, signer = unpack_signed(opened, folder)
    finally:
        if opened is not source:
            opened.unlink(missing_ok=True)
    known = {public_text(own_key(tools)), *tools.settings.trusted_studios}
    trusted = signer in known
    if tools.settings.imports_need_signature and not trusted:
        tools.files.remove(folder)
        raise ForbiddenError(
            "The file is not signed by a studio that is trusted here.",
            "Add the public key of the studio it came from to `trusted_studios`.",
            {"signed_by": signer},
        )
    return manifest, {"signed_by": signer, "trusted": trusted}

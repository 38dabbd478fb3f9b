"""Bundles: a model on disk as a folder of plain files under a manifest, and as one zip to carry it.

A bundle holds ``manifest.json``, ``weights.safetensors`` and whatever else the engine needs (its base clip, its bank).
Nothing in it is ever executed: tensors are safetensors, everything else is data, and each file is named in the manifest
with its sha256. A bundle is written aside and renamed, so a folder either is a whole bundle or is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipsync import signature
from lipsync.errors import BundleError, ConflictError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILES = 1000
MAX_TOTAL_BYTES = 8 << 30
MAX_RATIO = 200
"""An entry that inflates by more than this is taken for a bomb; ours, zeroed tensors apart, stay below 20."""
_REFUSED_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npy", ".npz", ".py", ".pyc", ".so"}
)
_CHUNK = 1 << 20
_MAX_SIGNATURE_BYTES = 4096


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; ``manifest.json``.

    Attributes:
        name: The avatar's name as people read it.
        version: Version of this avatar, a short word ("1", "preview").
        kind: "avatar" or "voice".
        engine: Name of the engine that reads the bundle.
        sample_rate: Rate in Hz of the sound the engine is driven by.
        input_shape: Shape of the engine's network input, or of a base frame (height, width, 3).
        feature: Which audio feature drives it ("mel", "lipbank-encoder" ...).
        metrics: Figures of the judge, by name.
        files: sha256 of every other file, by its path inside the bundle (with forward slashes).
        takes: Ids of the takes it was learned from.
        consent_id: Id of the consent it rests on, or None.
        created_at: UTC, ISO 8601.
        studio_version: Version of the studio that wrote it.
        parent: Version it continues from, or None.
        extra: Settings of the engine that are no tensors, JSON-serialisable.
    """

    name: str
    version: str
    kind: str
    engine: str
    sample_rate: int
    input_shape: tuple[int, ...]
    feature: str
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    consent_id: str | None = None
    created_at: str = ""
    studio_version: str = ""
    parent: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def studio_version() -> str:
    """The installed version of the studio, or the source tree's own number."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("livetalking-studio")
    except PackageNotFoundError:
        return "0.1.0"


def now() -> str:
    """The time as manifests write it: UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_bundle(
    folder: Path,
    manifest: Manifest,
    tensors: Mapping[str, NDArray[Any]],
    files: Mapping[str, Path | bytes] | None = None,
    *,
    replace: bool = False,
) -> Path:
    """Write a bundle aside and rename it to ``folder``.

    Args:
        folder: Where it goes; must not exist unless ``replace``.
        manifest: Its ``files``, ``created_at`` and ``studio_version`` are filled in here.
        tensors: Arrays by name, for ``weights.safetensors``.
        files: Further files by path inside the bundle: bytes, or a path that is copied.
        replace: Swap an existing bundle at ``folder`` for this one.

    Raises:
        ConflictError: ``folder`` exists.
        BundleError: A file name that leaves the folder or is of a kind that can run code.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    if folder.exists() and not replace:
        raise ConflictError(f"There is already something at {folder.name}.", "Choose a new version.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir()
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, str(aside / WEIGHTS))
        for name, content in (files or {}).items():
            target = aside / _safe_name(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                target.write_bytes(content)
            else:
                shutil.copyfile(content, target)
        sums = {p.relative_to(aside).as_posix(): sha256(p) for p in sorted(aside.rglob("*")) if p.is_file()}
        _write_manifest(aside, _with(manifest, files=sums))
        swap_in(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def update_manifest(folder: Path, **changes: Any) -> Manifest:
    """Change fields of a written bundle's manifest (its metrics, name, version) in one atomic step."""
    manifest = _with(read_manifest(folder, verify=False), **changes)
    _write_manifest(Path(folder), manifest)
    return manifest


def read_manifest(folder: Path, verify: bool = True) -> Manifest:
    """Read a bundle's manifest.

    Args:
        folder: The bundle.
        verify: Also hash every file and compare, and refuse files the manifest does not name.

    Raises:
        BundleError: No bundle, damaged, or with files that are not its own.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError("The manifest is too large to be one of ours.", "Export the avatar again.")
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{folder.name} holds no manifest.json.", "Choose the folder of an exported avatar."
        ) from None
    except (OSError, ValueError) as error:
        raise BundleError(f"The manifest cannot be read: {error}", "Export the avatar again.") from error
    manifest = _parse(raw)
    if verify:
        _verify(folder, manifest)
    return manifest


def load_tensors(folder: Path) -> dict[str, NDArray[Any]]:
    """Load ``weights.safetensors`` of a bundle.

    Raises:
        BundleError: Missing, truncated, or with numbers that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, NDArray[Any]] = load_file(str(Path(folder) / WEIGHTS))
    except (OSError, SafetensorError, ValueError) as error:
        raise BundleError(f"The weights cannot be read: {error}", "Train or import the avatar again.") from error
    bad = [k for k, v in tensors.items() if np.issubdtype(v.dtype, np.floating) and not np.isfinite(v).all()]
    if bad:
        raise BundleError(f"The weights hold numbers that are not finite ({bad[0]}).", "Train the avatar again.")
    return tensors


def pack(folder: Path, target: Path, key: Ed25519PrivateKey | None = None) -> Path:
    """Write a bundle as one zip file (stored aside, then renamed), signed if a key is given, and return its path."""
    folder, target = Path(folder), Path(target)
    manifest = read_manifest(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name in (MANIFEST, *manifest.files):
                archive.write(folder / name, name)
            if key is not None:
                archive.writestr(signature.NAME, signature.sign((folder / MANIFEST).read_bytes(), key))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def unpack(source: Path, folder: Path, *, max_bytes: int = MAX_TOTAL_BYTES) -> Manifest:
    """``unpack_signed`` for those who do not ask whose the bundle is."""
    return unpack_signed(source, folder, max_bytes=max_bytes)[0]


def unpack_signed(source: Path, folder: Path, *, max_bytes: int = MAX_TOTAL_BYTES) -> tuple[Manifest, str | None]:
    """Unpack a foreign zip into ``folder`` after checking that it is a bundle and nothing else.

    Args:
        source: The zip file.
        folder: Where the bundle goes; must not exist.
        max_bytes: The most it may hold unpacked.

    Returns:
        Its manifest, and the public key (base64) it was signed with, None if it was not signed.

    Raises:
        BundleError: Not a zip, a path that leaves the folder, a link, a bomb, a file that can run code, a file that the
            manifest does not name or whose sha256 differs, a signature that does not fit.
        ConflictError: ``folder`` exists.
    """
    source, folder = Path(source), Path(folder)
    if folder.exists():
        raise ConflictError(f"There is already something at {folder.name}.", "Choose a new version.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.partial-{uuid.uuid4().hex[:8]}"
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            _check_entries(entries, max_bytes)
            aside.mkdir()
            for entry in entries:
                _extract(archive, entry, aside)
        signer: str | None = None
        if (signed := aside / signature.NAME).is_file():
            signer = signature.signer_of((aside / MANIFEST).read_bytes(), signed.read_bytes())
            signed.unlink()
        manifest = read_manifest(aside)
        load_tensors(aside)
        swap_in(aside, folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        raise BundleError(
            f"The file cannot be unpacked: {error}", "Choose a file made by the studio's export."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest, signer


def swap_in(aside: Path, folder: Path) -> None:
    """Put a finished folder in its place; what stood there before is removed after the swap."""
    old = folder.parent / f".{folder.name}.old-{uuid.uuid4().hex[:8]}"
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _with(manifest: Manifest, **changes: Any) -> Manifest:
    values = {f.name: getattr(manifest, f.name) for f in fields(Manifest)} | changes
    values["created_at"] = values["created_at"] or now()
    values["studio_version"] = values["studio_version"] or studio_version()
    return Manifest(**values)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=2, allow_nan=False)
    aside = folder / f".{MANIFEST}.{uuid.uuid4().hex[:8]}"
    with aside.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / MANIFEST)


def _parse(raw: Any) -> Manifest:
    remedy = "Choose an avatar made by this version of the studio or an older one."
    if not isinstance(raw, dict):
        raise BundleError("The manifest is not an object.", remedy)
    known = {f.name for f in fields(Manifest)}
    needed = {"name", "version", "kind", "engine", "sample_rate", "input_shape", "feature", "files"}
    if missing := needed - raw.keys():
        raise BundleError(f"The manifest lacks {', '.join(sorted(missing))}.", remedy)
    if unknown := raw.keys() - known:
        raise BundleError(f"The manifest has unknown fields: {', '.join(sorted(unknown))}.", remedy)
    texts = all(isinstance(raw[k], str) for k in ("name", "version", "kind", "engine", "feature"))
    sums = raw["files"]
    if not texts or not isinstance(sums, dict) or not all(isinstance(v, str) for v in sums.values()):
        raise BundleError("The manifest has fields of a wrong type.", remedy)
    if not isinstance(raw["sample_rate"], int) or not isinstance(raw["input_shape"], list):
        raise BundleError("The manifest has fields of a wrong type.", remedy)
    for name in sums:
        _safe_name(name)
    raw = raw | {"input_shape": tuple(int(v) for v in raw["input_shape"]), "takes": tuple(raw.get("takes") or ())}
    return Manifest(**raw)


def _verify(folder: Path, manifest: Manifest) -> None:
    remedy = "Import or train the avatar again."
    for name, wanted in manifest.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"The file {name} is missing.", remedy)
        if sha256(path) != wanted:
            raise BundleError(f"The file {name} has changed since it was written.", remedy)
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()}
    if stray := present - manifest.files.keys() - {MANIFEST}:
        raise BundleError(f"There are files the manifest does not name: {', '.join(sorted(stray)[:5])}.", remedy)


def _safe_name(name: str) -> str:
    path = PurePosixPath(name)
    plain = (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name
    )
    if not plain or "\0" in name or path.as_posix() != name or name == MANIFEST:
        raise BundleError(f"The file name {name!r} leaves the bundle or is reserved.", "Do not use this file.")
    if path.suffix.lower() in _REFUSED_SUFFIXES:
        raise BundleError(f"The file {name!r} is of a kind that can run code.", "Do not use this file.")
    return name


def _check_entries(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    remedy = "Do not use this file; ask for a new export."
    names = [e.filename for e in entries]
    if len(entries) > MAX_FILES or len(set(names)) != len(names):
        raise BundleError("The file holds too many entries or one entry twice.", remedy)
    if MANIFEST not in names:
        raise BundleError("The file holds no manifest.json.", "Choose a file made by the studio's export.")
    for entry in entries:
        if entry.filename == signature.NAME and entry.file_size > _MAX_SIGNATURE_BYTES:
            raise BundleError("The signature is too large to be one.", remedy)
        if entry.filename != MANIFEST:
            _safe_name(entry.filename)
        mode = entry.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise BundleError(f"{entry.filename} is a link or a device.", remedy)
        if entry.file_size > max(MAX_RATIO * max(entry.compress_size, 1), 1 << 16):
            raise BundleError(f"{entry.filename} inflates too far to be honest.", remedy)
    total = sum(e.file_size for e in entries)
    if total > max_bytes:
        raise BundleError(f"The file holds {total >> 20} MiB, more than {max_bytes >> 20} MiB.", remedy)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise BundleError(f"{entry.filename} is larger than it says.", "Do not use this file.")
            sink.write(chunk)

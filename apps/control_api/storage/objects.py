"""Objects by key: in a folder that several machines mount, or in an S3-compatible store. One contract, held by tests.

A key is a relative POSIX path. An object appears whole or not at all, and replaces an older one in one step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from lipsync.errors import InvalidInputError, NotFoundError, UnavailableError

_DELETE_AT_ONCE = 1000
_MISSING = ("404", "NoSuchKey", "NotFound")
_T = TypeVar("_T")


class Objects(Protocol):
    """What both stores do. ``NotFoundError``: no such object; ``UnavailableError`` (retryable): no answer."""

    def put(self, key: str, path: Path) -> None:
        """Keep a copy of the file at ``path``."""

    def get(self, key: str, path: Path) -> None:
        """Write the object to ``path``, whose folder exists."""

    def write(self, key: str, data: bytes) -> None:
        """Keep ``data``."""

    def read(self, key: str) -> bytes:
        """Return a small object."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with ``prefix``, sorted."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over."""


def open_objects(url: str, endpoint: str | None = None) -> Objects:
    """Open the store at ``url``: ``s3://bucket[/prefix]`` or ``file:///folder``.

    ``endpoint`` is the address of a store that is not Amazon's. Credentials come as boto3 finds them: AWS_ACCESS_KEY_ID
    and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return S3Objects(parts.netloc, parts.path.strip("/"), endpoint)
    if parts.scheme == "file" and not parts.netloc and parts.path not in ("", "/"):
        return FolderObjects(Path(parts.path))
    raise InvalidInputError(
        f"This is no address of a store: {url}", "Set STUDIO_OBJECTS_URL to s3://bucket/prefix or file:///folder."
    )


class FolderObjects:
    """Objects as files below one folder; written aside and renamed."""

    def __init__(self, root: Path) -> None:
        """Make ``root`` if it is not there."""
        self._root = root.resolve()
        self._aside = self._root / ".aside"
        self._aside.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, path: Path) -> None:
        """See ``Objects``."""
        self._place(key, lambda aside: shutil.copyfile(path, aside))

    def get(self, key: str, path: Path) -> None:
        """See ``Objects``."""
        try:
            shutil.copyfile(self._path(key), path)
        except FileNotFoundError as error:
            raise _missing(key) from error

    def write(self, key: str, data: bytes) -> None:
        """See ``Objects``."""
        self._place(key, lambda aside: aside.write_bytes(data))

    def read(self, key: str) -> bytes:
        """See ``Objects``."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise _missing(key) from error

    def keys(self, prefix: str) -> list[str]:
        """See ``Objects``."""
        top = self._root / prefix.rpartition("/")[0]
        found = (p.relative_to(self._root).as_posix() for p in top.rglob("*") if p.is_file())
        return sorted(key for key in found if key.startswith(prefix) and not key.startswith(".aside/"))

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Objects``."""
        for key in keys:
            path = self._path(key)
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self._root or not folder.is_dir() or any(folder.iterdir()):
                    break
                try:
                    folder.rmdir()
                except OSError:  # somebody has just put something there
                    break

    def _place(self, key: str, make: Callable[[Path], Any]) -> None:
        path, aside = self._path(key), self._aside / str(uuid4())
        make(aside)
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.replace(path)
                return
            except FileNotFoundError:  # the folder went with the last object in it
                if not aside.exists():
                    raise

    def _path(self, key: str) -> Path:
        return self._root / checked(key)


class S3Objects:
    """Objects in a bucket of an S3-compatible store; boto3 comes with the extra ``workers``."""

    def __init__(self, bucket: str, prefix: str = "", endpoint: str | None = None) -> None:
        """Connects on first use. ``prefix`` lies before every key."""
        try:
            import boto3
            from boto3.exceptions import Boto3Error
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise UnavailableError("boto3 is not installed.", "Install the extra `workers`.") from error
        self._errors = (BotoCoreError, ClientError, Boto3Error)
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        config = Config(
            retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=5, read_timeout=60, max_pool_connections=16
        )
        self._client = boto3.client("s3", endpoint_url=endpoint, config=config)

    def put(self, key: str, path: Path) -> None:
        """See ``Objects``; large files go up in parts."""
        self._call(key, lambda: self._client.upload_file(str(path), self._bucket, self._key(key)))

    def get(self, key: str, path: Path) -> None:
        """See ``Objects``."""
        self._call(key, lambda: self._client.download_file(self._bucket, self._key(key), str(path)))

    def write(self, key: str, data: bytes) -> None:
        """See ``Objects``."""
        self._call(key, lambda: self._client.put_object(Bucket=self._bucket, Key=self._key(key), Body=data))

    def read(self, key: str) -> bytes:
        """See ``Objects``."""

        def whole() -> bytes:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=self._key(key))["Body"].read())

        return self._call(key, whole)

    def keys(self, prefix: str) -> list[str]:
        """See ``Objects``."""

        def pages() -> list[str]:
            listing = self._client.get_paginator("list_objects_v2")
            found = listing.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            return [item["Key"].removeprefix(self._prefix) for page in found for item in page.get("Contents", ())]

        return sorted(self._call(prefix, pages))

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Objects``."""
        names = [{"Key": self._key(key)} for key in keys]
        for i in range(0, len(names), _DELETE_AT_ONCE):
            wanted = {"Objects": names[i : i + _DELETE_AT_ONCE], "Quiet": True}
            left = self._call("", partial(self._client.delete_objects, Bucket=self._bucket, Delete=wanted))
            if left.get("Errors"):
                raise UnavailableError(
                    f"The object store did not delete {left['Errors'][0].get('Key')}.", "Look at the bucket's policy."
                )

    def _key(self, key: str) -> str:
        return self._prefix + checked(key)

    def _call(self, key: str, do: Callable[[], _T]) -> _T:
        try:
            return do()
        except self._errors as error:
            code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
            if code in _MISSING:
                raise _missing(key) from error
            raise UnavailableError(
                f"The object store does not do its work: {error}", "Look at its address, bucket and credentials."
            ) from error


def checked(key: str) -> str:
    """Return ``key`` if it is a plain relative path."""
    parts = PurePosixPath(key).parts
    if not key or key.startswith("/") or ".." in parts or "\\" in key or os.path.isabs(key):  # noqa: PTH117
        raise InvalidInputError(f"This is no key of an object: {key!r}", "Keys are relative paths without `..`.")
    return key


def _missing(key: str) -> NotFoundError:
    return NotFoundError("There is no such object in the store.", "It may have been deleted.", {"key": key})

"""Multipart bodies written to disk as they arrive: flat memory, limits kept while reading."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from apps.control_api.services.takes import Received
from apps.control_api.services.uploads import clean_name
from lipsync.errors import InvalidInputError, TooLargeError

_FLUSH = 1 << 20
_FIELD_LIMIT = 1 << 16
_REMEDY = "Send multipart/form-data as the OpenAPI document says."
_RESUME = "Send it again; large files go by resumable upload."


@dataclass
class Form:
    """What a body held: small fields as text, files by the name of their field."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Received] = field(default_factory=dict)


@dataclass
class _Part:
    name: str = ""
    filename: str | None = None
    text: bytearray = field(default_factory=bytearray)
    size: int = 0


class _Reader:
    """Callbacks of the parser. ``limits`` names the files allowed and their largest sizes in bytes."""

    def __init__(self, folder: Path, limits: dict[str, int]) -> None:
        self._folder, self._limits = folder, limits
        self.form = Form()
        self.ended = False
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._waiting = bytearray()

    def callbacks(self) -> dict[str, object]:
        """Return the table the parser wants."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda d, a, b: self._header[0].extend(d[a:b]),
            "on_header_value": lambda d, a, b: self._header[1].extend(d[a:b]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    @property
    def pending(self) -> int:
        """Bytes of a file that wait to be written."""
        return len(self._waiting)

    def flush(self) -> None:
        """Write what waits; blocking."""
        if self._file is not None and self._waiting:
            self._digest.update(self._waiting)
            self._file.write(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Close an open file (the caller removes the folder)."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._part = _Part()
        self._header = (bytearray(), bytearray())

    def _header_end(self) -> None:
        name, value = bytes(self._header[0]).lower(), bytes(self._header[1])
        self._header = (bytearray(), bytearray())
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                raw = options[b"filename"].decode("utf-8", "replace")
                self._part.filename = clean_name(raw)

    def _headers_end(self) -> None:
        part = self._part
        if part.filename is None:
            return
        if part.name not in self._limits:
            raise InvalidInputError(f"There is no file field called '{part.name[:40]}'.", _REMEDY)
        if part.name in self.form.files:
            raise InvalidInputError(f"The file field '{part.name}' came twice.", _REMEDY)
        self._file = (self._folder / part.name).open("xb")
        self._digest = hashlib.sha256()

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        part.size += end - start
        if part.filename is None:
            if part.size > _FIELD_LIMIT:
                raise TooLargeError(f"The field '{part.name[:40]}' is too long.", "Send less.")
            part.text.extend(data[start:end])
            return
        if part.size > self._limits[part.name]:
            raise TooLargeError(
                f"The file '{part.name}' is over its limit of {self._limits[part.name] // 2**20} MiB.",
                "Send a shorter recording, or raise the limit in the settings.",
            )
        self._waiting.extend(data[start:end])

    def _end(self) -> None:
        part = self._part
        if part.filename is None:
            try:
                self.form.fields[part.name[:40]] = part.text.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidInputError(f"The field '{part.name[:40]}' is not UTF-8.", _REMEDY) from None
            return
        self.flush()
        assert self._file is not None  # noqa: S101  (opened when the part's headers ended)
        path = Path(self._file.name)
        self._file.close()
        self._file = None
        self.form.files[part.name] = Received(path, part.filename, part.size, self._digest.hexdigest())

    def _finish(self) -> None:
        self.ended = True


async def read_form(request: Request, folder: Path, limits: dict[str, int]) -> Form:
    """Read a multipart body into ``folder``.

    Args:
        request: Its body has not been touched yet.
        folder: An empty folder; removing it is the caller's.
        limits: The file fields allowed, with their largest sizes in bytes.

    Raises:
        InvalidInputError: not multipart, cut off, or with fields that do not belong.
        TooLargeError: a file or field is over its limit.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise InvalidInputError("The body is not multipart/form-data.", _REMEDY)
    reader = _Reader(folder, limits)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        async for chunk in request.stream():
            if chunk:
                parser.write(chunk)
            if reader.pending >= _FLUSH:
                await asyncio.to_thread(reader.flush)
        parser.finalize()
    except FormParserError:
        raise InvalidInputError("The multipart body is damaged.", _REMEDY) from None
    except ClientDisconnect:
        raise InvalidInputError("The client went away in the middle of the body.", _RESUME) from None
    finally:
        reader.close()
    if not reader.ended:
        raise InvalidInputError("The body ends in the middle.", _RESUME)
    return reader.form

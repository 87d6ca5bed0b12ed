"""Bodies of large uploads: written to files without names while they arrive, within a limit.

Takes multipart forms, of which only parts with a file name count, and bodies that are one file. Never holds more than
a piece in memory, and leaves nothing behind, whatever becomes of the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import anyio
import anyio.to_thread
import msgspec
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from missioncontrol.blobs.local import storage_failures
from missioncontrol.errors import BadRequest

_PIECE_BYTES = 1 << 20
_SILENCE_S = 60.0
_MOST_FILES = 1000
_LONGEST_FORM_FIELD = 64 * 1024


class UploadTooLarge(BadRequest):
    """More than may be sent at once."""

    status = 413


class Uploaded(msgspec.Struct, frozen=True):
    """A file that was sent. Close it."""

    name: str
    file: BinaryIO


class _Files:
    """Collects the files of one request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Uploaded] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._target: BinaryIO | None = None
        self._form_bytes = 0
        self.ended = False

    def begin_file(self, name: str) -> None:
        """From now on what is written belongs to a file of this name."""
        if len(self.files) >= _MOST_FILES:
            raise BadRequest("too_many_files", f"An upload has {_MOST_FILES:,} files at most.", "Send a zip.")
        with storage_failures("the upload"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._target = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115 - closed in close()
        self.files.append(Uploaded(name, self._target))

    def write(self, data: bytes) -> None:
        """Append to the file that was begun; what belongs to none is dropped."""
        if self._target is not None:
            with storage_failures("the upload"):
                self._target.write(data)
            return
        self._form_bytes += len(data)
        if self._form_bytes > _LONGEST_FORM_FIELD:
            raise BadRequest("bad_upload", "A field of the form is too long.", "Give the file a file name.")

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser of the form that writes here."""
        callbacks: dict[str, Callable[..., None]] = {
            "on_part_begin": self._begin, "on_header_field": self._on_field, "on_header_value": self._on_value,
            "on_header_end": self._on_header, "on_headers_finished": self._on_headers, "on_part_data": self._on_data,
            "on_end": self._on_end,
        }  # fmt: skip
        return MultipartParser(boundary, callbacks, max_header_count=16, max_header_size=8192)  # type: ignore[arg-type]

    def close(self) -> None:
        """Give all files up."""
        for one in self.files:
            one.file.close()

    def _begin(self) -> None:
        self._headers, self._target = {}, None

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._field.strip().lower()] = self._value.strip()
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"filename" in options:
            name = options[b"filename"] or options.get(b"name", b"")
            self.begin_file(name.decode("utf-8", "replace")[:500])

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self.write(data[start:end])

    def _on_end(self) -> None:
        self.ended = True


async def receive_files(request: Request, folder: Path, most_bytes: int, called: str) -> list[Uploaded]:
    """The files of a request, to be closed; `called` is the name of a body that is a file itself.

    Raises `UploadTooLarge` (`upload_too_large`) and `BadRequest` (`bad_upload`, `upload_timeout`, `too_many_files`).
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most_bytes:
        raise _too_large(most_bytes)
    kind, options = parse_options_header(request.headers.get("content-type"))
    into = _Files(folder)
    try:
        if kind.lower() == b"multipart/form-data":
            await _parse(request, into, options.get(b"boundary", b""), most_bytes)
        else:
            into.begin_file(called)
            await _each_piece(request, most_bytes, into.write)
        for one in into.files:
            one.file.seek(0)
    except BaseException:
        into.close()
        raise
    return into.files


async def _parse(request: Request, into: _Files, boundary: bytes, most_bytes: int) -> None:
    try:
        parser = into.parser(boundary[:256])

        def take(piece: bytes) -> None:
            parser.write(piece)

        await _each_piece(request, most_bytes, take)
    except FormParserError:
        raise BadRequest(
            "bad_upload", "The body is no multipart form.", "curl -F file=@symbols.zip ..."
        ) from None
    if not into.ended:
        raise BadRequest("bad_upload", "The form ends before its last boundary.", "Send it again.")


async def _each_piece(request: Request, most_bytes: int, take: Callable[[bytes], None]) -> None:
    """Hand the body on in pieces of a megabyte, in a thread: disks make one wait."""
    stream = request.stream().__aiter__()
    total, gathered = 0, bytearray()
    more = True
    while more:
        try:
            with anyio.fail_after(_SILENCE_S):
                chunk = await anext(stream, b"")
        except TimeoutError:
            raise BadRequest(
                "upload_timeout", f"Nothing came for {_SILENCE_S:.0f} s.", "Send it again."
            ) from None
        except ClientDisconnect:
            raise BadRequest("bad_upload", "The client went away.") from None
        more = bool(chunk)
        total += len(chunk)
        if total > most_bytes:
            raise _too_large(most_bytes)
        gathered += chunk
        if gathered and (len(gathered) >= _PIECE_BYTES or not more):
            await anyio.to_thread.run_sync(take, bytes(gathered))
            gathered.clear()


def _too_large(most_bytes: int) -> UploadTooLarge:
    return UploadTooLarge(
        "upload_too_large",
        f"An upload has {most_bytes:,} bytes at most.",
        "Send it in parts, or set crashes.symbol_upload_max_bytes higher.",
    )

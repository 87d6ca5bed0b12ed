"""A streaming reader of multipart reports: chunks of a body in, a `Report` out.

Inflates, parses and hashes while the body arrives. Files go into drafts, annotations stay in memory, both bounded. A
part with a file name, or of a type that is no text, is a file; the part `extra` with JSON is the map of annotations;
every other part is one annotation. Never waits, and never decides whether a report is wanted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from isal import isal_zlib
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from missioncontrol.ingest.crash import reasons
from missioncontrol.ingest.crash.drafts import ReportDraft
from missioncontrol.ingest.crash.reasons import CrashRefused
from missioncontrol.ingest.crash.report import Report, UploadedFile

EXTRA = "extra"
RESERVED = frozenset({"dump_names", "raw_crash", "processed_crash"})
_GZIP = 31
_GZIP_FIRST_BYTE = 0x1F
_MOST_MEMBERS = 100
_PIECE = 256 * 1024
_JSON = "application/json"
_EXTENDED_FILENAME = re.compile(rb";\s*filename\*", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9_]")
_NAME_LENGTH = 30
_BOUNDARY_LENGTH = 256
_PREAMBLE_BYTES = 4096
_NEWLINE = ord("\n")


class Limits(msgspec.Struct, frozen=True):
    """What a report may hold."""

    inflated_bytes: int = 104_857_600
    annotations: int = 2000
    annotation_bytes: int = 20 * 1024 * 1024
    """Of one annotation; a longer one is left out with a note."""
    text_bytes: int = 32 * 1024 * 1024
    """Of all annotations."""
    files: int = 20


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type; raises `CrashRefused`."""
    if not content_type.strip():
        raise CrashRefused(reasons.NO_CONTENT_TYPE)
    kind, options = parse_options_header(content_type)
    if kind.lower() not in (b"multipart/form-data", b"multipart/mixed"):
        raise CrashRefused(reasons.WRONG_CONTENT_TYPE)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY_LENGTH:
        raise CrashRefused(reasons.NO_BOUNDARY)
    return boundary


class _Part:
    """The part that is being read."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.field = b""
        self.value = b""
        self.name = ""
        self.draft: ReportDraft | None = None
        self.digest = hashlib.sha256()
        self.text = bytearray()
        self.kept = True
        self.json = False


class ReportReader:
    """Reads one report. Use `feed` for each chunk, then `finish`; `discard` when that does not come about."""

    def __init__(
        self,
        boundary: bytes,
        gzipped: bool,
        new_draft: Callable[[str], ReportDraft],
        limits: Limits | None = None,
    ) -> None:
        """`new_draft` is given the name of a file and begins it."""
        self._limits = limits or Limits()
        self._new_draft = new_draft
        self._inflater = isal_zlib.decompressobj(_GZIP) if gzipped else None
        self._inflated = self._text_bytes = self._members = 0
        self._part = _Part()
        self._delimiter = b"--" + boundary
        self._preamble: bytearray | None = bytearray()
        self._ended = False
        self._payload = "multipart"
        self._annotations: dict[str, str] = {}
        self._extra: dict[str, str] = {}
        self._files: dict[str, UploadedFile] = {}
        self._notes: dict[str, None] = {}
        self._left_out: hashlib._Hash | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin, "on_header_field": self._header_field,
                    "on_header_value": self._header_value, "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished, "on_part_data": self._data,
                    "on_part_end": self._end_part, "on_end": self._end,
                },
                max_header_count=16,
                max_header_size=8192,
            )  # fmt: skip
        except FormParserError:
            raise CrashRefused(reasons.NO_BOUNDARY) from None

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body as sent; raises `CrashRefused`, `StorageFull` and `StorageError`."""
        if self._inflater is None:
            self._parse(chunk)
            return
        try:
            while chunk:
                if self._inflater.eof and not self._begins_member(chunk):
                    return
                self._parse(self._inflater.decompress(chunk, _PIECE))
                chunk = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        except isal_zlib.error:  # type: ignore[misc]
            raise CrashRefused(reasons.BAD_GZIP) from None

    def finish(self) -> Report:
        """The report; raises `CrashRefused`."""
        if self._inflater is not None and not self._inflater.eof:
            raise CrashRefused(reasons.BAD_GZIP)
        if not self._ended:
            raise CrashRefused(reasons.INVALID_STRUCTURE)
        annotations = {**self._annotations, **self._extra}
        left_out = self._left_out.hexdigest() if self._left_out is not None else ""
        return Report(annotations, tuple(self._files.values()), tuple(self._notes), self._payload, left_out)

    def discard(self) -> None:
        """Give up all files."""
        for draft in (self._part.draft, *(file.draft for file in self._files.values())):
            if draft is not None:
                draft.discard()

    def _begins_member(self, chunk: bytes) -> bool:
        """Whether another gzip member follows the one that is over (RFC 1952, 2.2); anything else there is nothing."""
        self._members += 1
        if self._members >= _MOST_MEMBERS or chunk[0] != _GZIP_FIRST_BYTE:
            self._members = _MOST_MEMBERS
            return False
        self._inflater = isal_zlib.decompressobj(_GZIP)
        return True

    def _parse(self, data: bytes) -> None:
        self._inflated += len(data)
        if self._inflated > self._limits.inflated_bytes:
            raise CrashRefused(reasons.TOO_LARGE_INFLATED)
        if self._ended:
            return  # what stands behind the last boundary is nothing
        if self._preamble is not None:
            data = self._from_first_boundary(data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise CrashRefused(reasons.INVALID_STRUCTURE) from None

    def _from_first_boundary(self, data: bytes) -> bytes:
        """What stands before the first boundary is nothing; what the parser makes of it depends on how it is cut."""
        assert self._preamble is not None
        self._preamble += data
        found = bytes(self._preamble)
        at = found.find(self._delimiter)
        while at > 0 and found[at - 1] != _NEWLINE:
            at = found.find(self._delimiter, at + 1)
        if at >= 0:
            self._preamble = None
            return found[at:]
        if len(found) > _PREAMBLE_BYTES:
            raise CrashRefused(reasons.INVALID_STRUCTURE)
        return b""

    def _begin(self) -> None:
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._part.field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._part.value += data[start:end]

    def _header_end(self) -> None:
        part = self._part
        part.headers[part.field.strip().lower()] = part.value.strip()
        part.field = part.value = b""

    def _headers_finished(self) -> None:
        part = self._part
        disposition = part.headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        kind, _ = parse_options_header(part.headers.get(b"content-type"))
        media = kind.decode("latin-1").lower()
        part.name = options.get(b"name", b"").decode("utf-8", "replace").replace("\x00", "")
        part.json = part.name == EXTRA and media.startswith(_JSON)
        file = b"filename" in options or _has_extended_filename(disposition)
        text = part.json or (not file and (not media or media.startswith(("text/", _JSON))))
        if not part.name:
            self._leave_out("a part without a name")
        elif not text:
            self._begin_file(media)
        elif len(self._annotations) >= self._limits.annotations and not part.json:
            self._leave_out(f"annotations beyond the first {self._limits.annotations}")

    def _begin_file(self, media: str) -> None:
        part = self._part
        part.name = _UNSAFE.sub("", part.name)[:_NAME_LENGTH]
        if not part.name:
            self._leave_out("a file whose name has no letters")
            return
        if part.name in RESERVED:
            raise CrashRefused(reasons.INVALID_DUMP_NAME)
        if len(self._files) >= self._limits.files:
            raise CrashRefused(reasons.TOO_MANY_FILES)
        if media not in ("", "application/octet-stream"):
            self._notes[f"file {part.name} came as {_printable(media)}"] = None
        part.draft = self._new_draft(part.name)

    def _leave_out(self, what: str) -> None:
        self._part.kept = False
        self._notes[f"left out: {what}"] = None

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        piece = memoryview(data)[start:end]
        if not part.kept:
            part.digest.update(piece)
            return
        if part.draft is not None:
            part.digest.update(piece)
            part.draft.write(piece)
            return
        self._text_bytes += len(piece)
        if (
            len(part.text) + len(piece) > self._limits.annotation_bytes
            or self._text_bytes > self._limits.text_bytes
        ):
            if part.json:
                raise CrashRefused(reasons.INVALID_JSON, "It is too large.")
            part.digest.update(part.text)
            part.digest.update(piece)
            part.text = bytearray()
            self._leave_out(f"annotation {_printable(part.name)}, which is too large")
            return
        part.text += piece

    def _end_part(self) -> None:
        part, self._part = self._part, _Part()
        if not part.kept:
            self._add_left_out(part.name, part.digest)
        elif part.draft is not None:
            self._add_file(part)
        elif part.json:
            self._add_extra(bytes(part.text))
        else:
            self._annotations[part.name] = _text(bytes(part.text))

    def _add_file(self, part: _Part) -> None:
        assert part.draft is not None
        if part.name in self._files:
            self._files[part.name].draft.discard()
            self._notes[f"file {part.name} came more than once; the last one is kept"] = None
        self._files[part.name] = UploadedFile(part.name, part.digest.hexdigest(), part.draft)

    def _add_extra(self, text: bytes) -> None:
        try:
            found = _decoded(text)
        except (ValueError, RecursionError):
            raise CrashRefused(reasons.INVALID_JSON) from None
        if not isinstance(found, dict):
            raise CrashRefused(reasons.INVALID_JSON_VALUE)
        self._payload = "json"
        for name, value in found.items():
            if value is None:
                continue  # as if it had not been sent
            if not isinstance(value, str):
                value = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
                self._notes["values of extra that are no text are kept as JSON"] = None
            if len(self._extra) >= self._limits.annotations:
                self._notes[f"left out: annotations beyond the first {self._limits.annotations}"] = None
                self._add_left_out(name, hashlib.sha256(value.encode("utf-8", "surrogatepass")))
                continue
            self._extra[_whole(name)] = _whole(value)

    def _add_left_out(self, name: str, digest: hashlib._Hash) -> None:
        if self._left_out is None:
            self._left_out = hashlib.sha256()
        named = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        self._left_out.update(named + digest.digest())

    def _end(self) -> None:
        self._ended = True


def _has_extended_filename(disposition: bytes) -> bool:
    """Whether it names a file as `filename*=` (RFC 5987), which the parser passes over; what is quoted is a value."""
    unquoted = b"".join(disposition.replace(b'\\"', b"").split(b'"')[::2])
    return _EXTENDED_FILENAME.search(unquoted) is not None


def _decoded(text: bytes) -> Any:
    """JSON of any writer: halves of characters and NaN, which some write, are no reason to lose a crash."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text.decode())


def _whole(text: str) -> str:
    """The text without NUL, and with U+FFFD for halves of characters."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\x00", "")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:80])

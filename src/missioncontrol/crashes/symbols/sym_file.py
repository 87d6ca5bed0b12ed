"""A Breakpad .sym file as a stream: which build it is of, what it holds, and whether it is whole.

Reads once, in pieces, and keeps no more than one of them. Says what is wrong by name and never repairs it. The walker
judges every record when it needs it; here only what shows at a glance is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from missioncontrol.crashes.symbols.names import SymbolName, symbol_name
from missioncontrol.errors import BadRequest

PIECE_BYTES = 1 << 20
_LONGEST_HEAD = 4096
_LONGEST_LINE = 1 << 20
# Of functions that a binary without debug information tells only the place of, the maker of symbols says "unknown".
_NAMELESS = rb"(?!<unknown in )"
_KINDS = {
    "symbols": re.compile(
        rb"\n(?:FUNC (?:m )?[0-9a-fA-F]+ [0-9a-fA-F]+ [0-9a-fA-F]+ |PUBLIC (?:m )?[0-9a-fA-F]+ [0-9a-fA-F]+ )"
        + _NAMELESS
    ),
    "unwind": re.compile(rb"\nSTACK "),
}
_LINE_RECORD = re.compile(rb"(?m)^[0-9a-fA-F]+ [0-9a-fA-F]+ \d+ \d+\r?$")
_STRANGE = re.compile(
    rb"\n(?![0-9a-fA-F]|FUNC |PUBLIC |STACK |FILE |INLINE |INLINE_ORIGIN |INFO |MODULE |\r?\n)"
)


class SymHead(msgspec.Struct, frozen=True):
    """The first line of a .sym file."""

    name: SymbolName
    os: str
    arch: str


class SymContent(msgspec.Struct, frozen=True):
    """What a whole .sym file turned out to be."""

    size_bytes: int
    sha256: bytes
    has: tuple[str, ...]
    """Some of `symbols`, `unwind`, `lines`."""


def looks_like_symbols(first: bytes) -> bool:
    """Whether a file that begins so means to be a .sym file."""
    return first.startswith(b"MODULE ")


def read_head(first: bytes) -> SymHead:
    """The first line, from the first bytes of a file (4 kB or all that there is).

    Raises `BadRequest` (`symbols_not_symbols`, `symbols_cut`, `symbols_bad_name`, `symbols_bad_id`).
    """
    if not looks_like_symbols(first):
        raise BadRequest(
            "symbols_not_symbols",
            "It does not begin as a Breakpad symbol file does.",
            "Its first line is `MODULE <os> <architecture> <debug id> <name>`.",
        )
    line, end, _ = first[:_LONGEST_HEAD].partition(b"\n")
    if not end:
        raise cut("It ends in its first line")
    words = line.decode("utf-8", "replace").rstrip("\r").split(" ", 4)
    if len(words) < 5:
        raise BadRequest("symbols_not_symbols", f"Its first line has {len(words)} words, not 5.")
    return SymHead(symbol_name(words[4].strip(), words[3]), words[1], words[2])


def cut(how: str) -> BadRequest:
    """The refusal of a file that is not whole."""
    return BadRequest("symbols_cut", f"{how}: it was cut off.", "Make it or fetch it again.")


class SymReader:
    """Reads the pieces of one .sym file: iterate over it to the end, then ask for `content`."""

    def __init__(self, file: BinaryIO, most_bytes: int) -> None:
        """Reads the head at once; raises `BadRequest` as `read_head()` does."""
        self._file, self._most_bytes = file, most_bytes
        self._first = _read_fully(file, PIECE_BYTES)
        self.head = read_head(self._first)
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._left = b""
        self._missing = set(_KINDS)
        self._lines = False

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of the file; raises `BadRequest` (`symbols_too_large`, `symbols_corrupt`, `symbols_cut`)."""
        piece = self._first
        self._first = b""
        while piece:
            self._take(piece)
            yield piece
            piece = self._file.read(PIECE_BYTES)
        if self._left:
            raise cut("It ends in the middle of a line")

    @property
    def content(self) -> SymContent:
        """What the file is, once it is read to its end."""
        has = tuple(k for k in _KINDS if k not in self._missing) + (("lines",) if self._lines else ())
        return SymContent(self._size_bytes, self._digest.digest(), has)

    def _take(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        if self._size_bytes > self._most_bytes:
            raise BadRequest(
                "symbols_too_large",
                f"It is larger than {self._most_bytes:,} bytes.",
                "Set crashes.symbol_max_bytes higher.",
            )
        self._digest.update(piece)
        whole, end, rest = (self._left + piece).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise _corrupt("has a line of more than a megabyte")
        self._left = rest
        if end:
            self._look(whole + end)

    def _look(self, lines: bytes) -> None:
        if b"\0" in lines:
            raise _corrupt("holds zero bytes")
        searched = b"\n" + lines
        found = _STRANGE.search(searched)
        if found is not None and found.end() < len(searched):
            shown = searched[found.end() : found.end() + 40].split(b"\n")[0].decode("utf-8", "replace")
            raise _corrupt(f"has a line that is no record: {shown!r}")
        for kind in list(self._missing):
            if _KINDS[kind].search(searched) is not None:
                self._missing.discard(kind)
        self._lines = self._lines or _LINE_RECORD.search(lines) is not None


def _read_fully(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, or all that there are: streams may give less at once."""
    found = b""
    while len(found) < size and (piece := file.read(size - len(found))):
        found += piece
    return found


def _corrupt(what: str) -> BadRequest:
    return BadRequest("symbols_corrupt", f"It {what}: it is no symbol file, or a damaged one.")

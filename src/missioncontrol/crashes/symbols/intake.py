"""Takes in what people hand in: .sym files (also gzipped), zips of them, binaries, bundles, and folders of all that.

    paths or an upload -> files, each by what it is -> SymbolSink -> a `Received` each

What a file is, is told by its first bytes and not by its name. One that is refused never stops the others. Where
symbols go, the store of this installation or a server elsewhere, is the sink's business.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from missioncontrol.crashes.symbols import archive, binaries
from missioncontrol.crashes.symbols.names import SymbolName, name_of_path
from missioncontrol.crashes.symbols.store import Received
from missioncontrol.crashes.symbols.sym_file import looks_like_symbols
from missioncontrol.errors import (
    BadRequest,
    Forbidden,
    MissionControlError,
    StorageError,
    StorageFull,
    Unauthorized,
)

_GZIP = b"\x1f\x8b"
_ZIPPED = ".sym.gz"
_FIRST_BYTES = 32


class SymbolSink(Protocol):
    """Where .sym files go."""

    def add(self, file: BinaryIO, called: str, expected: SymbolName | None = None) -> Received:
        """Take one; raises `BadRequest` for one that is refused."""


class Intake:
    """Takes files in, one after the other."""

    def __init__(
        self, sink: SymbolSink, program: Callable[[], Path] | None, bounds: archive.Bounds | None = None
    ) -> None:
        """`program` finds missioncontrol-stackwalk; None: binaries are refused."""
        self._sink, self._program = sink, program
        self._bounds = bounds or archive.Bounds()

    def take_upload(self, file: BinaryIO, called: str) -> Iterator[Received]:
        """A file that can be read and sought in: symbols or a zip of symbols; raises as `take_file` does."""
        first = _peek(file)
        if archive.is_zip(first):
            yield from self._take_zip(file, called)
        else:
            yield self._added(file, first, called, None)

    def take_file(self, path: Path, named: bool) -> Iterator[Received]:
        """A file on disk, or a dSYM bundle; raises `StorageFull`, `StorageError`, `Unauthorized` and `Forbidden`.

        What is no symbols is refused when it was `named`, and ignored where it was only met in a folder.
        """
        called = str(path)
        try:
            if path.is_dir():
                yield from self._take_binary(path, called)
                return
            with path.open("rb") as file:
                first = _peek(file)
                if archive.is_zip(first):
                    yield from self._take_zip(file, called)
                elif binaries.is_object(first):
                    yield _object(called, named)
                elif binaries.is_binary(first):
                    yield from self._take_binary(path, called)
                elif _may_be_symbols(first, called) or named:
                    yield self._added(file, first, called, _expected(called))
                else:
                    yield Received(called, "ignored", reason="no_symbols")
        except OSError as error:
            message = f"It cannot be read: {error.strerror or error}."
            yield Received(called, "refused", reason="unreadable", message=message)

    def _take_zip(self, file: BinaryIO, called: str) -> Iterator[Received]:
        try:
            for entry in archive.entries(file, self._bounds):
                if isinstance(entry, tuple):
                    yield _refused(f"{called}:{entry[0]}", entry[1])
                else:
                    yield self._take_entry(entry, f"{called}:{entry.name}")
        except BadRequest as error:
            yield _refused(called, error)

    def _take_entry(self, entry: archive.Entry, called: str) -> Received:
        try:
            first = entry.file.read(_FIRST_BYTES)
        except BadRequest as error:
            return _refused(called, error)
        if not _may_be_symbols(first, entry.name) and not entry.name.lower().endswith(".sym"):
            what = "binary" if binaries.is_binary(first) else "no_symbols"
            message = "Binaries in zips are left alone: unpack it first." if what == "binary" else ""
            return Received(called, "ignored", reason=what, message=message)
        file = cast(BinaryIO, _Again(first, entry.file))
        return self._added(file, first, called, _expected(entry.name))

    def _take_binary(self, path: Path, called: str) -> Iterator[Received]:
        if self._program is None:
            yield _refused(called, BadRequest("symbols_binary", "Binaries are not taken here."))
            return
        with tempfile.TemporaryDirectory(prefix="missioncontrol-symbols-") as folder:
            try:
                made = binaries.dump_symbols(self._program(), path, Path(folder))
            except BadRequest as error:
                yield _refused(called, error)
                return
            for sym in made:
                with sym.open("rb") as file:
                    yield self._added(file, b"MODULE ", called, None)

    def _added(self, file: BinaryIO, first: bytes, called: str, expected: SymbolName | None) -> Received:
        try:
            if first.startswith(_GZIP):
                file = cast(BinaryIO, _Unzipped(file))
            elif binaries.is_binary(first):
                raise BadRequest(
                    "symbols_binary",
                    "It is a binary, not symbols.",
                    "`missioncontrol symbols upload --url` makes symbols of binaries and sends those.",
                )
            return self._sink.add(file, called, expected)
        except (StorageFull, StorageError, Unauthorized, Forbidden):
            raise
        except MissionControlError as error:
            return _refused(called, error)


def files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and of the folders in it, and dSYM bundles as one, in the order of their names."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and path.is_dir():
            continue
        if path.is_dir() and not binaries.is_bundle(path):
            yield from files_below(path)
        elif path.is_dir() or path.is_file():
            yield path


def tally(results: Iterable[Received]) -> dict[str, int]:
    """How many files had each outcome."""
    counts: dict[str, int] = {}
    for one in results:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return counts


class _Again:
    """A stream whose first bytes were read already."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first, self._file = first, file

    def read(self, size: int = -1) -> bytes:
        if not self._first:
            return self._file.read(size)
        cut = len(self._first) if size < 0 else size
        first, self._first = self._first[:cut], self._first[cut:]
        return first


class _Unzipped:
    """A gzipped stream, unpacked; damage has a name."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="rb")

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise BadRequest("symbols_cut", f"It cannot be unpacked: {error}.", "Make it again.") from None


def _may_be_symbols(first: bytes, called: str) -> bool:
    return looks_like_symbols(first) or (first.startswith(_GZIP) and called.lower().endswith(_ZIPPED))


def _expected(called: str) -> SymbolName | None:
    """The build that a file lies under, by Breakpad's layout."""
    return name_of_path(called[:-3] if called.lower().endswith(_ZIPPED) else called)


def _peek(file: BinaryIO) -> bytes:
    first = file.read(_FIRST_BYTES)
    file.seek(0)
    return first


def _object(called: str, named: bool) -> Received:
    """What the linker made of it is what crashes."""
    if not named:
        return Received(called, "ignored", reason="symbols_object")
    message = "It is an object file. Upload what the linker made of it: the program or the shared library."
    return Received(called, "refused", reason="symbols_object", message=message)


def _refused(called: str, error: MissionControlError) -> Received:
    return Received(called, "refused", reason=error.code, message=f"{error.message} {error.hint}".strip())

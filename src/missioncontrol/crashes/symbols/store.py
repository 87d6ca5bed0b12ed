"""The store of symbols: .sym files among the objects, in the layout that the walker reads.

    file -> SymbolStore.add() -> symbols/<debug file>/<debug id>/<name>.sym, and a line in the journal of changes

What is there whole stays until what takes its place is there whole. Symbols that hold more are not replaced by ones of
the same build that hold less. Never converts anything (`binaries`) and never unpacks anything (`archive`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import msgspec

from missioncontrol.blobs.protocol import Blobs, Pieces
from missioncontrol.crashes.symbols import room
from missioncontrol.crashes.symbols.names import ROOT, SymbolName, name_of_path
from missioncontrol.crashes.symbols.sym_file import PIECE_BYTES, SymContent, SymReader
from missioncontrol.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from missioncontrol.state.symbol_changes import SymbolChanges

Outcome = Literal["new", "replaced", "already_there", "refused", "ignored"]


class Received(msgspec.Struct, frozen=True):
    """What became of one file that was handed in."""

    file: str
    """As it was called by whoever handed it in."""
    outcome: Outcome
    debug_file: str = ""
    debug_id: str = ""
    os: str = ""
    arch: str = ""
    has: tuple[str, ...] = ()
    """Some of `symbols`, `unwind`, `lines`."""
    size_bytes: int = 0
    reason: str = ""
    """A code, when it was refused or ignored."""
    message: str = ""


class StoredSymbols(msgspec.Struct, frozen=True):
    """Symbols that are in the store."""

    debug_file: str
    debug_id: str
    size_bytes: int
    stored_at: datetime


class SymbolStore:
    """The symbols of one installation. Thread-safe, and safe with other processes."""

    def __init__(
        self,
        blobs: Blobs,
        changes: SymbolChanges,
        most_bytes: int,
        now: Callable[[], datetime],
        walks_with_mb: int = 0,
    ) -> None:
        """`most_bytes` is the size of the largest file that is taken, `walks_with_mb` the memory that the walker may
        take (0: any): of files that need more it is said.
        """
        self._walks_with_mb = walks_with_mb
        self._blobs, self._changes, self._most_bytes, self._now = blobs, changes, most_bytes, now
        self._lock = threading.Lock()

    def add(self, file: BinaryIO, called: str, expected: SymbolName | None = None) -> Received:
        """Take a .sym file in. With `expected` its first line must name that build.

        Raises `BadRequest` (`symbols_...`) for a file that is refused; `StorageFull` and `StorageError`.
        """
        reader = SymReader(file, self._most_bytes)
        name = reader.head.name
        if expected is not None and not same_build(expected, name):
            raise BadRequest(
                "symbols_lying",
                f"It says that it is {name.debug_file} {name.debug_id}, not {expected.debug_file} {expected.debug_id}.",
                "Upload it under its own name and debug id, or make it again from the right binary.",
            )
        draft = self._blobs.draft(name.key)
        try:
            for piece in reader:
                draft.write(piece)
            with self._lock:
                outcome, message = self._compare(name, reader.content)
                if outcome != "already_there":
                    self._blobs.commit([draft])
                    self._changes.add([(name.debug_file, name.debug_id)], self._now())
        finally:
            draft.discard()
        content, head = reader.content, reader.head
        return Received(
            called, outcome, name.debug_file, name.debug_id, head.os, head.arch, content.has, content.size_bytes,
            message=" ".join(filter(None, (message, *self._warnings(content)))),
        )  # fmt: skip

    def list(self) -> Iterator[StoredSymbols]:
        """All symbols, in no order."""
        for each in self._blobs.listed(f"{ROOT}/"):
            name = name_of_path(each.key)
            if name is None or name.key != each.key:
                continue
            yield StoredSymbols(name.debug_file, name.debug_id, each.size_bytes, each.stored_at)

    def path(self, name: SymbolName) -> Path:
        """The file of these symbols; raises `NotFound` (`unknown_symbols`), also where they have none here."""
        try:
            return self._blobs.path(name.key)
        except NotFound:
            raise _unknown(name) from None

    def pieces(self, name: SymbolName) -> Pieces:
        """The bytes of these symbols; raises `NotFound` (`unknown_symbols`)."""
        try:
            return self._blobs.pieces(name.key)
        except NotFound:
            raise _unknown(name) from None

    def remove(self, name: SymbolName) -> None:
        """Remove symbols; raises `NotFound` (`unknown_symbols`)."""
        with self._lock:
            if not self._blobs.delete(name.key):
                raise _unknown(name)
            self._changes.add([(name.debug_file, name.debug_id)], self._now())

    def _warnings(self, content: SymContent) -> Iterator[str]:
        if "lines" not in content.has:
            yield (
                "It has no debug information: names only from the symbol table, which may be wrong; build with -g, and "
                "do not strip what you upload."
                if "symbols" in content.has
                else "It has no names: build with -g, and do not strip what you upload."
            )
        yield room.too_large(content.size_bytes, self._walks_with_mb)

    def _compare(self, name: SymbolName, content: SymContent) -> tuple[Outcome, str]:
        """What taking this content in amounts to."""
        try:
            with self._blobs.file(name.key) as path:
                if path.stat().st_size == content.size_bytes and _sha256(path) == content.sha256:
                    return "already_there", ""
                held = _has(path, self._most_bytes)
        except (NotFound, FileNotFoundError):
            return "new", ""
        if set(content.has) < set(held):
            return "already_there", f"What is there holds more: {', '.join(held)}."
        return "replaced", ""


def same_build(one: SymbolName, other: SymbolName) -> bool:
    """Whether two names are of one build; some systems do not tell upper from lower case in names of files."""
    return one.debug_id == other.debug_id and one.debug_file.casefold() == other.debug_file.casefold()


def _unknown(name: SymbolName) -> NotFound:
    return NotFound(
        "unknown_symbols",
        f"There are no symbols of {name.debug_file} {name.debug_id} here.",
        "`missioncontrol symbols list` shows what there is.",
    )


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
        return digest.digest()


def _has(path: Path, most_bytes: int) -> tuple[str, ...]:
    """What symbols that are there hold; nothing when they are damaged."""
    try:
        with path.open("rb") as file:
            reader = SymReader(file, most_bytes)
            for _ in reader:
                pass
            return reader.content.has
    except BadRequest:
        return ()

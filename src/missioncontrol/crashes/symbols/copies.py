"""Copies of symbols that lie in a bucket, in a folder that walkers of this machine read: brought when one is missed.

    a module without symbols -> symbols/<debug file>/<debug id>/<name>.sym in the bucket -> cache/stored-symbols/...

Of one build there may be better symbols tomorrow, so each copy notes which content it is of (the server's tag): what is
found at the start of a process is compared, and later the journal of changes says what to forget. Bounded: what came
longest ago goes first.

A program that was renamed has the debug id of its build: the bucket is listed once, at the first module that it lacks,
for the names under which builds lie there; the journal tells of later ones.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from missioncontrol.blobs.protocol import Listed, Pieces
from missioncontrol.crashes.symbols.names import ROOT, SymbolName, name_of_path, symbol_name
from missioncontrol.crashes.symbols.servers import had, trim
from missioncontrol.errors import BadRequest, NotFound

_TAG = ".tag"
_ATTEMPTS = 3

logger = structlog.get_logger()


class Tagged(Protocol):
    """A store whose objects have tags, which differ where the content does."""

    def tagged_pieces(self, key: str) -> tuple[str, Pieces]:
        """The tag and the bytes; raises `NotFound`."""

    def tag(self, key: str) -> str | None:
        """The tag; None: there is no such object."""

    def tags(self, keys: Sequence[str]) -> Sequence[str | None]:
        """The tag of each of these."""

    def listed(self, prefix: str) -> Iterable[Listed]:
        """The objects under a prefix that ends with `/`, in no order."""


class SymbolCopies:
    """The copies of one machine, as one process uses them. Safe with other processes."""

    def __init__(self, blobs: Tagged, folder: Path, most_bytes: int, missing_s: float) -> None:
        """What the bucket did not have is not looked for again for `missing_s`, unless some symbols arrive."""
        self._blobs, self._folder, self._most_bytes = blobs, folder, most_bytes
        self._missing_s = missing_s
        self._missing: dict[SymbolName, float] = {}
        self._names: defaultdict[str, set[SymbolName]] | None = None

    def begin_true(self) -> None:
        """Delete copies of what is not so in the bucket any more; to be called before the first walk."""
        copies = [
            (path, name) for path in self._folder.rglob("*.sym") if (name := name_of_path(path.as_posix()))
        ]
        for (path, _), tag in zip(copies, self._blobs.tags([name.key for _, name in copies]), strict=True):
            if tag is None or _noted(path) != tag:
                _delete(path)

    def begin(self) -> None:
        """A crash begins: nothing is bound to it."""

    def fetch(self, symbols: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Copy what the bucket has of these (debug file, debug id); those that are in the folder now."""
        arrived = had(symbols, self._have)
        if arrived:
            trim(self._folder, self._most_bytes)
        return arrived

    def forget_missing(self) -> None:
        """Look again for what was missing."""
        self._missing.clear()

    def forget(self, symbols: list[tuple[str, str]]) -> None:
        """These have changed, came, or are gone."""
        for debug_file, debug_id in symbols:
            with suppress(BadRequest):
                name = symbol_name(debug_file, debug_id)
                _delete(self._folder / name.path)
                if self._names is not None:
                    self._names[name.debug_id].add(name)

    def close(self) -> None:
        """Anything may have changed."""
        self.forget_missing()
        self._names = None
        self.begin_true()

    def _have(self, name: SymbolName) -> bool:
        return any(map(self._have_under, self._of_build(name)))

    def _of_build(self, name: SymbolName) -> Iterator[SymbolName]:
        """The name, and then the others under which there may be symbols of the same build."""
        yield name
        if self._names is None:
            found: defaultdict[str, set[SymbolName]] = defaultdict(set)
            for each in self._blobs.listed(f"{ROOT}/"):
                if other := name_of_path(each.key):
                    found[other.debug_id].add(other)
            self._names = found
        yield from sorted(self._names.get(name.debug_id, set()) - {name})

    def _have_under(self, name: SymbolName) -> bool:
        path = self._folder / name.path
        if path.is_file():
            return True  # another worker was faster
        since = self._missing.get(name)
        if since is not None and time.monotonic() - since < self._missing_s:
            return False
        try:
            for _ in range(_ATTEMPTS):
                if self._copy(name, path):
                    return True
        except NotFound:
            self._missing[name] = time.monotonic()
        except OSError as error:
            logger.error("symbol_copy_failed", path=str(path), error=str(error))
        return False

    def _copy(self, name: SymbolName, path: Path) -> bool:
        """Whether the copy is what the bucket has: what is replaced meanwhile was told of before it lay here."""
        tag, found = self._blobs.tagged_pieces(name.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".{uuid.uuid4().hex}"
        try:
            with draft.open("xb") as file:
                for piece in found.pieces:
                    file.write(piece)
            _tag_of(path).write_text(tag)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        if self._blobs.tag(name.key) == tag:
            return True
        _delete(path)
        return False


def _tag_of(path: Path) -> Path:
    return path.with_name(path.name + _TAG)


def _noted(path: Path) -> str | None:
    try:
        return _tag_of(path).read_text()
    except OSError:
        return None


def _delete(path: Path) -> None:
    for one in (path, _tag_of(path)):
        with suppress(OSError):
            one.unlink()

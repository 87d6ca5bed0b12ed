"""Files of a folder copied into a bucket, under the same names.

What is there already with the same bytes is left, so that a copy which was stopped goes on where it was. The ETag of an
object may prove that it holds the bytes of a file: it is their MD5, or that of the MD5s of the parts. Where it is
neither (AWS says so of keys of KMS) it proves nothing: the object is read back once, and known by its tag from then on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import obstore

from missioncontrol.errors import MissionControlError, StorageError, StorageFull
from missioncontrol.s3 import plain, read_by_parts, store, trouble

_AT_ONCE = 8
_PART_BYTES = 8 << 20
"""Of one request. What is under way at once has the time of one request, so that a line of 1.2 MB/s will do."""


class Copied(msgspec.Struct, frozen=True):
    """What is in the bucket now, and how much of it was brought by this copy."""

    files: int = 0
    size_bytes: int = 0
    brought: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(
            self.files + other.files, self.size_bytes + other.size_bytes, self.brought + other.brought
        )


class Checked:
    """Objects that were read back and had the bytes of a file, by the tag that the server gave them. Thread-safe.

    A tag that is no MD5 still changes with the bytes of its object, so what was compared is known again by it.
    """

    def __init__(self, file: Path) -> None:
        """`file` holds what was found before; it need not be there."""
        self._file, self._lock = file, threading.Lock()
        self._found: set[tuple[str, str, str]] = set()
        with suppress(FileNotFoundError):
            for line in file.read_bytes().splitlines():
                with suppress(msgspec.DecodeError):  # the last line of a process that was killed
                    self._found.add(msgspec.json.decode(line, type=tuple[str, str, str]))

    def holds(self, name: str, tag: str, checksum: str) -> bool:
        """Whether the object with this tag was compared with a file of this checksum."""
        return (name, tag, checksum) in self._found

    def add(self, name: str, tag: str, checksum: str) -> None:
        """Note that it was."""
        with self._lock, self._file.open("ab") as file:
            self._found.add((name, tag, checksum))
            file.write(b"\n" + msgspec.json.encode((name, tag, checksum)))


def files_below(folder: Path, leave: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Names of all files below a folder, relative to it, in order; folders for which `leave(name)` are left out."""
    found = []
    for path, folders, files in os.walk(folder):
        here = Path(path).relative_to(folder)
        folders[:] = [name for name in folders if not leave(str(here / name))]
        found += [str(here / name) for name in files]
    return sorted(found)


def copy_files(
    folder: Path,
    names: Iterable[str],
    url: str,
    checked: Checked,
    told: Callable[[int], None] = lambda _: None,
) -> Copied:
    """Have these files in the bucket; `told` is given bytes that are there now, as they come, one call at a time.

    Raises `StorageError` (`move_bucket`, `move_credentials`, `move_away`, `move_s3`, `move_damaged`) and `StorageFull`.
    """
    names, lock = list(names), threading.Lock()

    def told_in_turn(size_bytes: int) -> None:
        with lock:
            told(size_bytes)

    with _failures(url):
        there = _listed(url, names)
        copy = _Copy(folder, url, there, checked, told_in_turn)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            total = Copied()
            waiting = iter(names)
            while some := list(islice(waiting, 16 * _AT_ONCE)):
                for done in pool.map(copy, some):
                    total += done
    return total


def remove_others(names: Iterable[str], url: str) -> int:
    """Delete what the bucket has beside these; returns how many. Raises as `copy_files()`."""
    with _failures(url):
        others = sorted(set(_listed(url)) - set(names))
        for start in range(0, len(others), 1000):
            obstore.delete(store(url), others[start : start + 1000])
    return len(others)


def is_unused(url: str) -> bool:
    """Whether there is nothing below an address. Raises as `copy_files()`."""
    with _failures(url):
        return not next(iter(obstore.list(store(url), chunk_size=1)), [])


def _listed(url: str, names: Iterable[str] | None = None) -> dict[str, Any]:
    wanted = None if names is None else set(names)
    pages: Iterator[Any] = iter(obstore.list(store(url)))
    found = {each["path"]: each for page in pages for each in page}
    return found if wanted is None else {name: each for name, each in found.items() if name in wanted}


class _Copy(msgspec.Struct):
    """Copies a file, or leaves the object that is there."""

    folder: Path
    url: str
    there: dict[str, Any]
    checked: Checked
    told: Callable[[int], None]

    def __call__(self, name: str) -> Copied:
        file = self.folder / name
        size_bytes, sums = file.stat().st_size, _sums(file)
        if self._same(name, self.there.get(name), size_bytes, sums):
            self.told(size_bytes)
            return Copied(1, size_bytes, 0)
        whole = size_bytes <= _PART_BYTES
        # Parts of one file go one after the other: other files are under way meanwhile.
        obstore.put(
            store(self.url), name, file.read_bytes() if whole else self._pieces(file),
            use_multipart=not whole, chunk_size=_PART_BYTES, max_concurrency=1,
        )  # fmt: skip
        if whole:
            self.told(size_bytes)
        if not self._same(name, obstore.head(store(self.url), name), size_bytes, sums, read_back=True):
            raise StorageError(
                "move_damaged",
                f"{name} is not in {self.url} as it was sent.",
                "Repeat; if it comes again, check the server.",
            )
        return Copied(1, size_bytes, 1)

    def _same(self, name: str, there: Any, size_bytes: int, sums: _Sums, read_back: bool = False) -> bool:
        """Whether the object is known to have these bytes."""
        if there is None or there["size"] != size_bytes:
            return False
        tag = str(there.get("e_tag") or "").strip('"')
        if tag == sums.tag or self.checked.holds(name, tag, sums.md5):
            return True
        if not read_back or self._md5(name, size_bytes) != sums.md5:
            return False
        if tag:
            self.checked.add(name, tag, sums.md5)
        return True

    def _md5(self, name: str, size_bytes: int) -> str:
        found = hashlib.md5(usedforsecurity=False)
        for piece in read_by_parts(self.url, name, _PART_BYTES) if size_bytes else ():
            found.update(piece)
        return found.hexdigest()

    def _pieces(self, file: Path) -> Iterator[bytes]:
        for piece in _read(file):
            yield piece
            self.told(len(piece))  # asked for the next one: this one is on its way


class _Sums(msgspec.Struct, frozen=True):
    """Of a file: its MD5, and the ETag of an object that was sent as this module sends it, where ETags are MD5."""

    md5: str
    tag: str


def _sums(file: Path) -> _Sums:
    whole, parts = hashlib.md5(usedforsecurity=False), []
    for piece in _read(file):
        whole.update(piece)
        parts.append(hashlib.md5(piece, usedforsecurity=False).digest())
    if len(parts) < 2:
        return _Sums(whole.hexdigest(), whole.hexdigest())
    tag = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return _Sums(whole.hexdigest(), f"{tag}-{len(parts)}")


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PART_BYTES):
            yield piece


@contextmanager
def _failures(url: str) -> Iterator[None]:
    """Raise what a client of S3 raises as an error of the house."""
    try:
        yield
    except MissionControlError:
        raise
    except Exception as error:
        found = trouble(error)
        if found is None:
            raise StorageError("move_s3", f"{url} cannot be used: {plain(str(error))}") from error
        raised = StorageFull if found.kind == "full" else StorageError
        raise raised(f"move_{found.kind}", f"{url} {found.what}: {plain(str(error))}", found.hint) from error

"""Files of a folder copied into a bucket, under the same names.

What is there already with the same bytes is left, so that a copy which was stopped goes on where it was. Each upload
is compared with what the server says that it holds: its size, and where the server tells it, its MD5.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import obstore

from missioncontrol.errors import MissionControlError, StorageError, StorageFull
from missioncontrol.s3 import plain, store, trouble

_AT_ONCE = 8
_WHOLE_BYTES = 256 << 20
"""Larger files go in parts, and then the server tells no MD5 of the whole."""
_READ_BYTES = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """What is in the bucket now, and how much of it was brought by this copy."""

    files: int = 0
    size_bytes: int = 0
    brought: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(
            self.files + other.files, self.size_bytes + other.size_bytes, self.brought + other.brought
        )


def files_below(folder: Path, leave: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Names of all files below a folder, relative to it, in order; folders for which `leave(name)` are left out."""
    found = []
    for path, folders, files in os.walk(folder):
        here = Path(path).relative_to(folder)
        folders[:] = [name for name in folders if not leave(str(here / name))]
        found += [str(here / name) for name in files]
    return sorted(found)


def copy_files(
    folder: Path, names: Iterable[str], url: str, told: Callable[[int], None] = lambda _: None
) -> Copied:
    """Have these files in the bucket; `told` is given the bytes of each that is there now.

    Raises `StorageError` (`move_bucket`, `move_credentials`, `move_away`, `move_s3`, `move_damaged`) and `StorageFull`.
    """
    names = list(names)
    with _failures(url):
        there = _listed(url, names)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            total = Copied()
            waiting = iter(names)
            while some := list(islice(waiting, 16 * _AT_ONCE)):
                for done in pool.map(lambda name: _copy(folder / name, name, url, there.get(name)), some):
                    told(done.size_bytes)
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


def _copy(file: Path, name: str, url: str, there: Any) -> Copied:
    size_bytes = file.stat().st_size
    checksum = _md5(file) if size_bytes <= _WHOLE_BYTES else ""
    if there is not None and _same(there, size_bytes, checksum):
        return Copied(1, size_bytes, 0)
    obstore.put(store(url), name, file, use_multipart=False if checksum else None)
    if not _same(obstore.head(store(url), name), size_bytes, checksum):
        raise StorageError(
            "move_damaged",
            f"{name} is not in {url} as it was sent.",
            "Repeat; if it comes again, check the server.",
        )
    return Copied(1, size_bytes, 1)


def _same(there: Any, size_bytes: int, checksum: str) -> bool:
    tag = str(there.get("e_tag") or "").strip('"')
    told = checksum and len(tag) == 32 and "-" not in tag
    return there["size"] == size_bytes and (not told or tag == checksum)


def _md5(file: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as opened:
        while piece := opened.read(_READ_BYTES):
            found.update(piece)
    return found.hexdigest()


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

"""The lake's files in their place: a folder, or an S3 server with a folder of what is at hand.

Files never change and never come back under a name, so one that is at hand is right. On S3 a file is staged in the
folder and uploaded whole before a commit may name it, and whoever reads fetches what the folder lacks. The folder is
bounded: files that nobody has fetched for a while are removed, those of running queries stay. In a lake that is a
folder nothing of this touches a file. Never writes to the log.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.config import LakePlace
from missioncontrol.errors import NO_ROOM, MissionControlError, StorageError, StorageFull
from missioncontrol.s3 import plain, read_by_parts, store, trouble

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef

IN_USE_S = 900.0
"""A file that was fetched, or fetched again, within so many seconds is never removed: queries are shorter."""
_AT_ONCE = 16
_PART_BYTES = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
"""Of an upload. What is under way at once has the time of one request, so that a line of 0.6 MB/s will do."""
_LEFT_BYTES = 256 * 1024 * 1024
"""The folder is measured once more when so much has come."""
_STALE_TMP_S = 3600.0
_ANNOUNCED = "_imports"

_lock = threading.Lock()
_under_way: dict[str, threading.Lock] = {}
_since_measured: dict[Path, int] = {}


def place_of(lake: LakePlace | Path) -> LakePlace:
    """A folder as a place."""
    return LakePlace(lake.absolute()) if isinstance(lake, Path) else lake


def uri(place: LakePlace, table: str) -> str:
    """What `deltalake` calls a table."""
    return f"{place.url}/{table}" if place.url else str(place.folder / table)


def relative(place: LakePlace, table: str, path: str) -> str:
    """A file of the folder as the table's log calls it."""
    return path.removeprefix(f"{place.folder}/{table}/")


def failure(place: LakePlace, error: BaseException) -> MissionControlError:
    """What goes wrong with an object, as an error of the house: `lake_full`, `lake_bucket`, `lake_credentials`,
    `lake_away` or `lake_s3`."""
    if isinstance(error, MissionControlError):
        return error
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return StorageFull(
            "lake_full",
            f"No room left for files at hand in {place.folder}.",
            "Free disk space; it goes on by itself.",
        )
    found = trouble(error)
    if found is None:
        return StorageError("lake_s3", f"The lake at {place} cannot be used: {plain(str(error))}")
    kind = StorageFull if found.kind == "full" else StorageError
    return kind(f"lake_{found.kind}", f"The lake at {place} {found.what}: {plain(str(error))}", found.hint)


def upload(place: LakePlace, table: str, path: str) -> None:
    """Bring a staged file to its place; afterwards it is durable there. Raises `StorageError` and `StorageFull`."""
    if not place.url:
        return
    import obstore

    full = place.folder / table / path
    try:
        # Large ones go in parts, of which nothing is to be seen before the last one.
        obstore.put(
            store(place.url), f"{table}/{path}", full, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
        )
    except Exception as error:
        raise failure(place, error) from error
    _make_room(place, full.stat().st_size)


def remove(place: LakePlace, table: str, paths: Sequence[str]) -> None:
    """Delete files, which may be missing. Raises `OSError` and `StorageError`."""
    for path in paths:
        (place.folder / table / path).unlink(missing_ok=True)
    if not place.url or not paths:
        return
    import obstore

    try:
        obstore.delete(store(place.url), [f"{table}/{path}" for path in paths])
    except FileNotFoundError:
        pass
    except Exception as error:
        raise failure(place, error) from error


def fetch(files: Sequence[FileRef]) -> None:
    """Have the files, all of one lake, in the folder; several at once, each whole or not at all.

    Raises `FileNotFoundError` for one that is gone (the snapshot is older than a vacuum), `StorageError` and
    `StorageFull`.
    """
    if not files or files[0].place is None:
        return
    missing = [file for file in files if not _touched(file.path)]
    if not missing:
        return
    if len(missing) == 1:
        _fetch(missing[0])
    else:
        with ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool:
            for done in [pool.submit(_fetch, file) for file in missing]:
                done.result()
    _make_room(files[0].place, sum(file.size_bytes for file in missing))


class Ranges(io.RawIOBase):
    """A file of a lake on S3, of which only what is read is asked for, and nothing is kept in the folder.

    Reading raises `FileNotFoundError`, `StorageError` and `StorageFull`.
    """

    def __init__(self, place: LakePlace, file: FileRef) -> None:
        self._place, self._size_bytes, self._at = place, file.size_bytes, 0
        self._key = Path(file.path).relative_to(place.folder).as_posix()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, by one request."""
        end = self._size_bytes if size < 0 else min(self._at + size, self._size_bytes)
        if end <= self._at:
            return b""
        import obstore

        try:
            found = bytes(obstore.get_range(store(self._place.url), self._key, start=self._at, end=end))
        except Exception as error:
            raise _reading_failed(self._place, self._key, error) from error
        self._at += len(found)
        return found


def source(file: FileRef) -> str | Ranges:
    """What to read some of a file from: its path when it is at hand, else its ranges. Never fetches it."""
    return file.path if file.place is None or _touched(file.path) else Ranges(file.place, file)


class DataObject(msgspec.Struct, frozen=True):
    """A data file of a table on S3, in a snapshot or not."""

    path: str
    """Relative to the table."""
    size_bytes: int
    changed_s: float
    """When it was uploaded, in seconds since 1970 by the server's clock."""


def data_objects(place: LakePlace, table: str) -> list[DataObject]:
    """All data files of a table on S3. Raises `StorageError`."""
    import obstore

    try:
        return [
            DataObject(
                found["path"].removeprefix(f"{table}/"), found["size"], found["last_modified"].timestamp()
            )
            for page in obstore.list(store(place.url), table)
            for found in page
            if found["path"].rpartition("/")[2].startswith("part-")
        ]
    except Exception as error:
        raise failure(place, error) from error


def log_name(version: int) -> str:
    """Name of a commit in the log of its table."""
    return f"{version:020}.json"


def log_objects(place: LakePlace, table: str, version: int) -> dict[str, str]:
    """The objects of a log from this commit on, and the mark of its newest checkpoint: tag by name."""
    import obstore

    log = f"{table}/_delta_log"
    try:
        listing = obstore.list(store(place.url), log, offset=f"{log}/{version:020}.jso")
        return {found["path"].rpartition("/")[2]: str(found["e_tag"]) for page in listing for found in page}
    except Exception as error:
        raise failure(place, error) from error


def read_commit(place: LakePlace, table: str, version: int) -> bytes | None:
    """A commit of the log as text; None when it is gone. Raises `StorageError`."""
    if not place.url:
        try:
            return (place.folder / table / "_delta_log" / log_name(version)).read_bytes()
        except OSError:
            return None
    import obstore

    try:
        return bytes(obstore.get(store(place.url), f"{table}/_delta_log/{log_name(version)}").bytes())
    except FileNotFoundError:
        return None
    except Exception as error:
        raise failure(place, error) from error


def announce(place: LakePlace, name: str) -> None:
    """Let all machines know of an application that commits to several tables what belongs together."""
    if place.url:
        import obstore

        try:
            obstore.put(store(place.url), f"{_ANNOUNCED}/{name}", b"")
        except Exception as error:
            raise failure(place, error) from error


def withdraw(place: LakePlace, name: str) -> None:
    """Of an application that has ended, with all tables alike."""
    remove(place, _ANNOUNCED, [name])


def announced(place: LakePlace) -> frozenset[str]:
    """The applications that were announced and have not ended, on whatever machine."""
    if not place.url:
        return frozenset()
    import obstore

    try:
        return frozenset(
            found["path"].rpartition("/")[2]
            for page in obstore.list(store(place.url), _ANNOUNCED)
            for found in page
        )
    except Exception as error:
        raise failure(place, error) from error


def _touched(path: str) -> bool:
    """Whether the file is there; then it counts as used now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _fetch(file: FileRef) -> None:
    with _lock:
        own = _under_way.setdefault(file.path, threading.Lock())
    try:
        with own:  # other threads want the same files for the same page
            if not _touched(file.path):
                _download(file)
    finally:
        with _lock:
            _under_way.pop(file.path, None)


def _download(file: FileRef) -> None:
    place = file.place
    assert place is not None
    target = Path(file.path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    key = target.relative_to(place.folder).as_posix()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as out:
            for piece in read_by_parts(place.url, key, _PART_BYTES):
                out.write(piece)
            size = out.tell()
        if size != file.size_bytes:
            raise StorageError(
                "lake_file",
                f"{place}/{key} has {size:,} bytes instead of {file.size_bytes:,}.",
                "Restore the file from a backup.",
            )
        temporary.replace(target)
    except Exception as error:
        raise _reading_failed(place, key, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reading_failed(place: LakePlace, key: str, error: Exception) -> Exception:
    """What is raised of it: `FileNotFoundError` where it is the object alone that is gone."""
    if isinstance(error, FileNotFoundError) and trouble(error) is None:
        return FileNotFoundError(f"{place}/{key}")
    return failure(place, error)


def _make_room(place: LakePlace, size_bytes: int) -> None:
    """Keep the folder within its bound, measured only now and then: it may hold many thousand files."""
    with _lock:
        come = _since_measured.get(place.folder, _LEFT_BYTES) + size_bytes
        due = come >= min(_LEFT_BYTES, place.cache_bytes // 16)
        _since_measured[place.folder] = 0 if due else come
    if due:
        bound(place)


def bound(place: LakePlace, clock: Callable[[], float] = time.time) -> int:
    """Remove those files of the folder that were used least recently, until it is within its bound; how many bytes.

    Files used within `IN_USE_S` stay, whatever the bound says.
    """
    if not place.url:
        return 0
    now = clock()
    found: list[tuple[float, int, Path]] = []
    for path in place.folder.glob("*/*/**/part-*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            if path.suffix == ".parquet":
                found.append((status.st_mtime, status.st_size, path))
            elif status.st_mtime < now - _STALE_TMP_S:
                path.unlink(missing_ok=True)
    held, removed = sum(size for _, size, _ in found), 0
    for used_at, size, path in sorted(found):
        if held - removed <= place.cache_bytes or used_at > now - IN_USE_S:
            break
        path.unlink(missing_ok=True)
        removed += size
    return removed

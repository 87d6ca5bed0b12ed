"""`import crashes`: reports from folders and archives -> objects and the queue, as if they had been sent.

A report that had a crash id keeps it, and with it its day of receipt; it is imported once, and never again once it was
deleted. Another one gets an id of now, and is known by its content. What is announced to the queue is durable.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from missioncontrol.blobs.crash_keys import day_of, dump_key, new_crash_id, processed_key, raw_key
from missioncontrol.blobs.protocol import Blobs, Draft
from missioncontrol.crashes.crash_folders import BundledFile, FoundCrash, find_crashes
from missioncontrol.errors import BadRequest
from missioncontrol.state.crash_deletions import CrashDeletions
from missioncontrol.state.crash_jobs import USUAL, Upload
from missioncontrol.state.crash_queue import CrashQueue

_AT_ONCE = 32
_CHUNK_BYTES = 1 << 20
_LARGEST_RAW_BYTES = 32 << 20
_LONGEST_LIST = 100


class CrashImportReport(msgspec.Struct):
    """What an import did, in reports."""

    imported: int = 0
    known: int = 0
    """Stored before."""
    deleted: int = 0
    """Not taken, since they were deleted here."""
    unreadable: int = 0
    problems: list[str] = []
    """What is wrong with the first of those that cannot be read."""

    @property
    def seen(self) -> int:
        """All of them."""
        return self.imported + self.known + self.deleted + self.unreadable


class _Prepared(msgspec.Struct):
    upload: Upload
    raw: dict[str, Any]
    dumps: Mapping[str, Path | BundledFile]


class CrashImport:
    """Brings reports into one installation."""

    def __init__(
        self, blobs: Blobs, queue: CrashQueue, deletions: CrashDeletions, now: Callable[[], datetime]
    ) -> None:
        self._blobs, self._queue, self._deletions, self._now = blobs, queue, deletions, now

    def run(
        self, paths: Sequence[Path], progress: Callable[[CrashImportReport], None] = lambda _: None
    ) -> CrashImportReport:
        """Import all reports below the folders and in the archives (.zip, .tar, .tar.gz ...).

        Raises `BadRequest` for a path that is neither, before anything is imported.
        """
        report = CrashImportReport()
        for path in paths:
            if not path.is_dir() and not _is_archive(path):
                hint = "Name a folder, a .zip or a .tar (.gz, .bz2, .xz) of raw crashes."
                raise BadRequest("import_missing", f"{path} is no folder and no archive.", hint)
        for path in paths:
            with _opened(path) as folder:
                batch: list[FoundCrash] = []
                for found in find_crashes(folder):
                    batch.append(found)
                    if len(batch) == _AT_ONCE:
                        self._take(batch, report)
                        progress(report)
                        batch = []
                self._take(batch, report)
                progress(report)
        return report

    def _take(self, batch: Sequence[FoundCrash], report: CrashImportReport) -> None:
        ready: dict[bytes, _Prepared] = {}
        for found in batch:
            try:
                prepared = _prepared(found, self._now())
            except (ValueError, OSError) as error:
                report.unreadable += 1
                if len(report.problems) < _LONGEST_LIST:
                    report.problems.append(f"{found.annotations}: {error}")
                continue
            if prepared.upload.identity in ready:
                report.known += 1
            ready[prepared.upload.identity] = prepared
        ids = [each.upload.crash_id for each in ready.values()]
        gone = self._deletions.known(ids) if ids else frozenset()
        known = self._queue.known(list(ready)) if ready else {}
        new = []
        for identity, each in ready.items():
            if each.upload.crash_id in gone:
                report.deleted += 1
            elif identity in known:
                report.known += 1
            elif self._blobs.exists(raw_key(each.upload.crash_id)):
                report.known += 1
                self._queue_forgotten(each.upload.crash_id)
            else:
                new.append(each)
        if new:
            stored = self._store(new)
            report.imported += stored
            report.known += len(new) - stored

    def _queue_forgotten(self, crash_id: str) -> None:
        """Queue what is stored, if whoever stored it was stopped before that."""
        now = self._now()
        if not self._blobs.exists(processed_key(crash_id)) and self._queue.entry(crash_id, now) is None:
            self._queue.want([crash_id], USUAL, now)

    def _store(self, new: Sequence[_Prepared]) -> int:
        """How many of them are new: another process may have been first."""
        drafts: list[Draft] = []
        try:
            for each in new:
                crash_id = each.upload.crash_id
                checksums = {}
                for name, file in each.dumps.items():
                    drafts.append(self._blobs.draft(dump_key(crash_id, name)))
                    checksums[name] = _copy(file, drafts[-1])
                metadata = each.raw.get("metadata")
                each.raw["metadata"] = {
                    **(metadata if isinstance(metadata, dict) else {}),
                    "dump_checksums": checksums,
                    "imported_at": self._now().isoformat(),
                }
            for each in new:  # after the files: who sees annotations finds all that they speak of
                drafts.append(self._blobs.draft(raw_key(each.upload.crash_id)))
                drafts[-1].write(msgspec.json.encode(each.raw))
            self._blobs.commit(drafts)
        finally:
            for draft in drafts:
                draft.discard()
        accepted = self._queue.accept([each.upload for each in new], self._now())
        others = [each for each, id in zip(new, accepted, strict=True) if id != each.upload.crash_id]
        for each in others:
            for key in (
                raw_key(each.upload.crash_id),
                *(dump_key(each.upload.crash_id, n) for n in each.dumps),
            ):
                self._blobs.delete(key)
        return len(new) - len(others)


def _prepared(found: FoundCrash, now: datetime) -> _Prepared:
    """Raises `ValueError` and `OSError` for what cannot be read."""
    with _open(found.annotations) as opened:
        text = opened.read(_LARGEST_RAW_BYTES + 1)
    if len(text) > _LARGEST_RAW_BYTES:
        raise ValueError(f"more than {_LARGEST_RAW_BYTES >> 20} MiB of annotations")
    raw = _annotations(text)
    if found.crash_id is not None:
        raw["uuid"] = found.crash_id
        if not isinstance(raw.get("submitted_timestamp"), str):
            day = day_of(found.crash_id)
            raw["submitted_timestamp"] = datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat()
        identity = hashlib.sha256(b"crash id\0" + found.crash_id.encode()).digest()
        return _Prepared(Upload(identity, found.crash_id), raw, found.dumps)
    digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted"))
    for name, file in sorted(found.dumps.items()):
        with _open(file) as opened:
            digest.update(name.encode() + hashlib.file_digest(opened, "sha256").digest())
    crash_id = new_crash_id(now)
    raw |= {"uuid": crash_id, "submitted_timestamp": now.isoformat()}
    return _Prepared(Upload(digest.digest(), crash_id), raw, found.dumps)


def _annotations(text: bytes) -> dict[str, Any]:
    """A JSON object, or the older form of lines `key=value` in which a backslash and an n stand for a line's end."""
    if text.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
    pairs = [line.partition("=") for line in text.decode(errors="replace").splitlines() if line.strip()]
    if not pairs or not all(separator for _, separator, _ in pairs):
        raise ValueError("neither a JSON object nor lines of key=value")
    return {key.strip(): value.replace("\\n", "\n").replace("\\\\", "\\") for key, _, value in pairs}


def _open(file: Path | BundledFile) -> io.BufferedReader | io.BytesIO:
    return file.open("rb") if isinstance(file, Path) else io.BytesIO(file.data())


def _copy(file: Path | BundledFile, draft: Draft) -> str:
    """SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with _open(file) as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            digest.update(chunk)
            draft.write(chunk)
    return digest.hexdigest()


def _is_archive(path: Path) -> bool:
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    """The folder, or what is in the archive."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="missioncontrol-import-") as folder:
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(folder)
            else:
                with tarfile.open(path) as archive:
                    archive.extractall(folder, filter="data")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
            raise BadRequest("import_unreadable", f"{path}: {error}", "Nothing of it was imported.") from None
        yield Path(folder)

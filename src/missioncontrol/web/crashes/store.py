"""A crash for the pages: what is stored of it, cut down to what its reader may see, and how it stands in the queue.

The only writing is that a crash somebody looks at is moved up in the queue, and that one is wanted again when asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from missioncontrol.blobs.crash_keys import dump_key, raw_key
from missioncontrol.blobs.crash_objects import (
    Document,
    find_crash_id,
    read_processed_crash,
    read_raw_crash,
)
from missioncontrol.blobs.protocol import Blobs, Pieces
from missioncontrol.crashes.fields import Fields
from missioncontrol.errors import NotFound
from missioncontrol.query.crash_reports import CrashReports
from missioncontrol.web.auth.visit import Record
from missioncontrol.web.crashes.bugs import CrashBugs
from missioncontrol.web.crashes.woven import WovenCrashes
from missioncontrol.web.pipeline.view import Takes

if TYPE_CHECKING:
    from missioncontrol.crashes.processing import Settings
    from missioncontrol.crashes.symbols.folders import SymbolFolders
    from missioncontrol.crashes.symbols.missing import MissingModule
    from missioncontrol.state.crash_queue import CrashQueue

State = Literal["processed", "waiting", "held", "set aside", "unknown"]
"""`unknown`: stored and neither processed nor in the queue."""


class File(msgspec.Struct, frozen=True):
    """A file of the report."""

    name: str
    size_bytes: int | None
    """None: it is not stored any more."""
    sha256: str


class Standing(msgspec.Struct, frozen=True):
    """Where a crash is on its way."""

    state: State
    before: int | None = None
    """How many are processed first."""
    attempts: int = 0
    reason: str = ""
    """Why the last attempt failed."""
    due_at: datetime | None = None
    """When it is tried again."""
    wanted_at: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether something will happen by itself."""
        return self.state in ("waiting", "held")


class StoredCrash(msgspec.Struct, frozen=True):
    """What there is of a crash, as far as its reader may see it."""

    crash_id: str
    raw: Document | None
    processed: Document | None
    files: list[File]
    standing: Standing
    protected: bool
    """Whether protected parts are in it."""


class CrashStore:
    """Crashes of one installation. Thread-safe; blocks."""

    def __init__(
        self,
        blobs: Blobs,
        queue: Callable[[], CrashQueue],
        fields: Callable[[], Fields],
        now: Callable[[], datetime],
    ) -> None:
        self._blobs, self._queue, self._fields, self._now = blobs, queue, fields, now

    def crash(self, crash_id: str, protected: bool) -> StoredCrash:
        """A crash by its checked id; raises `NotFound` (`unknown_crash`)."""
        processed = self._document(read_processed_crash, crash_id)
        raw = self._document(read_raw_crash, crash_id)
        if raw is None and processed is None:
            raise unknown(crash_id)
        standing = self._standing(crash_id, processed is not None)
        if standing.state == "unknown":
            # It may have been finished between the two looks.
            processed = self._document(read_processed_crash, crash_id)
            standing = Standing("processed") if processed is not None else standing
        files = self._files(crash_id, raw or {})
        if not protected:
            fields = self._fields()
            raw = fields.raw_public(raw) if raw is not None else None
            processed = fields.processed_public(processed) if processed is not None else None
        return StoredCrash(crash_id, raw, processed, files, standing, protected)

    def find(self, text: str) -> str:
        """The crash id that somebody was told, in whatever form; raises as `find_crash_id()` does."""
        return find_crash_id(self._blobs, text)

    def public(self, crash_id: str) -> Document | None:
        """What everybody may see of a processed crash; None when it is not kept."""
        processed = self._document(read_processed_crash, crash_id)
        return self._fields().processed_public(processed) if processed is not None else None

    def hurry(self, crash_id: str) -> None:
        """Move a crash up that waits; one that was set aside or tried already keeps its time."""
        from missioncontrol.state.crash_jobs import URGENT

        entry = self._queue().entry(crash_id, self._now())
        if entry is None or entry.set_aside or entry.held or entry.attempts:
            return
        if entry.priority < URGENT:
            self._queue().want([crash_id], URGENT, self._now())

    def again(self, crash_id: str) -> None:
        """Process it (again), before all others; raises `NotFound` (`unknown_crash`)."""
        from missioncontrol.state.crash_jobs import URGENT

        if not self._blobs.exists(raw_key(crash_id)):
            raise unknown(crash_id)
        self._queue().want([crash_id], URGENT, self._now())

    def file(self, crash_id: str, name: str) -> Path | Pieces:
        """A file of a report by its name there, or its bytes where it is none; raises `NotFound` (`unknown_file`)."""
        raw = self._document(read_raw_crash, crash_id)
        if raw is None:
            raise unknown(crash_id)
        try:
            if name in _checksums(raw):
                try:
                    return self._blobs.path(dump_key(crash_id, name))
                except NotFound:
                    return self._blobs.pieces(dump_key(crash_id, name))
        except NotFound:
            pass
        hint = "The page of the report lists its files. Dumps are kept for a shorter time than reports."
        raise NotFound("unknown_file", f"Crash {crash_id} has no file {name[:40]!r} here.", hint)

    def _standing(self, crash_id: str, processed: bool) -> Standing:
        now = self._now()
        entry = self._queue().entry(crash_id, now)
        if entry is None:
            return Standing("processed" if processed else "unknown")
        before = self._queue().place(crash_id)
        state: State = "set aside" if entry.set_aside else "held" if entry.held else "waiting"
        due = entry.due_at if state == "waiting" and entry.due_at > now else None
        return Standing(state, before, entry.attempts, entry.reason, due, entry.wanted_at)

    def _document(self, read: Callable[[Blobs, str], Document], crash_id: str) -> Document | None:
        try:
            return read(self._blobs, crash_id)
        except NotFound:
            return None

    def _files(self, crash_id: str, raw: Document) -> list[File]:
        return [File(n, self._size(crash_id, n), str(digest)) for n, digest in _checksums(raw).items()]

    def _size(self, crash_id: str, name: str) -> int | None:
        try:
            return self._blobs.size_bytes(dump_key(crash_id, name))
        except (NotFound, OSError):
            return None


def _checksums(raw: Document) -> Document:
    metadata = raw.get("metadata")
    sums = metadata.get("dump_checksums") if isinstance(metadata, dict) else None
    return sums if isinstance(sums, dict) else {}


def unknown(crash_id: str) -> NotFound:
    """What is said of a crash that is not here."""
    hint = (
        "Its client may have been told to discard it, it may have been deleted, or it went to another server."
    )
    return NotFound("unknown_crash", f"There is no crash {crash_id} here.", hint)


class CrashSources(msgspec.Struct, frozen=True):
    """Where the pages of crashes get what they show."""

    store: CrashStore
    reports: CrashReports
    queue: Callable[[], CrashQueue]
    fields: Callable[[], Fields]
    settings: Callable[[], Settings]
    """What crashes are processed by."""
    templates: dict[str, str]
    """Addresses of sources by product, see `config.Crashes.sources`."""
    bugs: CrashBugs
    most_waiting: int
    """New reports that may wait, see `config.Ingest.crash_backlog_max`."""
    record: Record
    now: Callable[[], datetime]
    symbols: Callable[[], SymbolFolders]
    missing: Callable[[int, int], list[MissingModule]]
    """Modules that crashes of so many days met without symbols, and how many of them at most."""
    woven: WovenCrashes
    takes: Takes = "all"

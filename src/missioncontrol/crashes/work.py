"""One crash from the store to a processed crash: read, walk every dump, apply the rules; then many are written at once.

Twice gives the same processed crash but for its times and notes; whoever dies in the middle leaves the raw crash as it
was. Never touches the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key, processed_key, raw_key
from missioncontrol.blobs.crash_objects import (
    Document,
    read_processed_crash,
    read_raw_crash,
    write_processed_crashes,
)
from missioncontrol.blobs.protocol import Blobs
from missioncontrol.crashes.index import REVISION
from missioncontrol.crashes.processing import Settings, Walked, process
from missioncontrol.crashes.stackwalk import Stackwalker, Walk
from missioncontrol.crashes.symbols.watch import SymbolWatch
from missioncontrol.errors import NotFound

MEMORY_REPORT = "memory_report"
_ROUNDS = 4
"""Most walks after the first one for symbols that are elsewhere: each may meet modules that the one before did not."""


class SymbolSource(Protocol):
    """Where symbols are that the walker has not."""

    def begin(self) -> None:
        """A crash begins."""

    def fetch(self, symbols: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Bring what there is of these (debug file, debug id) to the walker's folders; those that are there now."""


class CrashWork:
    """Processes crashes, one at a time."""

    def __init__(
        self,
        blobs: Blobs,
        walker: Stackwalker,
        settings: Callable[[], Settings],
        now: Callable[[], datetime],
        watch: SymbolWatch | None = None,
        sources: Sequence[SymbolSource] = (),
    ) -> None:
        """`watch` tells of symbols that arrived; `sources` have some that the walker misses, asked in this order."""
        self._blobs, self._walker, self._settings, self._now = blobs, walker, settings, now
        self._watch, self._sources = watch, sources

    def learn(self) -> None:
        """Take notice of symbols that arrived; to be called when crashes were taken, before they are processed."""
        if self._watch is not None:
            self._watch.look()

    def process(self, crash_id: str, attempt: int = 1) -> Document:
        """Process a crash; raises `NotFound` (`unknown_object`) when it was deleted.

        The revision is above those of earlier attempts, whose workers may have been slow and not dead.
        """
        raw = read_raw_crash(self._blobs, crash_id)
        earlier = self.earlier(crash_id)
        report = self._memory_report(crash_id, raw)
        for source in self._sources:
            source.begin()
        walked = {name: self._walk(crash_id, name, raw) for name in _dump_names(raw)}
        done = process(
            raw, walked, self._settings(), processed_at=self._now(), earlier=earlier, memory_report=report
        )
        document = done.document
        document[REVISION] = (int(earlier.get(REVISION) or 0) + 1 if earlier else 0) + attempt - 1
        return document

    def store(self, packed: Mapping[str, bytes]) -> set[str]:
        """Write processed crashes, by id, as `pack_processed_crash` makes them; the ids of those that were deleted.

        Durable when it returns; raises `StorageError` and `StorageFull`.
        """
        write_processed_crashes(self._blobs, packed)
        gone = {crash_id for crash_id in packed if not self._blobs.exists(raw_key(crash_id))}
        for crash_id in gone:  # deleted meanwhile: then everywhere
            self._blobs.delete(processed_key(crash_id))
        return gone

    def earlier(self, crash_id: str) -> Document | None:
        """The processed crash as it is stored."""
        try:
            return read_processed_crash(self._blobs, crash_id)
        except NotFound:
            return None

    def _memory_report(self, crash_id: str, raw: Mapping[str, Any]) -> bytes | None:
        if MEMORY_REPORT not in _file_names(raw):
            return None
        try:
            return self._blobs.get(dump_key(crash_id, MEMORY_REPORT))
        except NotFound:
            return None

    def _walk(self, crash_id: str, name: str, raw: Mapping[str, Any]) -> Walked:
        annotations = {k: v for k, v in raw.items() if isinstance(v, str)}
        try:
            with self._blobs.file(dump_key(crash_id, name)) as dump:
                walk = self._walk_with_sources(dump, annotations)
        except NotFound:
            return Walked(error="DumpGone", detail="The dump was deleted")
        symbols = {(m.filename, m.debug_id): m.status for m in walk.symbols.modules}
        return Walked(walk.state, walk.error, walk.detail, symbols)

    def _walk_with_sources(self, dump: Path, annotations: Mapping[str, str]) -> Walk:
        """Walk; again as long as there were symbols of what was met, since those lead further."""
        walk = self._walker.walk(dump, annotations)
        for _ in range(_ROUNDS if self._sources else 0):
            missing = [(m.debug_file, m.debug_id) for m in walk.symbols.modules if m.status == "missing"]
            arrived: list[tuple[str, str]] = []
            for source in self._sources:
                arrived += source.fetch([one for one in missing if one not in arrived])
            if not arrived:
                break
            self._walker.forget(arrived)
            walk = self._walker.walk(dump, annotations)
        return walk


def _dump_names(raw: Mapping[str, Any]) -> list[str]:
    """The names of the dumps of a raw crash."""
    return [name for name in _file_names(raw) if name.startswith(MINIDUMP)]


def _file_names(raw: Mapping[str, Any]) -> list[str]:
    metadata = raw.get("metadata")
    sums = metadata.get("dump_checksums") if isinstance(metadata, Mapping) else None
    return list(sums) if isinstance(sums, Mapping) else []

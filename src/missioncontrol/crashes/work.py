"""One crash from the store to a processed crash: read, walk every dump, apply the rules, write.

Twice gives the same processed crash but for its times and notes; whoever dies in the middle leaves the raw crash as it
was. Never touches the queue.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key, processed_key, raw_key
from missioncontrol.blobs.protocol import Blobs
from missioncontrol.crashes.index import REVISION
from missioncontrol.crashes.processing import Settings, Walked, process
from missioncontrol.crashes.stackwalk import Stackwalker
from missioncontrol.errors import NotFound

MEMORY_REPORT = "memory_report"
_LEVEL = 6
Document = dict[str, Any]


class CrashWork:
    """Processes crashes, one at a time."""

    def __init__(
        self, blobs: Blobs, walker: Stackwalker, settings: Callable[[], Settings], now: Callable[[], datetime]
    ) -> None:
        self._blobs, self._walker, self._settings, self._now = blobs, walker, settings, now

    def process(self, crash_id: str) -> Document:
        """Process a crash and store the result; raises `NotFound` (`unknown_object`) when it was deleted."""
        raw: Document = msgspec.json.decode(self._blobs.get(raw_key(crash_id)))
        earlier = self.earlier(crash_id)
        report = self._memory_report(crash_id, raw)
        walked = {name: self._walk(crash_id, name, raw) for name in _dump_names(raw)}
        done = process(
            raw, walked, self._settings(), processed_at=self._now(), earlier=earlier, memory_report=report
        )
        document = done.document
        document[REVISION] = int(earlier.get(REVISION) or 0) + 1 if earlier else 0
        self._blobs.put(
            processed_key(crash_id), gzip.compress(msgspec.json.encode(document), _LEVEL, mtime=0)
        )
        return document

    def earlier(self, crash_id: str) -> Document | None:
        """The processed crash as it is stored."""
        try:
            found: Document = msgspec.json.decode(gzip.decompress(self._blobs.get(processed_key(crash_id))))
        except NotFound:
            return None
        return found

    def _memory_report(self, crash_id: str, raw: Mapping[str, Any]) -> bytes | None:
        if MEMORY_REPORT not in _file_names(raw):
            return None
        try:
            return self._blobs.get(dump_key(crash_id, MEMORY_REPORT))
        except NotFound:
            return None

    def _walk(self, crash_id: str, name: str, raw: Mapping[str, Any]) -> Walked:
        try:
            dump = self._blobs.path(dump_key(crash_id, name))
        except NotFound:
            return Walked(error="DumpGone", detail="The dump was deleted")
        annotations = {k: v for k, v in raw.items() if isinstance(v, str)}
        walk = self._walker.walk(dump, annotations)
        return Walked(walk.state, walk.error, walk.detail)


def _dump_names(raw: Mapping[str, Any]) -> list[str]:
    """The names of the dumps of a raw crash."""
    return [name for name in _file_names(raw) if name.startswith(MINIDUMP)]


def _file_names(raw: Mapping[str, Any]) -> list[str]:
    metadata = raw.get("metadata")
    sums = metadata.get("dump_checksums") if isinstance(metadata, Mapping) else None
    return list(sums) if isinstance(sums, Mapping) else []

"""Which refused reports are kept for inspection, and what of them: the first bytes and the headers that tell how to
read them.

At most one of a reason in a while, so that whoever sends rubbish does not make the disk busy. What must not be stored
of a report (see `annotations.NEVER_STORED`) is not stored here either: the body is cut where such a name appears. A
report that cannot be kept is answered and counted all the same.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog
from isal import isal_zlib

from missioncontrol.blobs.protocol import Blobs
from missioncontrol.blobs.refused_reports import RefusedReport, keep_refused_report
from missioncontrol.errors import MissionControlError
from missioncontrol.ingest.crash.annotations import NEVER_STORED
from missioncontrol.ingest.crash.reasons import CrashReason

SAMPLE_BYTES = 64 * 1024
_EVERY_S = 10.0
_HEADERS = ("content-type", "content-length", "content-encoding", "transfer-encoding", "user-agent")
"""None of them can hold a secret."""
_HEADER_CHARACTERS = 500
_FORBIDDEN = re.compile("|".join(NEVER_STORED).encode(), re.IGNORECASE)
_GZIP = 31
_GZIP_MAGIC = b"\x1f\x8b"
_UNREADABLE_BYTES = 16
"""Of what cannot be looked through: enough to see what it is."""

logger = structlog.get_logger()


class RefusedSamples:
    """Keeps samples, on one event loop."""

    def __init__(
        self, blobs: Blobs, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._blobs, self._now, self._clock = blobs, now, clock
        self._last: dict[str, float] = {}
        self._kept: Counter[str] = Counter()

    def wants(self, reason: CrashReason) -> bool:
        """Whether a report that is refused for this reason is to be kept; then no other one is for a while."""
        now, last = self._clock(), self._last.get(reason.code)
        if not reason.sampled or (last is not None and now - last < _EVERY_S):
            return False
        self._last[reason.code] = now
        return True

    async def keep(
        self,
        reason: CrashReason,
        address: str,
        headers: Iterable[tuple[bytes, bytes]],
        start: bytes,
        size_bytes: int,
    ) -> None:
        """Keep a report of which `start` are the first bytes as sent."""
        slot, self._kept[reason.code] = self._kept[reason.code], self._kept[reason.code] + 1
        shown = {
            name: value.decode("latin-1")[:_HEADER_CHARACTERS]
            for raw, value in headers
            if (name := raw.decode("latin-1").lower()) in _HEADERS
        }
        start = start[:SAMPLE_BYTES]
        body, cut = _storable(start, shown)
        report = RefusedReport(
            self._now(), f"edge_{reason.code}", reason.message, address[:200], shown, body, size_bytes, cut
        )
        try:
            await asyncio.to_thread(keep_refused_report, self._blobs, report, slot)
        except MissionControlError as error:
            logger.warning("refused_report_not_kept", code=error.code, message=error.message)


def readable(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The first bytes of a report as they can be read: inflated as far as that goes."""
    if headers.get("content-encoding", "").strip().lower() != "gzip":
        return body
    inflater = isal_zlib.decompressobj(_GZIP)
    found = b""
    try:
        for at in range(0, len(body), 512):  # in pieces: what stands before damage is wanted too
            found += inflater.decompress(body[at : at + 512], SAMPLE_BYTES)
            if len(found) >= SAMPLE_BYTES:
                break
    except isal_zlib.error:  # type: ignore[misc]
        pass
    return found[:SAMPLE_BYTES] or body


def _storable(start: bytes, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """What may be kept, only ever what could be looked through, and whether it is other than what was sent."""
    plain = readable(start, headers)
    if found := _FORBIDDEN.search(plain):
        return plain[: found.start()], True
    if plain is not start:
        return plain, True
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity") or start.startswith(_GZIP_MAGIC):
        return start[:_UNREADABLE_BYTES], True
    return start, False

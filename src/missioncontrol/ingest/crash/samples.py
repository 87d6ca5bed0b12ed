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
        """Whether a report that is refused for this reason is to be kept."""
        last = self._last.get(reason.code)
        return reason.sampled and (last is None or self._clock() - last >= _EVERY_S)

    async def keep(
        self,
        reason: CrashReason,
        address: str,
        headers: Iterable[tuple[bytes, bytes]],
        start: bytes,
        size_bytes: int,
    ) -> None:
        """Keep a report of which `start` are the first bytes as sent."""
        self._last[reason.code] = self._clock()
        slot, self._kept[reason.code] = self._kept[reason.code], self._kept[reason.code] + 1
        shown = {
            name: value.decode("latin-1")[:_HEADER_CHARACTERS]
            for raw, value in headers
            if (name := raw.decode("latin-1").lower()) in _HEADERS
        }
        body, cut = _storable(start[:SAMPLE_BYTES], shown)
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
    """What may be kept, and whether something had to be left out."""
    plain = readable(start, headers)
    found = _FORBIDDEN.search(plain)
    return (plain[: found.start()], True) if found else (start, False)

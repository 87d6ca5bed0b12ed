"""Retention of the parts of crashes: dumps, raw and processed crashes, and what is kept of refused reports, go by the
day on which they were received.

Only the store of objects; rows are the lake's. Whoever calls this has made sure that the clock can be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from missioncontrol.blobs.protocol import Blobs
from missioncontrol.blobs.refused_reports import PREFIX as REFUSED
from missioncontrol.config import Retention
from missioncontrol.errors import MissionControlError, StorageError, StorageFull
from missioncontrol.lake.retention import Expired

PARTS = {
    "dumps": "dump",
    "raw_crashes": "raw_crash",
    "processed_crashes": "processed_crash",
    "refused_reports": REFUSED,
}
"""Setting -> the first segment of its keys."""


def expire_parts(blobs: Blobs, settings: Retention, today: date, dry_run: bool = False) -> list[Expired]:
    """Delete what is older than it is kept; one entry for each part that loses some, `rows` being objects.

    With `dry_run` only say what would go. Raises the first `StorageError` or `StorageFull`, after all others went.
    """
    expired: list[Expired] = []
    failed: MissionControlError | None = None
    for part, prefix in PARTS.items():
        days: int = getattr(settings, part)
        if not 0 < days < today.toordinal():
            continue
        before = today - timedelta(days=days)
        count = size_bytes = 0
        for day in _older(blobs, prefix, before):
            try:
                listed = list(blobs.listed(day))
                count += len(listed) if dry_run else blobs.delete_all(each.key for each in listed)
                size_bytes += sum(each.size_bytes for each in listed)
            except (StorageError, StorageFull) as error:  # one that is damaged must not keep the others
                failed = failed or error
        if count:
            expired.append(Expired(part, days, before, count, count, size_bytes))
    if failed is not None:
        raise failed
    return expired


def _older(blobs: Blobs, prefix: str, before: date) -> Iterator[str]:
    """The days that are older, as prefixes."""
    for folder in sorted(blobs.folders(f"{prefix}/")):
        try:
            received = datetime.strptime(folder, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        if received < before:
            yield f"{prefix}/{folder}/"

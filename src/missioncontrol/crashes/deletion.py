"""Deletes crashes everywhere, with a record that it was done.

In this order, so that whoever dies in the middle leaves a deletion that the next one ends: the record, the queue, the
objects (the processed crash after the raw one: a worker that has the crash in its hands writes the one and then looks
for the other), the row for readers, the row in the files, the counts. The identity of the upload, which is a hash,
stays known for `ingest.resend_days` from then: a client that sends its report again must not bring back what somebody
had deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import msgspec
import structlog

from missioncontrol.blobs.crash_keys import day_of, dump_key, processed_key, raw_key
from missioncontrol.blobs.protocol import Blobs
from missioncontrol.crashes.index import CrashIndex
from missioncontrol.errors import MissionControlError, NotFound, StorageError, StorageFull
from missioncontrol.lake.removal import RowRemoval
from missioncontrol.state.crash_deletions import CrashDeletions
from missioncontrol.state.crash_queue import CrashQueue

_LOOKED_AFTER = timedelta(days=2)

logger = structlog.get_logger()


class Deleted(msgspec.Struct, frozen=True):
    """What was deleted."""

    crashes: int
    objects: int
    rows: int
    """Rows that left files of the lake."""


class CrashDeletion:
    """Deletes crashes of one installation."""

    def __init__(
        self,
        blobs: Blobs,
        queue: CrashQueue,
        index: Callable[[], CrashIndex],
        rows: RowRemoval,
        record: CrashDeletions,
        now: Callable[[], datetime],
        recount: Callable[[], object],
    ) -> None:
        """`rows` are those of the table `crashes`, by crash id; `recount` counts the hours that are marked."""
        self._recount = recount
        self._blobs, self._queue, self._index, self._rows = blobs, queue, index, rows
        self._record, self._now = record, now

    def delete(self, crash_ids: Sequence[str], who: str) -> Deleted:
        """Delete crashes; those that were deleted before are looked through again.

        Raises `NotFound` (`unknown_crash`) when there is nothing of one of them, and then nothing is deleted;
        `StorageError` and `StorageFull` in the middle: do it again, or the daily round does.
        """
        wanted = list(dict.fromkeys(crash_ids))
        self._refuse_unknown(wanted)
        self._record.begin(wanted, who, self._now())
        return self._delete(wanted, hide=True)

    def look_after(self) -> int:
        """End what was begun, and delete what workers had in their hands meanwhile; how many crashes that were.

        Raises as `delete` does, after all that could be done.
        """
        due = self._record.to_look_after(self._now() - _LOOKED_AFTER)
        begun = [d.crash_id for d in due if d.done_at is None]
        again = [d.crash_id for d in due if d.done_at is not None]
        try:
            if begun:
                self._delete(begun, hide=True)
        finally:
            left = self._delete(again, hide=False) if again else Deleted(0, 0, 0)
        return len(begun) + (left.crashes if left.objects or left.rows else 0)

    def _delete(self, crash_ids: Sequence[str], hide: bool) -> Deleted:
        objects = 0
        failed: dict[str, MissionControlError] = {}
        for crash_id in crash_ids:
            self._queue.forget(crash_id)
            if hide:
                self._queue.remember_upload(crash_id, self._now())
            try:
                *before, processed = self._keys(crash_id)
                objects += self._blobs.delete_all(before) + self._blobs.delete(processed)
            except (StorageError, StorageFull) as error:  # one that is damaged must not keep the others
                logger.error("crash_not_deleted", crash_id=crash_id, code=error.code, message=error.message)
                failed[crash_id] = error
                with suppress(StorageError, StorageFull):
                    objects += self._blobs.delete(processed_key(crash_id))  # which has a file of its own
        if hide:
            self._index().delete(crash_ids, self._now())
        removed = self._rows.remove(_by_day(crash_ids))
        try:
            self._recount()
        except MissionControlError as error:  # the marks stay, and whoever counts next does it
            logger.warning("crash_recount_failed", code=error.code, message=error.message)
        self._record.finish([c for c in crash_ids if c not in failed], self._now())
        if failed:
            raise next(iter(failed.values()))
        return Deleted(len(crash_ids), objects, removed.rows)

    def _keys(self, crash_id: str) -> list[str]:
        """Every key that there may be something under, the raw crash first, the processed one last."""
        dumps = self._blobs.list_of_crash(crash_id, dump_key(crash_id, ""))
        return [raw_key(crash_id), *dumps, processed_key(crash_id)]

    def _is_anything(self, crash_id: str) -> bool:
        try:
            return any(map(self._blobs.exists, self._keys(crash_id)))
        except StorageError:  # what cannot be read is there
            return True

    def _refuse_unknown(self, crash_ids: Sequence[str]) -> None:
        deleted = self._record.known(crash_ids)
        unsure = [c for c in crash_ids if c not in deleted and not self._is_anything(c)]
        unknown = sorted(set(unsure) - self._rows.held(_by_day(unsure))) if unsure else []
        if unknown:
            raise NotFound(
                "unknown_crash", f"There is nothing of crash {unknown[0]} here.", "Nothing was deleted."
            )


def _by_day(crash_ids: Sequence[str]) -> dict[date, list[str]]:
    days: dict[date, list[str]] = {}
    for crash_id in crash_ids:
        days.setdefault(day_of(crash_id), []).append(crash_id)
    return days

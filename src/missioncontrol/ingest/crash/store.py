"""Brings reports into the store and the queue, many at once, and says so only when both are durable.

Files first, then the annotations, then one commit that knows the upload and queues the crash: what was announced is
complete. A resend is told the id of the first copy and leaves nothing behind. A report that could not be stored for
want of room leaves nothing; one whose commit failed otherwise leaves nothing but unknown objects, since it may have
been made all the same. Its client is told to send it again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.blobs.crash_keys import MINIDUMP, dump_key, new_crash_id, raw_key
from missioncontrol.blobs.protocol import Blobs, Draft
from missioncontrol.errors import StorageFull
from missioncontrol.ingest.crash.reasons import UUID_TAKEN, CrashRefused
from missioncontrol.ingest.crash.report import Report
from missioncontrol.state.crash_jobs import Upload

if TYPE_CHECKING:
    from missioncontrol.state.crash_queue import CrashQueue

_MOST_AT_ONCE = 64
RawCrash = dict[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """A report that is stored and queued."""

    crash_id: str
    resent: bool
    """It was known before; the id is that of the first copy."""


class _Job(msgspec.Struct):
    report: Report
    identity: bytes
    crash_id: str
    raw: bytes
    done: Callable[[Stored | BaseException], None]


class CrashStore:
    """Stores reports in a thread of its own; reports that come meanwhile are stored together."""

    def __init__(
        self, blobs: Blobs, crash_queue: Callable[[], CrashQueue], now: Callable[[], datetime]
    ) -> None:
        """`crash_queue` is asked for with the first report: until then no database is opened."""
        self._blobs, self._queue, self._now = blobs, crash_queue, now
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def new_id(self) -> str:
        """A crash id for a report that is arriving."""
        return new_crash_id(self._now())

    def draft(self, crash_id: str, name: str) -> Draft:
        """Begin a file of a report."""
        return self._blobs.draft(dump_key(crash_id, name))

    def is_taken(self, crash_id: str, identity: bytes) -> bool:
        """Whether the id is that of another report than this one."""
        return self._blobs.exists(raw_key(crash_id)) and identity not in self._queue().known([identity])

    def is_known(self, identity: bytes) -> bool:
        """Whether the report is a resend of one that is stored."""
        return bool(self._queue().known([identity]))

    def is_gone(self, crash_id: str) -> bool:
        """Whether nothing is stored (any more) of a report that was."""
        return not self._blobs.exists(raw_key(crash_id))

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="crash store", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Store what waits, then end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    async def store(self, report: Report, identity: bytes, crash_id: str, raw: RawCrash) -> Stored:
        """Store a report; raises what the store failed with, and then nothing is queued."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Stored] = loop.create_future()

        def settle(result: Stored | BaseException) -> None:
            if future.done():
                return
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

        def done(result: Stored | BaseException) -> None:
            loop.call_soon_threadsafe(settle, result)

        self._jobs.put(_Job(report, identity, crash_id, msgspec.json.encode(raw), done))
        return await future

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, ended = [first], False
            while len(jobs) < _MOST_AT_ONCE and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    ended = True
                    break
                jobs.append(job)
            self._store_together(jobs)
            if ended:
                return

    def _store_together(self, jobs: Sequence[_Job]) -> None:
        try:
            results: Sequence[Stored | BaseException] = self._stored(jobs)
        except BaseException as error:  # whatever it is, each client must hear that its report is not stored
            results = [error] * len(jobs)
        for job, result in zip(jobs, results, strict=True):
            job.report.discard()
            job.done(result)

    def _stored(self, jobs: Sequence[_Job]) -> list[Stored | BaseException]:
        known = self._queue().known([job.identity for job in jobs])
        new = {job.identity: job for job in reversed(jobs) if job.identity not in known}
        taken = self._taken(new)
        for identity in taken:
            del new[identity]
        try:
            ids = known | self._stored_new(new)
        except StorageFull:  # then nothing was committed
            for job in new.values():
                self._delete(job)
            raise
        for job in new.values():
            if ids[job.identity] != job.crash_id:  # another process was first
                self._delete(job)
        return [
            CrashRefused(UUID_TAKEN)
            if job.identity in taken
            else Stored(ids[job.identity], ids[job.identity] != job.crash_id)
            for job in jobs
        ]

    def _taken(self, new: Mapping[bytes, _Job]) -> set[bytes]:
        """Those whose id became another report's since it was looked at: two that brought one came at once."""
        taken: set[bytes] = set()
        ids: set[str] = set()
        for identity, job in new.items():
            if job.crash_id in ids or self._blobs.exists(raw_key(job.crash_id)):
                taken.add(identity)
            ids.add(job.crash_id)
        return taken

    def _stored_new(self, new: Mapping[bytes, _Job]) -> dict[bytes, str]:
        """Crash ids by identity."""
        drafts: list[Draft] = []
        for job in new.values():
            for file in job.report.files:
                file.draft.key = dump_key(
                    job.crash_id, file.name
                )  # it was begun before the report named its id
                drafts.append(file.draft)
        raws = []
        try:
            for job in new.values():
                raw = self._blobs.draft(raw_key(job.crash_id))
                raws.append(raw)
                raw.write(job.raw)
            if raws:
                self._blobs.commit([*drafts, *raws])
        finally:
            for raw in raws:
                raw.discard()
        uploads = [Upload(job.identity, job.crash_id) for job in new.values()]
        accepted = self._queue().accept(uploads, self._now())
        return dict(zip((u.identity for u in uploads), accepted, strict=True))

    def _delete(self, job: _Job) -> None:
        self._blobs.delete(raw_key(job.crash_id))
        for file in job.report.files:
            self._blobs.delete(dump_key(job.crash_id, file.name))


def raw_crash(
    report: Report, annotations: dict[str, str], crash_id: str, metadata: RawCrash, at: datetime
) -> RawCrash:
    """The raw crash: annotations at the top level, and what the collector knows.

    Annotations cannot take the place of what the collector adds: those of such a name are kept beside it.
    """
    checksums = {_public_name(file.name): file.sha256 for file in report.files}
    added: RawCrash = {
        "uuid": crash_id,
        "submitted_timestamp": at.isoformat(),
        "version": 2,
        "metadata": {**metadata, "payload": report.payload, "dump_checksums": checksums},
    }
    replaced = {n: v for n, v in annotations.items() if n in added and v != added[n]}
    if replaced:
        added["metadata"]["replaced_annotations"] = replaced
    return {**annotations, **added}


def _public_name(name: str) -> str:
    return MINIDUMP if name == "dump" else name

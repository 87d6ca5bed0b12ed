"""Brings reports into the store and the queue, many at once, and says so only when both are durable.

Reports first, then one commit that knows the upload and queues the crash: what was announced is complete. Small reports
that come together share a file, a bundle; of others each part has its own, the annotations last. A resend is told the
id of the first copy and leaves nothing behind. A report that could not be stored for want of room leaves nothing; one
whose commit failed otherwise leaves nothing but unknown objects, since it may have been made all the same. Its client
is told to send it again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.blobs.bundle import Object
from missioncontrol.blobs.crash_keys import (
    MINIDUMP,
    bundle_key,
    dump_key,
    new_crash_id,
    new_crash_ids,
    processed_key,
    raw_key,
)
from missioncontrol.blobs.protocol import Draft, ReportBlobs
from missioncontrol.errors import NotFound, StorageFull
from missioncontrol.ingest.crash.drafts import SMALL_BYTES, Memory, ReportDraft
from missioncontrol.ingest.crash.reasons import UUID_TAKEN, CrashRefused
from missioncontrol.ingest.crash.report import Report
from missioncontrol.state.crash_jobs import Upload

if TYPE_CHECKING:
    from missioncontrol.state.crash_queue import CrashQueue

_MOST_AT_ONCE = 64
_MOST_BYTES_AT_ONCE = 32 << 20
"""Of files in memory and annotations; a group ends with the report that brings it so far."""
RawCrash = dict[str, Any]

_logger = logging.getLogger(__name__)


class Stored(msgspec.Struct, frozen=True):
    """A report that is stored and queued."""

    crash_id: str
    resent: bool
    """It was known before; the id is that of the first copy."""


class _NotedMetadata(msgspec.Struct, frozen=True):
    identity: str = ""


class _Noted(msgspec.Struct, frozen=True):
    """What a raw crash says of the report that it was made of."""

    metadata: _NotedMetadata = _NotedMetadata()


class _Job(msgspec.Struct):
    report: Report
    identity: bytes
    chosen: bool
    """It brought its id."""
    crash_id: str
    """Empty until it is stored, unless it brought one."""
    raw: RawCrash
    done: asyncio.Future[Stored]
    in_memory: dict[str, bytearray]
    """Files that were small, held here: whoever sent the report may be given up before it is stored."""
    there: bool = False
    """It brought its id, and was stored and not queued before."""


class CrashStore:
    """Stores reports in a thread of its own; reports that come meanwhile are stored together."""

    def __init__(
        self, blobs: ReportBlobs, crash_queue: Callable[[], CrashQueue], now: Callable[[], datetime]
    ) -> None:
        """`crash_queue` is asked for with the first report: until then no database is opened."""
        self._blobs, self._queue, self._now = blobs, crash_queue, now
        self._memory = Memory()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def new_id(self) -> str:
        """A crash id for a report that is not stored."""
        return new_crash_id(self._now())

    def draft(self, name: str) -> ReportDraft:
        """Begin a file of a report."""
        return ReportDraft(name, self._memory, self._draft_on_disk)

    def is_taken(self, crash_id: str, identity: bytes) -> bool:
        """Whether the id is that of another report than this one."""
        return identity not in self._queue().known([identity]) and self._is_others(crash_id, identity)

    def is_known(self, identity: bytes) -> bool:
        """Whether the report is a resend of one that is stored."""
        return bool(self._queue().known([identity]))

    def is_gone(self, crash_id: str) -> bool:
        """Whether nothing is stored (any more) of a report that was."""
        return not any(self._blobs.exists(key(crash_id)) for key in (raw_key, processed_key))

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

    async def store(self, report: Report, identity: bytes, chosen_id: str | None, raw: RawCrash) -> Stored:
        """Store a report, under an id that it brought or a new one; raises what the store failed with, and then
        nothing is queued.
        """
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        small = {file.name: file.draft.data for file in report.files if file.draft.data is not None}
        self._jobs.put(_Job(report, identity, chosen_id is not None, chosen_id or "", raw, done, small))
        return await done

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, ended, size_bytes = [first], False, _size_bytes(first)
            while len(jobs) < _MOST_AT_ONCE and size_bytes < _MOST_BYTES_AT_ONCE and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    ended = True
                    break
                jobs.append(job)
                size_bytes += _size_bytes(job)
            self._store_together(jobs)
            if ended:
                return

    def _store_together(self, jobs: Sequence[_Job]) -> None:
        try:
            results: Sequence[Stored | BaseException] = self._stored(jobs)
        except BaseException as error:  # whatever it is, each client must hear that its report is not stored
            results = [error] * len(jobs)
        told: dict[
            asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Stored], Stored | BaseException]]
        ] = {}
        for job, result in zip(jobs, results, strict=True):
            try:
                job.report.discard()
            except (
                Exception
            ):  # a draft is left over, and whoever sent the report shall hear of it all the same
                _logger.exception("files of a crash report cannot be given up")
            told.setdefault(job.done.get_loop(), []).append((job.done, result))
        for loop, settled in told.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                _logger.exception("nobody waits for %d crash reports", len(settled))

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
            else Stored(
                ids[job.identity], new.get(job.identity) is not job or ids[job.identity] != job.crash_id
            )
            for job in jobs
        ]

    def _taken(self, new: Mapping[bytes, _Job]) -> set[bytes]:
        """Those whose id became another report's since it was looked at: two that brought one came at once."""
        taken: set[bytes] = set()
        ids: set[str] = set()
        for identity, job in new.items():
            if not job.chosen:
                continue
            if job.crash_id in ids or self._is_others(job.crash_id, identity):
                taken.add(identity)
            ids.add(job.crash_id)
            job.there = self._blobs.exists(raw_key(job.crash_id))
        return taken

    def _is_others(self, crash_id: str, identity: bytes) -> bool:
        """Whether an id cannot be had by a report that is not known: another one's, processed or deleted.

        A report that was stored and never queued is still its client's, who was told to send it again.
        """
        if self._blobs.exists(processed_key(crash_id)) or self._queue().was_deleted(crash_id):
            return True
        try:
            raw = msgspec.json.decode(self._blobs.get(raw_key(crash_id)), type=_Noted)
        except NotFound:
            return False
        except msgspec.DecodeError:
            return True
        return raw.metadata.identity != identity.hex()

    def _stored_new(self, new: Mapping[bytes, _Job]) -> dict[bytes, str]:
        """Crash ids by identity."""
        jobs, now = list(new.values()), self._now()
        unnamed = [job for job in jobs if not job.chosen]
        for job, crash_id in zip(unnamed, self._new_ids(now, len(unnamed)), strict=True):
            job.crash_id = crash_id
        small: list[Object] = []
        large: list[_Job] = []
        for job in jobs:
            objects = _objects(job)
            if objects is None:
                large.append(job)
            else:
                small += objects
        if large:
            self._store_each(large)
        if small:
            self._blobs.put_together(bundle_key(unnamed[0].crash_id), small)
        accepted = self._queue().accept([Upload(job.identity, job.crash_id) for job in jobs], now)
        return dict(zip((job.identity for job in jobs), accepted, strict=True))

    def _new_ids(self, now: datetime, count: int) -> list[str]:
        while True:
            ids = new_crash_ids(now, count)
            if not ids or not self._blobs.exists(bundle_key(ids[0])):
                return ids

    def _store_each(self, jobs: Sequence[_Job]) -> None:
        """Every part in a file of its own."""
        drafts: list[Draft] = []
        begun: list[Draft] = []
        raws: list[Draft] = []
        try:
            for job in jobs:
                for file in job.report.files:
                    draft = file.draft.stored
                    if draft is None:
                        draft = self._draft_on_disk(file.name)
                        begun.append(draft)
                        draft.write(memoryview(job.in_memory[file.name]))
                    draft.key = dump_key(job.crash_id, file.name)  # it was begun before the report had its id
                    drafts.append(draft)
                raws.append(self._blobs.draft(raw_key(job.crash_id)))
                raws[-1].write(_raw_bytes(job))
            self._blobs.commit([*drafts, *raws])
        finally:
            for draft in (*begun, *raws):
                draft.discard()

    def _draft_on_disk(self, name: str) -> Draft:
        return self._blobs.draft(dump_key(self.new_id(), name))

    def _delete(self, job: _Job) -> None:
        if not job.crash_id or job.there:
            return  # it did not come so far, or was there before
        self._blobs.delete(raw_key(job.crash_id))
        for file in job.report.files:
            self._blobs.delete(dump_key(job.crash_id, file.name))


def _settle(settled: Sequence[tuple[asyncio.Future[Stored], Stored | BaseException]]) -> None:
    for future, result in settled:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _size_bytes(job: _Job) -> int:
    """What it holds in memory, about."""
    texts = sum(len(name) + len(value) for name, value in job.report.annotations.items())
    return texts + sum(map(len, job.in_memory.values()))


def _objects(job: _Job) -> list[Object] | None:
    """What goes into a bundle; None when it has files of its own: it brought its id, or something is not small."""
    if job.chosen or len(job.in_memory) != len(job.report.files):
        return None
    raw = _raw_bytes(job)
    if len(raw) > SMALL_BYTES:  # written by itself it is in memory by itself
        return None
    dumps = [Object(dump_key(job.crash_id, name), data) for name, data in job.in_memory.items()]
    return [*dumps, Object(raw_key(job.crash_id), raw)]


def _raw_bytes(job: _Job) -> bytes:
    return msgspec.json.encode({"uuid": job.crash_id, **job.raw})


def raw_crash(
    report: Report, annotations: dict[str, str], crash_id: str | None, metadata: RawCrash, at: datetime
) -> RawCrash:
    """The raw crash: annotations at the top level, and what the collector knows; `uuid` is added when it is stored.

    Annotations cannot take the place of what the collector adds: those of such a name are kept beside it.
    """
    checksums = {_public_name(file.name): file.sha256 for file in report.files}
    added: RawCrash = {
        "submitted_timestamp": at.isoformat(),
        "version": 2,
        "metadata": {**metadata, "payload": report.payload, "dump_checksums": checksums},
    }
    known = {**added, "uuid": crash_id}
    replaced = {n: v for n, v in annotations.items() if n in known and v != known[n]}
    if replaced:
        added["metadata"]["replaced_annotations"] = replaced
    return {**{n: v for n, v in annotations.items() if n != "uuid"}, **added}


def _public_name(name: str) -> str:
    return MINIDUMP if name == "dump" else name

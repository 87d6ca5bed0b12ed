"""The store of the collector: small and large reports, copies and chosen ids of one group end where they should."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missioncontrol.blobs.crash_keys import BUNDLES, MINIDUMP, dump_key, new_crash_id, processed_key, raw_key
from missioncontrol.blobs.crash_objects import read_raw_crash
from missioncontrol.blobs.report_blobs import LocalReportBlobs
from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.ingest.crash.drafts import SMALL_BYTES, ReportDraft
from missioncontrol.ingest.crash.reasons import CrashRefused
from missioncontrol.ingest.crash.report import Report, UploadedFile
from missioncontrol.ingest.crash.store import CrashStore, Stored, _Job
from missioncontrol.state.crash_deletions import CrashDeletions
from missioncontrol.state.crash_queue import CrashQueue
from missioncontrol.state.database import Database

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CHOSEN = "de1bb258-cbbf-4589-a673-34f800261126"


class Collected:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = LocalReportBlobs(folder / "blobs")
        self.database = Database(f"sqlite:///{folder / 'state.sqlite'}")
        self.queue = CrashQueue(self.database)
        self.store = CrashStore(self.blobs, lambda: self.queue, lambda: NOW)

    def report(self, mark: str, dump: bytes) -> Report:
        draft = self.store.draft(MINIDUMP)
        draft.write(dump)
        return Report({"mark": mark}, (UploadedFile(MINIDUMP, "0" * 64, draft),), (), "json")

    def raw(self, report: Report, chosen: str | None) -> dict[str, object]:
        noted = {"metadata": {"identity": report.identity().hex()}} if chosen else {}
        return {**report.annotations, **noted}

    def stored(
        self, reports: Sequence[tuple[Report, str | None]], give_up: bool = False
    ) -> list[Stored | BaseException]:
        """What becomes of reports that wait when the store begins: they are one group."""

        async def run() -> list[Stored | BaseException]:
            waiting = [
                asyncio.create_task(
                    self.store.store(report, report.identity(), chosen, self.raw(report, chosen))
                )
                for report, chosen in reports
            ]
            await asyncio.sleep(0)  # all are handed over
            if give_up:
                for report, _ in reports:
                    report.discard()
            self.store.start()
            return await asyncio.gather(*waiting, return_exceptions=True)

        try:
            return asyncio.run(run())
        finally:
            self.store.stop()

    def files(self) -> list[str]:
        top = self.folder / "blobs"
        return sorted(f.relative_to(top).parts[0] for f in top.rglob("*") if f.is_file())


@pytest.fixture
def collected(tmp_path: Path) -> Iterator[Collected]:
    found = Collected(tmp_path)
    yield found
    found.blobs.close()


def test_small_reports_share_a_file_others_have_their_own(collected: Collected) -> None:
    large = b"L" * (SMALL_BYTES + 1)
    dumps = [b"one", b"two", large, b"chosen", b""]
    reports = [collected.report(str(n), dump) for n, dump in enumerate(dumps)]
    chosen = [None, None, None, CHOSEN, None]
    found = collected.stored(list(zip(reports, chosen, strict=True)))
    assert collected.files() == ["dump", "dump", "raw_crash", "raw_crash", BUNDLES]
    for n, (result, dump) in enumerate(zip(found, dumps, strict=True)):
        assert isinstance(result, Stored) and not result.resent
        assert collected.blobs.get(dump_key(result.crash_id, MINIDUMP)) == dump
        raw = read_raw_crash(collected.blobs, result.crash_id)
        assert (raw["uuid"], raw["mark"]) == (result.crash_id, str(n))
        assert collected.queue.entry(result.crash_id, NOW) is not None
    assert isinstance(found[3], Stored) and found[3].crash_id == CHOSEN
    assert list((collected.folder / "blobs" / "drafts").iterdir()) == []


def test_many_annotations_have_a_file_of_their_own_and_end_a_group(collected: Collected) -> None:
    texts = ["\x01" * (SMALL_BYTES // 4), "a" * (SMALL_BYTES // 4)]  # one of them grows sixfold in JSON
    found = collected.stored([(collected.report(text, b"dump"), None) for text in texts])
    assert collected.files() == ["dump", "raw_crash", BUNDLES]
    for text, result in zip(texts, found, strict=True):
        assert isinstance(result, Stored)
        assert read_raw_crash(collected.blobs, result.crash_id)["mark"] == text
    large = [(collected.report(f"{n}" + "b" * (20 << 20), b""), None) for n in range(3)]
    groups = []
    together = collected.store._store_together

    def counted(jobs: Sequence[_Job]) -> None:
        groups.append(len(jobs))
        together(jobs)

    collected.store._store_together = counted  # type: ignore[method-assign]
    assert all(isinstance(result, Stored) for result in collected.stored(large))
    assert groups == [2, 1]


def test_copies_have_the_first_ones_id_and_leave_nothing(collected: Collected) -> None:
    def copies() -> list[tuple[Report, str | None]]:
        return [(collected.report("same", b"dump"), None) for _ in range(3)]

    first, *others = collected.stored(copies())
    again = collected.stored(copies())
    assert isinstance(first, Stored) and not first.resent
    assert [*others, *again] == [Stored(first.crash_id, True)] * 5
    assert collected.files() == [BUNDLES]
    assert list(collected.blobs.list("raw_crash/")) == [raw_key(first.crash_id)]


def test_two_with_one_chosen_id(collected: Collected) -> None:
    reports = [(collected.report(mark, mark.encode()), CHOSEN) for mark in ("a", "b")]
    found = collected.stored(reports)
    assert {type(each) for each in found} == {Stored, CrashRefused}
    assert len(list(collected.blobs.list("dump/"))) == 1


def test_a_chosen_id_that_was_stored_and_not_queued_is_still_its_reports(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(mark: str) -> Stored | BaseException:
        [result] = collected.stored([(collected.report(mark, mark.encode()), CHOSEN)])
        return result

    def fail(error: Exception) -> Stored | BaseException:
        def accept(*_: object) -> list[str]:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(collected.queue, "accept", accept)
            return send("a")

    mine, other = (collected.report(mark, mark.encode()).identity() for mark in "ab")
    assert isinstance(fail(StorageError("state_unavailable", "locked")), StorageError)
    assert collected.blobs.exists(raw_key(CHOSEN)), "it may have been queued all the same"
    assert isinstance(fail(StorageFull("state_full", "full")), StorageFull)
    assert collected.blobs.exists(raw_key(CHOSEN)), "what was there before stays"
    assert collected.store.is_taken(CHOSEN, other) and not collected.store.is_taken(CHOSEN, mine)
    assert isinstance(send("b"), CrashRefused)
    assert send("a") == Stored(CHOSEN, False)
    assert collected.blobs.get(dump_key(CHOSEN, MINIDUMP)) == b"a"
    assert collected.queue.entry(CHOSEN, NOW) is not None
    assert send("a") == Stored(CHOSEN, True)


def test_an_id_of_a_crash_that_was_deleted_or_processed_is_taken(collected: Collected) -> None:
    identity = collected.report("a", b"dump").identity()
    assert not collected.store.is_taken(CHOSEN, identity)
    CrashDeletions(collected.database).begin([CHOSEN], "somebody", NOW)
    assert collected.store.is_taken(CHOSEN, identity)
    [refused] = collected.stored([(collected.report("a", b"dump"), CHOSEN)])
    assert isinstance(refused, CrashRefused)
    processed = new_crash_id(NOW)
    collected.blobs.put(processed_key(processed), b"")
    assert collected.store.is_taken(processed, identity)


def test_a_report_that_is_given_up_while_it_waits_is_stored_whole(collected: Collected) -> None:
    [result] = collected.stored([(collected.report("a", b"dump"), None)], give_up=True)
    assert isinstance(result, Stored)
    assert collected.blobs.get(dump_key(result.crash_id, MINIDUMP)) == b"dump"


def test_a_large_report_that_is_given_up_is_not_queued(collected: Collected) -> None:
    [result] = collected.stored([(collected.report("a", b"L" * (SMALL_BYTES + 1)), None)], give_up=True)
    assert isinstance(result, Exception)
    assert collected.queue.backlog(NOW).waiting == 0
    assert list(collected.blobs.list("raw_crash/")) == []


def test_what_cannot_be_given_up_or_told_ends_nothing(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: ReportDraft) -> None:
        raise OSError(errno.EIO, "Input/output error")

    closed = asyncio.new_event_loop()
    unheard = closed.create_future()
    closed.close()
    report = collected.report("unheard", b"dump")
    with monkeypatch.context() as patched:
        patched.setattr(ReportDraft, "discard", failing)
        collected.store._jobs.put(
            _Job(report, report.identity(), False, "", {}, unheard, {MINIDUMP: bytearray()})
        )
        [result] = collected.stored([(collected.report("a", b"dump"), None)])
    assert isinstance(result, Stored)
    assert collected.queue.backlog(NOW).waiting == 2

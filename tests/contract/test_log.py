"""What every log promises: order, offsets, reading, retention, and several appenders."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from log_backends import NOW_NS, LogBackend, ping
from tests.support.loops import run

from missioncontrol.errors import BadRequest, StorageError
from missioncontrol.log.protocol import Entry, Kind, Log, Record

EVERYTHING = 1 << 40
MB = 1024 * 1024


def read_all(log: Log, after: int = 0) -> list[Record]:
    return log.read(after, 1_000_000, EVERYTHING)


def bodies(log: Log, after: int = 0) -> list[bytes]:
    return [record.entry.body for record in read_all(log, after)]


async def append_each(log: Log, entries: list[Entry]) -> list[int]:
    return [appended.offset for appended in await asyncio.gather(*(log.append(entry) for entry in entries))]


def test_an_entry_is_read_back_as_it_was_appended(log_backend: LogBackend) -> None:
    log = log_backend.open()
    entry = Entry(
        kind=Kind.PING,
        received_ns=NOW_NS + 123_456_789,
        namespace="telemetry",
        document_type="main",
        document_version="4",
        document_id="c8b1c0a4-7a50-4b1c-9a3e-6a1f7e1c0001",
        application="Firefox",
        version="62.0.3",
        channel="release",
        build_id="20181001155545",
        country="DE",
        headers=(("user-agent", "pingsender/1.0 ü"), ("date", "")),
        encoding="gzip",
        body=bytes(range(256)) * 10,
        detail="why",
        count=3,
    )
    appended = run(log.append(entry))
    assert read_all(log) == [Record(appended.offset, entry)]


def test_refusals_and_empty_entries_are_records_too(log_backend: LogBackend) -> None:
    log = log_backend.open()
    entries = [Entry(Kind.REFUSED, NOW_NS, detail="too_large", count=41), Entry(Kind.PING, 0)]
    log.append_many(entries)
    assert [record.entry for record in read_all(log)] == entries


def test_an_empty_log_has_nothing_and_its_last_offset_is_0(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert (log.read(0, 10, 10), log.last_offset(), log.count_after(0)) == ([], 0, 0)
    log.trim(1000)
    log.check()
    assert (log.read(0, 10, 10), log.last_offset(), log.count_after(0)) == ([], 0, 0)


def test_offsets_grow_in_the_order_of_appending(log_backend: LogBackend) -> None:
    log = log_backend.open()
    offsets = [run(log.append(ping(body=b"%d" % number))).offset for number in range(5)]
    offsets += [a.offset for a in log.append_many([ping(body=b"%d" % number) for number in range(5, 40)])]
    assert offsets == sorted(set(offsets)) and offsets[0] > 0
    assert [record.offset for record in read_all(log)] == offsets
    assert bodies(log) == [b"%d" % number for number in range(40)]
    assert log.last_offset() == offsets[-1]


def test_concurrent_appends_each_get_the_offset_of_their_own_entry(log_backend: LogBackend) -> None:
    log = log_backend.open()
    entries = [ping(f"id-{number}", b"%d" % number) for number in range(300)]
    offsets = run(append_each(log, entries))
    assert {record.offset: record.entry for record in read_all(log)} == dict(
        zip(offsets, entries, strict=True)
    )


def test_two_event_loops_append_to_one_log(log_backend: LogBackend) -> None:
    log = log_backend.open()
    offsets: dict[int, list[int]] = {}

    def append_hundred(number: int) -> None:
        entries = [ping(f"{number}-{n}", b"%d" % number) for n in range(100)]
        offsets[number] = asyncio.run(append_each(log, entries))

    threads = [threading.Thread(target=append_hundred, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {record.offset: record.entry.body for record in read_all(log)}
    assert found == {offset: b"%d" % number for number in range(2) for offset in offsets[number]}


def test_a_waiter_that_gives_up_harms_no_other(log_backend: LogBackend) -> None:
    log = log_backend.open()

    async def scenario() -> list[int]:
        tasks = [asyncio.create_task(log.append(ping(f"id-{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        return [(await task).offset for task in tasks[1::2]]

    kept = run(scenario())
    assert set(kept) <= {record.offset for record in read_all(log)}


def test_appending_nothing_is_no_commit_and_no_record(log_backend: LogBackend) -> None:
    log = log_backend.open()
    assert log.append_many([]) == []
    assert log.last_offset() == 0


def test_an_entry_that_cannot_be_written_down_fails_alone(log_backend: LogBackend) -> None:
    log = log_backend.open()

    async def scenario() -> list[object]:
        entries = [ping("a"), ping("b", channel="\udc80"), ping("c"), Entry(Kind.PING, 1 << 70)]
        return list(await asyncio.gather(*(log.append(entry) for entry in entries), return_exceptions=True))

    results = run(scenario())
    assert [isinstance(result, BadRequest) for result in results] == [False, True, False, True]
    assert [record.entry.document_id for record in read_all(log)] == ["a", "c"]


def test_reading_stops_at_the_record_limit(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping(body=b"%d" % number) for number in range(10)])
    assert [record.entry.body for record in log.read(0, 3, EVERYTHING)] == [b"0", b"1", b"2"]


def test_reading_stays_within_the_byte_limit_but_gives_one_at_least(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping(body=bytes(1000)) for _ in range(10)])
    assert len(log.read(0, 100, 5500)) in (4, 5)
    assert len(log.read(0, 100, 1)) == 1
    assert len(log.read(0, 0, 0)) == 1


def test_reading_on_from_the_last_offset_gives_every_record_once(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping(body=b"%d" % number * 50) for number in range(100)])
    seen: list[bytes] = []
    after = 0
    while records := log.read(after, 7, 1000):
        seen += [record.entry.body for record in records]
        after = records[-1].offset
    assert seen == bodies(log) and len(seen) == 100
    assert log.read(after + 1000, 10, 10) == []


def test_bodies_of_8_mb_are_kept_to_the_byte(log_backend: LogBackend) -> None:
    log = log_backend.open()
    large = [os.urandom(8 * MB) for _ in range(3)]
    run(append_each(log, [ping(f"id-{number}", body) for number, body in enumerate(large)]))
    assert sorted(bodies(log)) == sorted(large)
    assert len(log.read(0, 100, 17 * MB)) == 2


def test_the_count_after_an_offset_is_what_reading_would_give(log_backend: LogBackend) -> None:
    log = log_backend.open()
    offsets = [appended.offset for appended in log.append_many([ping() for _ in range(20)])]
    log.trim(offsets[4])
    for after in [0, *offsets, offsets[-1] + 5]:
        assert log.count_after(after) == len(read_all(log, after))


def test_the_size_is_that_of_files_on_this_machine(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping(body=os.urandom(100_000))])
    size_bytes = log.size_bytes()
    assert (size_bytes is None) == (log_backend.name == "kafka")
    assert size_bytes is None or size_bytes > 100_000


def test_trimming_frees_records_up_to_and_including_the_offset(log_backend: LogBackend) -> None:
    log = log_backend.open()
    offsets = [a.offset for a in log.append_many([ping(body=b"%d" % number) for number in range(500)])]
    log.trim(offsets[449])
    assert bodies(log) == [b"%d" % number for number in range(450, 500)]
    log.trim(offsets[10])
    assert len(bodies(log)) == 50
    assert log.last_offset() == offsets[-1]


def test_offsets_are_not_reused_after_trimming_everything_and_reopening(log_backend: LogBackend) -> None:
    log = log_backend.open()
    last = log.append_many([ping() for _ in range(10)])[-1].offset
    log.trim(last)
    log.close()
    log = log_backend.open()
    assert (log.last_offset(), read_all(log), log.count_after(0)) == (last, [], 0)
    assert run(log.append(ping())).offset > last


def test_what_was_appended_is_there_after_reopening(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping(body=b"%d" % number) for number in range(100)])
    log.close()
    assert bodies(log_backend.open()) == [b"%d" % number for number in range(100)]


def test_closing_finishes_what_is_under_way(log_backend: LogBackend) -> None:
    log = log_backend.open()

    async def scenario() -> list[int]:
        tasks = [asyncio.create_task(log.append(ping(f"id-{number}"))) for number in range(50)]
        await asyncio.sleep(0)
        log.close()
        return [(await task).offset for task in tasks]

    offsets = run(scenario())
    assert [record.offset for record in read_all(log_backend.open())] == sorted(offsets)


def test_a_closed_log_says_so(log_backend: LogBackend) -> None:
    log = log_backend.open()
    log.append_many([ping()])
    log.close()
    log.close()
    for use in (lambda: log.append_many([ping()]), lambda: read_all(log), log.check):
        with pytest.raises(StorageError) as refusal:
            use()
        assert refusal.value.code == "log_closed"


def test_a_log_is_read_and_trimmed_while_it_is_appended_to(log_backend: LogBackend) -> None:
    writer, reader = log_backend.open(), log_backend.open()
    total = 600

    def append() -> None:
        for start in range(0, total, 20):
            writer.append_many([ping(body=b"%d" % number) for number in range(start, start + 20)])

    thread = threading.Thread(target=append)
    thread.start()
    seen: list[bytes] = []
    after = 0
    while len(seen) < total:
        for record in reader.read(after, 50, EVERYTHING):
            seen.append(record.entry.body)
            after = record.offset
        reader.trim(after)
    thread.join()
    assert seen == [b"%d" % number for number in range(total)]
    assert read_all(reader) == []


def test_a_log_keeps_its_name_and_another_has_another(
    log_backend: LogBackend, new_backend: Callable[[Path], LogBackend], tmp_path: Path
) -> None:
    name = log_backend.open().identity()
    assert name == log_backend.open().identity()
    assert new_backend(tmp_path / "other").open().identity() != name

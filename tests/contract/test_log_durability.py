"""What every log promises when processes die, meet, or find the store full."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from log_backends import LogBackend, body_of, ping, told
from tests.support.loops import run

from missioncontrol.errors import StorageFull
from missioncontrol.log.protocol import Kind, Log, Record

EVERYTHING = 1 << 40
LIMIT_BYTES = 4 * 1024 * 1024


def read_all(log: Log, after: int = 0) -> list[Record]:
    return log.read(after, 1_000_000, EVERYTHING)


def acknowledged(output: bytes) -> dict[int, str]:
    """Offset and id of each complete line of a child, but for those that it was told are duplicates."""
    lines = [line.split() for line in output.decode().split("\n")[:-1]]
    return {int(offset): id_ for offset, id_, duplicate in lines if duplicate != "1"}


def killed_at_random(backend: LogBackend, prefix: str, *flags: str) -> dict[int, str]:
    """Let a child append, SIGKILL it at a random moment after its first answer; what it said was kept."""
    child = backend.child(prefix, 0, *flags)
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(random.uniform(0.01, 0.3))
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    return acknowledged(first + rest)


def append_until_full(log: Log, prefix: str, size_bytes: int = 20_000) -> int:
    """How many entries fit."""
    for number in range(100_000):
        try:
            log.append_many([ping(f"{prefix}-{number}", os.urandom(size_bytes))])
        except StorageFull as full:
            assert full.code == "log_full"
            return number
    raise AssertionError("the store never filled")


def test_everything_acknowledged_survives_kill_9(log_backend: LogBackend) -> None:
    kept: dict[int, str] = {}
    for number in range(4):
        new = killed_at_random(log_backend, f"round{number}")
        assert new and min(new) > max(kept, default=0)
        kept |= new
    log = log_backend.open()
    found = {record.offset: record.entry for record in read_all(log)}
    assert {offset: found[offset].document_id for offset in kept} == kept
    assert all(entry.body == body_of(entry.document_id) for entry in found.values())
    assert max(Counter(entry.document_id for entry in found.values()).values()) == 1
    before = log.last_offset()
    assert all(told(log, log.append_many([ping(id_) for id_ in kept.values()]), before))


def test_a_process_killed_while_it_trims_loses_nothing_else(log_backend: LogBackend) -> None:
    for number in range(3):
        kept = killed_at_random(log_backend, f"round{number}", "--trim")
        found = {record.offset: record.entry.document_id for record in read_all(log_backend.open())}
        newest = {offset: id_ for offset, id_ in kept.items() if offset > max(kept) - 90}
        assert newest and newest.items() <= found.items()


def test_several_processes_append_the_same_documents_and_one_copy_of_each_is_kept(
    log_backend: LogBackend,
) -> None:
    each, processes = 250, 3
    children = [log_backend.child("shared", each) for _ in range(processes)]
    log = log_backend.open()
    followed: list[Record] = []
    deadline = time.monotonic() + 60
    while len(followed) < each * processes:
        assert time.monotonic() < deadline
        followed += log.read(followed[-1].offset if followed else 0, 40, EVERYTHING)
    answers: dict[int, str] = {}
    for child in children:
        output, _ = child.communicate()
        assert child.returncode == 0
        answers |= acknowledged(output)
    assert followed == read_all(log)  # nothing turned up behind the reader
    kinds = Counter((record.entry.document_id, record.entry.kind) for record in followed)
    assert set(kinds.values()) == {1, processes - 1} and len(kinds) == 2 * each
    pings = {r.offset: r.entry.document_id for r in followed if r.entry.kind is Kind.PING}
    assert pings.items() <= answers.items()
    assert len(answers) == (len(pings) if log_backend.name == "sqlite" else each * processes)


def test_processes_may_make_the_log_at_the_same_moment(log_backend: LogBackend) -> None:
    children = [log_backend.child(f"process{number}", 10) for number in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert len(read_all(log_backend.open())) == 40


def test_a_full_log_refuses_and_takes_entries_again_when_it_was_trimmed(bounded_backend: LogBackend) -> None:
    log = bounded_backend.open(max_bytes=LIMIT_BYTES)
    for cycle in range(3):
        before = log.last_offset()
        fitted = append_until_full(log, f"cycle{cycle}")
        assert fitted > 50 and log.size_bytes() <= LIMIT_BYTES
        with pytest.raises(StorageFull):
            log.check()
        records = read_all(log, before)
        assert [r.entry.document_id for r in records] == [f"cycle{cycle}-{n}" for n in range(fitted)]
        log.trim(log.last_offset())
        log.check()
        refused = ping(f"cycle{cycle}-{fitted}", b"sent again")
        assert not log.append_many([refused])[0].duplicate


def test_everyone_who_waits_for_a_commit_that_finds_no_room_is_told(bounded_backend: LogBackend) -> None:
    log = bounded_backend.open(max_bytes=LIMIT_BYTES)
    entries = [ping(f"id-{number}", os.urandom(200_000)) for number in range(40)]

    async def scenario() -> list[object]:
        return list(await asyncio.gather(*(log.append(entry) for entry in entries), return_exceptions=True))

    results = run(scenario())
    refused = [entry for entry, r in zip(entries, results, strict=True) if isinstance(r, StorageFull)]
    assert refused and all(isinstance(r, StorageFull) or not r.duplicate for r in results)  # type: ignore[attr-defined]
    stored = {record.entry.document_id for record in read_all(log)}
    assert stored == {entry.document_id for entry in entries} - {entry.document_id for entry in refused}
    log.trim(log.last_offset())
    for entry in refused[:10]:
        assert not run(log.append(entry)).duplicate


def test_several_entries_are_stored_all_or_none(bounded_backend: LogBackend) -> None:
    log = bounded_backend.open(max_bytes=LIMIT_BYTES)
    with pytest.raises(StorageFull):
        log.append_many([ping(f"id-{number}", bytes(100_000)) for number in range(100)])
    assert (read_all(log), log.last_offset()) == ([], 0)
    assert not any(a.duplicate for a in log.append_many([ping(f"id-{number}") for number in range(100)]))


def test_a_log_that_filled_its_disk_can_be_read_trimmed_and_used_again(
    bounded_backend: LogBackend, small_disk: Path
) -> None:
    bounded_backend.place = small_disk / "log"
    for cycle in range(2):
        log = bounded_backend.open()
        before = log.last_offset()
        fitted = append_until_full(log, f"cycle{cycle}")
        with pytest.raises(StorageFull):
            log.check()
        log.close()
        log = bounded_backend.open()
        assert fitted > 100 and len(read_all(log, before)) == fitted
        log.trim(log.last_offset())
        log.check()
        assert not log.append_many([ping(f"cycle{cycle}-{fitted}")])[0].duplicate
        log.close()


def test_a_log_on_a_disk_that_others_filled_goes_on_when_there_is_room(
    bounded_backend: LogBackend, small_disk: Path
) -> None:
    bounded_backend.place = small_disk / "log"
    log = bounded_backend.open()
    log.append_many([ping("first", b"1")])
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(65536))
    assert append_until_full(log, "meanwhile") < 100
    with pytest.raises(StorageFull):
        log.check()
    assert read_all(log)[0].entry.body == b"1"
    filler.unlink()
    log.check()
    assert not log.append_many([ping("last", b"9")])[0].duplicate
    assert read_all(log)[-1].entry.body == b"9"

"""Whatever is wrong with a dump, with symbols or with the process ends in a named state, and the next dump is walked."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import minidumps
from tests.support.crashes import Crash

from missioncontrol.crashes.stackwalk import Stackwalker, Walk

READ_ERRORS = {
    "MissingHeader", "HeaderMismatch", "VersionMismatch", "MissingDirectory", "StreamReadFailure",
    "StreamSizeMismatch", "StreamNotFound", "ModuleReadFailure", "MemoryReadFailure", "DataError",
    "MissingThreadList", "MissingSystemInfo",
}  # fmt: skip


@pytest.fixture
def walker(symbols: Path) -> Iterator[Stackwalker]:
    with Stackwalker(symbols=[symbols], memory_limit_mb=256, timeout_s=60) as walker:
        yield walker


def works(walker: Stackwalker, crash: Crash) -> bool:
    walk = walker.walk(crash.dump)
    return walk.error == "" and own(walk) == "loaded"


def own(walk: Walk) -> str:
    (status,) = {m.status for m in walk.symbols.modules if m.filename == "crasher"}
    return status


def walk_bytes(walker: Stackwalker, folder: Path, content: bytes) -> Walk:
    dump = folder / "dump"
    dump.write_bytes(content)
    return walker.walk(dump)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "EmptyMinidump"),
        (b"MDMP", "MissingHeader"),
        (random.Random(1).randbytes(20_000), "HeaderMismatch"),
        (bytes(30_000_000), "HeaderMismatch"),
        (minidumps.header_only(), "MissingThreadList"),
    ],
    ids=["empty", "cut header", "random", "30 MB of zeros", "header only"],
)
def test_malformed_dumps_have_names(
    walker: Stackwalker, crash: Crash, tmp_path: Path, content: bytes, error: str
) -> None:
    assert walk_bytes(walker, tmp_path, content).error == error
    assert works(walker, crash)


def test_a_dump_cut_anywhere_is_walked_or_named(walker: Stackwalker, crash: Crash, tmp_path: Path) -> None:
    data = crash.dump.read_bytes()
    for size in range(1, len(data), 97):
        walk = walk_bytes(walker, tmp_path, data[:size])
        assert walk.error in READ_ERRORS | {""}, (size, walk.error, walk.detail)
        assert bool(walk.error) == (walk.state is None)
    assert works(walker, crash)


def test_a_dump_with_bytes_changed_is_walked_or_named(
    walker: Stackwalker, crash: Crash, tmp_path: Path
) -> None:
    data, chance = crash.dump.read_bytes(), random.Random(7)
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(20):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        walk = walk_bytes(walker, tmp_path, bytes(changed))
        assert walk.error in READ_ERRORS | {"", "Panic", "MemoryLimit", "AnswerTooLarge"}, walk.detail
    assert works(walker, crash)


def test_a_dump_that_is_not_there(walker: Stackwalker, tmp_path: Path) -> None:
    assert walker.walk(tmp_path / "gone").error == "FileNotFound"


def test_a_small_dump_that_unfolds_to_gigabytes_meets_the_memory_limit(
    walker: Stackwalker, crash: Crash, tmp_path: Path
) -> None:
    walk = walk_bytes(walker, tmp_path, minidumps.many_threads(2000))
    assert (walk.error, walk.state) == ("MemoryLimit", None)
    assert works(walker, crash)


def test_a_dump_that_takes_too_long_is_given_up(crash: Crash, symbols: Path, tmp_path: Path) -> None:
    with Stackwalker(symbols=[symbols], memory_limit_mb=0, timeout_s=0.3) as walker:
        walk = walk_bytes(walker, tmp_path, minidumps.many_threads(500))
        assert walk.error == "Timeout"
        assert works(walker, crash)


def during_a_walk(walker: Stackwalker, dump: Path, interfere: Callable[[int], None]) -> Walk:
    """Walk a dump that takes seconds, and do something to the process as soon as it is at it."""
    walks: list[Walk] = []
    thread = threading.Thread(target=lambda: walks.append(walker.walk(dump)))
    thread.start()
    while (pid := walker.pid) is None:
        time.sleep(0.005)
    interfere(pid)
    thread.join()
    return walks[0]


def test_a_process_that_hangs_is_replaced(crash: Crash, symbols: Path) -> None:
    with Stackwalker(symbols=[symbols], timeout_s=0.5) as walker:
        assert works(walker, crash)
        pid = walker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        walk = walker.walk(crash.dump)
        assert walk.error == "Timeout"
        assert works(walker, crash)
        assert walker.pid != pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_killed_in_the_middle_of_a_dump_is_replaced(
    crash: Crash, symbols: Path, tmp_path: Path
) -> None:
    dump = tmp_path / "slow.dmp"
    dump.write_bytes(minidumps.many_threads(300))
    with Stackwalker(symbols=[symbols], memory_limit_mb=0) as walker:
        walk = during_a_walk(walker, dump, lambda pid: os.kill(pid, signal.SIGKILL))
        assert walk.error == "Killed"
        assert "SIGKILL" in walk.detail
        assert works(walker, crash)


def test_a_process_killed_between_dumps_costs_no_dump(walker: Stackwalker, crash: Crash) -> None:
    assert works(walker, crash)
    pid = walker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert works(walker, crash)


def test_closing_ends_a_walk_in_progress(symbols: Path, tmp_path: Path) -> None:
    dump = tmp_path / "slow.dmp"
    dump.write_bytes(minidumps.many_threads(300))
    walker = Stackwalker(symbols=[symbols], memory_limit_mb=0)
    assert during_a_walk(walker, dump, lambda pid: walker.close()).error == "Killed"
    assert walker.pid is None


def test_a_process_is_replaced_after_its_number_of_jobs(crash: Crash, symbols: Path) -> None:
    with Stackwalker(symbols=[symbols], jobs_per_process=2) as walker:
        pids = []
        for _ in range(4):
            assert works(walker, crash)
            pids.append(walker.pid)
    assert [pid is None for pid in pids] == [False, True, False, True]


def test_a_program_that_answers_nonsense_is_replaced(crash: Crash, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nwhile read -r line; do echo 'no JSON'; done\n")
    program.chmod(0o755)
    with Stackwalker(program) as walker:
        assert walker.walk(crash.dump).error == "BadAnswer"
        assert walker.pid is None

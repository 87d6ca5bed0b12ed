"""A crash queue on PostgreSQL that several processes share, and a server that dies in the middle."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deploy.local.fetch import SetupError
from tests.support.postgres import Postgres, running_postgres

from missioncontrol.errors import StorageError
from missioncontrol.state.crash_jobs import Upload
from missioncontrol.state.crash_queue import CrashQueue
from missioncontrol.state.database import Database

pytestmark = pytest.mark.apt


def now() -> datetime:
    return datetime.now(UTC)


def uploads(first: int, last: int) -> list[Upload]:
    return [Upload(f"upload {n}".encode(), f"id-{n:05}") for n in range(first, last)]


@contextmanager
def workers(url: str, folder: Path) -> Iterator[list[Path]]:
    """Two processes with four workers each; files with what each says, whole when the block is left."""
    said = [folder / f"said-{n}" for n in range(2)]
    command = [sys.executable, str(Path(__file__).with_name("queue_workers.py")), url]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for file in said:
            with file.open("wb") as out, file.with_suffix(".errors").open("wb") as errors:
                processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=errors))
        yield said
        for process in processes:
            process.communicate(timeout=60)
        assert [process.returncode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def said_of(files: list[Path], what: str) -> list[list[str]]:
    return [[line[5:] for line in file.read_text().splitlines() if line.startswith(what)] for file in files]


def wait_until_empty(queue: CrashQueue, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while (left := queue.backlog(now())).waiting + left.held:
        assert time.monotonic() < ends, left
        time.sleep(0.1)


def test_two_processes_with_four_workers_each_take_no_crash_twice(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_state()
    queue = CrashQueue(Database(url))
    with workers(url, tmp_path) as said:
        for first in range(0, 1500, 100):
            queue.accept(uploads(first, first + 100), now())
        wait_until_empty(queue)
    took = said_of(said, "took")
    assert all(took), "both processes had some"
    assert sorted(took[0] + took[1]) == [upload.crash_id for upload in uploads(0, 1500)]
    assert [file.with_suffix(".errors").read_text() for file in said] == ["", ""]


def test_a_server_that_is_killed_and_comes_back_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with running_postgres() as server:
        url = server.new_state()
        queue = CrashQueue(Database(url))
        acknowledged: list[str] = []
        with workers(url, tmp_path) as said:
            for first in (0, 300, 600):
                acknowledged += queue.accept(uploads(first, first + 290), now())
                assert queue.backlog(now()).waiting > 0, "the workers are in the middle"
                server.kill()
                with pytest.raises(StorageError) as away:
                    queue.accept(uploads(first + 290, first + 300), now())
                assert away.value.code == "state_unavailable"
                wait_until_told(said)
                start_again(server)
                acknowledged += queue.accept(uploads(first + 290, first + 300), now())
            wait_until_empty(queue)
        done = said_of(said, "done")
        assert all(done), "both processes went on"
        assert acknowledged == [upload.crash_id for upload in uploads(0, 900)]
        assert set(done[0] + done[1]) >= set(acknowledged)
        known = queue.known([upload.identity for upload in uploads(0, 900)])
        assert sorted(known.values()) == acknowledged
        told = "".join(file.with_suffix(".errors").read_text() for file in said)
        assert "state_unavailable" in told and "Traceback" not in told and "s3cret" not in told


def wait_until_told(said: list[Path], seconds: float = 60) -> None:
    """Until a worker has seen that the server is away."""
    ends = time.monotonic() + seconds
    while not any("state_unavailable" in file.with_suffix(".errors").read_text() for file in said):
        assert time.monotonic() < ends
        time.sleep(0.05)


def start_again(server: Postgres) -> None:
    """Once the processes that the killed one left behind have noticed."""
    for _ in range(100):
        try:
            return server.start()
        except SetupError:
            time.sleep(0.2)
    server.start()

"""Processes say that they are there, with what they started, and take that back when they end."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from missioncontrol.presence import FOLDER, Beats, Presence, Worker, presences


def test_a_process_is_there_while_it_runs_with_what_it_started(tmp_path: Path) -> None:
    # What stands for a worker: a module that waits for its input to end.
    command = [sys.executable, "-m", "code", "-q", "--data", "/secret/place", "follow"]
    beats = Beats(tmp_path, ["stream", "jobs"], "1.2")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        beats.beat()
        beats.beat()  # two, for a share of the processor; before a thread does the same beside this one
        with beats:
            [one] = presences(tmp_path)
        assert child.stdin is not None
        child.kill()
    assert (one.pid, one.parts, one.product) == (os.getpid(), ("stream", "jobs"), "1.2")
    assert one.memory_bytes and one.memory_bytes > 1e6
    assert one.cpu_share is not None and one.cpu_share >= 0
    started = {worker.pid: worker.name for worker in one.workers}
    assert "/secret" not in started[child.pid]
    assert presences(tmp_path) == [], "it ended"


def test_a_folder_that_takes_no_file_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    with Beats(tmp_path, ["web"], "1") as beats:
        beats.beat()
        assert presences(tmp_path) == []


def test_who_speaks_for_itself_is_no_worker_of_another(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    parent = Presence(1, "elsewhere", ("web",), now, now, "3", "1", None, None, (
        Worker(2, "serve jobs"), Worker(3, "judge"), Worker(4, "query"),
    ))  # fmt: skip
    child = Presence(2, "elsewhere", ("jobs",), now, now, "3", "1", None, None, (Worker(3, "judge"),))
    old = Presence(9, "elsewhere", ("web",), now, now - timedelta(days=2), "3", "1")
    (tmp_path / FOLDER).mkdir()
    for one in (parent, child, old):
        (tmp_path / FOLDER / f"{one.pid}.json").write_bytes(msgspec.json.encode(one))
    found = presences(tmp_path)
    assert [(p.pid, [w.pid for w in p.workers]) for p in found] == [(1, [4]), (2, [3])]

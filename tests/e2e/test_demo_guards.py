"""The demo keeps to itself: it never sends to another server, and never empties a folder that is in use."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.server import COMMAND, SOURCES, running_server

from missioncontrol.telemetry.stream import StreamLock

pytestmark = pytest.mark.embedded_only("a demo is embedded by design, and refuses the scaled form")


def demo(folder: Path, port: int, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return missioncontrol("demo", "--once", "--port", str(port), "--data", str(folder), timeout_s=timeout_s)


def missioncontrol(
    *arguments: str, timeout_s: float = 120, **settings: str
) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), **settings}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
    )


def in_use(data: Path) -> bool:
    """Whether a stream runs in the folder: the server listens a moment before."""
    lock = StreamLock(data)
    is_free = lock.acquire()
    lock.release()
    return not is_free


def test_a_demo_refuses_a_port_that_another_server_has_and_sends_it_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = demo(tmp_path / "demo", server.port)
        assert done.returncode == 2 and "Cannot listen" in done.stderr
        assert not (tmp_path / "demo").exists()
        assert server.sql("SELECT count(*) AS n FROM pings") == [{"n": 0}]


def test_a_demo_keeps_away_from_a_shared_state_database(tmp_path: Path) -> None:
    arguments = ("demo", "--once", "--port", str(_free_port()), "--data", str(tmp_path / "demo"))
    done = missioncontrol(*arguments, MC_STATE__URL="postgresql://mc:s3cret@127.0.0.1:1/mc")
    assert done.returncode == 2 and "keeps its state in its own folder" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout and not (tmp_path / "demo").exists()


def test_a_demo_finds_the_bad_release_with_its_users_and_its_signature(tmp_path: Path) -> None:
    done = demo(tmp_path / "demo", _free_port(), timeout_s=600)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "main crashes: worse for Windows_NT" in said[0]
    assert "% of the excess of crash reports has signature media::FrameQueue::Drop" in said[0].replace(
        " %", "%"
    )
    (head,) = [n for n, line in enumerate(said) if line.startswith("Crash signatures of main_crashes:")]
    assert said[head + 2].rstrip().endswith("media::FrameQueue::Drop")
    assert said[-1] == "Simulated: 5 times the main crashes of the version before, on Windows_NT."
    # Of the other channels only the last days are simulated: what came out before is nothing to compare with.
    beta = ("verdict", "--application", "Firefox", "--channel", "beta", "--measure", "main_crashes")
    told = missioncontrol(*beta, "--data", str(tmp_path / "demo"))
    assert told.returncode == 0 and "too early" in told.stdout, told.stdout + told.stderr


def test_a_demo_refuses_a_folder_that_another_demo_uses(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        (server.data / "demo.json").write_text("{}")
        server.wait_until(lambda: in_use(server.data))
        done = demo(server.data, _free_port())
        assert done.returncode == 2 and "Another demo is running" in done.stderr
        assert server.sql("SELECT count(*) AS n FROM pings") == [{"n": 0}]


def test_a_server_that_is_asked_to_stop_ends_with_exit_code_0(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert server.process is not None
        process, server.process = server.process, None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "child_ended" not in server.talk


def test_a_demo_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    port = _free_port()
    command = [*COMMAND, "--data", str(tmp_path / "demo"), "demo", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            _wait(lambda: _listens(port))
        finally:
            process.kill()
    _wait(lambda: not _listens(port))


def _wait(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A server that is asked to end does so without a word: no traceback, no complaint of a library."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.form import installed
from tests.support.server import COMMAND, SOURCES, running_server


def test_a_server_that_answered_questions_ends_quietly(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        answer = server.get("/api/v1/aggregates", measurements="main_crashes", dimensions="version")
        assert answer.status_code == 200
        server.sql("SELECT 1 AS one")
        assert server.get("/").status_code == 200
        time.sleep(0.2)
        before = server.talk
        server.stop()
        assert server.talk == before


def test_a_server_that_is_asked_to_end_as_soon_as_it_listens_does_so(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [*COMMAND, "--data", str(installed(tmp_path / "data")), "serve", "--port", "0", "--only", "web"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SOURCES)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    try:
        while "listens on" not in server.stderr.readline():
            assert server.poll() is None
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()

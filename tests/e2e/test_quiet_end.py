"""A server that is asked to end does so without a word: no traceback, no complaint of a library."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.server import running_server


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

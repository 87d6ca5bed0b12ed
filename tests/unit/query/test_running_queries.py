"""Queries that run when the server is told to end, and those that come after that."""

from __future__ import annotations

import signal
import subprocess
import sys

from missioncontrol.query.running import RunningQueries

ENDLESS = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_server_that_ends_stops_what_runs_and_what_still_comes() -> None:
    queries = RunningQueries()
    runs, comes = (subprocess.Popen(ENDLESS) for _ in range(2))
    try:
        with queries.running("ann", "SELECT 1", "duckdb") as query:
            query.stop.watch(runs)
            queries.stop_all()
            assert runs.wait(30) == -signal.SIGKILL and query.stop.asked
        with queries.running("ann", "SELECT 2", "duckdb") as query:
            query.stop.watch(comes)
            assert comes.wait(30) == -signal.SIGKILL and query.stop.asked
    finally:
        runs.kill()
        comes.kill()

"""Whoever opens a new state database first makes its tables; those who come at the same moment wait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPENER = """
import sys
import alembic.command, sqlalchemy.dialects.sqlite
from missioncontrol.state.database import Database, releases
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
with database.engine().connect() as connection:
    connection.execute(releases.select())
"""


def test_processes_that_open_a_new_database_at_once_all_find_its_tables(tmp_path: Path) -> None:
    for round_ in range(3):
        command = [sys.executable, "-c", _OPENER, f"sqlite:///{tmp_path / f'{round_}.sqlite'}"]
        openers = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(4)
        ]
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("\n")
            opener.stdin.flush()
        told = [opener.communicate(timeout=120)[1] for opener in openers]
        assert [opener.returncode for opener in openers] == [0] * len(openers), told

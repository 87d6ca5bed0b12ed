"""Whoever opens a new state database first makes its tables; those who come at the same moment wait."""

from __future__ import annotations

import sqlite3
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


def test_only_a_database_with_migrations_to_make_loads_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    code = (
        "import sys; from missioncontrol.state.database import Database; Database(sys.argv[1]).engine(); "
        "print('alembic' in sys.modules)"
    )

    def loads_alembic() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", code, url], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout == "True\n"

    assert [loads_alembic(), loads_alembic()] == [True, False]
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.executescript(
            "UPDATE alembic_version SET version_num = '0011'; DROP TABLE release_statuses"
        )
    assert [loads_alembic(), loads_alembic()] == [True, False], "one of an earlier version is migrated"

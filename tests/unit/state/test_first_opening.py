"""Whoever opens a new state database first makes its tables; those who come at the same moment wait."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from missioncontrol.errors import StorageError
from missioncontrol.state.database import Database
from missioncontrol.state.releases import Release, Releases

RELEASE = Release("Firefox", "release", "1.0", "b1", datetime(2026, 1, 1, tzinfo=UTC))

_OPENER = """
import sys
import alembic.command, sqlalchemy.dialects.sqlite, missioncontrol.state.postgres
from missioncontrol.state.database import Database, releases
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
with database.engine().connect() as connection:
    connection.execute(releases.select())
"""


def test_processes_that_open_a_new_database_at_once_all_find_its_tables(
    new_state: Callable[[], str],
) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", _OPENER, new_state()]
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


def test_what_cannot_be_written_or_is_busy_is_an_error_for_people(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    database = Database(f"sqlite:///{file}")
    store = Releases(database)
    store.put([RELEASE])
    other = sqlite3.connect(file)
    other.execute("BEGIN IMMEDIATE")
    with database.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    with pytest.raises(StorageError) as refused:
        store.remove("Firefox", "release", "1.0")
    assert refused.value.code == "state_busy" and str(file) in refused.value.message
    other.rollback()
    other.close()
    with database.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
    with pytest.raises(StorageError) as refused:
        store.remove("Firefox", "release", "1.0")
    assert refused.value.code == "state_read_only"
    assert [(each.version, each.status) for each in store.list()] == [("1.0", "accepted")]


def test_only_a_database_with_migrations_to_make_loads_alembic(state_url: str) -> None:
    code = (
        "import sys; from missioncontrol.state.database import Database; Database(sys.argv[1]).engine(); "
        "print('alembic' in sys.modules)"
    )

    def loads_alembic() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", code, state_url], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout == "True\n"

    assert [loads_alembic(), loads_alembic()] == [True, False]
    with sa.create_engine(state_url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0012'")
        for table in ("saved_queries", "query_history", "annotations", "identities", "leases", "sign_ins"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    assert [loads_alembic(), loads_alembic()] == [True, False], "one of an earlier version is migrated"


def test_a_database_of_a_newer_version_is_left_alone(state_url: str) -> None:
    with Database(state_url).engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError) as refused:
        Database(state_url).engine()
    assert refused.value.code == "state_newer" and "9999" in refused.value.message

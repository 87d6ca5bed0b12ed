"""A PostgreSQL server of the tests' own, in a temporary folder.

    with running_postgres() as server:
        dsn = server.new_database()
        server.psql(dsn, "SELECT 1")

A machine without PostgreSQL fails the test.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from deploy.local.postgres import ADMIN, PostgresServer, programs
from deploy.local.process import free_ports

__all__ = ["ADMIN", "PASSWORD", "Postgres", "running_postgres"]

PASSWORD = "s3cret-of-the-tests"
_SETTINGS = {
    # The tests end processes, never the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}


class Postgres(PostgresServer):
    """One server: it can be stopped, killed and started again on the same port and data."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, free_ports(1)[0], PASSWORD, {**_SETTINGS, **settings})
        self._databases = 0

    def new_database(self, more: str = "") -> str:
        """Make an empty database; its address."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(self.dsn(), f"CREATE DATABASE {name} {more}")
        return self.dsn(name)

    def new_state(self, more: str = "") -> str:
        """Make an empty database; its address as `state.url` has it."""
        return self.new_database(more).replace("postgresql:", "postgresql+psycopg:", 1)

    def execute(self, dsn: str, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, dsn: str, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(dsn) as connection:
            return connection.execute(query.encode()).fetchall()

    def psql(self, dsn: str, query: str) -> str:
        """What psql prints for a query, values only; its exit code must be 0."""
        command = [programs() / "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", dsn, "-c", query]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")


@contextmanager
def running_postgres(**settings: str) -> Iterator[Postgres]:
    """A new server with these settings of postgresql.conf; afterwards it is stopped and its folder deleted."""
    # Not pytest's folder: that one is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="missioncontrol-postgres-"))
    server = Postgres(folder, **settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)

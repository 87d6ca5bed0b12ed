"""Debian's PostgreSQL as a server of the tests' own: a cluster in a temporary folder, on a free loopback port.

    with running_postgres() as server:
        dsn = server.new_database()
        server.psql(dsn, "SELECT 1")

PostgreSQL refuses to run as root; then it runs as the user `postgres` that its package makes. A machine without
PostgreSQL fails the test. Nothing of the machine's own clusters is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

ADMIN, PASSWORD = "admin", "s3cret-of-the-tests"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # The tests end processes, never the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "30",
}


def programs() -> Path:
    """The folder of initdb, postgres and psql, of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    path = str(found[-1]) if found else shutil.which("initdb")
    assert path, "PostgreSQL is not installed: apt-get install postgresql-15"
    return Path(path).parent


class Postgres:
    """One server: it can be stopped, killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self._programs = programs()
        self.folder = folder
        self._data = folder / "data"
        self._databases = 0
        self.port = _free_port()

    def create(self) -> None:
        """Make the cluster: UTF-8, and passwords asked of everybody."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        arguments = [
            "-D", self._data, "-U", ADMIN, "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        ]  # fmt: skip
        self._run("initdb", *arguments)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = {**_SETTINGS, "port": self.port, "unix_socket_directories": self.folder}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", self.folder / "log", "-o", options)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server by its process id: SIGINT in good order, SIGQUIT at once, as after a crash."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        os.kill(int(pid_file.read_text().split()[0]), how)
        mode = "fast" if how == signal.SIGINT else "immediate"
        # Waits until it is gone; what it stops is stopping already.
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", self._data, check=False)
        assert not pid_file.exists()

    def dsn(self, database: str = "postgres", user: str = ADMIN, password: str = PASSWORD) -> str:
        """Address of a database, with the password in it."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, more: str = "") -> str:
        """Make an empty database; its address."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(self.dsn(), f"CREATE DATABASE {name} {more}")
        return self.dsn(name)

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
        command = [self._programs / "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", dsn, "-c", query]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def _run(self, program: str, *arguments: Any, check: bool = True) -> None:
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_postgres, str(self._programs / program), *map(str, arguments)]
        # No pipes: the server that pg_ctl leaves running would hold them open.
        with (self.folder / "talk").open("ab") as talk:
            done = subprocess.run(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=talk, stderr=talk, timeout=120
            )
        assert not check or done.returncode == 0, (self.folder / "talk").read_text(errors="replace")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A new server; afterwards it is stopped and its folder deleted."""
    # Not pytest's folder: that one is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="missioncontrol-postgres-"))
    server = Postgres(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""A PostgreSQL server of one's own: Debian's programs, a cluster in a folder, a port of the loopback address.

PostgreSQL refuses to run as root; then it runs as the user `postgres` that its package makes. Nothing of the machine's
own clusters is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg

from .fetch import SetupError
from .process import Server, listening

ADMIN = "admin"


class PostgresServer(Server):
    """The server, with passwords asked of everybody; `settings` are those of postgresql.conf."""

    name = "PostgreSQL"
    end_by = signal.SIGINT  # by SIGTERM it would wait until the last client is gone

    def __init__(self, folder: Path, port: int, password: str, settings: Mapping[str, str] = {}) -> None:
        super().__init__(folder, port)
        self.owner = "postgres" if os.geteuid() == 0 else None
        self._password = password
        self._data = folder / "data"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            **settings,
        }

    def create(self) -> None:
        """Make the cluster when there is none, in UTF-8. Raises `SetupError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.owner:
            shutil.chown(self.folder, self.owner, self.owner)
            self._require_reach()
        if (self._data / "PG_VERSION").exists():
            return
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if self.owner:
            shutil.chown(secret, self.owner, self.owner)
        arguments = [
            "-D", str(self._data), "-U", ADMIN, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        ]  # fmt: skip
        done = self._as_owner([str(programs() / "initdb"), *arguments])
        secret.unlink()
        if done.returncode:
            raise SetupError(
                f"PostgreSQL's data could not be made in {self._data}:\n{done.stdout}{done.stderr}"
            )

    def command(self) -> list[str]:
        """The server in the foreground."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return [str(programs() / "postgres"), "-D", str(self._data), *options]

    def answers(self) -> bool:
        """Whether one can sign in."""
        if not listening(self.port):
            return False
        try:
            psycopg.connect(self.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def dsn(self, database: str = "postgres", user: str = ADMIN, password: str | None = None) -> str:
        """Address of a database, with the password in it."""
        return f"postgresql://{user}:{password or self._password}@127.0.0.1:{self.port}/{database}"

    def _require_reach(self) -> None:
        if self._as_owner(["test", "-x", str(self.folder)]).returncode:
            raise SetupError(
                f"PostgreSQL does not run as root but as the user {self.owner}, who cannot enter {self.folder}. "
                "Take a folder that others may enter: make scale-up DATA=/var/tmp/missioncontrol-scale"
            )

    def _as_owner(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        groups: list[str] | None = [] if self.owner else None
        return subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, user=self.owner,
            group=self.owner, extra_groups=groups,
        )  # fmt: skip


def programs() -> Path:
    """The folder of initdb, postgres and psql, of the newest version installed. Raises `SetupError`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    path = str(found[-1]) if found else shutil.which("initdb")
    if not path:
        raise SetupError("PostgreSQL is not installed. Debian: apt-get install postgresql-15")
    return Path(path).parent

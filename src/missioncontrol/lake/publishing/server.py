"""A PostgreSQL server as the target: how it is reached, and what its failures are called.

Never knows a table. No message holds the password, nor any part of an address that could not be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from missioncontrol.errors import BadRequest, MissionControlError, StorageError, StorageFull

_CONNECT_TIMEOUT_S = 10
_ADDRESS_HINT = (
    "Write postgresql://USER@HOST:5432/DATABASE or 'host=... dbname=... user=...'; "
    "in a password, @ is %40 and / is %2F."
)
_SESSION = {
    # A setting of the role or the database must not cut off a large day,
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # and a publisher whose machine has vanished must not hold its locks for hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

Connection = psycopg.Connection[tuple[Any, ...]]


class Server:
    """Where to publish. Raises `BadRequest` (`publish_dsn`) for an address that is none."""

    def __init__(self, dsn: str) -> None:
        self._given = _parsed(dsn)

    @property
    def place(self) -> str:
        """Which server and database, for people; without the password."""
        host = self._given.get("host") or self._given.get("hostaddr") or os.environ.get("PGHOST") or "local"
        port = self._given.get("port") or os.environ.get("PGPORT") or "5432"
        database = self._given.get("dbname") or os.environ.get("PGDATABASE") or ""
        return f"{host}:{port}" + (f"/{database}" if database else "")

    def connect(self) -> Connection:
        """A new connection, each statement a transaction of its own; raises `psycopg.Error`."""
        timeout_s = {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": _CONNECT_TIMEOUT_S}
        settings = {"fallback_application_name": "missioncontrol", **timeout_s, **self._given}
        # Not the environment's encoding: all texts are sent as UTF-8. Prepared statements do not survive poolers.
        settings["client_encoding"] = "utf8"
        return psycopg.connect("", autocommit=True, prepare_threshold=None, **settings)

    def failure(self, error: psycopg.Error) -> MissionControlError:
        """The error of the house that says what this one means."""
        code, hint = _meaning(error)
        kind = StorageFull if code == "publish_server_full" else StorageError
        return kind(code, f"PostgreSQL at {self.place}: {_first(error)}", hint)


@contextmanager
def transaction(connection: Connection, lock: str, lock_timeout_s: float = 0) -> Iterator[None]:
    """A transaction that only one publisher at a time has under this lock's name; the others wait for it.

    With `lock_timeout_s`, a wait for any lock that takes longer is an error.
    """
    settings = {**_SESSION, "lock_timeout": f"{lock_timeout_s:g}s" if lock_timeout_s else "0"}
    with connection.transaction():
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"missioncontrol:{lock}",)
        )
        yield


def passing(error: psycopg.Error, connected: bool) -> bool:
    """Whether the same may work a little later; a server that was never reached must at least be starting."""
    code, _ = _meaning(error)
    return code in _PASSING or (connected and code in ("publish_lost", "publish_unreachable"))


_PASSING = ("publish_starting", "publish_busy")
_LOST = ("publish_lost", "Run the same command again: it goes on where it stopped.")
_UNREACHABLE = ("publish_unreachable", "Is the server running, and are host and port right?")
_STARTING = ("publish_starting", "Wait until the server takes connections.")
_BUSY = ("publish_busy", "Try again later.")
_PASSWORD = (
    "publish_password",
    "Check the user, the password (PGPASSWORD, ~/.pgpass) and the server's pg_hba.conf.",
)
_DATABASE = ("publish_database", "Create it: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0;")
_DENIED = (
    "publish_denied",
    "The user needs: GRANT USAGE, CREATE ON SCHEMA name TO user; or take another --schema.",
)
_FULL = ("publish_server_full", "Free disk space on the server, then run the same command again.")
_OTHER = ("publish_refused", "What was published before is as it was.")

_STATES = {
    "08": _LOST,
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": _STARTING,
    "53300": _BUSY,
    "40001": _BUSY,
    "40P01": _BUSY,
    "53100": _FULL,
    "42501": _DENIED,
    "28": _PASSWORD,
    "3D000": _DATABASE,
    "25006": ("publish_read_only", "Name the primary server: a standby takes no writes."),
    "55P03": ("publish_locked", "Another session holds the table, maybe a long query. Try again later."),
}
"""SQL state, or its class -> code and hint."""

_TEXTS = (
    (r"the database system is (starting|shutting)", _STARTING),
    (r"too many (clients|connections)|connection slots", _BUSY),
    (r"password|pg_hba\.conf|[Rr]ole .* does not exist|authentication", _PASSWORD),
    (r"database .* does not exist", _DATABASE),
    (r"permission denied for database", _DENIED),
    (r"closed the connection|connection is (lost|closed)|terminating connection", _LOST),
)
"""What libpq says where it gives no SQL state -> code and hint."""


def _meaning(error: psycopg.Error) -> tuple[str, str]:
    """Code and hint of the error of the house for this one."""
    if error.sqlstate is not None:
        return _STATES.get(error.sqlstate) or _STATES.get(error.sqlstate[:2]) or _OTHER
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _OTHER
    found = (meaning for pattern, meaning in _TEXTS if re.search(pattern, str(error)))
    return next(found, _UNREACHABLE)


def _first(error: psycopg.Error) -> str:
    """The first line that says something; libpq adds hints of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:
        # libpq's own text quotes parts of the address, which may be the password.
        raise BadRequest(
            "publish_dsn", "The address of the PostgreSQL database cannot be read.", _ADDRESS_HINT
        ) from None
    host, port, database = (str(given.get(name) or "") for name in ("host", "port", "dbname"))
    # What follows an unescaped @, / or : of a password is taken for one of these.
    misread = "@" in host or (port and not port.replace(",", "").isdecimal())
    if misread or ("://" in dsn and "@" in database):
        hint = f"Parts of the password may have been taken for them. {_ADDRESS_HINT}"
        raise BadRequest(
            "publish_dsn", "Host, port or database of the PostgreSQL address cannot be right.", hint
        )
    return given

"""PostgreSQL as the state database: how it is reached, and what its errors mean.

Only for `state.database`, which loads it when the settings name a PostgreSQL database.
"""

from __future__ import annotations

import psycopg
import sqlalchemy as sa

from missioncontrol.errors import StorageError, StorageFull
from missioncontrol.state.database import Conflict, metadata

_PATIENCE_S = 30
_DRIVER = {
    "application_name": "missioncontrol",
    "connect_timeout": "10",
    # A machine that is gone says nothing: without these a connection to it would wait for hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": f"{_PATIENCE_S * 1000}",
}
_SESSION = {
    "timezone": "UTC",
    "lock_timeout": f"{_PATIENCE_S}s",
    "statement_timeout": "120s",
    "idle_in_transaction_session_timeout": "120s",
    "synchronous_commit": "on",
}
_MIGRATION_LOCK = 0x6D63_7374
"""Any number that nobody else takes for an advisory lock of this database."""
_ALONE = 0x6D63
"""The same for the first half of those that belong to a table."""

_AWAY = (
    "state_unavailable",
    "Is the server running, and are host, user and password (`state.url`, PGPASSWORD) right?",
)
_BUSY = ("state_busy", "Another process has been writing to it. Try again.")
_MEANINGS = {
    "08": _AWAY,
    "57P": _AWAY,
    "28": (
        "state_unavailable",
        "Check user and password (PGPASSWORD, ~/.pgpass) and the server's pg_hba.conf.",
    ),
    "3D000": (
        "state_unavailable",
        "Create it: CREATE DATABASE name OWNER role ENCODING 'UTF8' TEMPLATE template0;",
    ),
    "53300": ("state_busy", "All connections of the server are taken: raise max_connections."),
    "53": _AWAY,
    "55P03": _BUSY,
    "57014": _BUSY,
    "25006": ("state_read_only", "Name the primary server: a standby takes no writes."),
    "42501": ("state_forbidden", "The role must own the database's schema, or have USAGE and CREATE on it."),
}
"""SQL state, or how it begins -> code and hint; the longest that fits counts."""


def engine_for(url: sa.URL) -> sa.Engine:
    """An engine for the address; what the address itself says of the connection counts."""
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    given = dict(url.query)
    options = f"{session} {given.get('options', '')}".strip()
    engine = sa.create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,  # connections of before a restart of the server are replaced without anybody noticing
        hide_parameters=True,
        connect_args={
            **{name: value for name, value in _DRIVER.items() if name not in given},
            "options": options,
        },
    )
    sa.event.listen(engine, "handle_error", _tell_why)
    return engine


def wait_for_migrations(connection: sa.Connection) -> None:
    """Until the end of the transaction no other process migrates; however long that takes."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def alone(connection: sa.Connection, table: str) -> None:
    """Until the end of the transaction nobody else is alone with this table. Neither readers nor the vacuum wait."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ALONE}, '{table}'::regclass::oid::int)")


def order_by_code_points(connection: sa.Connection) -> None:
    """Let texts have the order that they have on SQLite, whatever the language of the database."""
    found = connection.exec_driver_sql(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    for table, column in (row for row in found.all() if row[0] in metadata.tables):
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')


def _tell_why(context: sa.engine.ExceptionContext) -> None:
    """What the server or another session is to blame for, as an error for people; not a bug of a query."""
    error = context.original_exception
    if context.is_pre_ping or not isinstance(error, psycopg.Error):
        return
    state, why = error.sqlstate, _first_line(error)
    if state == "53100":
        raise StorageFull(
            "state_full", "There is no room left for the state database.", "Free disk space on its server."
        )
    if state in ("40001", "40P01"):
        raise Conflict("state_busy", f"State database: {why}", "Try again.")
    if state is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        code, hint = _AWAY
        raise StorageError(code, f"State database: {why}", hint)
    for length in (5, 3, 2):
        if state is not None and state[:length] in _MEANINGS:
            code, hint = _MEANINGS[state[:length]]
            raise StorageError(code, f"State database: {why}", hint)


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

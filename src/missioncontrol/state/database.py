"""The state database: its tables, and how an older one is brought up to date.

SQLAlchemy Core on one of two databases, by the setting `state.url`: SQLite, one file in the data folder, or PostgreSQL
15 or newer, which several processes can share. Schema changes are Alembic migrations in `state/migrations`; a process
that opens the database runs those that are missing, and others that open it wait. What holds on both:

* What a method changed is durable when it returns, but for what crash workers say (`state.crash_queue`).
* Who looks before writing calls `write_first`, so that nobody else writes in between.
* Times are instants: SQLite gives them back without a zone, `state.moments.aware` adds it.
* Texts are compared and ordered by code points. PostgreSQL keeps no NUL in them: it becomes U+FFFD there.
* Errors that are no bug are `StorageError` (`state_unavailable`, `state_busy`, `state_read_only`, `state_forbidden`,
  `state_newer`) and `StorageFull` (`state_full`). A PostgreSQL that comes back is used again by itself.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa

from missioncontrol.errors import StorageError, StorageFull

P = ParamSpec("P")
T = TypeVar("T")


class _Text(sa.types.TypeDecorator[str]):
    """Text that PostgreSQL keeps too."""

    impl = sa.Text
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[str | None], str | None] | None:
        """None on SQLite, which keeps any text."""
        return _without_nul if dialect.name == "postgresql" else None


def _without_nul(text: str | None) -> str | None:
    return text and text.replace("\0", "\ufffd")


metadata = sa.MetaData()

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("application", _Text, primary_key=True),
    sa.Column("channel", _Text, primary_key=True),
    sa.Column("version", _Text, primary_key=True),
    sa.Column("build_id", _Text, primary_key=True),
    sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("status", _Text, nullable=False, server_default="accepted"),
    sa.Column("origin", _Text, nullable=False, server_default="imported"),
    sa.Column("note", _Text, nullable=False, server_default=""),
    sa.Column("changed_by", _Text, nullable=False, server_default=""),
    sa.Column("changed_at", sa.DateTime(timezone=True)),
)

release_statuses = sa.Table(
    "release_statuses",
    metadata,
    sa.Column("application", _Text, primary_key=True),
    sa.Column("channel", _Text, primary_key=True),
    sa.Column("version", _Text, primary_key=True),
    sa.Column("nth", sa.Integer, primary_key=True),
    sa.Column("status", _Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True)),
    sa.Column("said_by", _Text, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", _Text, nullable=False),
    sa.Column("arguments", _Text, nullable=False),
    sa.Column("origin", _Text, nullable=False),
    sa.Column("status", _Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("seen_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("message", _Text, nullable=False),
    sa.Column("days", sa.Integer),
    sa.Column("made", sa.Integer),
    sa.Column("left_at", sa.DateTime(timezone=True)),
)
built_days = sa.Table(
    "built_days",
    metadata,
    sa.Column("table_name", _Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("run_id", sa.Integer, nullable=False),
    sa.Column("rules", _Text, nullable=False),
    sa.Column("revision", _Text, nullable=False),
    sa.Column("pings", sa.BigInteger, nullable=False),
    sa.Column("counting", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
)

crash_uploads = sa.Table(
    "crash_uploads",
    metadata,
    sa.Column("identity", sa.LargeBinary, primary_key=True),
    sa.Column("crash_id", _Text, nullable=False),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, index=True),
)
crash_queue = sa.Table(
    "crash_queue",
    metadata,
    sa.Column("crash_id", _Text, primary_key=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("holder", _Text, nullable=False),
    sa.Column("again", sa.Boolean, nullable=False),
    sa.Column("set_aside", sa.Boolean, nullable=False),
    sa.Column("reason", _Text, nullable=False),
    sa.Index("crash_queue_next", "set_aside", "priority", "due_at"),
)
crash_deletions = sa.Table(
    "crash_deletions",
    metadata,
    sa.Column("crash_id", _Text, primary_key=True),
    sa.Column("who", _Text, nullable=False),
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("done_at", sa.DateTime(timezone=True)),
)
crash_recounts = sa.Table(
    "crash_recounts",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("hour", sa.Integer, primary_key=True),
    sa.Column("stamp", _Text, nullable=False),
)
crash_days_gone = sa.Table("crash_days_gone", metadata, sa.Column("before", sa.Date, primary_key=True))
symbol_changes = sa.Table(
    "symbol_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("debug_file", _Text, nullable=False),
    sa.Column("debug_id", _Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
signature_bugs = sa.Table(
    "signature_bugs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("signature", _Text, nullable=False),
    sa.Column("tracker", _Text, nullable=False),
    sa.Column("bug", _Text, nullable=False),
    sa.Column("title", _Text, nullable=False),
    sa.Column("who", _Text, nullable=False),
    sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("signature", "tracker", "bug", name="signature_bugs_once"),
    sa.Index("signature_bugs_by_bug", "bug", "tracker"),
    sqlite_autoincrement=True,
)
alert_channels = sa.Table(
    "alert_channels",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", _Text, nullable=False, unique=True),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("target", _Text, nullable=False),
    sa.Column("secret", _Text, nullable=False),
    sa.Column("owner", _Text, nullable=False),
    sa.Column("owner_email", _Text, nullable=False),
    sa.Column("quiet", _Text, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("reason", _Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
alert_rules = sa.Table(
    "alert_rules",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("channel_id", sa.Integer, nullable=False),
    sa.Column("application", _Text, nullable=False),
    sa.Column("release_channel", _Text, nullable=False),
    sa.Column("measure", _Text, nullable=False),
    sa.Column("severity", _Text, nullable=False),
    sa.UniqueConstraint("channel_id", "application", "release_channel", "measure", name="alert_rules_once"),
    sqlite_autoincrement=True,
)
alert_events = sa.Table(
    "alert_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("application", _Text, nullable=False),
    sa.Column("channel", _Text, nullable=False),
    sa.Column("version", _Text, nullable=False),
    sa.Column("measure", _Text, nullable=False),
    sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
    sa.Column("verdict", _Text, nullable=False),
    sa.Column("before", _Text, nullable=False),
    sa.Column("severity", _Text, nullable=False),
    sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("alert", _Text, nullable=False),
    sa.UniqueConstraint("application", "channel", "version", "measure", "as_of", name="alert_events_once"),
    sqlite_autoincrement=True,
)
alert_tellings = sa.Table(
    "alert_tellings",
    metadata,
    sa.Column("channel_id", sa.Integer, primary_key=True),
    sa.Column("event_id", sa.Integer, primary_key=True),
    sa.Column("status", _Text, nullable=False, index=True),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("delivery", _Text, nullable=False, index=True),
)
alert_deliveries = sa.Table(
    "alert_deliveries",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("channel_id", sa.Integer, nullable=False),
    sa.Column("channel_name", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("address", _Text, nullable=False),
    sa.Column("text", _Text, nullable=False),
    sa.Column("status", _Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("tried_at", sa.DateTime(timezone=True)),
    sa.Column("answer", _Text, nullable=False),
    sa.Index("alert_deliveries_next", "status", "due_at"),
)
users = sa.Table(
    "users",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("password_hash", _Text),
    sa.Column("subject", _Text, unique=True),
    sa.Column("scopes", _Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
)
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("name", _Text, nullable=False),
    sa.Column("owner", _Text),
    sa.Column("sha256", _Text, nullable=False, unique=True),
    sa.Column("scopes", _Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
    sa.Column("used_at", sa.DateTime(timezone=True)),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("sha256", _Text, primary_key=True),
    sa.Column("user", _Text, nullable=False, index=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
access_log = sa.Table(
    "access_log",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("who", _Text, nullable=False),
    sa.Column("how", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("thing", _Text, nullable=False),
    sa.Column("address", _Text, nullable=False),
)
saved_queries = sa.Table(
    "saved_queries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", _Text, nullable=False, unique=True),
    sa.Column("query", _Text, nullable=False),
    sa.Column("dialect", _Text, nullable=False),
    sa.Column("parameters", _Text, nullable=False),
    sa.Column("owner", _Text, nullable=False),
    sa.Column("who", _Text, nullable=False),
    sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
chart_annotations = sa.Table(
    "annotations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("text", _Text, nullable=False),
    sa.Column("application", _Text),
    sa.Column("channel", _Text),
    sa.Column("who", _Text, nullable=False),
    sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("annotations_at", "at"),
    sqlite_autoincrement=True,
)
query_history = sa.Table(
    "query_history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("owner", _Text, nullable=False),
    sa.Column("query", _Text, nullable=False),
    sa.Column("dialect", _Text, nullable=False),
    sa.Column("parameters", _Text, nullable=False),
    sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("rows", sa.BigInteger),
    sa.Column("code", _Text, nullable=False),
    sa.Index("query_history_of", "owner", "id"),
    sqlite_autoincrement=True,
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("claimant", sa.BigInteger, nullable=False),
    sa.Column("noted_s", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("holder", _Text, nullable=False),
    sa.Column("until_s", sa.Double, nullable=False),
)
sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("sha256", _Text, primary_key=True),
    sa.Column("browser", _Text, nullable=False),
    sa.Column("nonce", _Text, nullable=False),
    sa.Column("verifier", _Text, nullable=False),
    sa.Column("after", _Text, nullable=False),
    sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False, index=True),
)

_MIGRATIONS = Path(__file__).parent / "migrations"
_NO_ROOM_BYTES = 1 << 20
_PATIENCE_S = 30.0
_migrating = threading.Lock()
"""Alembic keeps what it works on in globals."""


class Conflict(StorageError):
    """The server ended a transaction that could not go on beside another; begun anew it can."""


class Database:
    """Opens the engine at first use and migrates once a process. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None

    def engine(self) -> sa.Engine:
        """The migrated database. Raises `StorageError` when it cannot be opened."""
        with self._lock:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def schema(self) -> str:
        """The newest migration that was made, as in `0013`."""
        with self.engine().connect() as connection:
            made = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        return ", ".join(sorted(made))

    def _open(self) -> sa.Engine:
        url = sa.make_url(self._url)
        try:
            engine = _on_sqlite(url) if url.get_backend_name() == "sqlite" else _on_postgres(url)
            if not _is_up_to_date(engine):
                _migrate(engine)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            hint = "Is the data folder writable, and the file a database?"
            if url.get_backend_name() != "sqlite":
                hint = "Check `state.url`."
            why = getattr(error, "orig", None) or error
            shown = url.set(query={}).render_as_string(hide_password=True)
            raise StorageError("state_unavailable", f"State database {shown}: {why}", hint) from None
        return engine


def _on_sqlite(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "handle_error", _tell_why)
    return engine


def _on_postgres(url: sa.URL) -> sa.Engine:
    from missioncontrol.state.postgres import engine_for

    return engine_for(url)


def write_first(connection: sa.Connection, table: sa.Table | None = None) -> None:
    """Take SQLite's write lock before the first look, or two that looked at once cannot both write.

    On PostgreSQL those who name the same table wait for one another; without one, keys and locks of rows decide.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif table is not None:
        from missioncontrol.state.postgres import alone

        alone(connection, table.name)


def once_more(method: Callable[P, T]) -> Callable[P, T]:
    """For what writes several rows on PostgreSQL: begun anew, once, when the server ended it in favour of another.

    That is a deadlock, or a row that another put there between the look and the insert.
    """

    @wraps(method)
    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (Conflict, sa.exc.IntegrityError):
            time.sleep(random.uniform(0.05, 0.15))  # the other one goes first, or both would meet again
            return method(*args, **kwargs)

    return patient


def _tell_why(context: sa.engine.ExceptionContext) -> None:
    """What the disk or another process is to blame for, as an error for people; not a bug of a query.

    SQLite says many things on a full disk, `disk I/O error` among them; raise the one that says what is wrong.
    """
    database = context.engine.url.database if context.engine is not None else None
    error = context.original_exception
    if not isinstance(error, sqlite3.OperationalError) or not database:
        return
    with suppress(OSError):
        if shutil.disk_usage(Path(database).parent).free < _NO_ROOM_BYTES:
            raise StorageFull(
                "state_full", "There is no room left for the state database.", "Free disk space."
            )
    shut = "unable to open" in str(error) and not os.access(Path(database).parent, os.W_OK)
    if shut or "readonly" in str(error):
        hint = "It is only readable, it or its folder: whose are they, and is the disk mounted for writing?"
        raise StorageError("state_read_only", f"The state database {database} cannot be written.", hint)
    if "locked" in str(error):
        hint = "Another process has been writing to it. Try again."
        raise StorageError("state_busy", f"The state database {database} is busy.", hint)


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Readers don't wait for writers, and what is committed survives a loss of power."""
    patience = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait here when others make the same change to a new database.
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")


def _is_up_to_date(engine: sa.Engine) -> bool:
    """Whether the newest migration has been made: mostly it has, and then Alembic need not be loaded to find out.

    Raises `StorageError` (`state_newer`) for a database that this version does not know.
    """
    known = {path.stem.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")}
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return False
        made = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    if set(made) - known:
        raise StorageError(
            "state_newer",
            f"The state database was made by a newer version ({', '.join(sorted(made))}).",
            "Use the version that made it, or a newer one.",
        )
    return made == [max(known)]


def _migrate(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with _migrating, engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # Python's sqlite3 begins no transaction before CREATE TABLE: two that open a new database would both make
            # its tables, and one that dies in the middle would leave some.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            from missioncontrol.state.postgres import wait_for_migrations

            wait_for_migrations(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if engine.dialect.name == "postgresql":
            from missioncontrol.state.postgres import order_by_code_points

            order_by_code_points(connection)

"""Which tables PostgreSQL has, and how those are made that publishing needs.

Adds what is missing: schema, tables, columns, indexes. Never drops or changes anything, and refuses a table that it
did not make. Takes no lock where nothing is missing, so that a daily run does not wait for long queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from psycopg import sql

from missioncontrol.errors import StorageError
from missioncontrol.lake.publishing.relation import Field, Index, Relation
from missioncontrol.lake.publishing.server import Connection, transaction

LEDGER = Relation(
    "missioncontrol_published",
    "The days that Mission Control has published, and from which state of the lake.",
    (
        Field("table_name", "text"),
        Field("submission_date", "date"),
        Field("fingerprint", "text", "Digest of the lake's files of that day."),
        Field("rows", "bigint", "Rows of that day."),
        Field("published_at", "timestamp with time zone"),
    ),
    ("table_name", "submission_date", "fingerprint", "rows", "published_at"),
)
_LOCK_TIMEOUT_S = 30.0
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod),
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
    FROM pg_attribute a WHERE a.attrelid = %s::oid AND a.attnum > 0 AND NOT a.attisdropped
"""


class Held(msgspec.Struct, frozen=True):
    """A table as PostgreSQL has it."""

    oid: int
    columns: dict[str, str]
    """Name -> type as format_type() says it."""
    demanded: tuple[str, ...]
    """Columns that must be given a value: not null, without a default."""


def prepare(connection: Connection, schema: str, relations: Sequence[Relation]) -> None:
    """Make or complete the schema, the tables and the list of published days.

    Raises `StorageError`: `publish_foreign_table` for a table of the same name that is not ours, `publish_encoding`
    for a database that is not UTF-8; and `psycopg.Error`. Then nothing has changed.
    """
    _refuse_encoding(connection)
    with transaction(connection, f"catalog of {schema}", _LOCK_TIMEOUT_S):
        if not _one(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", schema):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        _ensure(connection, schema, LEDGER)
        for relation in relations:
            if _ensure(connection, schema, relation):
                _forget(connection, schema, relation.name)
            else:
                _refuse_foreign_rows(connection, schema, relation.name)


def qualified(schema: str, name: str) -> sql.Identifier:
    """A table's name for use in a statement."""
    return sql.Identifier(schema, name)


def _refuse_encoding(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(
            "publish_encoding",
            f"The database {connection.info.dbname} has the encoding {encoding}, which cannot hold every text.",
            "Make one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0;",
        )


def _ensure(connection: Connection, schema: str, relation: Relation) -> bool:
    """Make what is missing of the table; whether that was all of it."""
    held = _held(connection, schema, relation.name)
    if held is None:
        _create(connection, schema, relation)
    else:
        _refuse_foreign(schema, relation, held)
        _add_columns(connection, schema, relation, held)
    for index in relation.indexes:
        _ensure_index(connection, schema, relation.name, index)
    return held is None


def _held(connection: Connection, schema: str, name: str) -> Held | None:
    found = connection.execute(
        "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        (schema, name),
    ).fetchone()
    if found is None:
        return None
    oid, kind = found
    if kind not in ("r", "p"):
        raise _foreign(schema, name, "is not a table")
    columns = connection.execute(_COLUMNS, (oid,)).fetchall()
    return Held(oid, {c: t for c, t, _ in columns}, tuple(c for c, _, demanded in columns if demanded))


def _refuse_foreign(schema: str, relation: Relation, held: Held) -> None:
    missing = [name for name in relation.required if name not in held.columns]
    if missing:
        raise _foreign(schema, relation.name, f"has no column {', '.join(missing)}")
    for field in relation.fields:
        kind = held.columns.get(field.name, field.type)
        if kind != field.type:
            raise _foreign(
                schema, relation.name, f"has a column {field.name} of type {kind} instead of {field.type}"
            )
    demanded = set(held.demanded) - {field.name for field in relation.fields}
    if demanded:
        raise _foreign(schema, relation.name, f"demands a value of {', '.join(sorted(demanded))}")


def _refuse_foreign_rows(connection: Connection, schema: str, name: str) -> None:
    """A table of the same shape that holds rows of which no day was ever published is somebody else's."""
    rows = sql.SQL("SELECT EXISTS (SELECT FROM {} LIMIT 1)").format(qualified(schema, name))
    days = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE table_name = %s)").format(
        qualified(schema, LEDGER.name)
    )
    (filled,), (published,) = (
        connection.execute(query, values).fetchone() or (False,)
        for query, values in ((rows, ()), (days, (name,)))
    )
    if filled and not published:
        raise _foreign(schema, name, "has rows that were never published by Mission Control")


def _foreign(schema: str, name: str, why: str) -> StorageError:
    return StorageError(
        "publish_foreign_table",
        f"{schema}.{name} in PostgreSQL {why}: it is not a table that Mission Control made. It was left alone.",
        "Publish into a schema of its own: --schema missioncontrol",
    )


def _create(connection: Connection, schema: str, relation: Relation) -> None:
    table = qualified(schema, relation.name)
    parts: list[sql.Composable] = [_column(field) for field in relation.fields]
    if relation is LEDGER:
        parts.append(sql.SQL("PRIMARY KEY (table_name, submission_date)"))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(parts)))
    comment = sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(relation.description))
    connection.execute(comment)
    _describe(connection, table, relation.fields)


def _add_columns(connection: Connection, schema: str, relation: Relation, held: Held) -> None:
    missing = [field for field in relation.fields if field.name not in held.columns]
    if missing:
        table = qualified(schema, relation.name)
        parts = [sql.SQL("ADD COLUMN {}").format(_column(field)) for field in missing]
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(parts)))
        _describe(connection, table, missing)


def _column(field: Field) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(field.type))


def _describe(connection: Connection, table: sql.Identifier, fields: Sequence[Field]) -> None:
    for field in fields:
        if field.description:
            name, text = sql.Identifier(field.name), sql.Literal(field.description)
            connection.execute(sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table, name, text))


def _ensure_index(connection: Connection, schema: str, table: str, index: Index) -> None:
    if _one(
        connection,
        "SELECT count(*) FROM pg_indexes WHERE schemaname = %s AND indexname = %s",
        schema,
        index.name,
    ):
        return
    statement = sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
        sql.Identifier(index.name),
        qualified(schema, table),
        sql.SQL(index.method),
        sql.SQL(index.expression),
    )
    connection.execute(statement)


def _forget(connection: Connection, schema: str, table: str) -> None:
    """A table that was made anew holds none of the days that were published into the one before."""
    ledger = qualified(schema, LEDGER.name)
    connection.execute(sql.SQL("DELETE FROM {} WHERE table_name = %s").format(ledger), (table,))


def _one(connection: Connection, query: str, *values: str) -> int:
    row = connection.execute(query.encode(), values).fetchone()
    return int(row[0]) if row else 0

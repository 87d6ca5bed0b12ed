"""Replacing one day of a published table, in the transaction of the caller.

Whatever goes wrong, the caller's transaction is rolled back, and the day is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from psycopg import sql

from missioncontrol.lake.publishing.catalog import qualified
from missioncontrol.lake.publishing.days import LakeDay, Ledger
from missioncontrol.lake.publishing.relation import Relation
from missioncontrol.lake.publishing.report import TablePublished
from missioncontrol.lake.publishing.rows import day_pieces
from missioncontrol.lake.publishing.server import Connection
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.lake.tables import LakeTable


class Replacement:
    """Replaces and deletes days of the tables in one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self.ledger = Ledger(schema)

    def replace(
        self,
        connection: Connection,
        table: LakeTable,
        relation: Relation,
        snapshot: Snapshot,
        day: LakeDay,
        rows_read: Callable[[int], None],
    ) -> TablePublished:
        """Put the day's rows as the lake has them in the place of those that were published before.

        Calls `rows_read` with the rows of the lake read so far. Raises `psycopg.Error`, `StorageError` and, for a file
        that a vacuum has deleted, `FileNotFoundError`.
        """
        self._delete(connection, day.table, day.date)
        done = TablePublished(day.table)
        with connection.cursor() as cursor, cursor.copy(self._copy(relation)) as copy:
            for piece in day_pieces(table, relation, snapshot, day.files, day.date):
                copy.write(piece.csv)
                done = done.plus(
                    TablePublished(
                        day.table,
                        rows=piece.rows,
                        read_rows=piece.read_rows,
                        repaired_texts=piece.repaired_texts,
                        stats_left_out=piece.stats_left_out,
                    )
                )
                rows_read(done.read_rows)
        self.ledger.record(connection, day, done.rows)
        return done.plus(TablePublished(day.table, (day.date,)))

    def remove(self, connection: Connection, table: str, day: date) -> None:
        """Delete a day and take it off the list."""
        self._delete(connection, table, day)
        self.ledger.forget(connection, table, day)

    def _delete(self, connection: Connection, table: str, day: date) -> None:
        query = sql.SQL("DELETE FROM {} WHERE submission_date = %s").format(qualified(self._schema, table))
        connection.execute(query, (day,))

    def _copy(self, relation: Relation) -> sql.Composed:
        names = sql.SQL(", ").join(sql.Identifier(field.name) for field in relation.fields)
        table = qualified(self._schema, relation.name)
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, names)

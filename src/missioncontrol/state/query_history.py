"""The queries that each reader ran on the SQL page: the newest of each, for nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import NotFound
from missioncontrol.state.database import Database, query_history
from missioncontrol.state.moments import aware

KEPT = 100
"""Of each reader."""


class PastQuery(msgspec.Struct, frozen=True):
    """A query that was run."""

    id: int
    query: str
    dialect: str
    parameters: dict[str, str]
    began_at: datetime
    duration_s: float
    rows: int | None
    """Null: it was not answered."""
    code: str
    """Why it was not; empty: it was."""


class QueryHistory:
    """The history of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        owner: str,
        query: str,
        dialect: str,
        parameters: Mapping[str, str],
        began_at: datetime,
        duration_s: float,
        rows: int | None,
        code: str,
    ) -> None:
        """Note a query; the oldest of this reader beyond `KEPT` are forgotten."""
        c = query_history.c
        values = {
            "owner": owner, "query": query, "dialect": dialect, "began_at": began_at, "duration_s": duration_s,
            "parameters": msgspec.json.encode(dict(parameters)).decode(), "rows": rows, "code": code,
        }  # fmt: skip
        newest = sa.select(c.id).where(c.owner == owner).order_by(c.id.desc()).limit(KEPT)
        with self._database.engine().begin() as connection:
            connection.execute(sa.insert(query_history).values(values))
            kept = [row.id for row in connection.execute(newest)]
            connection.execute(sa.delete(query_history).where(c.owner == owner, c.id < min(kept)))

    def of(self, owner: str, limit: int = KEPT) -> list[PastQuery]:
        """The queries of a reader, the newest first."""
        c = query_history.c
        query = sa.select(query_history).where(c.owner == owner).order_by(c.id.desc()).limit(limit)
        with self._database.engine().connect() as connection:
            return [_past(row) for row in connection.execute(query)]

    def get(self, owner: str, query_id: int) -> PastQuery:
        """One of a reader's own. Raises `NotFound` (`unknown_query`)."""
        c = query_history.c
        query = sa.select(query_history).where(c.owner == owner, c.id == query_id)
        if 0 < query_id < 2**31:
            with self._database.engine().connect() as connection:
                row = connection.execute(query).first()
            if row is not None:
                return _past(row)
        message = f"Your history has no query {query_id} (any more)."
        raise NotFound("unknown_query", message, f"The newest {KEPT} are kept.")


def _past(row: sa.Row[Any]) -> PastQuery:
    parameters = msgspec.json.decode(row.parameters, type=dict[str, str])
    return PastQuery(
        row.id, row.query, row.dialect, parameters, aware(row.began_at), row.duration_s, row.rows, row.code
    )

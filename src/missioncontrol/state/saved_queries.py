"""SQL that people saved under a name, for everybody who may read."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, Forbidden, NotFound
from missioncontrol.state.database import Database, saved_queries, write_first
from missioncontrol.state.moments import aware

LONGEST_NAME = 120
_MOST = 1000


class SavedQuery(msgspec.Struct, frozen=True):
    """A query with a name."""

    id: int
    name: str
    query: str
    dialect: str
    parameters: dict[str, str]
    """Values of its parameters, as they were when it was saved."""
    owner: str
    """Key of whoever saved it, which no other user or token has."""
    who: str
    """What they are called."""
    saved_at: datetime


class SavedQueries:
    """The saved queries of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        name: str,
        query: str,
        dialect: str,
        parameters: Mapping[str, str],
        owner: str,
        who: str,
        now: datetime,
    ) -> SavedQuery:
        """Keep a query; under a name that is one's own already it takes the place of the older one.

        Raises `BadRequest` (`bad_name`, `name_taken`, `too_many_saved`).
        """
        name = checked_name(name)
        values = {
            "query": query, "dialect": dialect, "parameters": msgspec.json.encode(dict(parameters)).decode(),
            "saved_at": now, "who": who,
        }  # fmt: skip
        c = saved_queries.c
        with self._database.engine().begin() as connection:
            write_first(connection, saved_queries)
            found = connection.execute(sa.select(c.id, c.owner).where(c.name == name)).first()
            if found is None:
                total = connection.execute(sa.select(sa.func.count()).select_from(saved_queries)).scalar_one()
                if total >= _MOST:
                    message = f"{_MOST:,} queries are saved, and more are not."
                    raise BadRequest("too_many_saved", message, "Delete some.")
                insert = sa.insert(saved_queries).values(name=name, owner=owner, **values)
                try:
                    with connection.begin_nested():
                        connection.execute(insert)
                except sa.exc.IntegrityError:  # somebody else saved one in the same moment
                    raise _taken(name) from None
            elif found.owner != owner:
                raise _taken(name)
            else:
                connection.execute(sa.update(saved_queries).where(c.id == found.id).values(**values))
            row = connection.execute(sa.select(saved_queries).where(c.name == name)).one()
        return _saved(row)

    def remove(self, query_id: int, owner: str, any_owner: bool = False) -> SavedQuery:
        """Delete one; gives what it was. `any_owner`: also that of somebody else.

        Raises `NotFound` (`unknown_query`) and `Forbidden` (`not_yours`).
        """
        found = self.get(query_id)
        if found.owner != owner and not any_owner:
            hint = "Ask whoever saved it, or somebody with the scope `admin`."
            raise Forbidden("not_yours", f"Somebody else saved {found.name!r}.", hint)
        with self._database.engine().begin() as connection:
            write_first(connection, saved_queries)
            connection.execute(sa.delete(saved_queries).where(saved_queries.c.id == query_id))
        return found

    def get(self, query_id: int) -> SavedQuery:
        """The query of this id. Raises `NotFound` (`unknown_query`)."""
        found = self._found(saved_queries.c.id == query_id) if 0 < query_id < 2**31 else []
        if not found:
            raise NotFound("unknown_query", f"No query {query_id} is saved (any more).", "/sql lists them.")
        return found[0]

    def list(self) -> builtins.list[SavedQuery]:
        """All of them, by name."""
        return self._found(sa.true())

    def _found(self, which: sa.ColumnElement[bool]) -> builtins.list[SavedQuery]:
        query = sa.select(saved_queries).where(which).order_by(saved_queries.c.name)
        with self._database.engine().connect() as connection:
            return [_saved(row) for row in connection.execute(query)]


def checked_name(name: str) -> str:
    """The name without spaces around it. Raises `BadRequest` (`bad_name`)."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        hint = f"Printable text of 1 to {LONGEST_NAME} characters."
        raise BadRequest("bad_name", f"{name[:80]!r} cannot be the name of a query.", hint)
    return name


def _taken(name: str) -> BadRequest:
    return BadRequest("name_taken", f"Somebody else saved a query as {name!r}.", "Choose another name.")


def _saved(row: sa.Row[Any]) -> SavedQuery:
    parameters = msgspec.json.decode(row.parameters, type=dict[str, str])
    return SavedQuery(
        row.id, row.name, row.query, row.dialect, parameters, row.owner, row.who, aware(row.saved_at)
    )

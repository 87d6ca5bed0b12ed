"""Leases: what one process of an installation does, on whatever machine, is done by whoever holds the lease of it.

A holder says again and again that it is there; when it has been silent for as long as it said, the next one who asks
has the lease. All times are of the clock of the database, so that clocks of machines may differ.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from missioncontrol.state.database import Database, leases, write_first


class Held(msgspec.Struct, frozen=True):
    """Who holds a lease."""

    holder: str
    left_s: float
    """Seconds until it ends if its holder stays silent."""


class Leases:
    """The leases of one installation. Thread-safe, and safe with other processes and machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, lease_s: float) -> bool:
        """Hold a lease for `lease_s` from now on, anew or for longer; False while somebody else holds it.

        `holder` is a name that no other process has.
        """
        with self._database.engine().begin() as connection:
            write_first(connection)
            on_postgres = connection.dialect.name == "postgresql"
            insert = (postgresql.insert if on_postgres else sqlite.insert)(leases)
            now = _now(connection)
            taken = insert.values(name=name, holder=holder, until_s=now + lease_s).on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={"holder": holder, "until_s": now + lease_s},
                where=sa.or_(leases.c.holder == holder, leases.c.until_s <= now),
            )
            return connection.execute(taken.returning(leases.c.name)).first() is not None

    def give_back(self, name: str, holder: str) -> None:
        """Let the next one have it at once; does nothing when somebody else holds it."""
        held = sa.and_(leases.c.name == name, leases.c.holder == holder)
        with self._database.engine().begin() as connection:
            connection.execute(sa.delete(leases).where(held))

    def holder(self, name: str) -> Held | None:
        """Who holds it now; None: nobody."""
        with self._database.engine().connect() as connection:
            left = (leases.c.until_s - _now(connection)).label("left_s")
            row = connection.execute(sa.select(leases.c.holder, left).where(leases.c.name == name)).first()
        return Held(row.holder, row.left_s) if row is not None and row.left_s > 0 else None


def _now(connection: sa.Connection) -> sa.ColumnElement[float]:
    """Seconds since the epoch by the clock of the database, as a part of a query."""
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    return (sa.func.julianday("now") - 2440587.5) * 86400.0

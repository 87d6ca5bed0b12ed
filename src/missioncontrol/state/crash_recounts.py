"""Which hours of crashes are to be counted again: a mark stays until somebody has counted all that it was set for.

Whoever changes rows of the table `crashes` sets marks afterwards, and counts as done only then; so a change that was
made has a mark, or is made again. Days whose rows have left `crashes` keep the counts that they have.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from missioncontrol.state.database import Database, crash_days_gone, crash_recounts, once_more, write_first

HOURS = range(24)
_ATTEMPTS = 10


class Mark(msgspec.Struct, frozen=True):
    """An hour that is to be counted again."""

    day: date
    hour: int
    stamp: str
    """Another one each time it is marked."""


class CrashRecounts:
    """The marks of one installation. Thread-safe, and safe with other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @once_more
    def mark(self, hours: Iterable[tuple[date, int]]) -> None:
        """Count these hours (UTC day of receipt, hour) again."""
        wanted = sorted(set(hours))
        for attempt in range(_ATTEMPTS if wanted else 0):
            try:
                return self._mark(wanted)
            except IntegrityError:  # another process marked the same hour between our look and our insert
                if attempt == _ATTEMPTS - 1:
                    raise

    def _mark(self, hours: Sequence[tuple[date, int]]) -> None:
        stamp = uuid.uuid4().hex
        with self._database.engine().begin() as connection:
            write_first(connection, crash_recounts)
            for day, hour in hours:
                here = sa.and_(crash_recounts.c.day == day, crash_recounts.c.hour == hour)
                if not connection.execute(sa.update(crash_recounts).where(here).values(stamp=stamp)).rowcount:
                    connection.execute(sa.insert(crash_recounts), {"day": day, "hour": hour, "stamp": stamp})

    def mark_days(self, days: Iterable[date]) -> None:
        """Count whole days again."""
        self.mark((day, hour) for day in days for hour in HOURS)

    def marked(self) -> list[Mark]:
        """All marks, the newest hours first."""
        order = (crash_recounts.c.day.desc(), crash_recounts.c.hour.desc())
        with self._database.engine().connect() as connection:
            rows = connection.execute(sa.select(crash_recounts).order_by(*order)).all()
        return [Mark(row.day, row.hour, row.stamp) for row in rows]

    def any_marked(self) -> bool:
        """Whether there is a mark."""
        with self._database.engine().connect() as connection:
            return connection.execute(sa.select(crash_recounts.c.hour).limit(1)).first() is not None

    @once_more
    def counted(self, marks: Collection[Mark]) -> None:
        """Take marks away, but for those that were set again meanwhile."""
        with self._database.engine().begin() as connection:
            for mark in marks:
                here = sa.and_(crash_recounts.c.day == mark.day, crash_recounts.c.hour == mark.hour)
                same = crash_recounts.c.stamp == mark.stamp
                connection.execute(sa.delete(crash_recounts).where(here, same))

    def let_go(self, before: date) -> None:
        """Rows of days before this one have left `crashes`; what is known stays if it is later."""
        with self._database.engine().begin() as connection:
            write_first(connection, crash_days_gone)
            known = connection.execute(sa.select(sa.func.max(crash_days_gone.c.before))).scalar()
            if known is None or known < before:
                connection.execute(sa.delete(crash_days_gone))
                connection.execute(sa.insert(crash_days_gone), {"before": before})

    def first_day(self) -> date:
        """The first day that can be counted again."""
        with self._database.engine().connect() as connection:
            known: date | None = connection.execute(sa.select(sa.func.max(crash_days_gone.c.before))).scalar()
        return known or date.min

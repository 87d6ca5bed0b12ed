"""Which documents are known, and who brought them: the `Identities` of `log.identities`, whose rules these are.

One statement for thousands of ids, on both databases. It writes what is new, expired or taken over, and gives back
whose each such id is now; what it does not give back was somebody else's and stays so. It looks and writes in one, so
claims that meet cannot both win. Ids go in order, so that such claims wait for one another and never in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import sqlalchemy as sa

from missioncontrol.state.database import Database, identities, once_more, write_first

DAY_S = 86_400
_PASS_EVERY_S = 3600
_SWEEP_IDS = 10_000
_SWEEP_STEPS = 50
_SQLITE_ROWS = 1000  # three marks each, of 32,766 that SQLite takes
_POSTGRES_ROWS = 50_000

_Row = tuple[bytes, int, int]

# The claimant of a record is its place, below 0: the partition stands above 48 bits of offset.
_EARLIER = """known.claimant < 0 AND excluded.claimant < 0 AND excluded.claimant > known.claimant
    AND (-excluded.claimant) >> 48 = (-known.claimant) >> 48 AND known.noted_s >= excluded.noted_s"""
# A record has one time: another one at its place is of a topic that was made anew. Unless it was more than a day ahead,
# and its note has had its time changed for that.
_OWN = f"""known.claimant = excluded.claimant AND (excluded.claimant > 0
    OR known.noted_s = excluded.noted_s OR known.noted_s < excluded.noted_s - {DAY_S})"""
_AHEAD = f"known.noted_s > excluded.noted_s + {DAY_S}"
_CLAIM = """
INSERT INTO identities AS known (id, claimant, noted_s) {rows}
ON CONFLICT (id) DO UPDATE SET
    claimant = CASE WHEN {mine} THEN excluded.claimant ELSE known.claimant END,
    noted_s = CASE WHEN {mine} OR {ahead} THEN excluded.noted_s ELSE known.noted_s END
WHERE {mine} OR {ahead} OR ({own})
RETURNING id, claimant"""
_ARRAYS = "SELECT * FROM unnest(%(ids)s::bytea[], %(claimants)s::bigint[], %(noted_s)s::bigint[])"


class KnownIdentities:
    """The identities of one installation, each known for `dedup_days`."""

    def __init__(self, database: Database, dedup_days: int) -> None:
        self._database = database
        self._window_s = dedup_days * DAY_S
        self._place = b""
        self._pass_began_s: int | None = None

    def claim(self, ids: Sequence[bytes], claimants: Sequence[int], noted_s: Sequence[int]) -> list[bool]:
        """For each id whether it is a duplicate; the others are the claimant's from now on."""
        answers = [False] * len(ids)
        rows = list(zip(ids, claimants, noted_s, strict=True))
        for turn in _turns(rows):
            numbers = sorted((number for number, _ in turn), key=lambda number: ids[number])
            owners = self._claim([rows[number] for number in numbers])
            asked: list[int] = []
            for number, copies in turn:
                answers[number] = owners.get(ids[number]) != claimants[number]
                for copy in copies:
                    answers[copy] = True
                    if claimants[copy] == claimants[number]:
                        answers[copy] = answers[number]
                    elif answers[number]:  # the id is somebody else's, and that may be this record
                        asked.append(copy)
            if asked:
                again = self.claim(*(list(column) for column in zip(*(rows[n] for n in asked), strict=True)))
                for copy, answer in zip(asked, again, strict=True):
                    answers[copy] = answer
        return answers

    @once_more
    def _claim(self, rows: Sequence[_Row]) -> dict[bytes, int]:
        """Claim ids, each once and in order; the owner of each that this wrote."""
        engine = self._database.engine()
        expired = f"known.noted_s <= excluded.noted_s - {self._window_s}"
        parts = {"mine": f"({expired} OR ({_EARLIER}))", "ahead": _AHEAD, "own": _OWN}
        owners: dict[bytes, int] = {}
        with engine.begin() as connection:
            write_first(connection)
            most = _SQLITE_ROWS if engine.dialect.name == "sqlite" else _POSTGRES_ROWS
            for start in range(0, len(rows), most):
                chunk = rows[start : start + most]
                if engine.dialect.name == "sqlite":
                    marks = ",".join(["(?, ?, ?)"] * len(chunk))
                    query = _CLAIM.format(rows=f"VALUES {marks}", **parts)
                    found = connection.exec_driver_sql(query, tuple(chain.from_iterable(chunk)))
                else:
                    query = _CLAIM.format(rows=_ARRAYS, **parts)
                    arrays = zip(
                        ("ids", "claimants", "noted_s"), map(list, zip(*chunk, strict=True)), strict=True
                    )
                    found = connection.exec_driver_sql(query, dict(arrays))
                owners.update((bytes(id_), claimant) for id_, claimant in found.all())
        return owners

    def release(self, claimants: Sequence[int]) -> None:
        """Forget what these noted. Reads the whole table: only for imports that were given up."""
        if not claimants:
            return
        with self._database.engine().begin() as connection:
            write_first(connection)
            connection.execute(sa.delete(identities).where(identities.c.claimant.in_(list(claimants))))

    def sweep(self, read_s: int, now_s: int) -> None:
        """Forget some of what is expired. A pass through the table begins once an hour, or when the clock went back."""
        for _ in range(_SWEEP_STEPS):
            began_s = self._pass_began_s
            if began_s is None or (not self._place and not 0 <= now_s - began_s < _PASS_EVERY_S):
                self._pass_began_s = now_s
            elif not self._place:
                return
            self._place = self._sweep_stretch(read_s - self._window_s, now_s)

    @once_more
    def _sweep_stretch(self, oldest_s: int, now_s: int) -> bytes:
        """Sweep the next ids; where they end, empty at the end of the table."""
        column, ahead = identities.c, identities.c.noted_s > now_s + DAY_S
        order = sa.select(column.id).where(column.id > self._place).order_by(column.id)
        engine = self._database.engine()
        with engine.connect() as connection:  # mostly there is nothing to write
            end = connection.execute(order.limit(1).offset(_SWEEP_IDS - 1)).scalar()
            stretch = sa.and_(column.id > self._place, column.id <= end) if end else column.id > self._place
            due = sa.select(sa.literal(1)).where(stretch, sa.or_(column.noted_s <= oldest_s, ahead)).limit(1)
            is_due = connection.execute(due).scalar() is not None
        if is_due:
            with engine.begin() as connection:
                write_first(connection)
                connection.execute(sa.delete(identities).where(stretch, column.noted_s <= oldest_s))
                connection.execute(sa.update(identities).where(stretch, ahead).values(noted_s=now_s))
        return bytes(end) if end else b""


def _turns(rows: Sequence[_Row]) -> list[list[tuple[int, list[int]]]]:
    """Numbers of rows in turns in which each id comes once, each with the copies that need no turn of their own.

    Those are copies of the same second by the same claimant, or by a later record of its partition: where that one has
    the id, they are duplicates.
    """
    turns: list[list[tuple[int, list[int]]]] = []
    newest: dict[bytes, tuple[int, _Row, list[int]]] = {}
    for number, row in enumerate(rows):
        turn, before, copies = newest.get(row[0], (-1, row, []))
        if turn >= 0 and before[2] == row[2] and (row[1] == before[1] or _later(row[1], before[1])):
            copies.append(number)
            continue
        copies = []
        newest[row[0]] = turn + 1, row, copies
        if turn + 1 == len(turns):
            turns.append([])
        turns[turn + 1].append((number, copies))
    return turns


def _later(claimant: int, before: int) -> bool:
    """Whether both are records of one partition, and the first is the later one."""
    return claimant < before < 0 and -claimant >> 48 == -before >> 48

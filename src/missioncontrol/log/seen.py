"""The identities that recognise duplicates: noted with the record they came with, kept longer than it.

Every function works inside the caller's transaction, except `Sweep`, which makes small ones of its own. The
window is by the wall clock at which the first copy was noted. An identity that lies more than a day in the
future was noted by a clock that was wrong: it is still recognised, and its window starts again from now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from missioncontrol.log.database import begin, few_forms, insert, roll_back

DAY_S = 86_400
APPENDED = 0
"""The claimant of what `append()` stored."""

_SWEEP_IDS = 4096
_PASS_EVERY_S = 3600


class Window:
    """Noting times that count: later than `oldest_s`; a clock that noted past `future_s` was wrong."""

    __slots__ = ("future_s", "now_s", "oldest_s")

    def __init__(self, now_s: int, dedup_days: int) -> None:
        self.now_s = now_s
        self.oldest_s = now_s - dedup_days * DAY_S
        self.future_s = now_s + DAY_S


def claimants(connection: sqlite3.Connection, ids: Sequence[bytes], window: Window) -> dict[bytes, int]:
    """Those of the ids that are known within the window, each with its claimant."""
    found: dict[bytes, int] = {}
    for chunk in few_forms(ids):
        marks = ",".join("?" * len(chunk))
        query = f"SELECT id, claimant, noted_s FROM seen WHERE id IN ({marks}) AND noted_s > ?"
        for known, claimant, noted_s in connection.execute(query, (*chunk, window.oldest_s)).fetchall():
            found[known] = claimant
            if noted_s > window.future_s:
                note(connection, [known], claimant, window)
    return found


def note(connection: sqlite3.Connection, ids: Sequence[bytes], claimant: int, window: Window) -> None:
    """Note the ids as of now; an expired note of an id is replaced."""
    rows = [(id_, claimant, window.now_s) for id_ in ids]
    insert(connection, "INSERT OR REPLACE INTO seen (id, claimant, noted_s)", rows)


def mark_duplicates(connection: sqlite3.Connection, ids: Sequence[bytes], window: Window) -> list[bool]:
    """For each id whether it was known before its turn; new ones are noted. An empty id is never known."""
    known = set(claimants(connection, [id_ for id_ in ids if id_], window))
    fresh: list[bytes] = []
    duplicates: list[bool] = []
    for id_ in ids:
        duplicates.append(id_ in known)
        if id_ and id_ not in known:
            known.add(id_)
            fresh.append(id_)
    note(connection, fresh, APPENDED, window)
    return duplicates


def claim(connection: sqlite3.Connection, ids: Sequence[bytes], claimant: int, window: Window) -> list[bool]:
    """For each id whether another claimant noted it; unknown ones are noted for this claimant."""
    known = claimants(connection, [id_ for id_ in ids if id_], window)
    note(connection, list({id_: None for id_ in ids if id_ and id_ not in known}), claimant, window)
    return [known.get(id_, claimant) != claimant for id_ in ids]


def release(connection: sqlite3.Connection, claimants: Sequence[int]) -> None:
    """Forget what these claimants noted. Reads the whole table: only for imports that were given up."""
    marks = ",".join("?" * len(claimants))
    connection.execute(f"DELETE FROM seen WHERE claimant IN ({marks})", tuple(claimants))


class Sweep:
    """Frees expired identities, a stretch of the table at a time, so that no lock lasts.

    A pass through the whole table starts at most once an hour, or when the clock went back; it goes on with
    each call of `step()`. The place is kept in memory: after a restart a pass starts again.
    """

    def __init__(self, dedup_days: int) -> None:
        self._dedup_days = dedup_days
        self._place = b""
        self._started_s: int | None = None

    def step(self, connection: sqlite3.Connection, now_s: int) -> bool:
        """Sweep the next stretch; false when the pass is complete or none is due."""
        if self._started_s is None or (not self._place and not 0 <= now_s - self._started_s < _PASS_EVERY_S):
            self._place, self._started_s = b"", now_s
        elif not self._place:
            return False
        upper = connection.execute(
            "SELECT id FROM seen WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", (self._place, _SWEEP_IDS - 1)
        ).fetchone()
        end = upper[0] if upper else b"\xff" * 17
        self._free(connection, end, Window(now_s, self._dedup_days))
        self._place = upper[0] if upper else b""
        return upper is not None

    def _free(self, connection: sqlite3.Connection, end: bytes, window: Window) -> None:
        stretch = (self._place, end)
        where = "id > ? AND id <= ?"
        due = connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM seen WHERE {where} AND (noted_s <= ? OR noted_s > ?))",
            (*stretch, window.oldest_s, window.future_s),
        ).fetchone()[0]
        if not due:  # the common case takes no lock
            return
        begin(connection)
        try:
            connection.execute(
                f"DELETE FROM seen WHERE {where} AND noted_s <= ?", (*stretch, window.oldest_s)
            )
            connection.execute(
                f"UPDATE seen SET noted_s = ? WHERE {where} AND noted_s > ?",
                (window.now_s, *stretch, window.future_s),
            )
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise

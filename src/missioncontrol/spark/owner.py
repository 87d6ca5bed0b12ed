"""Whose the lake is: that of one state, which knows the documents that are in it.

The stream of another state would count copies of them again, wherever it begins. So the lake names its state, by a
number: the version of an application transaction of one of its tables. The state keeps it as a lease without end.
"""

from __future__ import annotations

import secrets

from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import Move
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.state.leases import Leases

APP = "stream-state"
TABLE = "pings"
LEASE = "lake"
_FOR_EVER_S = 1e12
_APART = 1 << 40


class LakeOwner:
    """What of a lake and of a state says that they belong together. Raises `StorageError`."""

    def __init__(self, writer: LakeWriter, leases: Leases) -> None:
        self._writer, self._leases = writer, leases

    def check(self) -> bool:
        """Whether the lake is this state's; if not, nobody's yet.

        Raises `StorageError` (`lake_of_another_state`) for one that is another state's.
        """
        named = self._named()
        if named and named != self._own():
            raise StorageError(
                "lake_of_another_state",
                "The lake is filled by a stream with another state database: with this one, copies of documents would "
                "be counted again.",
                "Do state.url and lake.url belong together? If that database is lost: missioncontrol spark stream "
                "--new-state.",
            )
        return named != 0

    def claim(self) -> None:
        """Have a lake that is nobody's yet, but has its tables; raises as `check()` when another state was faster."""
        self._writer.commit_moves(TABLE, [], [Move(APP, self._own() or self._renew(0))])
        self.check()

    def take_over(self) -> None:
        """Have the lake, whose state is lost; a stream that still runs with that one is refused from now on."""
        named = self._named()
        if named and named != self._own():
            self._writer.commit_moves(TABLE, [], [Move(APP, self._renew(named), named)])

    def _named(self) -> int:
        """The number of the state that the lake names; 0: none."""
        try:
            return self._writer.committed(TABLE, APP)
        except StorageError as error:
            if error.code != "lake_no_table":
                raise
            return 0

    def _own(self) -> int:
        """The number of this state; 0: it has none yet."""
        held = self._leases.holder(LEASE)
        return int(held.holder) if held is not None else 0

    def _renew(self, above: int) -> int:
        """Give this state another number: a copy of the database that is elsewhere is another state from now on."""
        self._leases.give_back(LEASE, str(self._own()))
        number = above + 1 + secrets.randbelow(_APART)
        self._leases.take(LEASE, str(number), _FOR_EVER_S)
        return number

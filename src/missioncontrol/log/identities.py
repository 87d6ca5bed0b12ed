"""What a log that many processes read needs of a store of identities, by which duplicates are told.

An identity is the 16 bytes of a document id (`log.rows.identity`). Whoever brings the document into the lake claims
it, in the name of a claimant: a record of the log by the number of its place, below 0 (`log.kafka_messages.claimant`),
a block of an import by a number above 0. The first to claim is the one whose copy counts; for all others it is a
duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Identities(Protocol):
    """Ids, claimants and times of one call stand side by side. Safe with other threads and processes."""

    def claim(self, ids: Sequence[bytes], claimants: Sequence[int], noted_s: Sequence[int]) -> list[bool]:
        """For each id, in order, whether it is a duplicate; from now on the others are the claimant's, durably.

        `noted_s`: when the copy came, in seconds since the epoch. An id that another claimant noted within `dedup_days`
        before that is a duplicate, and stays noted as of then. What the same claimant noted is none: reading a record
        again, which has one time, gives the same answer. Nor is it one of a later record of its own partition with no
        earlier time: the reader has gone back behind that. A note that lies more than a day ahead was made by a clock
        that was wrong: it counts, and its time becomes `noted_s`.
        """
        ...

    def release(self, claimants: Sequence[int]) -> None:
        """Forget the ids that these noted. May take long."""
        ...

    def sweep(self, read_s: int, now_s: int) -> None:
        """Forget some of what is expired for a reader who has come to the time `read_s`, in short transactions.

        Notes more than a day ahead of the clock `now_s` get its time. Each call goes on where the one before ended.
        """
        ...

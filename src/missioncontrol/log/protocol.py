"""What a log is, in prose and in types. Every backend passes `tests/contract/test_log.py`.

A log is an append-only sequence of records, each with an offset, a number above 0. Offsets grow; they may have gaps.
On Kafka a log has several partitions perhaps, and each of them is such a sequence: all that is said here of order and
reading is of one.

* **Append.** `append()` returns only when the entry survives `kill -9` of the process and loss of power: on this
  machine's disk, or on as many brokers as acknowledge it. Entries that arrive while a commit is under way share the
  next one (group commit). A full store raises `StorageFull` (code `log_full`), any other failure to write
  `StorageError`; the log takes entries again when there is room. In a log on this machine nothing is kept of an entry
  that failed, its identity neither. One elsewhere may have it all the same: what failed may be that its answer came.
* **Duplicates.** Of copies of a PING with a `document_id` (letters' case aside) that are in the log, or were claimed,
  within `dedup_days` of the first, the first counts. The others are read as records of kind `DUPLICATE`, with the
  metadata as sent and without body, in their places in the order, so that whoever reads the log counts each exactly
  once; read again, a record is of the same kind. A log that knows at once says so when it appends (`Appended`), and
  does not store the body; another tells when it is read, and only what was read is known to `claim()`. Of two copies
  in one commit the second is the duplicate. The window is by the wall clock at which the first copy was appended.
  Entries of another kind or without a document id are never duplicates.
* **Claim.** `claim()` notes identities of pings that reach the lake by another way than `append()`, in the
  name of a claimant: a number above 0, which stands for `append()`. It says which of them somebody else noted
  before. What the same claimant noted is no duplicate, so that an import that was killed can be resumed; copies
  within one claimant's input are the caller's to find.
* **Read.** `read(after, ...)` gives records with offset > `after`, in order, without holes: a record becomes
  visible only when all records before it are visible. Reading never blocks appending.
* **Trim.** `trim(through)` frees the records up to and including an offset, once they are consumed. The
  identities that recognise duplicates are kept until they expire for whoever reads. Trimmed records are never read
  again (save for those that loss of power brings back, at their old offsets), and offsets are never reused.
* Several processes may append, read and trim at the same time. All but `append()` wait for the disk: an event
  loop calls them in a thread.

The log knows nothing of JSON or telemetry: a body is bytes, and headers are text as they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

NO_CLAIMANT = "claimant 0 is append() itself, and those below are records of a log"


class Kind(IntEnum):
    """What a record is."""

    PING = 1
    """A submission with its body."""
    DUPLICATE = 2
    """A submission whose document id was seen before; its body is not kept."""
    REFUSED = 3
    """Submissions that the edge refused: `detail` is the reason, `count` how many in that window."""


class Entry(msgspec.Struct, frozen=True):
    """What the edge hands to the log. Times in nanoseconds since the epoch, UTC."""

    kind: Kind
    received_ns: int
    namespace: str = ""
    """First path part after /submit: `telemetry` for the legacy form, the Glean application otherwise."""
    document_type: str = ""
    document_version: str = ""
    document_id: str = ""
    application: str = ""
    version: str = ""
    channel: str = ""
    build_id: str = ""
    country: str = "??"
    headers: tuple[tuple[str, str], ...] = ()
    """The kept headers, lower-case names."""
    encoding: str = ""
    """Content-Encoding as sent, lower-case; empty: none."""
    body: bytes = b""
    detail: str = ""
    count: int = 1


class Record(msgspec.Struct, frozen=True):
    """An entry in its place."""

    offset: int
    entry: Entry


class Appended(msgspec.Struct, frozen=True):
    """The answer of `append()`."""

    offset: int | None
    """None: it is not known yet where the record will be, or not any more."""
    duplicate: bool | None
    """None: whoever reads the record tells."""


class Appender(Protocol):
    """What the edge needs of a log."""

    async def append(self, entry: Entry) -> Appended:
        """Store the entry durably; raises `StorageFull` or `StorageError`: `StorageAway` where the log is elsewhere and
        does not answer, and as much waits for it here as may.
        """
        ...

    def append_many(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store several entries durably; of a log on this machine in one commit, all or none."""
        ...

    def check(self) -> str:
        """Prove that something can be stored now; raises as `append()`. The answer is the code of what is wrong all the
        same: what is stored waits here because of that; empty: nothing is.
        """
        ...


class Log(Appender, Protocol):
    """See the module's text for what each method promises."""

    def claim(self, document_ids: Sequence[str], claimant: int) -> list[bool]:
        """Note the ids durably for the claimant; for each id, whether another claimant noted it before.

        An empty id is never noted and never a duplicate. `ValueError` for a claimant that is not above 0.
        """
        ...

    def release(self, claimants: Sequence[int]) -> None:
        """Forget the ids that these claimants noted: they gave up before their pings reached the lake.

        May take long with many ids. `ValueError` for a claimant that is not above 0.
        """
        ...

    def read(self, after: int, max_records: int, max_bytes: int) -> list[Record]:
        """Records with offset > `after`, as many as fit both limits, but at least one if there is any.

        `max_bytes` is of bodies and metadata. Raises `StorageError` (`log_unreadable`).
        """
        ...

    def identity(self) -> str:
        """Name of this log: another one, whose offsets begin anew, never has the same."""
        ...

    def last_offset(self) -> int:
        """Offset of the newest visible record ever appended; 0 for a log that never had one."""
        ...

    def count_after(self, offset: int) -> int:
        """How many records with a greater offset are stored; takes the same short time for any number."""
        ...

    def size_bytes(self) -> int | None:
        """What the log takes on the disk of this machine; None for a log that is elsewhere."""
        ...

    def trim(self, through: int) -> None:
        """Free the records with offset <= `through`."""
        ...

    def close(self) -> None:
        """Finish what is under way and release files and threads."""
        ...

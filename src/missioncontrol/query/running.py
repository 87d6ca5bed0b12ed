"""The queries of users that wait or run in this process, and how one is stopped: its process is killed."""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from missioncontrol.errors import BadRequest, NotFound

_SHOWN = 2000


class Stop:
    """Stops one query, from any thread, also before its process has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.asked = False

    def now(self) -> None:
        """Kill the process; one that starts later is killed at once."""
        with self._lock:
            self.asked = True
            if self._process is not None:
                self._process.kill()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """This is the process of the query."""
        with self._lock:
            self._process = process
            if self.asked:
                process.kill()

    @property
    def runs(self) -> bool:
        """Whether the query has a process yet."""
        return self._process is not None


class RunningQuery:
    """A query that waits or runs."""

    def __init__(self, query_id: str, owner: str, query: str, dialect: str) -> None:
        self.id = query_id
        self.owner = owner
        """Key of the reader; empty: of nobody who is known."""
        self.query = query[:_SHOWN]
        self.dialect = dialect
        self.began_at = datetime.now(UTC)
        self.stop = Stop()
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since it was asked."""
        return time.monotonic() - self._began


class RunningQueries:
    """All of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[str, RunningQuery] = {}
        self._ends = False

    @contextmanager
    def running(self, owner: str, query: str, dialect: str, wanted_id: str = "") -> Iterator[RunningQuery]:
        """A query is listed while the block runs, under `wanted_id` if no other has it."""
        with self._lock:
            taken = not wanted_id or wanted_id in self._queries
            entry = RunningQuery(secrets.token_hex(16) if taken else wanted_id, owner, query, dialect)
            self._queries[entry.id] = entry
            if self._ends:
                entry.stop.now()
        try:
            yield entry
        finally:
            with self._lock:
                del self._queries[entry.id]

    def list(self) -> list[RunningQuery]:
        """Those that there are now, the oldest first."""
        with self._lock:
            return list(self._queries.values())

    def stop(self, query_id: str, owner: str, any_owner: bool = False) -> None:
        """Stop a query of this reader; one of nobody's is stopped by whoever has its id.

        Raises `NotFound` (`not_running`), also for a query of somebody else.
        """
        with self._lock:
            found = self._queries.get(query_id)
        if found is None or not (any_owner or found.owner in ("", owner)):
            raise NotFound("not_running", "That query does not run (any more).", "It may have just ended.")
        found.stop.now()

    def stop_all(self) -> None:
        """Stop whatever runs or comes now: the server ends, and waits for its threads."""
        with self._lock:
            self._ends = True
            left = list(self._queries.values())
        for one in left:
            one.stop.now()


def stopped() -> BadRequest:
    """The error of a query that was stopped."""
    hint = "It was stopped by hand, or because the server ends; not by a limit."
    return BadRequest("query_stopped", "The query was stopped.", hint)

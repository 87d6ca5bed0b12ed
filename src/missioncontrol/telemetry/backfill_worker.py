"""A worker process of the backfill: reads row groups of the archive and sums one day under today's registry.

Asked with a `Day` it starts anew; with a `Part` of the archive it reads that and says how many pings it held; with
`Finish` it hands over its sums. Never commits and never writes.
"""

from __future__ import annotations

import gc
from collections import Counter
from datetime import date
from multiprocessing.connection import Connection

import msgspec
import pyarrow as pa
import structlog

from missioncontrol.config import Config
from missioncontrol.registry import Registry
from missioncontrol.registry.rules import rule_registry
from missioncontrol.telemetry.aggregate import Aggregator
from missioncontrol.telemetry.archive import Archived, Part, read_part
from missioncontrol.telemetry.batch import OTHER
from missioncontrol.telemetry.crash_sums import CrashSums
from missioncontrol.telemetry.discards import UNREADABLE, Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact
from missioncontrol.telemetry.inflate import inflate

_logger = structlog.get_logger()
_DAY_NS = 86_400_000_000_000


class Day(msgspec.Struct, frozen=True):
    """Asks to begin a day. For tables of the stream (`received`) the pings count that arrived on it, for
    crash_aggregates those submitted on it, under the rule set `rules` (empty: not wanted).
    """

    day: date
    received: bool
    rules: str


class Finish(msgspec.Struct, frozen=True):
    """Asks for the sums of the day."""


class Read(msgspec.Struct, frozen=True):
    """Pings that were read, of this day or not."""

    pings: int


class Sums(msgspec.Struct, frozen=True):
    """What a worker found. Tables by name; crash sums as a table of plain columns, if asked for."""

    tables: dict[str, pa.Table]
    crashes: pa.Table | None
    readable: int
    """Archived pings received on the day whose body is whole."""
    rescued: int
    """Pings that were discarded when they came and count in crash_aggregates."""
    received: Counter[tuple[str, str]]
    """(document, reason; empty: processed) -> pings, for the tables of the stream."""
    submitted: Counter[tuple[str, str]]
    """The same for crash_aggregates."""


def run(connection: Connection, config: Config, registry: Registry) -> None:
    """Answer until the parent hangs up."""
    gc.disable()  # rows make no cycles; looking for some would cost a tenth of the time
    work: DayWork | None = None
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        if isinstance(asked, Day):
            work = DayWork(asked, config, registry)
        elif isinstance(asked, Finish):
            assert work is not None
            connection.send(work.sums())
            work = None
        else:
            assert work is not None
            connection.send(Read(work.take(asked)))


class DayWork:
    """One day."""

    def __init__(self, asked: Day, config: Config, registry: Registry) -> None:
        self._asked = asked
        self._day_number = (asked.day - date(1970, 1, 1)).days
        self._limit = config.stream.max_inflated_bytes
        self._stream = Extractor(registry) if asked.received else None
        rules = rule_registry(asked.rules, registry) if asked.rules else None
        self._rules = Extractor(rules) if rules else None
        self._crashes = CrashSums(rules) if rules else None
        self._aggregator = Aggregator(
            registry, config.stream.fine_activity_days, config.stream.broken_body_bytes, archive=False
        )
        self._received: Counter[tuple[str, str]] = Counter()
        self._submitted: Counter[tuple[str, str]] = Counter()
        self._readable = self._rescued = 0

    def take(self, part: Part) -> int:
        """Read a part; returns how many pings it held."""
        for_crashes = (
            self._rules is not None
            and part.submission_date == self._asked.day
            and part.doc_type in self._rules.registry.documents
        )
        if self._stream is None and not for_crashes:
            return part.rows  # nothing in it counts: other kinds of pings, or another day
        for ping in read_part(part):
            self._add(ping, for_crashes and ping.submission.namespace == "telemetry")
        return part.rows

    def sums(self) -> Sums:
        """All that was summed."""
        return Sums(
            self._aggregator.tables() if self._stream else {},
            self._crashes.table() if self._crashes else None,
            self._readable,
            self._rescued,
            self._received,
            self._submitted,
        )

    def _add(self, ping: Archived, for_crashes: bool) -> None:
        submission = ping.submission
        stream = self._stream if submission.received_ns // _DAY_NS == self._day_number else None
        rules = self._rules if for_crashes and self._rules and self._rules.document(submission) else None
        if stream is None and rules is None:
            return
        if ping.discarded in UNREADABLE:  # all that is left of these is their beginning
            body: bytes | memoryview | Discard = Discard(ping.discarded or "")
        else:
            body = inflate(submission.body, submission.encoding, self._limit)
        if stream is not None:
            self._add_received(stream, ping, body)
        if rules is not None:
            self._add_submitted(rules, ping, body)

    def _add_received(self, stream: Extractor, ping: Archived, body: bytes | memoryview | Discard) -> None:
        submission = ping.submission
        self._readable += ping.discarded not in UNREADABLE
        result = body if isinstance(body, Discard) else _extract(stream, ping, body)
        document = stream.document(submission)
        name = document.name if document else OTHER
        if isinstance(result, Discard):
            self._received[name, result.reason] += 1
        else:
            self._received[name, ""] += 1
            self._aggregator.add(submission, result, name)

    def _add_submitted(self, rules: Extractor, ping: Archived, body: bytes | memoryview | Discard) -> None:
        assert self._crashes is not None
        result = body if isinstance(body, Discard) else _extract(rules, ping, body)
        name = ping.submission.document_type  # one of the two that the rules declare
        if isinstance(result, Discard):
            self._submitted[name, result.reason] += 1
        else:
            self._submitted[name, ""] += 1
            self._rescued += ping.discarded is not None
            self._crashes.add(result)


def _extract(extractor: Extractor, ping: Archived, body: bytes | memoryview) -> Fact | Discard:
    try:
        return extractor.extract(ping.submission, body)
    except Exception:  # a fault of ours; one ping must not stop a day
        _logger.exception("extraction_failed", document_id=ping.submission.document_id)
        return Discard("extraction_failed")

"""One micro-batch: submissions in, Arrow tables out. The stream and the import of files call the same function."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import structlog

from missioncontrol.config import Config
from missioncontrol.log.protocol import Kind, Record
from missioncontrol.telemetry.aggregate import Aggregator
from missioncontrol.telemetry.discards import Discard
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact
from missioncontrol.telemetry.inflate import inflate
from missioncontrol.telemetry.submission import Submission, from_record

_logger = structlog.get_logger()

OTHER = "other"
"""Document type under which undeclared ones are archived, so that clients cannot make up partitions."""


class Batch:
    """Collects submissions into the partial rows of one commit."""

    def __init__(self, extractor: Extractor, config: Config) -> None:
        self._extractor = extractor
        self._limit = config.stream.max_inflated_bytes
        self._aggregator = Aggregator(
            extractor.registry,
            config.stream.fine_activity_days,
            config.stream.broken_body_bytes,
            config.lake.archive,
        )
        self.counted = 0
        self.discarded = 0

    def take(self, record: Record) -> None:
        """Add or discard what a record of the log says; never raises for what a client sent."""
        entry = record.entry
        if entry.kind is Kind.PING:
            self.add(from_record(record))
        elif entry.kind is Kind.DUPLICATE:
            self.discard(entry.received_ns, "duplicate")
        elif entry.body:  # of a log that others can write to
            self.refuse(from_record(record), Discard(entry.detail))
        else:
            self.discard(entry.received_ns, entry.detail, entry.count)

    def add(self, submission: Submission) -> None:
        """Extract and sum one submission; never raises for what a client sent."""
        document = self._extractor.document(submission)
        result = self.result(submission)
        if isinstance(result, Discard):
            self.discarded += 1
        else:
            self.counted += 1
        self._aggregator.add(submission, result, document.name if document else OTHER)

    def refuse(self, submission: Submission, discard: Discard) -> None:
        """Count a submission that is known to be unusable, and keep it for inspection."""
        self.discarded += 1
        self._aggregator.add(submission, discard, OTHER)

    def result(self, submission: Submission) -> Fact | Discard:
        """What one submission says."""
        try:
            body = inflate(submission.body, submission.encoding, self._limit)
            return body if isinstance(body, Discard) else self._extractor.extract(submission, body)
        except (
            Exception
        ):  # a fault of ours; without this, one ping would stop all that come after it for good
            _logger.exception("extraction_failed", log_offset=submission.log_offset)
            return Discard("extraction_failed")

    def discard(self, received_ns: int, reason: str, count: int = 1) -> None:
        """Count submissions that have no body to look at: duplicates and refusals of the edge."""
        self.discarded += count
        self._aggregator.discard(received_ns, reason, count)

    def tables(self) -> dict[str, pa.Table]:
        """The partial rows by table of the lake."""
        return self._aggregator.tables()

    def bodies(self) -> dict[str, pa.Table]:
        """The rows of the archive alone, which are let go of."""
        return self._aggregator.bodies()


class BatchReport(msgspec.Struct, frozen=True):
    """What one micro-batch did, through which offset; times in nanoseconds."""

    records: int
    counted: int
    discarded: int
    through: int
    oldest_received_ns: int
    visible_ns: int

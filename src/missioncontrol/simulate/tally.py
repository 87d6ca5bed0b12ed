"""What a corpus must add up to: the defects that were put in, and running totals of its lines.

The totals are read from the finished pings with a decoder of its own, so that they hold for what was written.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from missioncontrol.simulate.submission import Submission


class Defects(msgspec.Struct, frozen=True):
    """How many lines have which defect. Each such line has one, and all but `duplicates` are main pings."""

    duplicates: int = 0
    """The same document again, received a little later. Not to be counted."""
    late: int = 0
    """Received one to six days after the client sent it. To be counted."""
    split_date: int = 0
    """`submissionDate` is the day after the one of `Timestamp`. To be counted."""
    malformed: int = 0
    """Cut in the middle: no JSON. Not to be counted."""
    wrong_length: int = 0
    """`subsessionLength` is text. Not to be counted."""
    missing_application: int = 0
    """There is no `application`. Not to be counted."""
    old_build: int = 0
    """The build is 300 days older than the release was. Not to be counted."""
    other_channel: int = 0
    """The channel normalises to `Other`. Not to be counted."""

    @property
    def total(self) -> int:
        """Lines with a defect."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


class CorpusReport(msgspec.Struct, frozen=True):
    """What a corpus holds. `counted` and the sums below it leave out the lines that must not be counted."""

    path: str
    lines: int
    counted: int
    main_pings: int
    crash_pings: int
    baseline_pings: int
    main_crashes: int
    usage_seconds: int
    """Of main and baseline pings."""
    defects: Defects
    size_bytes: int
    """Of all lines, before compression."""
    mean_ping_bytes: float
    """Mean body, without `meta`."""
    mean_main_ping_bytes: float
    first_received_ns: int
    last_received_ns: int


class _Info(msgspec.Struct, frozen=True):
    subsessionLength: int = 0  # noqa: N815


class _Payload(msgspec.Struct, frozen=True):
    info: _Info = _Info()
    processType: str = "main"  # noqa: N815


class _Duration(msgspec.Struct, frozen=True):
    value: int = 0


class _Timespan(msgspec.Struct, frozen=True):
    duration: _Duration = msgspec.field(name="glean.baseline.duration", default=_Duration())


class _Metrics(msgspec.Struct, frozen=True):
    timespan: _Timespan = _Timespan()


class _Read(msgspec.Struct, frozen=True):
    """The few values of a ping that the report adds up."""

    payload: _Payload = _Payload()
    metrics: _Metrics = _Metrics()


_DECODER = msgspec.json.Decoder(_Read)


class Tally:
    """Running totals of what was written."""

    def __init__(self) -> None:
        self.lines = self.counted = self.planned = self.size_bytes = 0
        self.body_bytes = self.main_bytes = self.all_mains = 0
        self.types = {"main": 0, "crash": 0, "baseline": 0}
        self.main_crashes = self.usage_seconds = 0
        self.first_ns, self.last_ns = 0, 0

    def count(self, submission: Submission) -> None:
        """A line that must be counted."""
        self.skip(submission)
        self.counted += 1
        self.types[submission.document_type] += 1
        read = _DECODER.decode(submission.body)
        self.main_crashes += submission.document_type == "crash" and read.payload.processType == "main"
        self.usage_seconds += read.payload.info.subsessionLength + read.metrics.timespan.duration.value

    def duplicate(self, submission: Submission) -> None:
        """A line that repeats one."""
        self.planned += 1
        self.skip(submission)

    def skip(self, submission: Submission) -> None:
        """Any line."""
        self.lines += 1
        self.body_bytes += len(submission.body)
        if submission.document_type == "main":
            self.all_mains += 1
            self.main_bytes += len(submission.body)
        self.first_ns = min(self.first_ns or submission.received_ns, submission.received_ns)
        self.last_ns = max(self.last_ns, submission.received_ns)

    def report(self, path: Path, defects: Defects) -> CorpusReport:
        """The totals."""
        return CorpusReport(
            path=str(path),
            lines=self.lines,
            counted=self.counted,
            main_pings=self.types["main"],
            crash_pings=self.types["crash"],
            baseline_pings=self.types["baseline"],
            main_crashes=self.main_crashes,
            usage_seconds=self.usage_seconds,
            defects=defects,
            size_bytes=self.size_bytes,
            mean_ping_bytes=self.body_bytes / max(self.lines, 1),
            mean_main_ping_bytes=self.main_bytes / max(self.all_mains, 1),
            first_received_ns=self.first_ns,
            last_received_ns=self.last_ns,
        )

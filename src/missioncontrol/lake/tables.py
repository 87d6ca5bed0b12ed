"""What tables the lake has, with which columns: a pure function of the registry.

Never touches a file and imports neither Arrow nor Delta, so that any part may ask for a table's shape.
All timestamps are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from missioncontrol.registry import crash_columns
from missioncontrol.registry.model import Dimension, Measure, Registry

Type = Literal[
    "timestamp", "date", "string", "int64", "float64", "binary", "bool", "sketch", "text_map", "number_map"
]
"""`sketch`: bytes of an HLL sketch (Apache DataSketches), merged by union. Maps: text -> text, text -> double."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table of the lake."""

    name: str
    type: Type
    description: str = ""
    nullable: bool = True
    protected: bool = False
    """It tells of single people or machines: SQL of a reader without the scope `protected` does not have it."""


class Shape(msgspec.Struct, frozen=True):
    """What of a table does not depend on the registry."""

    name: str
    title: str
    description: str
    partition_by: tuple[str, ...] = ("submission_date",)
    sort_by: tuple[str, ...] = ()
    sums: bool = True
    """True: rows with equal keys can be merged by adding the columns that are not keys."""
    daily: bool = False
    """True: made by the daily batch from the archive, never by the stream."""


class LakeTable(msgspec.Struct, frozen=True):
    """A table of the lake as the registry wants it; the Delta table may hold more, older columns."""

    name: str
    title: str
    description: str
    columns: tuple[Column, ...]
    """Partition columns included."""
    partition_by: tuple[str, ...]
    sums: bool
    """True: rows with equal `keys` can be merged by adding the `summed` columns."""
    keys: tuple[str, ...]
    sort_by: tuple[str, ...]
    daily: bool
    """True: made by the daily batch from the archive, never by the stream."""

    @property
    def summed(self) -> tuple[str, ...]:
        """Names of the columns that are added when rows are merged; empty where rows are never merged."""
        return tuple(c.name for c in self.columns if c.name not in self.keys) if self.sums else ()


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            "error_aggregates",
            "Error aggregates",
            "Sums of every measure over the whole population, by 5-minute window and all dimensions.",
            sort_by=("channel", "os_name", "version", "window_start"),
        ),
        Shape(
            "experiment_aggregates",
            "Experiment aggregates",
            "Sums of every measure by 5-minute window, few dimensions, experiment and branch.",
            sort_by=("experiment_id", "channel", "os_name", "version", "window_start"),
        ),
        Shape(
            "client_aggregates",
            "Client aggregates",
            "HLL sketches of the clients and sessions of an hour, and of those that had at least one of a measure.",
            sort_by=("channel", "os_name", "version", "window_start"),
        ),
        Shape(
            "usage_by_activity",
            "Usage by activity",
            "Usage hours and session starts by when they arrived and by when they happened.",
            sort_by=("channel", "os_name", "version", "activity"),
        ),
        Shape(
            "crashes_by_activity",
            "Crashes by activity",
            "Sums of every measure by when they arrived and by when they happened; only ever imported.",
            sort_by=("channel", "os_name", "version", "activity"),
        ),
        Shape(
            "crash_aggregates",
            "Crash aggregates",
            "Sums by day of activity and all dimensions, as maps: the daily batch in its predecessor's schema.",
            sort_by=("activity_date",),
            sums=False,
            daily=True,
        ),
        Shape(
            "discards",
            "Discards",
            "Submissions that were refused or not counted, by 5-minute window and reason.",
            sort_by=("window_start", "reason"),
        ),
        Shape(
            "notes",
            "Notes",
            "Pings that were counted, but not wholly, by 5-minute window and reason.",
            sort_by=("window_start", "reason"),
        ),
        Shape(
            "crashes",
            "Crashes",
            "A processed crash a row, for search and ranking; a crash processed again has a further row.",
            sort_by=("product", "release_channel", "signature", "date"),
            sums=False,
        ),
        Shape(
            "crash_signature_counts",
            "Crash signature counts",
            "Crash reports of an hour by signature, process type and few dimensions; from the table `crashes`.",
            sort_by=("application", "channel", "version", "signature", "window_start"),
        ),
        Shape(
            "crash_revisions",
            "Crash revisions",
            "Which row of `crashes` counts, for crashes that were processed again or deleted.",
            sort_by=("uuid",),
            sums=False,
        ),
        Shape(
            "verdicts",
            "Verdicts",
            "What was said of a release at one time, and what it rested on; a row is never changed.",
            sort_by=("application", "channel", "version", "measure", "as_of"),
            sums=False,
        ),
        Shape(
            "pings",
            "Pings",
            "Accepted pings with their body as received: the archive that batch and backfill read.",
            partition_by=("submission_date", "doc_type"),
            sort_by=("received_ns",),
            sums=False,
        ),
    )
}
"""Every table of the lake by name."""

_WINDOW = Column("window_start", "timestamp", "Start of the 5-minute window of arrival, UTC.")
_DATE = Column("submission_date", "date", "UTC day of arrival.")
_USAGE_KEYS = (
    Column("arrival", "timestamp", "Start of the interval of arrival, UTC."),
    Column("arrival_length_s", "int64", "Length of the interval of arrival in seconds."),
    Column("activity", "timestamp", "Start of the interval in which the usage happened, UTC."),
    Column("activity_length_s", "int64", "Length of the interval of activity in seconds."),
    _DATE,
    Column("channel", "string"),
    Column("application", "string"),
    Column("version", "string"),
    Column("build_id", "string"),
    Column("os_name", "string"),
)
_CRASH_AGGREGATES = (
    Column(
        "activity_date", "date", "Day of the activity as the client says, at most 7 days before submission."
    ),
    Column("submission_date", "date", "The pings' submission date."),
    Column("dimensions", "text_map", "Dimension -> value; what a ping does not say is no key."),
    Column(
        "stats", "number_map", "Statistic -> sum; `<name>_squared` is the sum of the squares of each ping."
    ),
)
_CRASH_MEASURES = (
    "usage_hours", "main_crashes", "content_crashes", "plugin_crashes", "gmplugin_crashes",
    "content_shutdown_crashes", "gpu_crashes",
)  # fmt: skip
CRASH_STATS = ("ping_count", *(stat for m in _CRASH_MEASURES for stat in (m, f"{m}_squared")))
"""Every key that `stats` of crash_aggregates can have."""
_PINGS = (
    _DATE,
    Column("doc_type", "string", "Declared document type, or `other`."),
    Column("received", "timestamp", "Instant of arrival, cut to microseconds, UTC."),
    Column("received_ns", "int64", "Instant of arrival in nanoseconds since the epoch."),
    _WINDOW,
    Column("log_offset", "int64", "Place in the log."),
    Column("namespace", "string"),
    Column("document_type", "string", "Document type as in the address."),
    Column("document_version", "string"),
    Column("document_id", "string", protected=True),
    Column("application", "string"),
    Column("version", "string"),
    Column("channel", "string"),
    Column("build_id", "string"),
    Column("country", "string"),
    Column(
        "given_date",
        "string",
        "What came as submission date, where that is no date (empty: nothing); filed under the day of arrival.",
        protected=True,
    ),
    Column("headers", "string", "The kept headers as a JSON object.", protected=True),
    Column("encoding", "string", "Content-Encoding of the body as sent; empty: none."),
    Column(
        "body",
        "binary",
        "The body as received; where `packing` is not null what it holds: the JSON text.",
        protected=True,
    ),
    Column("discarded", "string", "Reason why the ping was not counted; null when it was."),
    Column("packing", "string", "How the body was compressed as sent; null: `body` is as it was sent."),
    Column("sent_bytes", "int64", "Size of the body as sent, where `packing` is not null."),
    Column("sent_crc32", "int64", "CRC-32 of the body as sent, where `packing` is not null.", protected=True),
)


_CRASHES = (
    Column("submission_date", "date", "UTC day of receipt."),
    Column("uuid", "string", "The crash id."),
    Column("revision", "int64", "How often it had been processed before."),
    Column("date", "timestamp", "When it was received, UTC."),
    Column("completed_datetime", "timestamp", "When it was processed, UTC."),
    *(Column(name, "string") for name in crash_columns.TEXTS),
    *(Column(name, "string", "A list, as JSON.") for name in crash_columns.LISTS),
    *(Column(name, "int64") for name in crash_columns.INTEGERS),
    *(Column(name, "float64") for name in crash_columns.NUMBERS),
    *(Column(name, "bool") for name in crash_columns.BOOLS),
    *(Column(name, "timestamp") for name in crash_columns.TIMES),
    Column(
        "throttle_rate", "float64", "Share of reports like this one that are kept; count 1 / throttle_rate."
    ),
    Column("fields", "text_map", "Public fields of the user's own declarations; lists as JSON."),
    *(Column(name, "string", protected=True) for name in crash_columns.PROTECTED_TEXTS),
    *(Column(name, "string", "A list, as JSON.", protected=True) for name in crash_columns.PROTECTED_LISTS),
    *(Column(name, "int64", protected=True) for name in crash_columns.PROTECTED_INTEGERS),
    Column("protected_fields", "text_map", "Other fields of the user's own declarations.", protected=True),
)
_SIGNATURE_KEYS = (
    Column("window_start", "timestamp", "Start of the hour of receipt, UTC."),
    _DATE,
    Column("application", "string", "Product, as in error_aggregates."),
    Column("channel", "string"),
    Column("version", "string"),
    Column("build_id", "string"),
    Column("os_name", "string"),
    Column("process_type", "string", "As in `crashes`: parent, content, gpu ..."),
    Column("signature", "string", "As in `crashes`: the one that counts now."),
)
_SIGNATURE_COUNTS = (
    Column("reports", "int64", "Reports that were kept."),
    Column("crashes", "float64", "Crashes that they stand for: the sum of 1 / throttle_rate."),
)
_CRASH_REVISIONS = (
    Column("submission_date", "date", "UTC day of receipt of the crash."),
    Column("uuid", "string", "The crash id."),
    Column("revision", "int64", "The row of `crashes` that counts; -1: none, the crash was deleted."),
    Column("at", "timestamp", "When that was so, UTC."),
)
_VERDICTS = (
    Column("as_of", "timestamp", "What had arrived by then was known, UTC."),
    Column("submission_date", "date", "UTC day of `as_of`."),
    Column("application", "string"),
    Column("channel", "string"),
    Column("version", "string"),
    Column("measure", "string"),
    Column("published_at", "timestamp", "When the version was published, as known then, UTC."),
    Column("age_hours", "float64", "From `published_at` to `as_of`."),
    Column("verdict", "string", "worse, better, same, too-early, environment or data-problem."),
    Column("ratio", "float64", "Observed over expected; null: not known."),
    Column("low", "float64", "Lower end of the 95 % interval that holds at all looks at once."),
    Column("high", "float64", "Upper end of it."),
    Column("evidence", "float64", "log10 of the e-value; 2 is an alarm."),
    Column("observed", "float64", "Events since publication."),
    Column("expected", "float64", "Events that predecessors let expect."),
    Column("slice", "string", "Where it is worse, as JSON; null: everywhere, or not worse."),
    Column("forecast", "string", "By ratio, when it will be decided, as JSON; null unless too-early."),
    Column("reasons", "string", "Codes of what made it so, as a JSON list."),
    Column("since", "timestamp", "When worse was first given, UTC; it stays where that was withdrawn."),
    Column("baseline", "string", "Hash of what was learned from predecessors, and of the method."),
    Column("method", "string", "Version of the method."),
    Column(
        "account",
        "string",
        "All that it rested on, as JSON: at a change of verdict and once an hour, else null.",
    ),
)
CRASHES = "crashes"
VERDICTS = "verdicts"
REVISIONS = "crash_revisions"
DELETED = -1
"""Revision of a crash that was deleted."""


def lake_tables(registry: Registry) -> dict[str, LakeTable]:
    """Every table of the lake by name, with the columns that this registry declares."""
    measures = tuple(_measure(m) for m in registry.measures.values())
    experiment = (
        Column("application", "string", "Application name."),
        *(_dimension(d) for d in registry.experiment_keys if d.name != "application"),
        Column("experiment_id", "string"),
        Column("experiment_branch", "string"),
    )
    clients = (
        Column("window_start", "timestamp", "Start of the hour of arrival, UTC."),
        _DATE,
        *(_dimension(d) for d in registry.client_keys),
    )
    sketches = (
        Column("clients", "sketch", "HLL sketch of the ids of all clients that sent a ping."),
        Column("sessions", "sketch", "HLL sketch of client and session ids."),
        *(_sketch(m, kind) for m in registry.client_measures for kind in ("clients", "sessions")),
    )
    usage = (
        Column("usage_hours", "float64", "Hours of usage."),
        Column("starts", "int64", "Session starts."),
    )
    made = (
        _summing("error_aggregates", (_WINDOW, _DATE, *map(_dimension, registry.keys)), measures),
        _summing("experiment_aggregates", (_WINDOW, _DATE, *experiment), measures),
        _summing("client_aggregates", clients, sketches),
        _summing("usage_by_activity", _USAGE_KEYS, usage),
        _summing("crashes_by_activity", _USAGE_KEYS, measures),
        _table("crash_aggregates", _CRASH_AGGREGATES, ()),
        _summing(
            "discards",
            (_WINDOW, _DATE, Column("reason", "string", "Why.")),
            (Column("count", "int64", "Submissions."),),
        ),
        _summing(
            "notes",
            (_WINDOW, _DATE, Column("reason", "string", "Why.")),
            (Column("count", "int64", "Pings."),),
        ),
        _summing("crash_signature_counts", _SIGNATURE_KEYS, _SIGNATURE_COUNTS),
        _table("crash_revisions", _CRASH_REVISIONS, ()),
        _table("crashes", _CRASHES, ()),
        _table("verdicts", _VERDICTS, ()),
        _table("pings", _PINGS, ()),
    )
    return {table.name: table for table in made}


STREAMED = (
    "error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity", "discards", "notes", "pings",
)  # fmt: skip
"""The tables that take rows of each batch of pings."""


def changed_type(table: LakeTable, present: Iterable[Column]) -> str:
    """Which column that is present has another type than the registry wants, in words; empty: none."""
    held = {column.name: column.type for column in present}
    for column in table.columns:
        if held.get(column.name, column.type) != column.type:
            return f"{table.name}.{column.name} is {column.type} in the registry, {held[column.name]} in the lake."
    return ""


def verdict_columns() -> tuple[Column, ...]:
    """The columns of `verdicts`, which no declaration changes."""
    return _VERDICTS


def _summing(name: str, keys: tuple[Column, ...], summed: tuple[Column, ...]) -> LakeTable:
    return _table(name, (*keys, *summed), (c.name for c in keys))


def _table(name: str, columns: tuple[Column, ...], keys: Iterable[str]) -> LakeTable:
    shape = SHAPES[name]
    present = {c.name for c in columns}
    return LakeTable(
        name=name,
        title=shape.title,
        description=shape.description,
        columns=columns,
        partition_by=shape.partition_by,
        sums=shape.sums,
        keys=tuple(keys),
        sort_by=tuple(c for c in shape.sort_by if c in present),
        daily=shape.daily,
    )


def _dimension(dimension: Dimension) -> Column:
    return Column(dimension.name, "string", dimension.description)


def _sketch(measure: Measure, kind: str) -> Column:
    return Column(
        f"{measure.name}_{kind}", "sketch", f"HLL sketch of the {kind} that had one: {measure.title}."
    )


def _measure(measure: Measure) -> Column:
    return Column(measure.name, measure.column_type, measure.description)

"""What can be declared: the types behind the TOML blocks, with the meaning of every key.

A *path* is text: the object keys from the root of the ping, joined by dots; a key that holds dots is quoted
(`metrics.string."crash.process_type"`). A path that starts with `@` names a part of the submission itself instead:
`@application`, `@channel`, `@version`, `@build_id`, `@country`, `@submission_date`.

Of crash reports (the document `crash_report`) a path is a public column of the table `crashes`, or `fields.NAME` for a
field that the user declared.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Scalar = str | int | float | bool
Number = int | float
Kind = Literal["histogram", "keyed_histogram", "threshold", "scalar", "predicate", "number"]
ColumnType = Literal["int64", "float64"]
CRASH_REPORT = "crash_report"
"""The document that is no ping: a processed crash report, a row of the table `crashes`."""


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on one path. Exactly one of the keys after `path` says what must hold."""

    path: str = ""
    equals: Scalar | None = None
    one_of: list[Scalar] = []
    type: Literal["", "integer"] = ""
    digits: int = 0
    """Text of exactly this many digits."""
    absent: bool = False
    """No value, or null."""
    build_age: bool = False
    """The date in the build id (or at `path`) is within the application's allowed age. Without a date at `path`, or
    with Glean's 1970-01-01 for none, a build id of the form YYYYMMDDhhmmss is taken."""
    or_absent: bool = False
    """An absent or null value passes too."""
    negate: bool = False
    reason: str = ""
    """In `accept` of a document: under which reason a failing ping is discarded."""


class ExperimentPaths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a ping lists its experiments; the union of both counts."""

    map: list[str] = []
    """Paths of objects `{id: {branch}}`."""
    single: list[str] = []
    """Paths of one object `{id, branch}`."""


class Activity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the usage of a ping took place: start (ISO 8601 text); its length is the measure usage_hours."""

    start: str


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A type of ping: how a submission is recognised and what it must hold to be counted."""

    name: str
    title: str
    type: str
    """Document type in the address."""
    namespace: str = ""
    """Namespace in the address; empty: any but `telemetry`."""
    description: str = ""
    family: str = ""
    """`from.<family>` of a dimension applies to every document of the family."""
    required: list[str | list[str]] = []
    """Paths that must be present and not null; a list means any one of them."""
    accept: list[Check] = []
    """Checked in order after `required`; the first that fails names the discard's reason."""
    experiments: ExperimentPaths = ExperimentPaths()
    activity: Activity | None = None
    client: str = ""
    """Path of the client's id."""
    session: str = ""
    """Path of the session's id; a session is known by both ids."""
    as_sent: list[str] = []
    """Dimensions whose values are taken as they are, without the application's normalisation."""
    os_renames: bool = True
    """Whether the application's `os_renames` hold for it."""
    renames: dict[str, dict[str, str]] = {}
    """Of crash reports: dimension -> value -> what pings call it."""


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column that rows are grouped by. Values are text or null."""

    name: str
    title: str
    description: str = ""
    sources: dict[str, list[str]] = {}
    """Document or family name -> paths, the first with a value counts. TOML key: `from`."""
    normalise: Literal[
        "", "channel", "os", "os_version", "country", "boolean", "profile_age", "quantum_ready",
        "text", "ascii_text", "text_not_none", "activity_day",
    ] = ""  # fmt: skip
    enabled: bool = True
    """Part of the key of error_aggregates. A declared but not enabled dimension costs nothing."""
    ordered: bool = False
    """Two filter values mean an inclusive range."""
    experiments: bool = False
    """Part of the key of experiment_aggregates too."""
    clients: bool = False
    """Part of the key of client_aggregates too."""


class MeasureSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one kind of document holds the value of a measure. See `kind` for what the keys mean."""

    documents: list[str]
    """TOML key: `from`."""
    histogram: str = ""
    """Name of a histogram (Glean: of a distribution, as `category.name`)."""
    keyed_histogram: str = ""
    """Name of a keyed histogram, with `key`."""
    scalar: str = ""
    """Name of a scalar (Glean: a counter, quantity or timespan), with `key` for a keyed one (a labeled counter)."""
    metric_type: str = ""
    """Glean only: the object under `metrics` that holds it, e.g. `timing_distribution`, `labeled_counter`."""
    number: str = ""
    """Path of a plain number."""
    process: str = "parent"
    key: str = ""
    bucket: int | None = None
    """Count of exactly this bucket."""
    at_least: int | None = None
    """Count of samples in buckets whose lower bound is >= this."""
    scale: Number = 1
    """The number is multiplied by this."""
    divide: Number = 1
    """The number is divided by this."""
    clamp: list[Number] = []
    """[lowest, highest], applied before `scale` and `divide`."""
    where: list[Check] = []
    """Conditions that must all hold."""
    absent: Number | None = None
    """Value of a ping of these documents that has none (or fails `where`); null without it."""
    kind: Kind = "predicate"
    """Follows from the keys that are given."""


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column that is summed."""

    name: str
    title: str
    sources: list[MeasureSource]
    description: str = ""
    unit: str = ""
    per: str = ""
    """Name of the measure it is shown per 1,000 of (usually `usage_hours`); empty: shown as it is."""
    worse: Literal["up", "down", ""] = ""
    """Which direction is bad."""
    group: str = "other"
    """`crash`, `usage` or another heading for menus."""
    column_type: ColumnType = "int64"
    """`float64` for numbers with a fraction; always so when a source scales or divides."""
    comparable_since: str = ""
    """Day (YYYY-MM-DD) from which on values may be compared."""
    clients: bool | None = None
    """Whether clients that had at least one are counted; else if `worse` is `up` and `group` not `slowness`."""

    @property
    def of_reports(self) -> bool:
        """Whether it counts crash reports, from the table `crashes`; then it counts nothing else."""
        return any(CRASH_REPORT in source.documents for source in self.sources)

    @property
    def counts_clients(self) -> bool:
        """Whether client_aggregates has sketches of the clients that had at least one; reports name no client."""
        if self.of_reports:
            return False
        return (self.worse == "up" and self.group != "slowness") if self.clients is None else self.clients


class Application(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules for the pings of one application; `[application.default]` holds those of all undeclared ones."""

    name: str
    title: str = ""
    namespaces: list[str] = []
    """Glean namespaces whose pings belong to it; without one, a namespace is its own application."""
    channels: Literal["mozilla", "as_sent"] | list[str] = "mozilla"
    """`mozilla`: release, esr, beta, aurora, nightly or Other; a list: these names or Other."""
    drop_channels: list[str] = []
    os_names: Literal["family", "as_sent"] = "family"
    """`family`: Windows, Mac, Linux, iOS, Android or Other."""
    os_renames: dict[str, str] = {}
    """OS names to be replaced first, e.g. Linux = "Android" for an application that runs on Android only."""
    os_versions: Literal["numeric", "as_sent"] = "numeric"
    """`numeric`: the leading N[.N[.N]], else null."""
    build_age_months: int | None = 6
    """Oldest and earliest complete months between build date and submission; null: any build id."""


class Registry(msgspec.Struct, frozen=True):
    """All that is declared, in the order of declaration."""

    documents: dict[str, Document]
    dimensions: dict[str, Dimension]
    measures: dict[str, Measure]
    applications: dict[str, Application]
    revision: str = ""
    """Changes when anything that is declared changes."""

    @property
    def pings(self) -> list[Document]:
        """The documents that are pings."""
        return [d for d in self.documents.values() if d.name != CRASH_REPORT]

    @property
    def keys(self) -> list[Dimension]:
        """The enabled dimensions: the key of error_aggregates, without the window."""
        return [d for d in self.dimensions.values() if d.enabled]

    @property
    def client_keys(self) -> list[Dimension]:
        """The dimensions of client_aggregates, without window and measure."""
        return [d for d in self.keys if d.clients]

    @property
    def client_measures(self) -> list[Measure]:
        """The measures of client_aggregates."""
        return [m for m in self.measures.values() if m.counts_clients]

    @property
    def experiment_keys(self) -> list[Dimension]:
        """The dimensions of experiment_aggregates, without window, experiment and branch."""
        return [d for d in self.keys if d.experiments]

"""Measures and dimensions as the registry page shows them: pure functions of the registry and of a survey."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

import msgspec

from missioncontrol.registry.model import (
    CRASH_REPORT,
    Check,
    Dimension,
    Measure,
    MeasureSource,
    Registry,
    Scalar,
)
from missioncontrol.web.address import measure_path
from missioncontrol.web.measure.lookup import ChannelRef

if TYPE_CHECKING:
    from missioncontrol.telemetry.estimate import Cost
    from missioncontrol.telemetry.preview import Survey

MOST_LINKS = 12
Section = Literal["measure", "dimension"]
Link = tuple[str, str]
"""Title and address."""


class Origin(msgspec.Struct, frozen=True):
    """Who declared a block."""

    title: str
    """As in `Firefox profile`, or the name of a file."""
    own: bool
    """In the file that the page changes, so that it can be taken out there."""
    alone: bool = True
    """No earlier file declares it."""


class Source(msgspec.Struct, frozen=True):
    """Where a value comes from, in words."""

    documents: str
    value: str
    filters: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True):
    """A value of a dimension (null: None) and its share of the pings."""

    value: str | None
    share: float
    href: str = ""
    """The graph of its usage, where there is one."""


class Entry(msgspec.Struct, frozen=True):
    """A measure or dimension."""

    section: Section
    name: str
    title: str
    description: str
    origin: Origin
    sources: tuple[Source, ...]
    enabled: bool = True
    unit: str = ""
    group: str = ""
    per: str = ""
    worse: str = ""
    comparable_since: str = ""
    column_type: str = "text"
    rules: tuple[str, ...] = ()
    """What else is done with the value."""
    tables: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    """Of a dimension, of the pings of the survey."""
    distinct: int | None = None
    having: float | None = None
    """Of a measure: the share of pings that have it."""
    cost: Cost | None = None

    @property
    def href(self) -> str:
        """The page of the entry."""
        return f"/registry/{quote(self.name)}"

    @property
    def verdicts(self) -> str:
        """The list of its verdicts; empty for a dimension."""
        return f"/verdicts?{urlencode({'measure': self.name})}" if self.section == "measure" else ""


def entries_of(
    registry: Registry, origins: Mapping[tuple[str, str], Origin], survey: Survey | None
) -> list[Entry]:
    """All entries, measures first, in the order of declaration."""
    return [
        *(_measure(m, origins, survey) for m in registry.measures.values()),
        *(_dimension(d, origins, survey) for d in registry.dimensions.values()),
    ]


def graphs_of(entry: Entry, channels: Sequence[ChannelRef]) -> list[Link]:
    """The pages of a measure, a channel each."""
    if entry.section == "dimension":
        return []
    return [
        (
            f"{ref.application or 'unknown'} {ref.channel or 'unknown'}",
            measure_path(ref.application, ref.channel, entry.name),
        )
        for ref in channels[:MOST_LINKS]
    ]


def with_graphs(entry: Entry, channels: Sequence[ChannelRef], filterable: Collection[str]) -> Entry:
    """The entry of a dimension whose values lead to the usage of the first channel, filtered by them."""
    if not channels or entry.name not in filterable:
        return entry
    path = measure_path(channels[0].application, channels[0].channel, "usage_hours")

    def href(value: str | None) -> str:
        pair = {f"{entry.name}__isnull": "true"} if value is None else {entry.name: value}
        return f"{path}?{urlencode(pair)}" if value != "" else ""

    shares = tuple(msgspec.structs.replace(one, href=href(one.value)) for one in entry.shares)
    return msgspec.structs.replace(entry, shares=shares)


def _measure(measure: Measure, origins: Mapping[tuple[str, str], Origin], survey: Survey | None) -> Entry:
    counted = survey and measure.name in survey.having
    tables = ["error_aggregates", "experiment_aggregates"]
    tables += ["client_aggregates"] if measure.counts_clients else []
    return Entry(
        section="measure",
        name=measure.name,
        title=measure.title,
        description=measure.description,
        origin=origins["measure", measure.name],
        sources=tuple(map(_source, measure.sources)),
        unit=measure.unit,
        group=measure.group,
        per=measure.per,
        worse=measure.worse,
        comparable_since=measure.comparable_since,
        column_type=measure.column_type,
        tables=("error_aggregates",) if measure.of_reports else tuple(tables),
        having=survey.having[measure.name] / survey.pings if survey and counted and survey.pings else None,
        cost=_cost(survey, "measure", measure.name),
    )


def _dimension(
    dimension: Dimension, origins: Mapping[tuple[str, str], Origin], survey: Survey | None
) -> Entry:
    rules = [f"normalised as {dimension.normalise}"] if dimension.normalise else []
    rules += ["ordered: two filter values are a range"] if dimension.ordered else []
    tables = ["error_aggregates"] if dimension.enabled else []
    tables += ["experiment_aggregates"] if dimension.enabled and dimension.experiments else []
    tables += ["client_aggregates"] if dimension.enabled and dimension.clients else []
    shares: tuple[Share, ...] = ()
    if survey and survey.pings:
        examples = survey.values.get(dimension.name, ())
        shares = tuple(Share(one.value, one.pings / survey.pings) for one in examples)
    return Entry(
        section="dimension",
        name=dimension.name,
        title=dimension.title,
        description=dimension.description,
        origin=origins["dimension", dimension.name],
        sources=tuple(Source(name, " or else ".join(paths)) for name, paths in dimension.sources.items()),
        enabled=dimension.enabled,
        rules=tuple(rules),
        tables=tuple(tables),
        shares=shares,
        distinct=survey.distinct.get(dimension.name) if survey else None,
        cost=_cost(survey, "dimension", dimension.name),
    )


def _cost(survey: Survey | None, section: Section, name: str) -> Cost | None:
    costs = survey.estimate.costs if survey and survey.estimate else []
    return next((c for c in costs if (c.section, c.name) == (section, name)), None)


def _source(source: MeasureSource) -> Source:
    filters = [_check(check) for check in source.where]
    filters += [f"{source.absent} where a ping has none"] if source.absent is not None else []
    filters += [f"between {source.clamp[0]} and {source.clamp[1]}"] if source.clamp else []
    filters += [f"times {source.scale}"] if source.scale != 1 else []
    filters += [f"divided by {source.divide}"] if source.divide != 1 else []
    return Source(", ".join(source.documents), _value(source), tuple(filters))


def _value(source: MeasureSource) -> str:
    """As in `histogram GC_MS, process parent, samples of 150 and more`."""
    named = source.histogram or source.keyed_histogram or source.scalar
    if not named:
        what = "report" if CRASH_REPORT in source.documents else "ping"
        return f"number at {source.number}" if source.number else f"1 for each {what}"
    kind = source.metric_type or ("scalar" if source.scalar else "histogram")
    parts = [f"{kind} {named}" + (f"[{source.key}]" if source.key else "")]
    parts += [] if source.metric_type else [f"process {source.process}"]
    parts += [f"bucket {source.bucket}"] if source.bucket is not None else []
    parts += [f"samples of {source.at_least} and more"] if source.at_least is not None else []
    return ", ".join(parts)


def _check(check: Check) -> str:
    if check.equals is not None:
        text = f"{check.path} {'is not' if check.negate else 'is'} {_scalar(check.equals)}"
    elif check.one_of:
        listed = ", ".join(map(_scalar, check.one_of))
        text = f"{check.path} is {'none' if check.negate else 'one'} of {listed}"
    elif check.absent:
        text = f"{check.path} is {'there' if check.negate else 'not there'}"
    elif check.type or check.digits:
        what = f"text of {check.digits} digits" if check.digits else f"of type {check.type}"
        text = f"{check.path} is {'not ' if check.negate else ''}{what}"
    else:
        text = f"{check.path or 'the build id'} is of an accepted age"
    return f"{text}, or not there" if check.or_absent else text


def _scalar(value: Scalar) -> str:
    """As TOML writes it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def value_text(value: str | None) -> str:
    """A value of a dimension as people read it."""
    return "unknown" if value is None else value or "(empty)"

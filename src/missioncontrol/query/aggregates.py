"""What an aggregate query may ask: from the parameters of an address to a frozen `AggregateQuery`.

Every name is looked up in the registry, so that what reaches SQL is a declared name; everything unknown is
refused with the nearest known name. Never touches data.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.config import Query as Settings
from missioncontrol.errors import BadRequest
from missioncontrol.lake.tables import lake_tables
from missioncontrol.query.client_measures import ClientMeasure, client_measures
from missioncontrol.query.filters import (
    TIME_COLUMNS,
    Filter,
    TextFilter,
    null_filter,
    text_filter,
    time_filter,
)
from missioncontrol.registry.model import Registry

EXPERIMENT_COLUMNS = ("experiment_id", "experiment_branch")
FORMATS = ("json", "csv", "ndjson", "parquet", "arrow")
INTERVALS = {"300": 300, "3600": 3600, "86400": 86400, "5min": 300, "hour": 3600, "day": 86400}
HOUR_S = 3600
DEFAULT_PER = "usage_hours"
_SHOWN_NAMES = 20

Pairs = Sequence[tuple[str, str]]
Edition = Literal["predecessor", "v1"]


class AggregateQuery(msgspec.Struct, frozen=True):
    """Sums of measures by dimensions. All names are declared ones."""

    measures: tuple[str, ...]
    dimensions: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    """(column, descending); empty: time, then dimensions."""
    limit: int = 100_000
    """Most rows of the answer."""
    per: str = ""
    """Measure that every other is divided by, per 1,000; empty: none."""
    interval_s: int = WINDOW_S
    """Length of the intervals that window_start is cut into."""
    people: tuple[ClientMeasure, ...] = ()
    """Measurements of client_aggregates, which has hours and few dimensions."""

    @property
    def of_experiments(self) -> bool:
        """Whether experiments are asked about, by dimension or by filter."""
        return any(c in EXPERIMENT_COLUMNS for c in (*self.dimensions, *self.filtered))

    @property
    def filtered(self) -> tuple[str, ...]:
        """Text columns with a filter."""
        return tuple(f.column for f in self.filters if isinstance(f, TextFilter))

    @property
    def ratios(self) -> tuple[tuple[str, str], ...]:
        """(name of the column, measure) of each measure per 1,000 of `per`."""
        names = [m for m in self.measures if m != self.per] if self.per else []
        return tuple((f"{m}_per_1000_{self.per}", m) for m in names)


class ValuesQuery(msgspec.Struct, frozen=True):
    """The distinct values of one dimension."""

    dimension: str
    filters: tuple[Filter, ...] = ()
    limit: int = 10_000


def parse_aggregate_query(
    pairs: Pairs, registry: Registry, settings: Settings, edition: Edition
) -> AggregateQuery:
    """The query that the parameters ask for; `format` is skipped here, see `parse_format()`.

    Raises `BadRequest`: `no_measurement`, `unknown_measure`, `unknown_dimension`, `unknown_parameter`,
    `empty_filter`, `bad_time`, `bad_filter`, `bad_order`, `bad_limit`, `bad_interval`,
    `not_kept_for_experiments`, `not_kept_for_clients`.
    """
    grouped = _grouped(pairs)
    own = {"measurements", "dimensions", "order", "limit", "format"}
    own |= {"per", "interval"} if edition == "v1" else set()
    measures, people = _measures(grouped.get("measurements", []), registry)
    dimensions = _dimensions(grouped.get("dimensions", []), registry)
    query = AggregateQuery(
        measures=measures,
        dimensions=dimensions,
        filters=_filters({k: v for k, v in grouped.items() if k not in own}, registry, own),
        limit=_limit(grouped.get("limit", []), settings),
        per=_per(grouped.get("per"), registry) if edition == "v1" else "",
        interval_s=max(_interval(grouped.get("interval", [])), HOUR_S if people else 0),
        people=people,
    )
    query = msgspec.structs.replace(query, order=_order(grouped.get("order", []), query))
    _refuse_not_kept(query, registry)
    _refuse_not_kept_of_people(query, registry)
    return query


def parse_values_query(pairs: Pairs, registry: Registry) -> ValuesQuery:
    """The query for the values of `dimension`, with filters as in an aggregate query."""
    grouped = _grouped(pairs)
    names = grouped.get("dimension", [])
    known = _text_columns(registry)
    if len(names) != 1:
        raise BadRequest("no_dimension", "Say dimension= exactly once.", f"Known: {', '.join(known)}.")
    if names[0] not in known:
        raise unknown("dimension", names[0], known)
    own = {"dimension"}
    filters = _filters({k: v for k, v in grouped.items() if k not in own}, registry, own)
    query = ValuesQuery(names[0], filters)
    _refuse_not_kept(as_aggregate(query), registry)
    return query


def as_aggregate(query: ValuesQuery) -> AggregateQuery:
    """The same question as a grouping without measures."""
    return AggregateQuery((), (query.dimension,), query.filters, (), query.limit)


def parse_format(values: Sequence[str], accept: str = "", formats: Sequence[str] = FORMATS) -> str:
    """The wanted format: the parameter, else what the Accept header names, else json."""
    if values:
        if values[-1] not in formats:
            raise unknown("format", values[-1], formats)
        return values[-1]
    named = {
        "text/csv": "csv",
        "application/x-ndjson": "ndjson",
        "application/vnd.apache.parquet": "parquet",
        "application/vnd.apache.arrow.stream": "arrow",
    }
    first = accept.split(",")[0].split(";")[0].strip().lower()
    return named.get(first, "json")


def unknown(kind: str, given: str, known: Iterable[str]) -> BadRequest:
    """The refusal of a name that is not declared, with the nearest one that is."""
    names = list(known)
    close = difflib.get_close_matches(given[:80], names, 1)
    hint = f"Did you mean `{close[0]}`?" if close else _known(names)
    return BadRequest(f"unknown_{kind}", f"There is no {kind} {given[:80]!r}.", hint)


def _known(names: Sequence[str]) -> str:
    more = ", ... (all: /api/v1/registry)" if len(names) > _SHOWN_NAMES else ""
    return f"Known: {', '.join(names[:_SHOWN_NAMES])}{more}."


def _grouped(pairs: Pairs) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def _measures(given: Sequence[str], registry: Registry) -> tuple[tuple[str, ...], tuple[ClientMeasure, ...]]:
    """The sums and the measurements of people that are asked for."""
    if not any(given):
        hint = f"As in measurements=main_crashes. {_known(list(registry.measures))}"
        raise BadRequest("no_measurement", "Say at least one measurements=.", hint)
    people = client_measures(registry)
    asked = list(dict.fromkeys(given))
    for measure in asked:
        if measure not in registry.measures and measure not in people:
            raise unknown("measure", measure, [*registry.measures, *people])
    return (
        tuple(m for m in asked if m in registry.measures),
        tuple(people[m] for m in asked if m not in registry.measures),
    )


def _dimensions(given: Sequence[str], registry: Registry) -> tuple[str, ...]:
    known = [*TIME_COLUMNS, *_text_columns(registry)]
    for dimension in given:
        if dimension not in known:
            raise unknown("dimension", dimension, known)
    dimensions = tuple(dict.fromkeys(given))
    # As the predecessor did: a series over time unless the question names a time column itself.
    return dimensions if set(TIME_COLUMNS) & set(dimensions) else ("window_start", *dimensions)


def _text_columns(registry: Registry) -> list[str]:
    return [*(d.name for d in registry.keys), *EXPERIMENT_COLUMNS]


def _filters(grouped: Mapping[str, list[str]], registry: Registry, own: set[str]) -> tuple[Filter, ...]:
    text_columns = _text_columns(registry)
    filters: list[Filter] = []
    for key, values in grouped.items():
        column = key.removesuffix("__isnull")
        if key in TIME_COLUMNS:
            filters.append(time_filter(key, values))
        elif key in text_columns:
            declared = registry.dimensions.get(key)
            filters.append(text_filter(key, values, ordered=declared is not None and declared.ordered))
        elif key != column and column in text_columns:
            filters.append(null_filter(column, values))
        else:
            raise unknown("parameter", key, [*sorted(own), *TIME_COLUMNS, *text_columns])
    return tuple(filters)


def _order(given: Sequence[str], query: AggregateQuery) -> tuple[tuple[str, bool], ...]:
    ratios, people = (name for name, _ in query.ratios), (m.name for m in query.people)
    known = [*query.dimensions, *query.measures, *people, *ratios]
    order: dict[str, bool] = {}
    for item in given:
        column = item.removeprefix("-")
        if column not in known:
            error = unknown("order", column, known)
            raise BadRequest(
                "bad_order", f"The answer has no column {column[:80]!r} to order by.", error.hint
            )
        order.setdefault(column, item.startswith("-"))
    return tuple(order.items())


def _limit(given: Sequence[str], settings: Settings) -> int:
    if not given:
        return settings.default_limit
    text = given[-1]
    if not (
        text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= settings.max_rows and len(text) <= 18
    ):
        raise BadRequest("bad_limit", f"limit must be a number from 1 to {settings.max_rows}.")
    return int(text)


def _interval(given: Sequence[str]) -> int:
    if not given:
        return WINDOW_S
    if given[-1] not in INTERVALS:
        raise BadRequest(
            "bad_interval", f"There is no interval {given[-1][:80]!r}.", f"One of {', '.join(INTERVALS)}."
        )
    return INTERVALS[given[-1]]


def _per(given: Sequence[str] | None, registry: Registry) -> str:
    if given is None:
        return DEFAULT_PER if DEFAULT_PER in registry.measures else ""
    if given[-1] and given[-1] not in registry.measures:
        raise unknown("measure", given[-1], registry.measures)
    return given[-1]


def _refuse_not_kept(query: AggregateQuery, registry: Registry) -> None:
    """Experiment rows keep few dimensions; asking for another would silently answer with nulls."""
    if not query.of_experiments or only_population(query):
        return
    kept = {c.name for c in lake_tables(registry)["experiment_aggregates"].columns} | {"window_end"}
    for column in (*query.dimensions, *query.filtered):
        if column not in kept:
            names = [n for n in _text_columns(registry) if n in kept]
            raise BadRequest(
                "not_kept_for_experiments",
                f"{column} is not kept for rows of experiments.",
                f"Together with an experiment these can be used: {', '.join(names)}.",
            )


def _refuse_not_kept_of_people(query: AggregateQuery, registry: Registry) -> None:
    """client_aggregates keeps few dimensions and no experiments."""
    kept = [*TIME_COLUMNS, *(d.name for d in registry.client_keys)]
    for column in (*query.dimensions, *query.filtered):
        if query.people and column not in kept and not only_population(query):
            raise BadRequest(
                "not_kept_for_clients",
                f"{column} is not kept for numbers of clients and sessions.",
                f"Together with {query.people[0].name} these can be used: {', '.join(kept)}.",
            )


def only_population(query: AggregateQuery) -> bool:
    """Whether the filters exclude every row of an experiment."""
    return TextFilter("experiment_id", "null") in query.filters

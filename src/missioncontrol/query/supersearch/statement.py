"""From a `Search` to SQL: one statement that counts, one that gives the crashes.

Counting reads the wanted columns once; each facet is a step over the one before it, with the counts of its terms within
each term of that one. Both statements have `{relation}` in place of the rows that count.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.supersearch.expressions import (
    Sql,
    items_of,
    matching,
    stored_of,
    value_of,
)
from missioncontrol.query.supersearch.fields import SearchField
from missioncontrol.query.supersearch.model import Facet, Search

MOST_BARS = 10_000
"""Of one histogram."""
_US_OF_WEEK, _MONDAY_US = 604_800_000_000, 345_600_000_000


class Step(msgspec.Struct, frozen=True):
    """A facet at its place."""

    facet: Facet
    number: int
    parent: int
    """Number of the step that it lies in; -1: none."""
    path: tuple[Facet, ...]
    """From the outermost to this one."""


def steps(facets: Sequence[Facet]) -> list[Step]:
    """All facets, each after the one that it lies in."""
    found: list[Step] = []

    def add(facet: Facet, parent: int, path: tuple[Facet, ...]) -> None:
        step = Step(facet, len(found), parent, (*path, facet))
        found.append(step)
        for inner in facet.inner:
            add(inner, step.number, step.path)

    for facet in facets:
        add(facet, -1, ())
    return found


def counting(search: Search) -> Sql:
    """Rows of (step, key 0, key 1, ..., rank, count); step -1 is the total. Keys are text."""
    where = matching(search.conditions)
    count = _weight(search.weighted)
    all_steps = steps(search.facets)
    if not all_steps:
        return Sql(f"SELECT -1, 0, {count} FROM {{relation}} WHERE {where.text}", where.values)
    fields = list(dict.fromkeys(step.facet.field for step in all_steps))
    names = {field.name: f"f{number}" for number, field in enumerate(fields)}
    read = [f"{stored_of(f) if f.many else value_of(f)} AS {names[f.name]}" for f in fields]
    read += [f"{dialect.name('throttle_rate')} AS throttle_rate"] if search.weighted else []
    # Read once: each of the steps would read the files again.
    found = f"found AS MATERIALIZED (SELECT {', '.join(read)} FROM {{relation}} WHERE {where.text})"
    parts = [found, *(_step(step, names, count, search.facets_size) for step in all_steps)]
    depth = max(len(step.path) for step in all_steps)
    rows = [f"SELECT -1, {', '.join(['NULL'] * depth)}, 0, {count} FROM found"]
    rows += [_rows(step, depth) for step in all_steps]
    return Sql(f"WITH {', '.join(parts)} {' UNION ALL '.join(rows)}", where.values)


def listing(search: Search) -> Sql:
    """Rows of the wanted columns, in order. Times are microseconds, lists are JSON."""
    where = matching(search.conditions)
    columns = [f"{_shown(shown.field)} AS c{n}" for n, shown in enumerate(search.columns)]
    terms = [f"{value_of(o.field)} {'DESC' if o.descending else 'ASC'} NULLS LAST" for o in search.order]
    # The last two make an order of it in which pages fit together.
    order = ", ".join([*terms, '"date" DESC NULLS LAST', '"uuid"'])
    text = f"SELECT {', '.join(columns)} FROM {{relation}} WHERE {where.text} ORDER BY {order}"
    return Sql(f"{text} LIMIT {search.number} OFFSET {search.offset}", where.values)


def needed(search: Search) -> list[str]:
    """The columns of `crashes` that the statements name."""
    names = [field.home for field in search.fields]
    return list(dict.fromkeys([*names, "date", "uuid", *(["throttle_rate"] if search.weighted else [])]))


def _weight(weighted: bool) -> str:
    """How many crashes the rows stand for."""
    if not weighted:
        return "count(*)"
    return "round(coalesce(sum(CASE WHEN throttle_rate > 0 THEN 1 / throttle_rate ELSE 1 END), 0), 3)"


def _shown(field: SearchField) -> str:
    if field.many:
        return stored_of(field)
    return f"epoch_us({value_of(field)})" if field.kind == "date" else value_of(field)


def _step(step: Step, names: dict[str, str], count: str, size: int) -> str:
    """The counts of one step: the first terms within each term of the step before, of those that it kept."""
    source, keys = ["found"], []
    if any(facet.field.many for facet in step.path):
        # Many crashes have the same list: each different one is taken apart once.
        read = list(dict.fromkeys(names[facet.field.name] for facet in step.path))
        source = [f"(SELECT {', '.join(read)}, {count} AS c FROM found{_group(len(read))})"]
        count = "sum(c)"
    for level, facet in enumerate(step.path):
        name = names[facet.field.name]
        if facet.field.many:
            source.append(f"unnest({items_of(name)}) AS u{level}(i{level})")
            name = f"i{level}"
        keys.append(_key(facet, name))
    above = [f"k{level}" for level in range(len(keys) - 1)]
    conditions = [f"{keys[-1]} IS NOT NULL"]
    if above:
        source.append(f"s{step.parent} AS p")
        conditions += [f"p.{name} = {key}" for name, key in zip(above, keys, strict=False)]
    rows = f"FROM {', '.join(source)} WHERE {' AND '.join(conditions)}"
    select = [f"{key} AS {name}" for name, key in zip(above, keys, strict=False)]
    if step.facet.kind == "cardinality":
        inner = [*select, f"count(DISTINCT {keys[-1]}) AS n", "1 AS rank"]
        return f"s{step.number} AS (SELECT {', '.join(inner)} {rows}{_group(len(above))})"
    own = f"k{len(above)}"
    select += [f"{keys[-1]} AS {own}", f"{count} AS n"]
    grouped = f"SELECT {', '.join(select)} {rows}{_group(len(keys))}"
    bars = step.facet.kind == "histogram"
    order, most = (own, MOST_BARS + 1) if bars else (f"n DESC, {own}", size)
    if not above:  # a limit keeps the first ones without sorting all of a million
        grouped += f" ORDER BY {order} LIMIT {most}"
    within = f"PARTITION BY {', '.join(above)} " if above else ""
    rank = f"row_number() OVER ({within}ORDER BY {order}) AS rank"
    return f"s{step.number} AS (SELECT *, {rank} FROM ({grouped}) QUALIFY rank <= {most})"


def _group(keys: int) -> str:
    return f" GROUP BY {', '.join(str(i + 1) for i in range(keys))}" if keys else ""


def _key(facet: Facet, name: str) -> str:
    """What a facet groups by; instants are microseconds."""
    if facet.kind != "histogram":
        return f"epoch_us({name})" if facet.field.kind == "date" and not facet.field.many else name
    interval = facet.interval
    if facet.field.kind != "date":
        kind = "BIGINT" if facet.field.whole and interval.width.is_integer() else "DOUBLE"
        return f"TRY_CAST(floor({name} / {interval.width!r}) * {interval.width!r} AS {kind})"
    us = f"epoch_us({name})"
    if interval.unit == "week":
        week = f"CAST(floor(({us} - {_MONDAY_US}) / {_US_OF_WEEK}.0) AS BIGINT)"
        return f"{week} * {_US_OF_WEEK} + {_MONDAY_US}"
    if interval.unit:
        return f"epoch_us(date_trunc({dialect.text(interval.unit)}, make_timestamp({us})))"
    width = int(interval.width)
    return f"CAST(floor({us} / {width}.0) AS BIGINT) * {width}"


def _rows(step: Step, depth: int) -> str:
    own = len(step.path) - (step.facet.kind == "cardinality")
    keys = [f"CAST(k{i} AS VARCHAR)" for i in range(own)] + ["NULL"] * (depth - own)
    return f"SELECT {step.number}, {', '.join(keys)}, rank, n FROM s{step.number}"

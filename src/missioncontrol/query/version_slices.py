"""Sums of one measure by the values of dimensions, of a version and of the one before it, each over a part of its life.

One query for both; what was read of a file is kept for as long as the file is there. A build counts for the version
that it was published as, whatever its pings call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.clock import in_us
from missioncontrol.query import dialect
from missioncontrol.query.day_files import DayFiles, KeptDays, every_file, files_of_days
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.statement import Parameter

MOST_ROWS = 60_000
"""The most used come first: clients can make up any number of values."""


class Era(msgspec.Struct, frozen=True):
    """Versions that count as one, from `start` to before `end`."""

    versions: tuple[str, ...]
    start: datetime
    end: datetime


class Place(msgspec.Struct, frozen=True):
    """Whose rows these are; `systems` None: of all systems, and None among them: rows that do not say."""

    application: str | None
    channel: str | None
    systems: tuple[str | None, ...] | None = None


class SliceSum(msgspec.Struct, frozen=True):
    """Users with these values of the dimensions, in one stretch of an era's life; None: nobody reported it."""

    era: int
    values: tuple[str | None, ...]
    stretch: int
    count: float | None
    per: float | None


def slice_sums(
    engine: Engine,
    place: Place,
    dimensions: Sequence[str],
    measures: tuple[str, str],
    eras: Sequence[Era],
    stretch: timedelta,
    builds: Mapping[str, str],
    kept: KeptDays[list[SliceSum]] | None = None,
) -> list[SliceSum]:
    """Sums of two measures, those of the largest second sum first. builds: build id -> version, of this channel.

    kept: what was read before. Raises `TooSlow` (`query_timeout`), `BadRequest` (`query_memory`) and `StorageError`.
    """
    first, last = min(era.start for era in eras), max(era.end for era in eras)
    files = files_of_days(engine, span=Span(first, last))
    asked = _Asked(place, tuple(dimensions), measures, tuple(eras), stretch, tuple(builds.items()))
    days = (kept or KeptDays(len(files))).days(asked, files, lambda missing: _read(engine, asked, missing))
    return _added(one for parts in days.values() for part in parts for one in part.content)


class _Asked(msgspec.Struct, frozen=True):
    """What is asked of days: see `slice_sums()`."""

    place: Place
    dimensions: tuple[str, ...]
    measures: tuple[str, str]
    eras: tuple[Era, ...]
    stretch: timedelta
    builds: tuple[tuple[str, str], ...]


def _added(sums: Iterable[SliceSum]) -> list[SliceSum]:
    """What a stretch has of several days and files as one."""
    found: dict[tuple[int, tuple[str | None, ...], int], SliceSum] = {}
    for one in sums:
        key = one.era, one.values, one.stretch
        had = found.get(key)
        found[key] = (
            one if had is None else SliceSum(*key, _plus(had.count, one.count), _plus(had.per, one.per))
        )
    return sorted(found.values(), key=lambda one: (one.per is None, -(one.per or 0.0)))


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _read(engine: Engine, asked: _Asked, missing: DayFiles) -> dict[date, list[SliceSum]]:
    eras = asked.eras
    measure, per = (dialect.name(name) for name in asked.measures)
    dims = [dialect.name(name) for name in asked.dimensions]
    where, wanted = _rows_of(asked.place)
    held = ", ".join(
        dict.fromkeys(["submission_date", "version", "build_id", "window_start", *dims, measure, per])
    )
    sql = (
        f"SELECT r.submission_date, e.era, {''.join(f'r.{name}, ' for name in dims)}"
        f"(epoch_us(r.window_start) - e.first_us) // {int(asked.stretch.total_seconds() * 1_000_000)} AS stretch, "
        f"CAST(sum(r.{measure}) AS DOUBLE), CAST(sum(r.{per}) AS DOUBLE) AS used FROM ("
        f"SELECT {held}, coalesce(b.published, version) AS named FROM (SELECT * FROM {{relation}} "
        f"WHERE {where} AND (list_contains(?::VARCHAR[], version) OR list_contains(?::VARCHAR[], build_id)) "
        f"AND ({' OR '.join('window_start >= ? AND window_start < ?' for _ in eras)})) LEFT JOIN "
        "(SELECT unnest(?::VARCHAR[]) AS build_id, unnest(?::VARCHAR[]) AS published) AS b USING (build_id)) AS r JOIN "
        "(SELECT unnest(?::VARCHAR[]) AS named, unnest(?::BIGINT[]) AS era, unnest(?::BIGINT[]) AS first_us, "
        "unnest(?::BIGINT[]) AS last_us) AS e USING (named) "
        "WHERE epoch_us(r.window_start) >= e.first_us AND epoch_us(r.window_start) < e.last_us "
        f"GROUP BY ALL ORDER BY used DESC NULLS LAST LIMIT {MOST_ROWS}"
    )
    versions = [version for era in eras for version in era.versions]
    parameters: list[Parameter] = [
        *wanted,
        versions,
        [b for b, version in asked.builds if version in versions],
    ]
    parameters += [
        *(instant for era in eras for instant in (era.start, era.end)),
        [b for b, _ in asked.builds],
        [version for _, version in asked.builds],
    ]
    parameters += [
        versions,
        [number for number, era in enumerate(eras) for _ in era.versions],
        [in_us(era.start) for era in eras for _ in era.versions],
        [in_us(era.end) for era in eras for _ in era.versions],
    ]
    columns = (
        "submission_date",
        "application",
        "channel",
        "os_name",
        "version",
        "build_id",
        "window_start",
        *asked.measures,
        *asked.dimensions,
    )
    span = Span(dates=tuple(missing), files=every_file(missing))
    width = len(dims)
    found: dict[date, list[SliceSum]] = {day: [] for day in missing}
    for day, era, *row in engine.over_sums(tuple(dict.fromkeys(columns)), sql, parameters, span):
        found[day].append(SliceSum(era, tuple(row[:width]), row[width], row[width + 1], row[width + 2]))
    return found


def _rows_of(place: Place) -> tuple[str, list[str]]:
    """The condition on the rows, and its parameters."""
    parts = [dialect.same("application", place.application), dialect.same("channel", place.channel)]
    if place.systems is not None:
        systems = [dialect.same("os_name", one) for one in place.systems]
        any_of = " OR ".join(condition for condition, _ in systems) or "false"
        parts.append((f"({any_of})", [value for _, values in systems for value in values]))
    return " AND ".join(condition for condition, _ in parts), [v for _, values in parts for v in values]

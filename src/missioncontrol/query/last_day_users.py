"""Clients of the last day by version and system: how many had at least one of a measure, and the crash-free share.

From client_aggregates: sketches, merged over the hours. A build counts for the version that it was published as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.query import dialect
from missioncontrol.query.client_measures import SHARE, client_measures
from missioncontrol.query.relation import Span

if TYPE_CHECKING:
    from missioncontrol.query.engine import Engine
    from missioncontrol.query.hour_sums import Builds
    from missioncontrol.query.statement import Parameter

_TABLE = "client_aggregates"
_DAY = timedelta(hours=24)
_MOST_ROWS = 2000
_MOST_SHARES = 5000


class UserCount(msgspec.Struct, frozen=True):
    """Clients of a version on a system that had at least one of a measure, with bounds at two standard errors."""

    version: str | None
    os_name: str | None
    measure: str
    number: float
    low: float
    high: float
    of: float
    """All its clients."""


def last_day_users(
    engine: Engine,
    application: str | None,
    channel: str | None,
    measures: Sequence[str],
    builds: Mapping[str, str],
    end: datetime,
) -> list[UserCount]:
    """Clients of the day before `end`; the most used versions first. builds: build id -> version, of this channel.

    Raises `TooSlow` (`query_timeout`), `BadRequest` (`query_memory`) and `StorageError`.
    """
    columns = [f"{name}_clients" for name in measures]
    merged = ", ".join(f"mc_union(list({dialect.name(c)})) AS u{n}" for n, c in enumerate(columns))
    counted = ", ".join(f"mc_count([u{n}], {bound})" for n in range(len(columns)) for bound in (0, -1, 1))
    held = ", ".join(("version", "os_name", "build_id", "clients", *map(dialect.name, columns)))
    of, on = dialect.same("application", application), dialect.same("channel", channel)
    sql = (
        f"SELECT named, os_name, mc_count([everyone], 0) AS people, {counted} FROM ("
        f"SELECT coalesce(b.published, version) AS named, os_name, mc_union(list(clients)) AS everyone, {merged} FROM ("
        f"SELECT {held} FROM {{relation}} WHERE {of[0]} AND {on[0]} "
        "AND window_start >= ? AND window_start < ?) LEFT JOIN "
        "(SELECT unnest(?::VARCHAR[]) AS build_id, unnest(?::VARCHAR[]) AS published) AS b USING (build_id) "
        f"GROUP BY named, os_name) ORDER BY people DESC LIMIT {_MOST_ROWS}"
    )
    first = end - _DAY
    parameters: list[Parameter] = [*of[1], *on[1], first, end, list(builds), list(builds.values())]
    rows = engine.over_people(_TABLE, sql, parameters, Span(first, end))
    return [
        UserCount(row[0], row[1], name, *(float(v) for v in (*row[3 + 3 * n : 6 + 3 * n], row[2])))
        for row in rows
        for n, name in enumerate(measures)
    ]


def client_files(engine: Engine) -> frozenset[str]:
    """The files that tell of clients, as they are now. Raises `StorageError`."""
    snapshot = engine.reader.snapshot(_TABLE)
    return frozenset(file.path for file in snapshot.files) if snapshot else frozenset()


def last_day_shares(engine: Engine, builds: Builds, end: datetime) -> list[tuple[object, ...]]:
    """(application, channel, version, system, crash-free share, low, high, clients) of the day before `end`.

    Those with most clients first; empty where nothing tells of clients. Raises as `last_day_users()`.
    """
    people = client_measures(engine.registry())
    names = (SHARE, f"{SHARE}_low", f"{SHARE}_high", "client_count")
    if not all(name in people for name in names):
        return []
    columns = dict.fromkeys(column for name in names for column in people[name].columns)
    held = ", ".join(
        ("application", "channel", "version", "os_name", "build_id", *map(dialect.name, columns))
    )
    counted = ", ".join(f"{people[name].sql} AS {dialect.name(name)}" for name in names)
    keys = ("application", "channel", "build_id")
    named = ", ".join(f"unnest(?::VARCHAR[]) AS {name}" for name in (*keys, "published"))
    sql = (
        f"SELECT application, channel, coalesce(b.published, version) AS named, os_name, {counted} FROM ("
        f"SELECT {held} FROM {{relation}} WHERE window_start >= ? AND window_start < ?) LEFT JOIN "
        f"(SELECT {named}) AS b USING ({', '.join(keys)}) "
        f"GROUP BY 1, 2, 3, 4 ORDER BY client_count DESC LIMIT {_MOST_SHARES}"
    )
    first = end - _DAY
    of_builds = [[key[n] for key in builds] for n in range(len(keys))]
    parameters: list[Parameter] = [first, end, *of_builds, list(builds.values())]
    return engine.over_people(_TABLE, sql, parameters, Span(first, end))

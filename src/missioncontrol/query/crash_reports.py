"""What the pages of crashes ask of the table `crashes`: typed questions and answers.

Every question is answered from the rows that count (the newest of a crash, none of a deleted one), so an answer is as
new as the table. Only `comments()` hands out a protected column. Calls block: run them in threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from missioncontrol.clock import of_us
from missioncontrol.query.crash_selection import (
    EMPTY,
    SYSTEM,
    Intervals,
    Selection,
    moment_of,
    span_of,
    weight_of,
    where,
)
from missioncontrol.query.engine import Engine


class Ranked(msgspec.Struct, frozen=True):
    """A signature and its crashes in the span, and in the equally long span before."""

    signature: str | None
    rank: int
    rank_before: int | None
    """None when it had no crash before."""
    count: float
    count_before: float
    installs: int
    """Distinct ids of clients, or install times where there are none: at least so many installations. 0: not known."""
    startup: float
    """Of `count`, those that came while starting."""
    garbage: float
    """Of `count`, those that came while collecting garbage."""


class Ranking(msgspec.Struct, frozen=True):
    """The signatures with most crashes, and sums over all signatures."""

    rows: list[Ranked]
    signatures: int
    count: float
    count_before: float
    reports: int
    sampled: int
    """Reports that stand for more than one crash."""
    empty: float
    """Of `count`, those whose signature says that there is none: `EMPTY: ...`."""
    null: float
    """Of `count`, those without a signature."""


class Part(msgspec.Struct, frozen=True):
    """Crashes of one value; None where the crashes have none."""

    value: str | None
    count: float


class Bucket(msgspec.Struct, frozen=True):
    """Crashes of one group in one interval, numbered from 0."""

    group: str | None
    number: int
    count: float
    pooled: int = 0
    """It is of all the groups that were not asked for, so many; 0: of its group."""


class ReportRow(msgspec.Struct, frozen=True):
    """A crash in a list."""

    crash_id: str
    date: datetime
    signature: str | None
    product: str | None
    version: str | None
    channel: str | None
    build: str | None
    os_name: str | None
    os_version: str | None
    cpu_arch: str | None
    process_type: str | None
    reason: str | None
    address: str | None
    uptime_s: int | None
    install_time: int | None


class Totals(msgspec.Struct, frozen=True):
    """Sums over all crashes of a selection."""

    count: float
    reports: int
    installs: int
    startup: float
    garbage: float
    sampled: int
    empty: float
    """Of `count`, those whose signature says that there is none: `EMPTY: ...`."""
    null: float
    """Of `count`, those without a signature."""


class Comment(msgspec.Struct, frozen=True):
    """What a user wrote."""

    crash_id: str
    date: datetime
    text: str


class ProductCount(msgspec.Struct, frozen=True):
    """Reports of a product."""

    product: str | None
    reports: int
    reports_last_day: int
    signatures: int
    empty: int
    """Reports whose signature says that there is none: `EMPTY: ...`."""
    null: int
    """Reports without a signature."""
    newest: datetime
    versions: list[str]
    """Those with most reports first, at most five."""


_UPTIME = (
    "CASE WHEN uptime IS NULL THEN NULL WHEN uptime < 60 THEN 'under 1 min' WHEN uptime < 300 THEN '1 to 5 min' "
    "WHEN uptime < 900 THEN '5 to 15 min' WHEN uptime < 3600 THEN '15 to 60 min' ELSE 'over 1 h' END"
)
_INSTALL_AGE = (
    "CASE WHEN install_age IS NULL OR install_age < 0 THEN NULL WHEN install_age < 3600 THEN 'under 1 h' "
    "WHEN install_age < 86400 THEN '1 h to 1 day' WHEN install_age < 604800 THEN '1 to 7 days' "
    "WHEN install_age < 2592000 THEN '7 to 30 days' ELSE 'over 30 days' END"
)
BREAKDOWNS = {
    "product": "product",
    "version": "version",
    "build": "build",
    "channel": "release_channel",
    "os": SYSTEM,
    "os name": "os_name",
    "process type": "process_type",
    "uptime": _UPTIME,
    "install age": _INSTALL_AGE,
    "reason": "reason",
    "address": "address",
    "architecture": "cpu_arch",
    "proto signature": "proto_signature",
    "signature": "signature",
}
"""What crashes can be broken down by -> SQL."""
_INSTALLATION = "coalesce(client_guid, CAST(install_time AS VARCHAR))"
"""Crashpad's clients have an id, Firefox's a time of installation. The ids are protected: they are only counted."""
_EVERY = 10_000_000
_FLAGGED = "coalesce({}, false)"
_EMPTY = f"starts_with(signature, '{EMPTY}')"
_STARTUP, _GARBAGE = _FLAGGED.format("startup_crash"), _FLAGGED.format("is_garbage_collecting")


class CrashReports:
    """Answers questions about crashes. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ranking(self, selection: Selection, limit: int, offset: int = 0) -> Ranking:
        """The signatures by their crashes in the span, the most first; ties by name."""
        condition, parameters = where(selection.before())
        sql = f"""
            WITH w AS MATERIALIZED (
                SELECT signature, {moment_of(selection.by)} >= ? AS now, {weight_of(selection)} AS weight,
                    client_guid, install_time,
                    {_STARTUP} AS startup, {_GARBAGE} AS garbage, throttle_rate
                FROM {{crashes}} WHERE {condition}
            ), s AS (
                SELECT signature, coalesce(sum(weight) FILTER (now), 0) AS count,
                    coalesce(sum(weight) FILTER (NOT now), 0) AS before,
                    coalesce(sum(weight) FILTER (now AND startup), 0) AS startup,
                    coalesce(sum(weight) FILTER (now AND garbage), 0) AS garbage,
                    count(*) FILTER (now) AS reports,
                    count(*) FILTER (now AND throttle_rate > 0 AND throttle_rate < 1) AS sampled
                FROM w GROUP BY signature
            ), r AS (
                SELECT *, row_number() OVER (ORDER BY count DESC, signature) AS rank,
                    row_number() OVER (ORDER BY before DESC, signature) AS rank_before,
                    count(*) FILTER (count > 0) OVER () AS signatures,
                    sum(count) OVER () AS all_now, sum(before) OVER () AS all_before,
                    sum(reports) OVER () AS all_reports, sum(sampled) OVER () AS all_sampled,
                    sum(count) FILTER ({_EMPTY}) OVER () AS all_empty,
                    sum(count) FILTER (signature IS NULL) OVER () AS all_null
                FROM s
            ), shown AS MATERIALIZED (
                SELECT * FROM r WHERE count > 0 ORDER BY rank LIMIT {int(limit)} OFFSET {int(offset)}
            ), i AS (
                SELECT w.signature, count(DISTINCT {_INSTALLATION}) AS installs
                FROM w SEMI JOIN shown ON w.signature IS NOT DISTINCT FROM shown.signature
                WHERE now GROUP BY w.signature
            )
            SELECT shown.signature, rank, CASE WHEN before > 0 THEN rank_before END, count, before, installs, startup,
                garbage, signatures, all_now, all_before, all_reports, all_sampled, coalesce(all_empty, 0),
                coalesce(all_null, 0)
            FROM shown JOIN i ON shown.signature IS NOT DISTINCT FROM i.signature ORDER BY rank"""
        rows = self._rows(selection.before(), sql, [selection.start, *parameters])
        if not rows:
            t = self.totals(selection) if offset else Totals(0, 0, 0, 0, 0, 0, 0, 0)
            return Ranking([], 0, t.count, 0, t.reports, t.sampled, t.empty, t.null)
        signatures, now, before, reports, sampled, empty, null = rows[0][8:]
        ranked = [Ranked(*row[:8]) for row in rows]
        return Ranking(ranked, signatures, now, before, int(reports), int(sampled), empty, null)

    def any(self) -> bool:
        """Whether there is any crash at all."""
        return bool(self._engine.over_crashes("SELECT 1 FROM {crashes} LIMIT 1", []))

    def totals(self, selection: Selection) -> Totals:
        """Sums over the selection."""
        condition, parameters = where(selection)
        weight = weight_of(selection)
        sql = f"""
            SELECT coalesce(sum({weight}), 0), count(*), count(DISTINCT {_INSTALLATION}),
                coalesce(sum({weight}) FILTER ({_STARTUP}), 0), coalesce(sum({weight}) FILTER ({_GARBAGE}), 0),
                count(*) FILTER (throttle_rate > 0 AND throttle_rate < 1),
                coalesce(sum({weight}) FILTER ({_EMPTY}), 0),
                coalesce(sum({weight}) FILTER (signature IS NULL), 0)
            FROM {{crashes}} WHERE {condition}"""
        return Totals(*self._rows(selection, sql, parameters)[0])

    def over_time(
        self,
        selection: Selection,
        by: str,
        intervals: Intervals,
        signatures: Sequence[str | None] | None = None,
        most: int = _EVERY,
    ) -> list[Bucket]:
        """Crashes by a name of `BREAKDOWNS`, in intervals that cover the span; of these signatures, or of all.

        Of more than `most` groups those with most crashes; the others are pooled.
        """
        condition, parameters = where(selection)
        if signatures is not None:
            any_of, named = _any_of(signatures)
            condition, parameters = f"{condition} AND {any_of}", [*parameters, named]
        since = f"epoch({moment_of(selection.by)}) - CAST(? AS DOUBLE)"
        number = f"CAST(floor(({since}) / CAST(? AS DOUBLE)) AS INTEGER)"
        sql = f"""
            WITH t AS MATERIALIZED (
                SELECT {BREAKDOWNS[by]} AS name, least({number}, {int(intervals.number) - 1}) AS number,
                    sum({weight_of(selection)}) AS n
                FROM {{crashes}} WHERE {condition} GROUP BY ALL
            ), g AS (
                SELECT name, row_number() OVER (ORDER BY sum(n) DESC, coalesce(name, ''), name NULLS LAST) > {int(most)}
                    AS pooled FROM t GROUP BY name
            )
            SELECT CASE WHEN NOT pooled THEN t.name END AS shown, number, sum(n),
                CASE WHEN pooled THEN (SELECT count(*) FROM g WHERE pooled) ELSE 0 END AS others
            FROM t JOIN g ON t.name IS NOT DISTINCT FROM g.name GROUP BY ALL ORDER BY ALL"""
        bound = [str(intervals.start.timestamp()), str(intervals.width.total_seconds())]
        return [Bucket(*row) for row in self._rows(selection, sql, [*bound, *parameters])]

    def systems(self, selection: Selection, signatures: Sequence[str | None]) -> dict[str | None, list[Part]]:
        """Crashes of each of the signatures by operating system, the most first."""
        condition, parameters = where(selection)
        any_of, named = _any_of(signatures)
        sql = f"""
            SELECT signature, os_name, sum({weight_of(selection)}) AS n FROM {{crashes}}
            WHERE {condition} AND {any_of}
            GROUP BY ALL ORDER BY n DESC, os_name"""
        found: dict[str | None, list[Part]] = {}
        for signature, system, count in self._rows(selection, sql, [*parameters, named]):
            found.setdefault(signature, []).append(Part(system, count))
        return found

    def first_seen(self, signatures: Sequence[str | None], product: str | None) -> dict[str | None, datetime]:
        """When the first report of each signature that is kept was received."""
        any_of, named = _any_of(signatures)
        of_product = " AND product = ?" if product else ""
        sql = f"""
            SELECT signature, epoch_us(min("date")) FROM {{crashes}}
            WHERE {any_of}{of_product} GROUP BY signature"""
        bound: list[Any] = [named, *([product] if product else [])]
        return {signature: of_us(us) for signature, us in self._engine.over_crashes(sql, bound)}

    def breakdowns(self, selection: Selection, names: Sequence[str], limit: int) -> dict[str, list[Part]]:
        """Crashes by each of some names of `BREAKDOWNS`, the most first, at most `limit` values of each."""
        condition, parameters = where(selection)
        columns = ", ".join(f"{BREAKDOWNS[name]} AS v{n}" for n, name in enumerate(names))
        each = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {n} AS which, v{n} AS value, sum(weight) AS n FROM w GROUP BY value "
            f"ORDER BY n DESC, value LIMIT {int(limit)})"
            for n in range(len(names))
        )
        sql = f"""
            WITH w AS MATERIALIZED (
                SELECT {weight_of(selection)} AS weight, {columns} FROM {{crashes}} WHERE {condition}
            )
            SELECT * FROM ({each}) ORDER BY which, n DESC, value"""
        found: dict[str, list[Part]] = {name: [] for name in names}
        for which, value, count in self._rows(selection, sql, parameters):
            found[names[which]].append(Part(value, count))
        return found

    def reports(self, selection: Selection, limit: int, offset: int = 0) -> list[ReportRow]:
        """The crashes, the newest first."""
        condition, parameters = where(selection)
        sql = f"""
            SELECT uuid, epoch_us("date"), signature, product, version, release_channel, build, os_name, os_version,
                cpu_arch, process_type, reason, address, uptime, install_time
            FROM {{crashes}} WHERE {condition} ORDER BY "date" DESC, uuid LIMIT {int(limit)} OFFSET {int(offset)}"""
        return [ReportRow(row[0], of_us(row[1]), *row[2:]) for row in self._rows(selection, sql, parameters)]

    def comments(self, selection: Selection, limit: int) -> list[Comment]:
        """What users wrote, the newest first. For readers with the scope `protected`."""
        condition, parameters = where(selection)
        sql = f"""
            SELECT uuid, epoch_us("date"), user_comments FROM {{crashes}} WHERE {condition} AND user_comments <> ''
            ORDER BY "date" DESC, uuid LIMIT {int(limit)}"""
        return [Comment(row[0], of_us(row[1]), row[2]) for row in self._rows(selection, sql, parameters)]

    def products(self, start: datetime, end: datetime) -> list[ProductCount]:
        """Products with reports in [start, end), those with most reports first."""
        selection = Selection(start, end)
        condition, parameters = where(selection)
        sql = f"""
            WITH w AS (SELECT product, version, signature, "date" FROM {{crashes}} WHERE {condition}),
            v AS (SELECT product, list(version ORDER BY n DESC, version)[1:5] AS versions FROM
                (SELECT product, version, count(*) AS n FROM w WHERE version IS NOT NULL GROUP BY ALL) GROUP BY product)
            SELECT w.product, count(*) AS n, count(*) FILTER ("date" >= ?), count(DISTINCT signature),
                count(*) FILTER ({_EMPTY}),
                count(*) FILTER (signature IS NULL), epoch_us(max("date")), any_value(v.versions)
            FROM w LEFT JOIN v ON w.product = v.product GROUP BY w.product ORDER BY n DESC, w.product"""
        rows = self._rows(selection, sql, [*parameters, end - timedelta(days=1)])
        return [ProductCount(r[0], r[1], r[2], r[3], r[4], r[5], of_us(r[6]), r[7] or []) for r in rows]

    def _rows(self, selection: Selection, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._engine.over_crashes(sql, parameters, span_of(selection))


def _any_of(signatures: Sequence[str | None]) -> tuple[str, list[str]]:
    """SQL for crashes of any of the signatures, and its one parameter. A join: a list is searched for every row."""
    unnamed = " OR signature IS NULL" if None in signatures else ""
    named = [s for s in signatures if s is not None]
    return f"(signature IN (SELECT unnest(?::VARCHAR[])){unnamed})", named

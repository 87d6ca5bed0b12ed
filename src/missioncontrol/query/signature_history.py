"""One crash signature over the life of versions, and how its crashes differ from others: questions, typed.

Hours come from crash_signature_counts and error_aggregates, differences from the table `crashes`. Calls block and raise
`TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from missioncontrol.query.crash_reports import BREAKDOWNS
from missioncontrol.query.crash_selection import Selection, span_of, where
from missioncontrol.query.day_files import DayFiles, KeptDays, every_file, files_of_days
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.signature_counts import TABLE, Stretch, days_of, whole_hour
from missioncontrol.query.statement import Parameter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_US = 3_600_000_000
_COUNT_COLUMNS = (
    "application", "channel", "version", "build_id", "signature", "window_start", "reports", "crashes",
)  # fmt: skip
_USAGE_COLUMNS = (
    "submission_date",
    "application",
    "channel",
    "version",
    "build_id",
    "window_start",
    "usage_hours",
)


class Beginning(msgspec.Struct, frozen=True):
    """Since when a build has a signature, of the counts that are kept, and how many crashes it had."""

    application: str | None
    channel: str | None
    version: str | None
    build_id: str | None
    first: datetime
    crashes: float


class CrashHour(msgspec.Struct, frozen=True):
    """Crashes of a build in an hour (counted from the epoch): of the signature, and all."""

    version: str | None
    build_id: str | None
    hour: int
    crashes: float
    reports: int
    all_crashes: float
    all_reports: int


class UsageHour(msgspec.Struct, frozen=True):
    """Usage hours of a build in an hour, counted from the epoch."""

    version: str | None
    build_id: str | None
    hour: int
    usage_hours: float


class Spread(msgspec.Struct, frozen=True):
    """Installations of a version with one value of what `BREAKDOWNS` names: that had the signature, and any other."""

    name: str
    version: str | None
    value: str | None
    own: int
    others: int


def beginnings(engine: Engine, signature: str | None, application: str = "") -> list[Beginning]:
    """Every build that had the signature, the most crashes first."""
    own, parameters = _is(signature)
    if application:
        own, parameters = f"{own} AND application = ?", [*parameters, application]
    sql = (
        "SELECT application, channel, version, build_id, min(epoch_us(window_start)), sum(crashes) AS n "
        f"FROM {{relation}} WHERE {own} GROUP BY ALL HAVING n > 0 "
        "ORDER BY n DESC, application, channel, version, build_id"
    )
    rows = engine.over(TABLE, sql, parameters, columns=_COUNT_COLUMNS)
    return [
        Beginning(of, on, version, build, _EPOCH + timedelta(microseconds=first_us), crashes)
        for of, on, version, build, first_us, crashes in rows
    ]


def crash_hours(
    engine: Engine, application: str, channel: str, signature: str | None, stretches: Sequence[Stretch]
) -> list[CrashHour]:
    """Crashes by build and hour on the days of the stretches."""
    condition, values = _of_versions(application, channel, stretches)
    is_own, bound = _is(signature)
    own = f"FILTER ({is_own})"
    sql = (
        f"SELECT version, build_id, epoch_us(window_start) // {_HOUR_US} AS hour, coalesce(sum(crashes) {own}, 0), "
        f"CAST(coalesce(sum(reports) {own}, 0) AS BIGINT), sum(crashes), CAST(sum(reports) AS BIGINT) "
        f"FROM {{relation}} WHERE {condition} GROUP BY version, build_id, hour"
    )
    rows = engine.over(TABLE, sql, [*bound, *bound, *values], days_of(stretches), _COUNT_COLUMNS)
    return [CrashHour(*row) for row in rows]


def usage_by_hour(
    engine: Engine,
    application: str,
    channel: str,
    stretches: Sequence[Stretch],
    kept: KeptDays[list[UsageHour]],
) -> list[UsageHour]:
    """Usage hours by build and hour on the days of the stretches, in parts: an hour can be there more than once.

    kept: what was read of days before.
    """
    asked = application, channel, tuple(stretches)
    files = files_of_days(engine, span=days_of(stretches))
    days = kept.days(asked, files, lambda missing: _usage(engine, application, channel, stretches, missing))
    return [row for parts in days.values() for part in parts for row in part.content]


def _usage(
    engine: Engine, application: str, channel: str, stretches: Sequence[Stretch], missing: DayFiles
) -> dict[date, list[UsageHour]]:
    condition, values = _of_versions(application, channel, stretches)
    sql = (
        f"SELECT submission_date, version, build_id, epoch_us(window_start) // {_HOUR_US} AS hour, "
        "CAST(sum(usage_hours) AS DOUBLE) AS n "
        f"FROM {{relation}} WHERE {condition} GROUP BY submission_date, version, build_id, hour HAVING n > 0"
    )
    span = Span(dates=tuple(missing), files=every_file(missing))
    found: dict[date, list[UsageHour]] = {day: [] for day in missing}
    for day, *row in engine.over_sums(_USAGE_COLUMNS, sql, values, span):
        found[day].append(UsageHour(*row))
    return found


def spread(engine: Engine, around: Selection, signature: str | None, names: Sequence[str]) -> list[Spread]:
    """How the signature's crashes and the others of `around` lie, by version: of the versions that had the signature.

    Installations count once for each combination of values, so that one which crashes all day does not decide; a report
    that does not say which it is of counts alone.
    """
    condition, parameters = where(around)
    columns = ", ".join(f"{BREAKDOWNS[name]} AS v{n}" for n, name in enumerate(names))
    each = " UNION ALL ".join(
        f"SELECT {n}, version, v{n} AS value, count(*) FILTER (own), count(*) FILTER (NOT own) FROM d "
        "GROUP BY version, value"
        for n in range(len(names))
    )
    own, is_own = _is(signature)
    sql = f"""
        WITH d AS MATERIALIZED (
            SELECT DISTINCT version, coalesce({own}, false) AS own,
                coalesce(client_guid, CAST(install_time AS VARCHAR), uuid) AS who, {columns}
            FROM {{crashes}} WHERE {condition}
            AND version IN (SELECT version FROM {{crashes}} WHERE {condition} AND {own})
        )
        {each} ORDER BY ALL"""
    bound: list[Parameter] = [*is_own, *parameters, *parameters, *is_own]
    rows = engine.over_crashes(sql, bound, span_of(around))
    return [Spread(names[row[0]], *row[1:]) for row in rows]


def _is(signature: str | None) -> tuple[str, list[Parameter]]:
    return ("signature IS NULL", []) if signature is None else ("signature = ?", [signature])


def _of_versions(application: str, channel: str, stretches: Sequence[Stretch]) -> tuple[str, list[Parameter]]:
    versions = [each.version for each in stretches]
    builds = [build for each in stretches for build in each.builds]
    first = min(whole_hour(each.start) for each in stretches)
    last = max(whole_hour(each.end) for each in stretches)
    condition = (
        "application = ? AND channel = ? AND window_start >= ? AND window_start < ? "
        "AND (list_contains(?, version) OR list_contains(?, build_id))"
    )
    return condition, [application, channel, first, last, versions, builds]

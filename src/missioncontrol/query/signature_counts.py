"""Crashes by signature in the same hours of age of several versions, from crash_signature_counts.

Its rows are hours: a stretch is cut to whole hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter, Statement

TABLE = "crash_signature_counts"
_COLUMNS = (
    "application", "channel", "version", "build_id", "os_name", "process_type", "signature", "window_start", "reports",
    "crashes",
)  # fmt: skip
_EVERY = 10_000_000
"""More rows than there are answers."""


class Stretch(msgspec.Struct, frozen=True):
    """Some hours in the life of a version."""

    version: str
    builds: tuple[str, ...]
    """Crashes of these builds are wanted too, whatever version they name."""
    start: datetime
    """Cut to the hour."""
    end: datetime
    """Up to the hour before."""


class SignatureCount(msgspec.Struct, frozen=True):
    """The crashes of one signature in a stretch; `stretch` is its place in the question."""

    stretch: int
    signature: str | None
    version: str | None
    build_id: str | None
    reports: int
    """That were kept."""
    crashes: float
    """That they stand for."""
    first_us: int
    """Microseconds since the epoch: the first hour with any."""


def signature_counts(
    engine: Engine,
    application: str,
    channel: str,
    stretches: Sequence[Stretch],
    processes: Sequence[str | None] = (),
    where: Mapping[str, str] = {},
) -> list[SignatureCount]:
    """Crashes by stretch, signature, version and build, in one query; what has no crashes in a stretch has no row.

    processes: of crash reports, None: reports that do not say; empty: all. where: values of the table's dimensions.
    Raises `TooSlow`, `BadRequest` (`query_memory`) and `StorageError`.
    """
    if not stretches:
        return []
    parameters: list[Parameter] = []
    parts = []
    for number, stretch in enumerate(stretches):
        sql, values = _part(number, stretch, application, channel, processes, where)
        # Each reads the files of its own days alone.
        parts.append(sql.replace("{relation}", engine.relation(TABLE, days_of([stretch]), _COLUMNS)))
        parameters += values
    rows, _ = engine.rows(Statement(" UNION ALL ".join(parts), tuple(parameters), (), _EVERY))
    return [SignatureCount(*row) for row in rows]


def whole_hour(moment: datetime) -> datetime:
    """The start of the hour that holds an instant."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def process_condition(processes: Sequence[str | None]) -> tuple[str, list[Parameter]]:
    """SQL for the crashes of these processes, and its parameters; None: reports that do not say; empty: all."""
    if not processes:
        return "true", []
    named: list[Parameter] = [name for name in processes if name is not None]
    unsaid = " OR process_type IS NULL" if None in processes else ""
    return f"(process_type IN ({_marks(named)}){unsaid})", named


def _part(
    number: int,
    stretch: Stretch,
    application: str,
    channel: str,
    processes: Sequence[str | None],
    where: Mapping[str, str],
) -> tuple[str, list[Parameter]]:
    mine = ["version = ?", *([f"build_id IN ({_marks(stretch.builds)})"] if stretch.builds else [])]
    conditions = [
        "application = ?",
        "channel = ?",
        "window_start >= ?",
        "window_start < ?",
        f"({' OR '.join(mine)})",
    ]
    values: list[Parameter] = [application, channel, whole_hour(stretch.start), whole_hour(stretch.end)]
    values += [stretch.version, *stretch.builds]
    of_processes, named = process_condition(processes)
    conditions.append(of_processes)
    values += named
    for dimension, value in where.items():
        conditions.append(f"{dimension} = ?")
        values.append(value)
    sql = (
        f"SELECT {number} AS stretch, signature, version, build_id, CAST(sum(reports) AS BIGINT), sum(crashes), "
        f"min(epoch_us(window_start)) FROM {{relation}} WHERE {' AND '.join(conditions)} "
        "GROUP BY signature, version, build_id"
    )
    return sql, values


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def days_of(stretches: Sequence[Stretch]) -> Span:
    """The days that have a part of any of the stretches."""
    days: set[date] = set()
    for stretch in stretches:
        first, last = whole_hour(stretch.start).date(), whole_hour(stretch.end).date()
        days.update(first + timedelta(days=n) for n in range((last - first).days + 1))
    return Span(dates=tuple(sorted(days)))

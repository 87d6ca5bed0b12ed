"""The rows of `crashes` that count, as a relation in DuckDB's SQL.

A crash that was processed again has a further row, one that was deleted has none that counts; `crash_revisions` says
so. Only for days on which there is such a crash do the two have to be joined: both tables have the day of receipt as
their partition. Never reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from missioncontrol.lake.tables import CRASHES, REVISIONS, Column
from missioncontrol.query import dialect
from missioncontrol.query.relation import Span, scan

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef, LakeReader

_KEYS = (Column("uuid", "string"), Column("revision", "int64"))
NEWEST = "CASE WHEN min(revision) < 0 THEN -1 ELSE max(revision) END"
"""The revision that counts of one crash: -1 (deleted) before all others, then the largest."""


def counting_rows(reader: LakeReader, columns: Sequence[Column], span: Span = Span()) -> str:
    """A parenthesised SELECT of `columns` (submission_date is none of them) over the crashes within `span`."""
    # Revisions first: a row that comes between the two looks is not yet counted, instead of twice or never.
    revisions = _files(reader, REVISIONS, span)
    files = _files(reader, CRASHES, span)
    days = {_day(file) for file in revisions}
    revised = [file for file in files if _day(file) in days]
    once = [file for file in files if _day(file) not in days]
    parts = []
    if once or not revised:
        parts.append(f"SELECT {_names(columns)} FROM {scan(once, _with_keys(columns))} WHERE revision = 0")
    if revised:
        held = {_day(file) for file in revised}
        changes = scan([f for f in revisions if _day(f) in held], _KEYS)
        parts.append(
            f"SELECT {_names(columns, 'c.')} FROM {scan(revised, _with_keys(columns))} AS c "
            f"LEFT JOIN (SELECT uuid, {NEWEST} AS newest FROM {changes} GROUP BY uuid) AS r ON c.uuid = r.uuid "
            "WHERE c.revision = coalesce(r.newest, 0)"
        )
    return f"({' UNION ALL '.join(parts)})"


def _files(reader: LakeReader, table: str, span: Span) -> list[FileRef]:
    snapshot = reader.snapshot(table)
    return [file for file in snapshot.files if span.wants(file)] if snapshot else []


def _day(file: FileRef) -> date:
    return date.fromisoformat(dict(file.partition)["submission_date"])


def _with_keys(columns: Iterable[Column]) -> list[Column]:
    named = {column.name: column for column in (*columns, *_KEYS)}
    return list(named.values())


def _names(columns: Iterable[Column], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{dialect.name(column.name)}" for column in columns) or "1"

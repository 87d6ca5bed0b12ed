"""A table of the lake, at one snapshot, as a relation in DuckDB's SQL.

Snapshot -> files that can hold matching rows -> `read_parquet([...])`. A column that the Delta schema has and
a file lacks is null; a table without files is a typed empty relation, so that an empty product answers with
no rows instead of an error. Never reads a file itself; those of a lake on S3 are fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.lake.place import fetch
from missioncontrol.lake.tables import Column
from missioncontrol.query import dialect
from missioncontrol.query.rows import query_failed

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import FileRef

_DAY_US = 86_400_000_000


class Span(msgspec.Struct, frozen=True):
    """What the files are pruned by. All bounds are inclusive; None is unbounded."""

    first: datetime | None = None
    """Window start of the earliest wanted row."""
    last: datetime | None = None
    dates: tuple[date, ...] | None = None
    """The wanted submission dates; two with `dates_range` are a range."""
    dates_range: bool = False
    partition: tuple[tuple[str, str], ...] = ()
    """Wanted values of other partition columns."""
    files: frozenset[str] | None = None
    """Paths of the wanted files; None: any."""

    def wants(self, file: FileRef) -> bool:
        """Whether the file can hold a wanted row; exact for partition columns."""
        if self.files is not None and file.path not in self.files:
            return False
        if self.first and file.last_window and file.last_window < self.first:
            return False
        if self.last and file.first_window and file.first_window > self.last:
            return False
        values = dict(file.partition)
        if any(values.get(column, value) != value for column, value in self.partition):
            return False
        return self._wants_date(values.get("submission_date"))

    def _wants_date(self, value: str | None) -> bool:
        if self.dates is None or value is None:
            return True
        day = date.fromisoformat(value)
        if self.dates_range:
            return min(self.dates) <= day <= max(self.dates)
        return day in self.dates


def scan(
    files: Sequence[FileRef],
    columns: Sequence[Column],
    rollup: Callable[[FileRef], str | None] | None = None,
) -> str:
    """A parenthesised SELECT of exactly `columns` over `files`.

    `rollup` names a smaller file that stands for a base file; it may be given only when it holds all
    `columns` but `submission_date`.
    """
    if not files:
        return empty(columns)
    names = {c.name for c in columns}
    # The files do not hold their partition columns; the date alone can be told from a window.
    parts = {name for f in files for name, _ in f.partition} & names
    if parts - {"submission_date"} or (parts and not all(_of_its_day(f) for f in files)):
        return view(files, columns)
    slim = [rollup(f) if rollup else None for f in files]
    _at_hand([f for f, stand_in in zip(files, slim, strict=True) if stand_in is None])
    paths = [stand_in or f.path for f, stand_in in zip(files, slim, strict=True)]
    stored = [c for c in columns if c.name != "submission_date"]
    fields: list[Column] = stored or [_WINDOW]
    select = ", ".join(
        _DATE_OF_WINDOW if c.name == "submission_date" else dialect.name(c.name) for c in columns
    )
    if len(stored) != len(columns) and not any(c.name == "window_start" for c in stored):
        fields = [*stored, _WINDOW]
    return f"(SELECT {select or '1'} FROM read_parquet({dialect.texts(paths)}, schema={_schema(fields)}))"


def view(files: Sequence[FileRef], columns: Sequence[Column]) -> str:
    """As `scan()`, in a form whose partition columns prune files by the filters of the SQL around it."""
    if not files:
        return empty(columns)
    _at_hand(files)
    return _hive_scan([f.path for f in files], columns)


def _at_hand(files: Sequence[FileRef]) -> None:
    place = files[0].place if files else None
    if place is not None and (size := sum(file.size_bytes for file in files)) > place.cache_bytes:
        raise BadRequest(
            "query_too_wide",
            f"The query reads {size / 1e9:,.1f} GB of files; {place.cache_bytes / 1e9:,.1f} GB may be at hand.",
            "Ask for fewer days, of an API or a page; or raise lake.cache_bytes.",
        )
    try:
        fetch(files)
    except FileNotFoundError as error:
        raise query_failed(error) from None  # as when a folder lacks it


def empty(columns: Sequence[Column]) -> str:
    """A typed relation without rows."""
    return f"(SELECT {_nulls(columns)} WHERE false)"


_WINDOW = Column("window_start", "timestamp")
# Integer arithmetic: a cast of an instant to a date asks the time zone library for every row.
_DATE_OF_WINDOW = (
    f'DATE \'1970-01-01\' + CAST(epoch_us("window_start") // {_DAY_US} AS INTEGER) AS "submission_date"'
)


def _of_its_day(file: FileRef) -> bool:
    """All rows of the file have the day of their window as submission date."""
    day = dict(file.partition).get("submission_date")
    bounds = (file.first_window, file.last_window)
    return all(b is not None and b.astimezone(UTC).date().isoformat() == day for b in bounds)


def _schema(columns: Sequence[Column]) -> str:
    """The reader's own schema: no footer has to be read to know the columns, and absent ones are null."""
    fields = (
        f"{dialect.text(c.name)}: {{'name': {dialect.text(c.name)}, "
        f"'type': '{dialect.SQL_TYPES[c.type]}', 'default_value': NULL}}"
        for c in columns
    )
    return "map {" + ", ".join(fields) + "}"


def _nulls(columns: Sequence[Column]) -> str:
    return ", ".join(f"{dialect.null(c.type)} AS {dialect.name(c.name)}" for c in columns)


def _hive_scan(paths: Sequence[str], columns: Sequence[Column]) -> str:
    names = ", ".join(dialect.name(c.name) for c in columns)
    read = (
        f"read_parquet({dialect.texts(paths)}, union_by_name=true, hive_partitioning=true, "
        "hive_types={'submission_date': DATE})"
    )
    # The empty first branch supplies the columns that no file has.
    return (
        f"(SELECT {names} FROM (SELECT {_nulls(columns)} WHERE false UNION ALL BY NAME SELECT * FROM {read}))"
    )

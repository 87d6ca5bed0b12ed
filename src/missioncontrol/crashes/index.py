"""Rows of the table `crashes`: what of a processed crash can be searched.

Every field that comes declared is a column; one that the user declared is an entry of a map, public and protected ones
apart, so that a field can be declared without changing the table. So is one that the user's declaration protects while
its column is public. Never decides who may see what: the marks of the columns do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from missioncontrol.blobs.crash_keys import day_of
from missioncontrol.crashes.fields import Field, Fields
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import CRASHES, DELETED, REVISIONS, Column, lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Registry
from missioncontrol.state.crash_recounts import CrashRecounts

REVISION = "processing_revision"
"""Key of a processed crash: how often it had been processed before."""
KEYS = ("submission_date", "uuid", "revision", "fields", "protected_fields")
"""Columns that are no fields, whatever a field may be called."""
_LONGEST_TEXT = 32_766
_LARGEST = 2**63

Row = dict[str, Any]


def crash_row(document: Mapping[str, Any], fields: Fields, columns: Sequence[Column]) -> Row:
    """The row of a processed crash. `columns` are those of the table."""
    uuid = str(document["uuid"])
    row: Row = {
        "submission_date": day_of(uuid),
        "uuid": uuid,
        "revision": int(document.get(REVISION) or 0),
        "fields": [],
        "protected_fields": [],
    }
    own = {column.name: column for column in columns}
    for field in fields:
        if not field.search or field.name in KEYS:
            continue
        value = _found(document, field.place.split("."))
        if value is None:
            continue
        if isinstance(value, list) and field.type == "list":
            # Items are texts: so a list can be taken apart without reading it as JSON.
            value = [text for item in value if (text := _text(item)) is not None]
        home = home_of(field, own.get(field.name))
        if home == field.name:
            row[home] = _typed(value, own[home].type)
        elif (text := _text(value)) is not None:
            row[home].append((field.name, text))
    row.setdefault("date", datetime.combine(row["submission_date"], time(), UTC))
    return row


def home_of(field: Field, own: Column | None) -> str:
    """The column that holds a field: its own if the table has one, or one of the two maps."""
    protected = field.access == "protected"
    if own is not None and (own.protected or not protected):
        return own.name
    return "protected_fields" if protected else "fields"


def hour_of(moment: datetime | None, day: date) -> int:
    """The hour of a day in which a crash received then counts; `day` is the one that its id says."""
    if moment is None:
        return 0
    start = datetime.combine(day, time(), UTC)
    return min(max(moment - start, timedelta()), timedelta(hours=23)) // timedelta(hours=1)


class CrashIndex:
    """Writes rows of crashes. One writer for a process; several processes may write at once."""

    def __init__(
        self, writer: LakeWriter, registry: Registry, name: str, recounts: CrashRecounts | None = None
    ) -> None:
        """`name` is unique among all writers there ever were; `recounts` hears of the hours that changed."""
        tables = lake_tables(registry)
        self._recounts = recounts
        self._writer, self._app = writer, f"crashes:{name}"
        self._schemas = {t: _schema(tables[t].columns) for t in (CRASHES, REVISIONS)}
        self.columns = tables[CRASHES].columns
        self._versions = dict.fromkeys(self._schemas, 0)
        writer.ensure(registry)

    def add(self, rows: Sequence[Row], now: datetime) -> None:
        """Add processed crashes; each that was processed before counts by its newest row from then on.

        They survive a loss of power when it returns. Raises `StorageError` and `StorageFull`; rows may have been added
        then without counting yet.
        """
        self._append(CRASHES, rows)
        again = [row for row in rows if row["revision"]]
        self._append(REVISIONS, [_revision(r["uuid"], r["revision"], now) for r in again])
        self._writer.sync()  # the queue gives them up next, for good
        if self._recounts is not None:
            self._recounts.mark(
                (r["submission_date"], hour_of(r.get("date"), r["submission_date"])) for r in rows
            )

    def delete(self, crash_ids: Iterable[str], now: datetime) -> None:
        """Crashes count no more; their rows stay in the files until `lake.removal` takes them out."""
        deleted = list(crash_ids)
        self._append(REVISIONS, [_revision(c, DELETED, now) for c in deleted])
        self._writer.sync()
        if self._recounts is not None:
            self._recounts.mark_days({day_of(c) for c in deleted})

    def _append(self, table: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        self._versions[table] += 1
        data = pa.Table.from_pylist(list(rows), schema=self._schemas[table])
        self._writer.append(table, data, self._app, self._versions[table])


def _revision(crash_id: str, revision: int, now: datetime) -> Row:
    return {"submission_date": day_of(crash_id), "uuid": crash_id, "revision": revision, "at": now}


def _schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns])


def _found(value: Any, path: Sequence[str]) -> Any:
    """The value at a path; `x[]` gives the list of what lies behind each item of `x`."""
    for number, step in enumerate(path):
        if not isinstance(value, Mapping):
            return None
        if step.endswith("[]"):
            items = value.get(step[:-2])
            rest = path[number + 1 :]
            found = (
                [_found(item, rest) if rest else item for item in items] if isinstance(items, list) else []
            )
            return [item for item in found if item is not None] or None
        value = value.get(step)
    return value


def _typed(value: Any, kind: str) -> Any:
    match kind:
        case "string":
            return _text(value)
        case "int64":
            whole = (
                int(value)
                if isinstance(value, int | float) and value == value and abs(value) < _LARGEST
                else None
            )
            return whole
        case "float64":
            return float(value) if isinstance(value, int | float) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "timestamp":
            return _instant(value)
        case _:
            return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    if isinstance(value, int | float):
        return repr(value)
    try:
        return _json(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _json(value: Any) -> str | None:
    """The value as JSON; of a list that is too long, the first items."""
    text = msgspec.json.encode(value).decode()
    if len(text) <= _LONGEST_TEXT:
        return text
    if not isinstance(value, list):
        return None
    items, size = [], 2
    for item in value:
        size += len(msgspec.json.encode(item).decode()) + 1
        if size > _LONGEST_TEXT:
            break
        items.append(item)
    return msgspec.json.encode(items).decode()


def _instant(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

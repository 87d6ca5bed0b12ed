"""Rows of the table `crashes`: what of a processed crash can be searched.

Columns that most questions name are columns; every other searchable field is an entry of a map, public and protected
ones apart, so that a field can be declared without changing the table. Never decides who may see what: the marks of the
columns do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from missioncontrol.blobs.crash_keys import day_of
from missioncontrol.crashes.fields import Fields
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import DELETED, Column, lake_tables
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Registry

CRASHES = "crashes"
REVISIONS = "crash_revisions"
REVISION = "processing_revision"
"""Key of a processed crash: how often it had been processed before."""
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
    kinds = {column.name: column.type for column in columns if column.name not in row}
    for field in fields:
        if not field.search or field.name == "uuid":
            continue
        value = _found(document, field.place.split("."))
        if value is None:
            continue
        if field.name in kinds:
            row[field.name] = _typed(value, kinds[field.name])
        else:
            text = _text(value)
            if text is not None:
                row["protected_fields" if field.access == "protected" else "fields"].append(
                    (field.name, text)
                )
    return row


class CrashIndex:
    """Writes rows of crashes. One writer for a process; several processes may write at once."""

    def __init__(self, writer: LakeWriter, registry: Registry, name: str) -> None:
        """`name` is unique among all writers there ever were."""
        tables = lake_tables(registry)
        self._writer, self._app = writer, f"crashes:{name}"
        self._schemas = {t: _schema(tables[t].columns) for t in (CRASHES, REVISIONS)}
        self.columns = tables[CRASHES].columns
        self._versions = dict.fromkeys(self._schemas, 0)
        writer.ensure(registry)

    def add(self, rows: Sequence[Row], now: datetime) -> None:
        """Add processed crashes; each that was processed before counts by its newest row from then on.

        Raises `StorageError` and `StorageFull`; rows may have been added then without counting yet.
        """
        self._append(CRASHES, rows)
        again = [row for row in rows if row["revision"]]
        self._append(REVISIONS, [_revision(r["uuid"], r["revision"], now) for r in again])

    def delete(self, crash_ids: Iterable[str], now: datetime) -> None:
        """Crashes count no more; their rows leave the files with the next compaction."""
        self._append(REVISIONS, [_revision(c, DELETED, now) for c in crash_ids])

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
        return msgspec.json.encode(value).decode()[:_LONGEST_TEXT]
    except (TypeError, ValueError, RecursionError):
        return None


def _instant(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

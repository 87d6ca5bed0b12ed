"""From facts to partial sums: one `Aggregator` for each micro-batch, one Arrow table for each table of the lake.

Rows are partial: the same key comes again in the next batch, and readers add. Counts are integers and hours are on an
exact grid (`fact.grid`), so the sums do not depend on order or on where batches were cut. A measure that nobody
reported stays null.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from missioncontrol.clock import utc_date, window_start_s
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import Column, LakeTable, lake_tables
from missioncontrol.registry import Registry
from missioncontrol.telemetry.activity import place
from missioncontrol.telemetry.clients import ClientRows
from missioncontrol.telemetry.discards import UNREADABLE, Discard
from missioncontrol.telemetry.fact import Fact, Number
from missioncontrol.telemetry.submission import Submission, submission_day

Sums = list[Number | None]


class Aggregator:
    """Collects the rows of one batch. Not thread-safe; nothing is added after `tables()`."""

    def __init__(
        self, registry: Registry, fine_days: int, broken_body_bytes: int, archive: bool = True
    ) -> None:
        self._registry = registry
        self._fine_days = fine_days
        self._broken_body_bytes = broken_body_bytes
        self._archive = archive
        self._measures = len(registry.measures)
        names = [d.name for d in registry.keys]
        self._experiment_positions = [names.index(d.name) for d in registry.experiment_keys]
        self._usage_positions = [
            names.index(n) if n in names else None for n in ("channel", "version", "build_id", "os_name")
        ]
        # No method of this object: such a cycle would keep every batch's bodies until the garbage collector comes.
        no_sums = partial(_no_sums, self._measures)
        self._totals: defaultdict[tuple[Any, ...], Sums] = defaultdict(no_sums)
        self._experiments: defaultdict[tuple[Any, ...], Sums] = defaultdict(no_sums)
        self._clients = ClientRows(registry)
        self._usage: dict[tuple[Any, ...], list[Any]] = {}
        self._discards: Counter[tuple[int, str]] = Counter()
        self._notes: Counter[tuple[int, str]] = Counter()
        self._pings: list[tuple[Any, ...]] = []

    def add(self, submission: Submission, result: Fact | Discard, doc_type: str) -> None:
        """Take one ping in; `doc_type` is the name of its declared document or `other`."""
        window = window_start_s(submission.received_ns)
        if isinstance(result, Discard):
            self.discard(submission.received_ns, result.reason)
            self._keep(submission, window, doc_type, result.reason)
            return
        self._keep(submission, window, doc_type, None)
        _add(self._totals[(window, *result.key)], result.values)
        if result.experiments:
            few = tuple(result.key[p] for p in self._experiment_positions)
            for experiment in result.experiments:
                _add(self._experiments[(window, result.application, *few, *experiment)], result.values)
        self._clients.add(submission.received_ns, result)
        for note in result.notes:
            self._notes[window, note] += 1
        if result.has_activity:
            self._place(submission, result)

    def discard(self, received_ns: int, reason: str, count: int = 1) -> None:
        """Count submissions that are not counted."""
        self._discards[window_start_s(received_ns), reason] += count

    def tables(self) -> dict[str, pa.Table]:
        """The rows by name of the lake's table; tables without rows are left out."""
        shapes = lake_tables(self._registry)
        sums = list(self._registry.measures)
        keys = [d.name for d in self._registry.keys]
        few = [d.name for d in self._registry.experiment_keys]
        usage_keys = ["arrival", "arrival_length_s", "activity", "activity_length_s"]
        rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {
            "error_aggregates": (["window_start", *keys, *sums], [(*k, *v) for k, v in self._totals.items()]),
            "experiment_aggregates": (
                ["window_start", "application", *few, "experiment_id", "experiment_branch", *sums],
                [(*k, *v) for k, v in self._experiments.items()],
            ),
            "client_aggregates": (self._clients.columns, self._clients.rows()),
            "usage_by_activity": (
                [
                    *usage_keys,
                    "application",
                    "channel",
                    "version",
                    "build_id",
                    "os_name",
                    "usage_hours",
                    "starts",
                ],
                [(*k, *v) for k, v in self._usage.items()],
            ),
            "discards": (["window_start", "reason", "count"], [(*k, v) for k, v in self._discards.items()]),
            "notes": (["window_start", "reason", "count"], [(*k, v) for k, v in self._notes.items()]),
        }
        return {
            **{name: _table(shapes[name], *found) for name, found in rows.items() if found[1]},
            **self.bodies(),
        }

    def bodies(self) -> dict[str, pa.Table]:
        """The rows of the archive by its name, if there are any, taken out."""
        taken, self._pings = self._pings, []
        return {"pings": _table(lake_tables(self._registry)["pings"], list(_ARCHIVE), taken)} if taken else {}

    def _place(self, submission: Submission, fact: Fact) -> None:
        where = tuple(None if p is None else fact.key[p] for p in self._usage_positions)
        if fact.usage_hours is None:
            return
        cells = place(fact, submission.received_ns, where[2], self._fine_days)
        if cells is None:
            self._notes[window_start_s(submission.received_ns), "activity_not_placed"] += 1
            return
        for number, hours in enumerate(cells.hours):
            activity = cells.first_s + number * cells.activity_length_s
            key = (
                cells.arrival_s, cells.arrival_length_s, activity, cells.activity_length_s, fact.application, *where,
            )  # fmt: skip
            row = self._usage.setdefault(key, [0.0, 0])
            row[0] += hours
            row[1] += number == 0

    def _keep(self, submission: Submission, window: int, doc_type: str, discarded: str | None) -> None:
        if not self._archive:
            return
        body = submission.body[: self._broken_body_bytes] if discarded in UNREADABLE else submission.body
        day = submission_day(submission.submission_date)
        self._pings.append(
            (
                day.date() if day else utc_date(submission.received_ns),
                doc_type,
                submission.received_ns,
                window,
                submission.log_offset,
                submission.namespace,
                submission.document_type,
                submission.document_version,
                submission.document_id,
                submission.application,
                submission.version,
                submission.channel,
                submission.build_id,
                submission.country,
                None if day else (submission.submission_date or "")[:200],
                msgspec.json.encode(dict(submission.headers)).decode(),
                submission.encoding,
                bytes(body),
                discarded,
            )
        )


_ARCHIVE = (
    "submission_date", "doc_type", "received_ns", "window_start", "log_offset", "namespace", "document_type",
    "document_version", "document_id", "application", "version", "channel", "build_id", "country", "given_date",
    "headers", "encoding", "body", "discarded",
)  # fmt: skip


def _no_sums(measures: int) -> Sums:
    return [None] * measures


def _add(sums: Sums, values: tuple[tuple[int, Number], ...]) -> None:
    for index, value in values:
        known = sums[index]
        sums[index] = value if known is None else known + value


def _table(shape: LakeTable, names: list[str], rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows with times in seconds since the epoch, as an Arrow table with the lake's types."""
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    if "received_ns" in columns:
        columns["received"] = tuple(ns // 1000 for ns in columns["received_ns"])
    else:
        times = columns["window_start" if "window_start" in columns else "arrival"]
        days: dict[int, date] = {s: datetime.fromtimestamp(s, UTC).date() for s in set(times)}
        columns["submission_date"] = tuple(days[s] for s in times)
    # What is missing (how a body is packed) is null until the archive is sealed.
    return pa.table({c.name: _array(c, columns[c.name]) for c in shape.columns if c.name in columns})


def _array(column: Column, values: tuple[Any, ...]) -> pa.Array:
    kind = ARROW_TYPES[column.type]
    if column.type != "timestamp":
        return pa.array(values, kind)
    scale = 1 if column.name == "received" else 1_000_000
    return pa.array([v * scale for v in values], pa.int64()).cast(kind)

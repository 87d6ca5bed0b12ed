"""The sums of a channel with one crash signature for a measure: its crash reports by window and users, per usage.

Whatever judges a measure then judges the signature. Crashes are counted by the window of their receipt, and by the
dimensions that reports share with usage. Counts are in reports as the channel's were sampled before the release, so
that their noise is that of reports. Predecessors are expected to have had the signature once each, at least: of one
that is new, or as rare, a few crashes prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from msgspec.structs import replace as replace_fields

from missioncontrol.errors import BadRequest
from missioncontrol.health.cells import Cells, Rows
from missioncontrol.health.exposure import counts_crashes
from missioncontrol.health.picking import is_shared, only
from missioncontrol.health.published import Version, moment_of, owner_of
from missioncontrol.health.signatures import processes_of
from missioncontrol.health.sums import ChannelSums, ends
from missioncontrol.lake.tables import CRASHES
from missioncontrol.query import dialect
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.signature_counts import TABLE, process_condition
from missioncontrol.query.statement import Parameter
from missioncontrol.registry.model import Measure
from missioncontrol.registry.report_checks import OWN
from missioncontrol.registry.reports import ReportPlan

_Table = list[tuple[tuple[str, ...], int, int]]
"""Stratum, tick and units of each row."""
REPORTS = "crash_reports"
"""The measure that tells which versions have crash reports, and which users reports and usage have in common."""
_NAMED_OTHERWISE = ("os_version",)
"""Reports do not name the version of every system as pings do."""
_GRID = 2**20
_USUAL = 1.0
"""Crashes that each predecessor is expected to have had."""
_TICK = "CAST(epoch_us(date) // 300000000 AS BIGINT)"
_WEIGHT = (
    f"CASE WHEN throttle_rate > 0 AND throttle_rate <= 1 THEN round({_GRID} / throttle_rate) ELSE {_GRID} END"
)


def of_signature(
    engine: Engine, sums: ChannelSums, judged: Version, measure: Measure, signature: str
) -> ChannelSums:
    """The sums with the crashes of a signature in place of the measure's events, for a verdict on `judged` alone.

    `sums` has the measure and `REPORTS`. Raises `BadRequest` (`not_judged`, `query_memory`), `TooSlow` and
    `StorageError`.
    """
    if not counts_crashes(measure):
        hint = "Measures of crashes have signatures: main_crashes, content_crashes."
        raise BadRequest("not_judged", f"`{measure.name}` does not count crashes.", hint)
    name, per = measure.name, measure.per or "usage_hours"
    chain = sums.chain(judged)
    weight, since = _sampling(engine, sums, chain, judged)
    unknown = {each.version: _unknown(engine, sums, each, since) for each in chain}
    kept = _in_common(sums, judged, per)
    events = _events(engine, sums, (*chain, judged), name, signature, kept)
    cells = _with_events(sums.cells, kept, name, events)
    scale = _GRID * weight
    fit = [each for each in chain if not (each.unfit or unknown[each.version])]
    had = sum(_units(cells.rows.get((name, each.version)), judged) for each in fit) / scale
    lacking = _USUAL - had / len(fit) if fit else 0.0
    if lacking > 0:
        for each in fit:
            usual = _usual(cells.rows.get((per, each.version)), judged, lacking * scale)
            cells.rows[name, each.version] = _both(cells.rows.get((name, each.version)), usual)
    new = ", which no predecessor had" if fit and not had else ""
    titled = replace_fields(
        measure, title=f"{measure.title} with signature {signature}{new}", comparable_since=""
    )
    scales = {**sums.scales, name: scale}
    left_out = {version: why for version, why in unknown.items() if why}
    return replace(sums, measures={name: titled}, cells=cells, scales=scales, left_out=left_out, _dense={})


def _sampling(
    engine: Engine, sums: ChannelSums, chain: Sequence[Version], judged: Version
) -> tuple[float, int]:
    """How many crashes a report of the channel stood for before the release, and the tick from which there are any."""
    first = min((each.published for each in chain), default=judged.published)
    start, end = moment_of(first), judged.published_at
    sql = (
        "SELECT sum(reports), sum(crashes), min(epoch_us(window_start)) FROM {relation} "
        "WHERE application = ? AND channel = ? AND window_start >= ? AND window_start < ?"
    )
    parameters: list[Parameter] = [sums.application, sums.channel, start - timedelta(hours=1), end]
    ((reports, crashes, since),) = engine.over(TABLE, sql, parameters, Span(start - timedelta(hours=1), end))
    if not reports:
        return 1.0, judged.published
    return max(float(crashes / reports), 1.0), int(since // 300_000_000)


def _unknown(engine: Engine, sums: ChannelSums, each: Version, since: int) -> str:
    """Why the crash reports of a version are not known from its first day on; empty: they are."""
    if REPORTS not in sums.cells.measured.get(each.version, frozenset()):
        return "no crash reports"
    snapshot = engine.reader.snapshot(CRASHES)
    held = [dict(file.partition)["submission_date"] for file in snapshot.files] if snapshot else []
    day = timedelta(days=1)
    if moment_of(since) > each.published_at + day or not held:
        return "no crash reports of its first day"
    if min(held) > each.published_at.date().isoformat():
        return "its first crash reports are no longer here"
    return ""


def _in_common(sums: ChannelSums, judged: Version, per: str) -> list[bool]:
    """[dimensions] which of them crash reports name as usage does, by all reports before the release."""
    cells = sums.cells
    hours, events = (sums.before(judged, quantity).sum(axis=0) for quantity in (per, REPORTS))
    return [
        name not in _NAMED_OTHERWISE and is_shared(cells, place, hours, events)
        for place, name in enumerate(cells.dimensions)
    ]


def _with_events(cells: Cells, kept: Sequence[bool], name: str, events: Mapping[str, _Table]) -> Cells:
    """Usage and events by the dimensions that are kept; all else is taken together."""
    projected = [only(values, kept) for values in cells.strata]
    seen = {stratum for table in events.values() for stratum, _, _ in table}
    strata = tuple(sorted({*projected, *seen}))
    place = {values: code for code, values in enumerate(strata)}
    code = np.array([place[values] for values in projected], np.int32)
    rows = {
        key: Rows(each.tick, code[each.stratum], each.units)
        for key, each in cells.rows.items()
        if key[0] not in (name, REPORTS)
    }
    for version, table in events.items():
        rows[name, version] = Rows(
            np.array([tick for _, tick, _ in table], np.int32),
            np.array([place[stratum] for stratum, _, _ in table], np.int32),
            np.array([units for _, _, units in table], np.int64),
        )
    measured = {version: frozenset([name]) for version, had in cells.measured.items() if REPORTS in had}
    return Cells(cells.dimensions, strata, rows, measured)


def _units(rows: Rows | None, judged: Version) -> int:
    """Of a predecessor, before the release."""
    return 0 if rows is None else int(rows.units[rows.tick < judged.published].sum())


def _usual(usage: Rows | None, judged: Version, units: float) -> Rows:
    """Events spread over what a predecessor was used before the release."""
    if usage is None:
        none = np.zeros(0, np.int32)
        return Rows(none, none, none.astype(np.int64))
    here = usage.tick < judged.published
    share = usage.units[here] / max(float(usage.units[here].sum()), 1.0)
    return Rows(usage.tick[here], usage.stratum[here], np.rint(share * units).astype(np.int64))


def _both(one: Rows | None, other: Rows) -> Rows:
    if one is None:
        return other
    return Rows(
        np.concatenate([one.tick, other.tick]),
        np.concatenate([one.stratum, other.stratum]),
        np.concatenate([one.units, other.units]),
    )


def _events(
    engine: Engine,
    sums: ChannelSums,
    wanted: Sequence[Version],
    measure: str,
    signature: str,
    kept: Sequence[bool],
) -> dict[str, _Table]:
    """The crashes of a signature, by version."""
    plan = ReportPlan(engine.registry())
    names = [d.name for d in plan.dimensions]
    start = moment_of(min(each.published for each in wanted))
    end = moment_of(min(sums.until, max(ends(sums.versions, each) for each in wanted)))
    of_processes, parameters = process_condition(processes_of(measure))
    sql = (
        f"SELECT {_TICK} AS tick, {', '.join(map(_column, plan.paths))}, CAST(sum({_WEIGHT}) AS BIGINT) "
        f"FROM {{crashes}} WHERE signature = ? AND date >= ? AND date < ? AND {of_processes} "
        "GROUP BY ALL ORDER BY ALL"
    )
    rows = engine.over_crashes(sql, [signature, start, end, *parameters], Span(start, end))
    owner = owner_of(sums.versions)
    found: dict[str, _Table] = {each.version: [] for each in wanted}
    for tick, *values, units in rows:
        key = dict(zip(names, plan.key(tuple(values)), strict=True))
        version = owner(key.get("version"), key.get("build_id"))
        if (key.get("application"), key.get("channel")) == (
            sums.application,
            sums.channel,
        ) and version in found:
            stratum = tuple(key.get(name) or "" for name in sums.cells.dimensions)
            found[version].append((only(stratum, kept), tick, units))
    return {version: table for version, table in found.items() if table}


def _column(path: str) -> str:
    """A path of a report plan in SQL."""
    if path.startswith(OWN):
        return f"fields[{dialect.text(path.removeprefix(OWN))}]"
    return dialect.name(path)

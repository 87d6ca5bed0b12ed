"""A train of releases as files that `missioncontrol import` takes: rows of the lake's tables and the releases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from missioncontrol.verdict.nowcast import FINE
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Channel, Ints, Release, Strata

_TICK_S = 300
_CELL_S = 1800
_ROW_GROUP = 100_000


@dataclass(frozen=True)
class Written:
    """The files of a train; `activity` is None where no release has such tables."""

    aggregates: Path
    activity: Path | None
    releases: Path


def write_train(
    folder: Path,
    releases: Sequence[Release],
    channel: Channel,
    strata: Strata,
    start: datetime,
    application: str = "Firefox",
    name: str = "release",
    measure: str = "main_crashes",
    form: str = "parquet",
) -> Written:
    """Write `aggregates`, `usage_by_activity` (`form`: parquet or ndjson) and `releases.json` into a folder.

    start: instant of tick 0 (on the 5-minute grid); the channel's pings are given to the rows of their tick. Build ids
    are made of the times of publication.
    """
    folder.mkdir(parents=True, exist_ok=True)
    builds = {each.version: _build(start, each) for each in releases}
    rows = _aggregates(releases, channel, strata, builds, start, application, name, measure)
    aggregates = _write(folder / f"aggregates.{form}", rows)
    with_activity = [each for each in releases if each.activity is not None]
    activity = None
    if with_activity:
        parts = [_activity(each, builds[each.version], start, name) for each in with_activity]
        activity = _write(folder / f"usage_by_activity.{form}", pa.concat_tables(parts))
    published = folder / "releases.json"
    published.write_text(
        json.dumps(
            [
                {
                    "application": application,
                    "channel": name,
                    "version": each.version,
                    "build_id": builds[each.version],
                    "published_at": _moment(start, each.published).isoformat().replace("+00:00", "Z"),
                }
                for each in releases
            ],
            indent=1,
        )
        + "\n"
    )
    return Written(aggregates, activity, published)


def _moment(start: datetime, tick: int) -> datetime:
    return start + timedelta(seconds=int(tick) * _TICK_S)


def _build(start: datetime, release: Release) -> str:
    return _moment(start, release.published).strftime("%Y%m%d%H%M%S")


def _times(start: datetime, ticks: Ints) -> pa.Array:
    first = int(start.timestamp())
    return pa.array((first + ticks.astype(np.int64) * _TICK_S) * 1_000_000).cast(pa.timestamp("us", "UTC"))


def _texts(values: Sequence[str], codes: Ints) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values)).cast(
        pa.string()
    )


def _aggregates(
    releases: Sequence[Release],
    channel: Channel,
    strata: Strata,
    builds: dict[str, str],
    start: datetime,
    application: str,
    name: str,
    measure: str,
) -> pa.Table:
    ticks, codes, places, hours, counts = [], [], [], [], []
    for place, each in enumerate(releases):
        tick, code = np.nonzero((each.hours > 0) | (each.counts > 0))
        ticks.append(tick + each.published)
        codes.append(code)
        places.append(np.full(len(tick), place))
        hours.append(np.round(each.hours[tick, code].astype(np.float64), 6))
        counts.append(each.counts[tick, code].astype(np.int64))
    tick, code, of_release = (np.concatenate(parts) for parts in (ticks, codes, places))
    order = np.lexsort((code, of_release, tick))
    tick, code, of_release = tick[order], code[order], of_release[order]
    columns = {
        "application": pa.repeat(application, len(tick)),
        "channel": pa.repeat(name, len(tick)),
        "version": _texts([each.version for each in releases], of_release),
        "build_id": _texts([builds[each.version] for each in releases], of_release),
    }
    for i, dimension in enumerate(strata.dimensions):
        columns[dimension] = _texts([values[i] for values in strata.values], code)
    columns["window_start"] = _times(start, tick)
    columns["usage_hours"] = pa.array(np.concatenate(hours)[order])
    columns[measure] = pa.array(np.concatenate(counts)[order])
    columns["count"] = pa.array(_shared(channel, tick))
    return pa.table(columns)


def _shared(channel: Channel, tick: Ints) -> Ints:
    """[rows] whole pings that add up to the channel's in each tick; rows are ordered by tick."""
    if not len(tick):
        return np.zeros(0, np.int64)
    first, last = int(tick[0]), int(tick[-1])
    pings = np.rint(channel.between(first, last + 1)).astype(np.int64)
    rows = np.bincount(tick - first, minlength=len(pings))
    nth = np.arange(len(tick)) - (np.cumsum(rows) - rows)[tick - first]
    share, more = np.divmod(pings, np.maximum(rows, 1))
    shared: Ints = share[tick - first] + (nth < more[tick - first])
    return shared


def _activity(release: Release, build: str, start: datetime, name: str) -> pa.Table:
    assert release.activity is not None
    hours, starts = release.activity.hours, release.activity.starts
    row, cell = np.nonzero((hours > 0) | (starts > 0))
    fine = row < FINE
    arrival = np.where(fine, row, FINE + (row - FINE) * TICKS_PER_HOUR)
    return pa.table(
        {
            "channel": pa.repeat(name, len(row)),
            "version": pa.repeat(release.version, len(row)),
            "build_id": pa.repeat(build, len(row)),
            "arrival": _times(start, release.published + arrival),
            "arrival_length_s": pa.array(np.where(fine, _TICK_S, _TICK_S * TICKS_PER_HOUR)),
            "activity": _times(start, release.published + cell * (_CELL_S // _TICK_S)),
            "activity_length_s": pa.array(np.full(len(row), _CELL_S)),
            "usage_hours": pa.array(np.round(hours[row, cell].astype(np.float64), 6)),
            "starts": pa.array(np.rint(starts[row, cell]).astype(np.int64)),
        }
    )


def _write(path: Path, rows: pa.Table) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=_ROW_GROUP)
        return path
    with path.open("w") as file:
        for batch in rows.to_batches(_ROW_GROUP):
            for row in batch.to_pylist():
                file.write(json.dumps(row, default=_text) + "\n")
    return path


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")

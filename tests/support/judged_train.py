"""A small train of releases in a lake of its own, as judging finds it: three systems, one measure, known to an age."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.release_trains import Story, tell

from missioncontrol.services import Services
from missioncontrol.simulate.trains.export import Written, write_train
from missioncontrol.simulate.trains.world import STRATA
from missioncontrol.state.release_file import parse_releases
from missioncontrol.state.releases import Release as Published
from missioncontrol.verdict.nowcast import FINE
from missioncontrol.verdict.tables import TICKS_PER_HOUR, Activity, Channel, Release, Strata

START = datetime(2026, 7, 6, 9, tzinfo=UTC)
SYSTEMS = tuple(sorted({stratum[0] for stratum in STRATA}))
_SYSTEM_OF = np.array([[stratum[0] == system for system in SYSTEMS] for stratum in STRATA], float)


@cache
def story(factor: float = 1.0) -> Story:
    """Seven predecessors and a candidate that crashes `factor` times as often, by system."""
    told = tell(seed=11, clients=12_000, weight=15, releases=8)
    told = told.worse(factor) if factor != 1 else told
    return replace(
        told,
        predecessors=[by_system(each) for each in told.predecessors],
        candidate=by_system(told.candidate),
    )


def published(told: Story) -> datetime:
    """When the candidate was published."""
    return START + timedelta(minutes=5 * told.candidate.published)


def version(told: Story) -> str:
    """The candidate's."""
    return told.candidate.version


def at_age(told: Story, ticks: int, since: int = -1) -> tuple[list[Release], Channel]:
    """All releases and pings as they are known when the candidate is `ticks` old; only what came since, if so said."""
    end = told.candidate.published + ticks
    begin = None if since < 0 else told.candidate.published + since
    releases = [_cut(each, begin, end) for each in (*told.predecessors, told.candidate)]
    counts = told.channel.counts[:end].copy()
    if begin is not None:
        counts[:begin] = 0
    return releases, Channel(0, counts)


def write(told: Story, folder: Path, ticks: int, since: int = -1, form: str = "parquet") -> Written:
    """The files of `at_age`, as `import` takes them."""
    releases, channel = at_age(told, ticks, since)
    return write_train(
        folder, releases, channel, Strata(("os_name",), tuple((s,) for s in SYSTEMS)), START, form=form
    )


def put(services: Services, written: Written, name: str) -> None:
    """Bring files into a lake as an import does; `name` is the import's."""
    services.writer.ensure(services.registry())
    rows = pq.read_table(written.aggregates)
    services.writer.append("error_aggregates", _dated(rows, "window_start"), name, 1)
    if written.activity is not None:
        activity = pq.read_table(written.activity)
        services.writer.append("usage_by_activity", _dated(activity, "arrival"), name, 1)


def put_releases(services: Services, written: Written) -> list[Published]:
    """Say what was published."""
    found = parse_releases(written.releases.read_bytes(), "releases.json")
    services.releases.put(found)
    return services.releases.list()


def _dated(rows: pa.Table, column: str) -> pa.Table:
    return rows.append_column("submission_date", rows[column].cast(pa.date32()))


def by_system(release: Release) -> Release:
    """A release whose strata are the systems alone."""
    return replace(
        release,
        hours=release.hours.astype(np.float64) @ _SYSTEM_OF,
        counts=release.counts.astype(np.float64) @ _SYSTEM_OF,
    )


def _row(ticks: int) -> int:
    """How many rows of activity are known at an age."""
    return ticks if ticks <= FINE else FINE + (ticks - FINE) // TICKS_PER_HOUR


def _cut(release: Release, begin: int | None, end: int) -> Release:
    known = max(0, end - release.published)
    first = 0 if begin is None else max(0, begin - release.published)
    hours, counts = release.hours[:known].copy(), release.counts[:known].copy()
    hours[:first], counts[:first] = 0, 0
    activity = release.activity
    if activity is not None:
        tables = [table[: _row(known)].copy() for table in (activity.hours, activity.starts)]
        for table in tables:
            table[: _row(first)] = 0
        activity = Activity(*tables)
    return replace(release, hours=hours, counts=counts, activity=activity)

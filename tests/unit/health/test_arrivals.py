"""Releases that nobody named: what arrives steadily becomes one, and what is not known of it is said."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missioncontrol.config import Config
from missioncontrol.health.arrivals import (
    LEAST_PINGS,
    LEAST_SHARE,
    ONSET_SHARE,
    STRETCH_S,
    STRETCHES,
    Arrival,
    arrivals,
    channels,
)
from missioncontrol.health.inference import built_on, infer, new_releases
from missioncontrol.lake.parquet import ARROW_TYPES
from missioncontrol.lake.tables import lake_tables
from missioncontrol.services import Services
from missioncontrol.state.releases import Change, Release

DAY = datetime(2026, 11, 20, tzinfo=UTC)
OLD, NEW = "20261101000000", "20261121000000"
WINDOW = timedelta(minutes=5)
HOUR = timedelta(hours=1)
Row = dict[str, Any]


class Lake:
    """An installation whose rows are written by hand."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(Config(data=folder))
        self._commits = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.services.writer.ensure(self.services.registry())
        columns = lake_tables(self.services.registry())["error_aggregates"].columns
        schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in columns])
        data = pa.Table.from_pylist([{c.name: r.get(c.name) for c in columns} for r in rows], schema)
        self._commits += 1
        assert self.services.writer.append("error_aggregates", data, "test", self._commits)

    def arrivals(self, until: datetime, since: datetime | None = None) -> list[Arrival]:
        return arrivals(self.services.engine, since, until)

    def infer(self, now: datetime, recent: bool = False) -> list[Release]:
        return infer(self.services.engine, self.services.releases, now, recent).releases


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path)
    yield lake
    lake.services.close()


def row(at: datetime, count: int | None, **values: Any) -> Row:
    defaults = {"application": "Firefox", "channel": "release", "version": "60.0", "build_id": OLD}
    return {
        "window_start": at, "submission_date": at.date(), "os_name": "Linux", **defaults, "count": count, **values,
    }  # fmt: skip


def flow(first: datetime, hours: float, count: int = 5, **values: Any) -> list[Row]:
    """So many pings in each window."""
    return [row(first + n * WINDOW, count, **values) for n in range(int(hours * 12))]


def new(first: datetime, hours: float, count: int = 5, **values: Any) -> list[Row]:
    return flow(first, hours, count, **{"version": "61.0", "build_id": NEW, **values})


HISTORY = flow(DAY, 60, 40)
START = DAY + timedelta(hours=30, minutes=35)
END = DAY + timedelta(hours=60)


def test_a_build_that_arrives_steadily_is_published_when_that_began(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START, 20)])
    released = lake.infer(END)
    assert [(r.version, r.build_id, r.published_at, r.status, r.origin) for r in released] == [
        ("60.0", OLD, datetime(2026, 11, 1, tzinfo=UTC), "excluded", "inferred"),
        ("61.0", NEW, START, "accepted", "inferred"),
    ]
    assert "before there was a history" in released[0].note
    assert "the date in the build id" in released[0].note
    assert lake.infer(END) == [], "once more does nothing"
    assert [msgspec.structs.replace(r, statuses=()) for r in lake.services.releases.list()] == released


def test_it_is_seen_two_hours_after_it_began_and_by_looks_at_the_last_hours(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START, 20)])
    lake.infer(START)
    assert lake.infer(START + timedelta(minutes=95), recent=True) == []
    [released] = lake.infer(START + timedelta(minutes=100), recent=True)
    assert released.published_at == START


def test_a_look_at_the_last_hours_finds_when_it_began_long_before(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START, 20)])
    released = {r.version: r for r in lake.infer(START + 18 * HOUR, recent=True)}
    assert released["61.0"].published_at == START
    assert lake.infer(END, recent=True) == []


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (new(START, 1.5), "a run of testers"),
        (new(START, 20, 1, version="61.0"), "too few pings"),
        ([r for r in new(START, 20) if r["window_start"].hour % 2], "not steady"),
        (new(START, 20, 40, channel="Other"), "what is left of many channels"),
        (new(START, 20, 40, channel=""), "no channel"),
        (new(START, 20, 40, channel=None), "no channel"),
        (new(START, 20, 40, application=None), "no application"),
        (new(START, 20, 40, version=None), "no version"),
        (new(START, 20, 40, version="nightly build"), "nobody can tell what comes before it"),
        (new(START, 20, 40, version="6" * 201), "too long to be kept"),
        (new(START, 20, None), "usage without pings"),
        (new(START, 20, 40, build_id="20301101000000"), "made in the future"),
        (new(END + HOUR, 20), "arrives in the future"),
    ],
)
def test_nothing_is_made_of_what_is_no_release(lake: Lake, rows: list[Row], why: str) -> None:
    lake.add([*HISTORY, *rows])
    assert [r.version for r in lake.infer(END) if r.version != "60.0"] == [], why
    assert [r.version for r in lake.infer(END, recent=True)] == []


def test_what_is_no_release_though_it_arrives_is_told(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START, 20, version="nightly build"), *new(START, 20, channel="Other")])
    done = infer(lake.services.engine, lake.services.releases, END)
    assert {(s.version, s.channel): s.why.split(",")[0] for s in done.skipped} == {
        ("nightly build", "release"): "The version is no number",
        ("61.0", "Other"): "Many kinds of builds share this application or channel.",
    }


def test_few_among_many_are_not_a_release(lake: Lake) -> None:
    """Testers of a build that is to be published tomorrow, on a channel of millions."""
    lake.add([*flow(DAY, 60, 100_000), *new(START, 10, 10), *new(START + 10 * HOUR, 10, 200)])
    [released] = [r for r in lake.infer(END) if r.version == "61.0"]
    assert released.published_at == START + 10 * HOUR


def test_a_single_ping_before_the_rest_is_no_beginning(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START - timedelta(minutes=20), 1 / 12, 1), *new(START, 20, 50)])
    [released] = [r for r in lake.infer(END) if r.version == "61.0"]
    assert released.published_at == START


def test_the_beginning_of_an_outage_and_of_the_history_is_no_publication(lake: Lake) -> None:
    back = START + 40 * HOUR
    lake.add([*flow(DAY, 30, 40), *flow(back, 10, 40), *new(back, 10)])
    lake.add(new(START, 12, application="Notes", version="1.0", build_id="abc"))
    found = {(r.application, r.version): r for r in lake.infer(back + 10 * HOUR)}
    assert found["Firefox", "61.0"].status == "excluded"
    assert found["Firefox", "61.0"].published_at == datetime(2026, 11, 21, tzinfo=UTC)
    notes = found["Notes", "1.0"]
    assert (notes.status, notes.published_at) == ("excluded", START)
    assert "when they were first seen here" in notes.note


def test_a_build_that_was_old_when_it_came_is_kept_out_of_comparisons(lake: Lake) -> None:
    lake.add([*HISTORY, *new(START, 20, version="52.0", build_id="20260801000000")])
    [released] = [r for r in lake.infer(END) if r.version == "52.0"]
    assert (released.status, released.published_at) == ("excluded", START)
    assert released.note == "It came here 112 days after it was built."


def test_a_point_build_joins_its_version_and_takes_its_status(lake: Lake) -> None:
    releases = lake.services.releases
    releases.put([Release("Firefox", "release", "61.0", "20261120000000", DAY + HOUR)])
    releases.change("Firefox", "release", "61.0", Change(status="worse"), "olga", END)
    lake.add([*HISTORY, *new(START, 20)])
    lake.infer(END)
    [version] = [v for v in releases.versions() if v.version == "61.0"]
    assert version.build_ids == ["20261120000000", NEW]
    assert (version.published_at, version.origin, version.status) == (DAY + HOUR, "imported", "worse")


def test_a_build_that_is_known_under_another_version_is_known(lake: Lake) -> None:
    """Pings of betas name the version that they are to become."""
    lake.services.releases.put([
        Release("Firefox", "beta", "61.0b3", NEW, DAY), Release("Notes", "beta", "1.0", "1", DAY)
    ])  # fmt: skip
    lake.add([*flow(DAY, 60, 40, channel="beta"), *new(START, 20, channel="beta")])
    lake.add(flow(DAY, 60, 40, application="Notes", channel="beta", version="2.0", build_id="1"))
    assert [r.version for r in lake.infer(END)] == ["60.0", "2.0"], "an id that is no date names no build"


def test_a_clock_that_goes_back_or_was_wrong_makes_no_release_earlier(lake: Lake) -> None:
    rows = [*HISTORY, *new(START, 20)]
    wrong = [*new(DAY - timedelta(days=9), 4), *new(END + timedelta(days=900), 4)]
    lake.add([*rows, *wrong])
    back = DAY - timedelta(days=20_000)
    assert lake.infer(back) == lake.infer(back, recent=True) == []
    assert {r.version: r.published_at for r in lake.infer(END)}["61.0"] == START
    assert lake.infer(START - HOUR) == []


def test_an_empty_installation_has_no_releases(lake: Lake) -> None:
    assert channels(lake.services.engine) == []
    assert lake.infer(END) == lake.infer(END, recent=True) == []


@pytest.mark.parametrize(
    ("build_id", "built"),
    [
        ("20261120", "2026-11-20"), ("2026112012", "2026-11-20"), ("20261120123456", "2026-11-20"),
        ("20261320", None), ("10261120", None), ("202611201", None), ("abc", None), ("", None), ("２０２６１１２０", None),
    ],
)  # fmt: skip
def test_build_ids_that_are_dates(build_id: str, built: str | None) -> None:
    found = built_on(build_id)
    assert (f"{found:%Y-%m-%d}" if found else None) == built


ROWS = st.lists(
    st.builds(
        lambda start, windows, count, version, build: flow(
            DAY + start * HOUR, windows / 12, count, version=version, build_id=build
        ),
        st.integers(0, 40), st.integers(1, 60), st.sampled_from([1, 2, 5, 500, 60_000]),
        st.sampled_from(["60.0", "61.0"]), st.sampled_from([OLD, NEW, None]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 45))
def test_the_order_and_cut_of_rows_does_not_matter_and_plain_python_says_the_same(
    stretches: list[list[Row]], shuffled: random.Random, until_hours: int
) -> None:
    rows = [r for stretch in stretches for r in stretch]
    until = DAY + until_hours * HOUR
    expected = by_hand(rows, until)
    shuffled.shuffle(rows)
    cut = shuffled.randint(0, len(rows))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for part in (rows[:cut], rows[cut:]):
            if part:
                lake.add(part)
        found = lake.arrivals(until)
        assert {(a.version, a.build_id): (a.since, a.hours_before) for a in found} == expected
        made, _ = new_releases(found, [], until)
        assert new_releases(found, made, until) == ([], [])
        lake.services.close()


def by_hand(rows: list[Row], until: datetime) -> dict[tuple[str, str], tuple[datetime, int]]:
    """The definition, word for word."""
    rows = [r for r in rows if r["window_start"] + WINDOW <= until]

    def pings(build: tuple[str, str] | None, first: datetime, seconds: int) -> int:
        end = first + timedelta(seconds=seconds)
        return sum(r["count"] for r in rows if build in (None, of(r)) and first <= r["window_start"] < end)

    def steady(build: tuple[str, str], first: datetime) -> bool:
        half_hours = [first + timedelta(seconds=k * STRETCH_S) for k in range(STRETCHES)]
        sums = [(pings(build, at, STRETCH_S), pings(None, at, STRETCH_S)) for at in half_hours]
        enough = all(own >= LEAST_PINGS and own >= LEAST_SHARE * every for own, every in sums)
        return enough and pings(build, first, 300) >= ONSET_SHARE * sums[0][0] * 300 / STRETCH_S

    found = {}
    for build in {of(r) for r in rows}:
        made = datetime(2026, 11, 20, tzinfo=UTC) if build[1] == NEW else DAY
        windows = sorted({r["window_start"] for r in rows if of(r) == build and r["window_start"] >= made})
        since = next((at for at in windows if steady(build, at)), None)
        if since is not None:
            day = [r["window_start"] for r in rows if since - 24 * HOUR <= r["window_start"] < since]
            found[build] = (since, len({at.replace(minute=0) for at in day}))
    return found


def of(item: Row) -> tuple[str, str]:
    return item["version"], item["build_id"] or ""

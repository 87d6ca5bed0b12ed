"""From rows to the tables of the method: when they are known, whose they are, and that sums are exact."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.support.small_channel import SmallChannel, published, release, rows_of

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.activity import ActivityRows, activity_of
from missioncontrol.health.cells import UNITS
from missioncontrol.health.keys import _finder
from missioncontrol.health.picking import MOST_STRATA
from missioncontrol.health.published import tick_of, versions_of
from missioncontrol.health.sums import ChannelSums, read_sums
from missioncontrol.verdict.nowcast import FINE
from missioncontrol.verdict.strata import POOLED
from missioncontrol.verdict.tables import Release


def read(channel: SmallChannel, hours: float, **more: object) -> ChannelSums:
    until = published(8) + timedelta(hours=hours)
    return read_sums(channel.services.engine, channel.releases, "Firefox", "release", until, **more)


def candidate(channel: SmallChannel, hours: float, version: str = "9.0") -> Release:
    sums = read(channel, hours)
    subject = sums.version(version)
    measure = sums.measures["main_crashes"]
    return sums.release(subject, measure, sums.picked(subject, measure), sums.until, False)


@pytest.fixture
def nine(channel: SmallChannel) -> SmallChannel:
    channel.history()
    channel.take(rows_of(8))
    channel.releases.append(release(8))
    return channel


def test_a_row_is_known_when_its_window_has_ended(nine: SmallChannel) -> None:
    assert candidate(nine, 2.0).hours.sum() == 600.0
    assert candidate(nine, 2.0 + 4.9 / 60).hours.sum() == 600.0
    assert candidate(nine, 2.0 + 5 / 60).hours.sum() == 900.0
    assert candidate(nine, 2.0).ticks == 24


def test_sums_are_exact_whatever_floats_are_added(channel: SmallChannel) -> None:
    channel.history()
    start = published(8)
    tenths = [
        {**row, "window_start": start, "usage_hours": 0.1, "build_id": "b8", "country": f"C{n % 3}"}
        for n, row in enumerate(rows_of(8) * 5)
    ]
    channel.take(tenths)
    channel.releases.append(release(8))
    assert candidate(channel, 1).hours.sum() * UNITS == len(tenths) * round(0.1 * UNITS)


def test_the_channels_pings_are_those_of_all_versions(nine: SmallChannel) -> None:
    nine.take(rows_of(8, "0.1", seed=9, build_id="old", count=7))
    sums = read(nine, 72)
    tick = tick_of(published(8))
    assert sums.pings.between(tick, tick + 1)[0] == 3 * 200 + 3 * 7
    assert sums.hours.between(tick, tick + 1)[0] == 600.0
    assert "0.1" not in {version for _, version in sums.cells.rows}


def test_rows_without_an_application_count_for_whichever_is_asked_about(channel: SmallChannel) -> None:
    channel.history()
    channel.take([{**row, "application": None} for row in rows_of(8)])
    channel.take([{**row, "application": "Fennec"} for row in rows_of(8)])
    channel.releases.append(release(8))
    assert candidate(channel, 2).hours.sum() == 600.0


def test_the_largest_strata_are_kept_and_the_rest_is_pooled_by_system(channel: SmallChannel) -> None:
    channel.take(
        {**row, "country": f"C{n:03}", "usage_hours": 1000.0 - n}
        for nth in range(7)
        for n, row in zip(range(400), rows_of(nth, hours=140), strict=False)
    )
    channel.take({**row, "country": "new"} for row in rows_of(8))
    channel.releases += [*(release(nth) for nth in range(7)), release(8)]
    sums = read(channel, 72)
    picked = sums.picked(sums.version("9.0"), sums.measures["main_crashes"])
    named = [stratum for stratum in picked.strata.values if POOLED not in stratum]
    assert len(named) == MOST_STRATA
    assert {stratum[2] for stratum in named} == {f"C{n:03}" for n in range(MOST_STRATA)}
    places = {picked.strata.values[picked.code[i]] for i, s in enumerate(sums.cells.strata) if s[2] == "new"}
    assert places == {(system, POOLED, POOLED, POOLED) for system in ("Windows_NT", "Darwin", "Linux")}


def test_strata_are_chosen_by_what_was_known_at_publication(nine: SmallChannel) -> None:
    early = read(nine, 1)
    nine.take(
        {**row, "country": "later"}
        for row in rows_of(7, "8.0", hours=300, build_id="b7")
        if row["window_start"] > published(8)
    )
    late = read(nine, 200)
    chosen = [
        each.picked(each.version("9.0"), each.measures["main_crashes"]).strata for each in (early, late)
    ]
    assert chosen[0] == chosen[1]


def test_hours_of_activity_are_spread_and_known_at_the_end_of_their_arrival() -> None:
    rows = ActivityRows(
        known=np.array([12, 13, 1000]),
        first=np.array([0, -3, 6]),
        length=np.array([12, 6, 12]),
        units=np.array([UNITS, UNITS, 2 * UNITS]).astype(np.int64),
        starts=np.array([4, 6, 2]),
    )
    known = activity_of(rows, 0, 20)
    # An hour over two half hours; the cell that begins before publication counts for what of it comes after.
    np.testing.assert_array_equal(known.hours[11, :3], [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(known.hours[12, :3], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(known.starts[11, :3], [2.0, 2.0, 0.0])
    assert known.hours.sum() == 2.0
    late = activity_of(rows, 0, 2000)
    np.testing.assert_array_equal(late.hours[FINE + (999 - FINE) // 12, :4], [0.0, 1.0, 1.0, 0.0])


def test_activity_by_the_hour_is_the_sum_of_what_was_finer(channel: SmallChannel) -> None:
    channel.history()
    channel.releases.append(release(8))
    at = published(8)
    channel.take(
        [
            {"channel": "release", "version": "9.0", "arrival_hour": at, "activity_hour": at, "usage_hours": 1.0, "starts": 2, "count": 3},
            {"channel": "release", "version": "9.0", "arrival_window": at, "activity_hour": at, "usage_hours": 1.0, "starts": 2, "count": 3},
        ],
        table="usage_by_activity",
    )  # fmt: skip
    sums = read(channel, 5)
    table = activity_of(sums.activity["9.0"], tick_of(at), sums.until)
    np.testing.assert_array_equal(table.hours[[0, 11], :2], [[0.5, 0.5], [0.5, 0.5]])
    assert table.starts.sum() == 4


def test_keys_are_found_by_hash_few_and_many() -> None:
    rng = np.random.default_rng(1)
    for count in (1, 900, 100_000):
        hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
        asked = rng.integers(0, count, 5000)
        np.testing.assert_array_equal(_finder(hashes)(hashes[asked]), asked)


def test_a_version_is_published_with_the_earliest_of_its_builds() -> None:
    later = release(1, build_id="b9", published_at=published(5))
    (version,) = versions_of([later, release(1)], "Firefox", "release")
    assert (version.published_at, version.builds) == (published(1), ("b1", "b9"))


def test_what_cannot_be_read_is_refused_by_name(nine: SmallChannel) -> None:
    with pytest.raises(NotFound, match=r"No version '1\.1'"):
        read(nine, 1, versions=["1.1"])
    with pytest.raises(BadRequest, match="no verdicts on `usage_hours`"):
        read(nine, 1, measures=["usage_hours"])

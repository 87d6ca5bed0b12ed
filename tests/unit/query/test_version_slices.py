"""Sums by values of dimensions: of which rows, in which stretch of a life, and what builds count for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.support.small_channel import SmallChannel, published, rows_of

from missioncontrol.query.version_slices import Era, Place, SliceSum, slice_sums

ERAS = [
    Era((f"{nth + 1}.0", f"{nth + 1}.0.1"), published(nth), published(nth) + timedelta(hours=10))
    for nth in (1, 0)
]
RELEASE = Place("Firefox", "release")


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChannel]:
    made = SmallChannel(tmp_path_factory.mktemp("slices"))
    made.take(
        [
            *rows_of(0, hours=20, country="DE"),
            *rows_of(1, hours=20, country="FR"),
            *rows_of(1, "2.0.1", hours=2, country=None, build_id="point"),
            *rows_of(1, "9.0", hours=2, country="DE", build_id="renamed"),
            *rows_of(1, hours=2, country="DE", channel="beta"),
            *rows_of(1, hours=2, country="ES", os_name=None),
        ]
    )
    yield made
    made.services.close()


def found(channel: SmallChannel, place: Place = RELEASE, **builds: str) -> list[SliceSum]:
    return slice_sums(
        channel.services.engine, place, ("country",), ("main_crashes", "usage_hours"), ERAS,
        timedelta(hours=5), builds,
    )  # fmt: skip


def hours(sums: list[SliceSum]) -> dict[tuple[int, str | None, int], float | None]:
    return {(one.era, one.values[0], one.stretch): one.per for one in sums}


def test_each_version_over_its_own_life_in_stretches(channel: SmallChannel) -> None:
    assert hours(found(channel)) == {
        (0, "FR", 0): 1500.0, (0, "FR", 1): 1500.0, (0, None, 0): 600.0, (0, "ES", 0): 600.0,
        (1, "DE", 0): 1500.0, (1, "DE", 1): 1500.0,
    }  # fmt: skip
    assert all(one.count is not None and one.count > 0 for one in found(channel))


def test_a_build_counts_for_the_version_that_it_was_published_as(channel: SmallChannel) -> None:
    told = hours(found(channel, renamed="2.0", point="7.0"))
    assert told[0, "DE", 0] == 600.0 and (0, None, 0) not in told


@pytest.mark.parametrize(("systems", "share"), [(("Linux", "Darwin"), 2 / 3), ((None,), 0.0), ((), 0.0)])
def test_rows_of_some_systems_only(
    channel: SmallChannel, systems: tuple[str | None, ...], share: float
) -> None:
    told = hours(found(channel, Place("Firefox", "release", systems)))
    assert told.get((0, "FR", 0), 0.0) == pytest.approx(1500 * share)
    assert ((0, "ES", 0) in told) == (None in systems)


def test_nothing_of_a_channel_that_nobody_has(channel: SmallChannel) -> None:
    assert found(channel, Place(None, "release")) == []

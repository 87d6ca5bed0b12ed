"""Usage is placed when it happened: spread evenly, adding up exactly, and only when its start can be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.telemetry.activity import place
from missioncontrol.telemetry.fact import Fact, grid

RECEIVED = datetime(2026, 11, 22, 12, 7, tzinfo=UTC)
YOUNG, OLD = "20261115000000", "20261001000000"


def fact(start: datetime | None, hours: float | None) -> Fact:
    return Fact("main", "Firefox", (), (), (), hours, True, start.timestamp() if start else None)


def placed(start: datetime, hours: float, build_id: str = YOUNG, received: datetime = RECEIVED):  # type: ignore[no-untyped-def]
    return place(fact(start, hours), int(received.timestamp()) * 10**9, build_id, 14)


def test_a_session_is_spread_over_the_half_hours_it_covered() -> None:
    cells = placed(datetime(2026, 11, 22, 10, 15, tzinfo=UTC), 1.0)
    assert cells is not None
    assert datetime.fromtimestamp(cells.first_s, UTC) == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert cells.hours == (0.25, 0.5, 0.25)
    assert (cells.arrival_length_s, cells.activity_length_s) == (300, 1800)
    assert datetime.fromtimestamp(cells.arrival_s, UTC) == datetime(2026, 11, 22, 12, 5, tzinfo=UTC)


def test_builds_that_are_not_young_have_hours_as_cells() -> None:
    cells = placed(datetime(2026, 11, 22, 10, 15, tzinfo=UTC), 1.0, OLD)
    assert cells is not None
    assert cells.hours == (0.75, 0.25)
    assert (cells.arrival_length_s, cells.activity_length_s) == (3600, 3600)


def test_the_last_fine_day_is_the_14th_after_the_build() -> None:
    for days, length in ((14, 300), (15, 3600)):
        received = datetime(2026, 11, 15, 23, 59, tzinfo=UTC) + timedelta(days=days)
        cells = placed(received - timedelta(hours=2), 1.0, received=received)
        assert cells is not None
        assert cells.arrival_length_s == length


def test_a_session_of_no_length_starts_in_its_cell() -> None:
    cells = placed(RECEIVED - timedelta(hours=1), 0.0)
    assert cells is not None
    assert cells.hours == (0.0,)


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        (None, 1.0),
        (RECEIVED + timedelta(seconds=1), 1.0),
        (datetime(2026, 11, 14, 23, 59, tzinfo=UTC), 1.0),
        (RECEIVED - timedelta(hours=30), 25.0),
        (datetime(1969, 1, 1, tzinfo=UTC), 1.0),
    ],
)
def test_a_start_that_cannot_be_believed_is_not_placed(start: datetime | None, hours: float) -> None:
    assert place(fact(start, hours), int(RECEIVED.timestamp()) * 10**9, YOUNG, 14) is None


@given(st.integers(0, 89_999), st.integers(0, 6 * 86_400), st.sampled_from([YOUNG, OLD]))
def test_the_cells_add_up_exactly(seconds: int, ago_s: int, build_id: str) -> None:
    hours = grid(seconds / 3600)
    cells = placed(RECEIVED - timedelta(seconds=ago_s), hours, build_id)
    assert cells is not None
    assert sum(cells.hours) == hours
    assert all(0 <= h <= cells.activity_length_s / 3600 for h in cells.hours)
